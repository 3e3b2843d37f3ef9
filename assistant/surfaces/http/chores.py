"""What chat programs ask a model on the side: a title, tags or further questions for a chat.

Such a request is none to the documents. It is answered at once, without searching, so
that it neither holds up an engine nor counts as a question that was refused.
"""

from __future__ import annotations

import json
import re

_TITLE_CHARS = 24
# The task templates of Open WebUI, which others copied.
_CHORE = re.compile(r"\s*### Task:.*<chat_history>(?P<said>.*?)</chat_history>", re.DOTALL)
_WANTED_KEY = re.compile(r'\{\s*"(title|tags|follow_ups|queries|prompt|text)"\s*:')
_ASKED = re.compile(r"^\s*USER:\s*(?P<text>.+)$", re.MULTILINE)
_LISTS = ("tags", "follow_ups", "queries")


def chore_reply(question: str) -> str | None:
    """Return the reply to a chore in the form it asks for; None to a question."""
    chore = _CHORE.match(question)
    if chore is None:
        return None
    asked = _ASKED.search(chore["said"])
    title = _shortened(asked["text"].strip()) if asked else ""
    wanted = _WANTED_KEY.search(question[: chore.start("said")])
    if wanted is None:
        return title
    key = wanted[1]
    value: str | list[str] = [] if key in _LISTS else title if key == "title" else ""
    return json.dumps({key: value}, ensure_ascii=False)


def _shortened(text: str) -> str:
    return text if len(text) <= _TITLE_CHARS else text[:_TITLE_CHARS].rstrip() + "…"
