"""Answers that people disliked, and questions that were refused, as drafts of new cases.

A draft holds what was asked; what a right answer must hold, a person writes. Until then
the file does not load as cases, and says which blanks are open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from assistant.conversation import CONVERSATIONS_FILE, ConversationStore
from assistant.errors import NotFoundError
from assistant.text import detect_language
from assistant.types import EVERYONE_GROUP, Reviewable
from evals.case import Case

_HEAD = """\
# Drafts of evaluation cases, made from conversations. For each one: check the question for
# personal data, then either take the signs # off `reference`, `facts` and `documents` and fill
# them in, or take the sign off `expect: refuse` when no document holds the answer. Delete what
# is no use, and move the file to evals/cases/.
"""
_BLANKS = """\
  # expect: refuse
  # reference: ""
  # facts:
  #   - ["one spelling", "another spelling"]
  # documents:
  #   - [knowledge/]
"""
_ANSWER_CHARS = 300


def reviewable(data_dir: Path) -> tuple[Reviewable, ...]:
    """Return the refused and the disliked answers kept in a data directory, oldest first.

    Raises:
        NotFoundError: no conversation was ever kept there.
    """
    if not (data_dir / CONVERSATIONS_FILE).exists():
        raise NotFoundError(
            f"{data_dir} holds no conversations. Set ASSISTANT_DATA_DIR to the directory of the "
            "assistant that people use."
        )
    store = ConversationStore(data_dir)
    try:
        return store.to_review()[::-1]
    finally:
        store.close()


def drafts(found: Iterable[Reviewable], known: Sequence[Case] = ()) -> tuple[str, int]:
    """Return the drafts as YAML, and how many there are.

    A question that several asked is drafted once for each set of groups; one that is a case
    already is left out.
    """
    seen = {(case.question, case.history) for case in known}
    written: dict[str, str] = {}
    for item in found:
        if (item.question, item.history) not in seen:
            written.setdefault(_id(item), _draft(item))
    return "\n".join([_HEAD, *written.values()]), len(written)


def _draft(item: Reviewable) -> str:
    groups = [group for group in item.groups if group != EVERYONE_GROUP]
    head = {
        "id": _id(item),
        "question": item.question,
        "language": detect_language(item.question),
        "difficulty": "medium",
        "tags": ["harvested"],
        **({"history": list(item.history)} if item.history else {}),
        **({"groups": groups} if groups else {}),
    }
    why = "disliked" if item.verdict == "down" else "refused"
    notes = [f"{item.at:%Y-%m-%d}, {why}", *([item.comment] if item.comment else [])]
    said = " ".join(item.answer.split())
    notes.append(f"it said: {said[:_ANSWER_CHARS]}{'…' if len(said) > _ANSWER_CHARS else ''}")
    comments = "".join(f"  # {' '.join(note.split())}\n" for note in notes)
    return _yaml([head]) + comments + _BLANKS


def _yaml(value: object) -> str:
    text = yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=100)
    return str(text)


def _id(item: Reviewable) -> str:
    whole = "\n".join((*item.history, item.question, *item.groups))
    return f"h-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
