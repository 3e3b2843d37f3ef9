"""Connecting prose by a language model: written from a chapter's facts alone, and checked.

The check is stricter than the one that answers go through, since one fact may hold many
figures: a sentence stays when one fact supports it and holds its figures in the same order,
its denials and comparisons, and nearly all of its words; it then carries that fact's sources.
What does not hold is dropped, so a chapter is the same without a model, or with a bad one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from langchain_core.language_models import BaseChatModel
from numpy.typing import NDArray

from assistant.citations import Checker, split_stream
from assistant.engines.base import failures_named, follows_instructions
from assistant.prompts import load_prompt
from assistant.strategy.types import Block, Bullets, Heading, Paragraph
from assistant.text import terms
from assistant.types import Chunk, Document, Hit, Language

# The facts of a chapter that a model is given, and the sentences that are kept of it.
MOST_FACTS, MOST_SENTENCES = 12, 3
# A sentence of fewer terms says nothing, and any fact that holds them would support it.
LEAST_TERMS = 5
# The share of a sentence's terms that its fact must hold.
WORDS_HELD = 0.9
_FIGURE = re.compile(r"\d[\d,.]*\s*[%百千万亿]?[a-zA-Z\u4e00-\u9fff]?")
_POLARITY = re.compile(
    r"不|未|没有|无|低于|高于|超过|足够|不足|少于|多于|以上|以下|可以|不能|能"
    r"|\b(?:no|not|never|none|without|below|above|under|over|more|less|than|covers?|can|cannot)\b",
    re.IGNORECASE,
)
_MARKS = re.compile(r"\[(?:[AI]?\d+)\]")
_CLAUSE = re.compile(r"[，。；：,;:]")


@dataclass(frozen=True)
class Narrator:
    """What writes the connecting prose: a chat model, and the embedding that checks it."""

    engine: BaseChatModel
    embed: Callable[[Sequence[str]], NDArray[np.float32]]

    @property
    def writes(self) -> bool:
        """Whether the model can follow an instruction; one that only completes or quotes cannot."""
        return follows_instructions(self.engine)


def narrate(blocks: Sequence[Block], language: Language, narrator: Narrator) -> list[Block]:
    """Return a chapter with connecting prose after its heading, where any sentence holds.

    Raises:
        EngineError: the model failed; the brief can be written without prose.
    """
    heading = blocks[0]
    facts = _facts(blocks)
    if not isinstance(heading, Heading) or not facts or not narrator.writes:
        return list(blocks)
    sentences = _checked(heading.text, facts, language, narrator)
    if not sentences:
        return list(blocks)
    text = ("" if language == "zh" else " ").join(sentences)
    return [heading, Paragraph(text, "lead"), *blocks[1:]]


def _facts(blocks: Sequence[Block]) -> list[str]:
    """Return the cited statements of a chapter."""
    said: list[str] = []
    for block in blocks:
        if isinstance(block, Paragraph) and block.role == "body":
            said.append(block.text)
        elif isinstance(block, Bullets):
            said += block.items
    return [text for text in said if _MARKS.search(text)][:MOST_FACTS]


def _checked(
    heading: str, facts: Sequence[str], language: Language, narrator: Narrator
) -> list[str]:
    bare = [_MARKS.sub("", fact) for fact in facts]
    listed = "\n".join(f"[{number}] {fact}" for number, fact in enumerate(bare, 1))
    messages = load_prompt("brief").messages(language, heading=heading, facts=listed)
    with failures_named(narrator.engine):
        written = str(narrator.engine.invoke(messages).text)
    hits = [_hit(heading, number, fact, language) for number, fact in enumerate(bare)]
    checker = Checker(heading, hits, narrator.embed)
    kept = []
    for sentence in split_stream(iter([written])):
        checked = checker.check(sentence)
        if checked and _same_claim(checked.text, bare[int(checked.supports[0].hit.chunk.id)]):
            marks = "".join(_MARKS.findall(facts[int(checked.supports[0].hit.chunk.id)]))
            kept.append(_with_marks(checked.text, marks))
    return kept[:MOST_SENTENCES]


def _same_claim(sentence: str, fact: str) -> bool:
    """Tell whether a sentence claims no more, and nothing else, than a fact does."""
    said, held = terms(sentence), set(terms(fact))
    if len(said) < LEAST_TERMS or sum(t in held for t in said) < WORDS_HELD * len(said):
        return False
    clauses = _CLAUSE.split(fact)
    for clause in filter(None, _CLAUSE.split(sentence)):
        nearest = max(clauses, key=lambda c: len(set(terms(c)) & set(terms(clause))))
        if _POLARITY.findall(clause) != _POLARITY.findall(nearest):
            return False
    figures = iter(_FIGURE.findall(fact))
    return all(figure in figures for figure in _FIGURE.findall(sentence))


def _hit(heading: str, number: int, fact: str, language: Language) -> Hit:
    """Return a fact as the passage that the check compares with."""
    chunk = Chunk(id=str(number), document_id="brief", text=fact)
    document = Document(id="brief", title=heading, source="", version=1, language=language)
    return Hit(chunk, document, score=1.0, dense_score=1.0, lexical_score=1.0)


def _with_marks(text: str, marks: str) -> str:
    return f"{text[:-1]}{marks}{text[-1]}" if text[-1] in "。.！!？?" else f"{text}{marks}"
