"""Answers as Block Kit, within Slack's limits; what does not fit goes into further messages.

https://docs.slack.dev/reference/block-kit/blocks gives the limits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from assistant.export import place
from assistant.surfaces.slack.mrkdwn import escape, to_mrkdwn
from assistant.surfaces.slack.wording import Texts
from assistant.types import Answer, Citation

Block = dict[str, Any]

SECTION_CHARS = 3000
MESSAGE_BLOCKS = 50
TEXT_CHARS = 3000
STREAM_CHARS = 12_000
MODAL_TITLE_CHARS = 24
_BUTTON_CHARS = 75
# More than anybody opens; the rest are named in one line.
_MOST_BUTTONS = 12
_MOST_MESSAGES = 8
_PLACE_CHARS = 300
# Slack refuses messages whose blocks are too long together, and does not say how long that is.
_BODY_BLOCKS = 4

PASSAGE, FEEDBACK, SHARE = "passage", "feedback", "share"


def answer_messages(answer: Answer, texts: Texts, foot: list[Block]) -> list[list[Block]]:
    """Return an answer as the blocks of one message, or of several when it is very long."""
    body = [section(part) for part in pieces(to_mrkdwn(answer.text))]
    *earlier, last = _pages(body, _BODY_BLOCKS) or [[]]
    if len(earlier) >= _MOST_MESSAGES:
        earlier, last = earlier[:_MOST_MESSAGES], [_context(texts("cut"))]
    return [*earlier, last + foot]


def answer_foot(
    answer: Answer,
    texts: Texts,
    *,
    understood: str = "",
    persona: str = "",
    shareable: bool = False,
) -> list[Block]:
    """Return what stands below an answer: its sources, and the buttons.

    Args:
        answer: what the assistant said.
        texts: the bot's words in the reader's language.
        understood: how the question was read, when that is not what was written.
        persona: a line under the answer.
        shareable: offer to post it in the channel.
    """
    foot = _sources(answer.answer_id, answer.citations, texts)
    if understood:
        foot.append(_context(texts("understood", question=escape(understood))))
    if persona:
        foot.append(_context(escape(persona)))
    if shareable:
        share = _button(texts("share"), SHARE, answer.answer_id)
        foot.append({"type": "actions", "elements": [share]})
    return [*foot, _feedback(answer.answer_id, texts)]


def section(text: str, accessory: Block | None = None) -> Block:
    """Return a block of mrkdwn."""
    block: Block = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return block | {"accessory": accessory} if accessory else block


def note(text: str) -> list[Block]:
    """Return a message of the bot's own words, cut to what one block takes."""
    return [section(_cut(text, SECTION_CHARS))]


def fallback(text: str) -> str:
    """Return the text for notifications and for readers that show no blocks."""
    return _cut(text, TEXT_CHARS)


def pieces(text: str, most: int = SECTION_CHARS) -> list[str]:
    """Split mrkdwn at paragraphs, lines or sentences; a code block split in two stays code."""
    parts: list[str] = []
    while len(text) > most:
        head = text[: _cut_at(text, most - 8)]
        rest = text[len(head) :].lstrip("\n")
        if head.count("```") % 2:
            head, rest = head.rstrip("\n") + "\n```", "```\n" + rest
        parts.append(head.strip("\n"))
        text = rest
    return [*parts, text] if text.strip() else parts


def modal(callback: str, texts: Texts, title: str, blocks: Sequence[Block], **more: Any) -> Block:
    """Return a view; ``more`` are further fields of it."""
    return {
        "type": "modal",
        "callback_id": callback,
        "title": _plain(_cut(title, MODAL_TITLE_CHARS)),
        "close": _plain(texts("cancel" if "submit" in more else "close")),
        "blocks": list(blocks),
        **{key: _plain(value) if key == "submit" else value for key, value in more.items()},
    }


def text_input(texts: Texts, label: str, hint: str, *, value: str = "", needed: bool) -> Block:
    """Return an input of several lines, named ``text`` in what is submitted."""
    element: Block = {
        "type": "plain_text_input",
        "action_id": "text",
        "multiline": True,
        "max_length": SECTION_CHARS,
        "placeholder": _plain(texts(hint)),
    }
    if value:
        element["initial_value"] = value[:SECTION_CHARS]
    return {
        "type": "input",
        "block_id": "text",
        "optional": not needed,
        "label": _plain(texts(label)),
        "element": element,
    }


def _sources(answer_id: str, citations: Sequence[Citation], texts: Texts) -> list[Block]:
    if not citations:
        return []
    blocks: list[Block] = [{"type": "divider"}, _context(f"*{texts('sources')}*")]
    for citation in citations[:_MOST_BUTTONS]:
        value = json.dumps({"answer": answer_id, "marker": citation.marker})
        button = _button(texts("passage"), f"{PASSAGE}_{citation.marker}", value)
        blocks.append(section(source_line(citation), button))
    if rest := citations[_MOST_BUTTONS:]:
        titles = "; ".join(source_line(citation) for citation in rest)
        blocks.append(_context(_cut(texts("more_sources", titles=titles), 2000)))
    return blocks


def source_line(citation: Citation) -> str:
    """Return a citation's number and where it stands; a file by its name, not by its path."""
    source = citation.source
    name = source if "://" in source else re.split(r"[/\\\\]", source)[-1]
    where = place(replace(citation, source=name))
    return f"[{citation.marker}] {escape(_cut(where, _PLACE_CHARS))}"


def _feedback(answer_id: str, texts: Texts) -> Block:
    def button(key: str, verdict: str) -> Block:
        value = json.dumps({"answer": answer_id, "verdict": verdict})
        return {"text": _plain(texts(key)), "value": value}

    return {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": FEEDBACK,
                "positive_button": button("helpful", "up"),
                "negative_button": button("unhelpful", "down"),
            }
        ],
    }


def _button(label: str, action: str, value: str) -> Block:
    return {
        "type": "button",
        "action_id": action,
        "text": _plain(_cut(label, _BUTTON_CHARS)),
        "value": value,
    }


def _context(text: str) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": _cut(text, SECTION_CHARS)}]}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _pages(blocks: Iterable[Block], most: int) -> list[list[Block]]:
    listed = list(blocks)
    return [listed[start : start + most] for start in range(0, len(listed), most)]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _cut_at(text: str, most: int) -> int:
    """Return where to split: after the last paragraph, line or sentence that fits."""
    for end in ("\n\n", "\n", "。", ". ", " "):
        if (found := text.rfind(end, most // 3, most)) >= 0:
            return found + len(end)
    return most
