"""Answers that their readers liked as raw samples: the question, and the passage it quotes.

It reads the data directory of an assistant and changes nothing there.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from assistant import Assistant, Settings
from assistant.adapt.recipe import LikedSource
from assistant.adapt.samples import Sample, group_of
from assistant.conversation import CONVERSATIONS_FILE
from assistant.errors import ConfigurationError, NotFoundError
from assistant.text import detect_language

_LIKED = """
SELECT m.citations,
    (SELECT q.text FROM messages q WHERE q.conversation_id = m.conversation_id
        AND q.role = 'user' AND q.id < m.id ORDER BY q.id DESC LIMIT 1) AS question,
    (SELECT count(*) FROM messages q WHERE q.conversation_id = m.conversation_id
        AND q.role = 'user' AND q.id < m.id) AS turn
FROM messages m JOIN feedback f USING (answer_id)
WHERE f.verdict = 'up' AND NOT m.refused ORDER BY m.id
"""


def read_liked(source: LikedSource, dropped: Counter[str]) -> list[Sample]:
    """Return a raw sample for the first quotation of each liked answer to a first question.

    Later questions of a conversation lean on those before. Passages are read as everyone may.

    Raises:
        ConfigurationError: there are no conversations.
        StoreLockedError: another process has the data directory open.
    """
    samples = []
    with Assistant(Settings(data_dir=source.data_dir)) as assistant:
        for question, citation in _answers(source.data_dir):
            sample = _sample(question, citation, assistant, source)
            if sample:
                samples.append(sample)
            else:
                dropped[f"{source.name}: the passage changed or is not for everyone"] += 1
    return samples


def _answers(data_dir: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the question and the first citation of each liked answer."""
    file = data_dir / CONVERSATIONS_FILE
    if not file.exists():
        raise ConfigurationError(
            f"{file} does not exist: nobody has asked there yet. Correct `data_dir`, or take the "
            "source out of the recipe."
        )
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as db:
        for citations, question, turn in db.execute(_LIKED):
            first = next(iter(json.loads(citations)), None)
            if question and turn == 1 and first:
                yield question, first


def _sample(
    question: str, citation: dict[str, Any], assistant: Assistant, source: LikedSource
) -> Sample | None:
    """Return the sample of a quotation; None where its passage no longer holds it."""
    try:
        chunk = assistant.passage(citation["chunk_id"], neighbours=0).chunk
    except NotFoundError:
        return None
    quote = citation["quote"].strip()
    start = chunk.text.find(quote) if quote else -1
    if start < 0:
        return None
    return Sample(
        question=question,
        passage=chunk.text,
        start=start,
        end=start + len(quote),
        language=detect_language(question),
        source=source.name,
        group=group_of(source.name, citation["source"]),
        licence=source.licence,
        answers=(quote,),
        title=citation["title"],
        heading=chunk.heading,
    )
