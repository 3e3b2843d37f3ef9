"""Reads the company's own papers for what the profile asks, and proposes answers with quotations.

It reads by search and by the patterns of ``data/profile.yaml``, without a model: a proposal
is a sentence that was found, never a guess, and it counts only once somebody confirms it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from assistant.errors import QuestionError
from assistant.strategy.guidance import is_guidance
from assistant.strategy.parse import parse, parse_number
from assistant.strategy.profile import Field, Find, Profile, Value, form
from assistant.strategy.types import Source, Words, same
from assistant.text import addresses_model, sentences
from assistant.types import Hit

HITS = 60
# An option speaks against the best one when its sentences weigh at least this share of its.
CONTRADICTS = 0.5
_LONGEST_QUOTE = 240

_PUNCTUATION = str.maketrans(":;()", "：；（）")

# Words that make a clause say the opposite, a wish, a rule, or something of somebody else. What
# they stand beside is not proposed: a wrong proposal is worse than a question.
_NOT_SO = re.compile(
    r"没有|尚未|未(?!来)|不(?!低于|高于|少于|超过|断|仅|同)|无(?!线)|拟|计划|预计|建议|申请|要求|应当|须"
    r"|同业|同行|竞争|供应商|推荐|削减|吗|是否|如果|假如"
    r"|\b(?:no|not|never|nobody|none|without|plans?|planned|will|would|should|must|may|if|propos\w+"
    r"|recommend\w+|rivals?|competitors?|vendors?|cut)\b|n't\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[，。；;,\n]|\.(?=\s|$)")

Search = Callable[[str, int], Sequence[Hit]]


@dataclass(frozen=True)
class Reading:
    """A value that papers give for a field, and the passages that say so."""

    value: Value
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Proposal:
    """What the papers say of a field: the best reading, and others that contradict it."""

    key: str
    reading: Reading
    others: tuple[Reading, ...] = ()


@dataclass(frozen=True)
class _Found:
    """A sentence of a paper that was found for a field."""

    text: str
    score: float
    hit: Hit

    def source(self) -> Source:
        return company_source(self.hit, self.text)


def propose(search: Search) -> dict[str, Proposal]:
    """Return what the papers that ``search`` reaches say of the profile's fields, by key."""
    found = (propose_one(search, field) for field in form().fields)
    return {proposal.key: proposal for proposal in found if proposal}


def propose_one(search: Search, asked: Field) -> Proposal | None:
    """Return what the papers say of one field, None when they say nothing."""
    if asked.find is None:
        return None
    found = list(read_sentences(search, asked.find.queries))
    readings = _BY_KIND[asked.kind](asked, asked.find, found)
    return Proposal(asked.key, readings[0], tuple(readings[1:])) if readings else None


def sources_for(profile: Profile, key: str, option: str) -> tuple[Source, ...]:
    """Return the sources of a field that speak for one option of it, all where none does alone."""
    find = form().field(key).find
    signs = find.signs.get(option, ()) if find else ()
    sources = profile.sources(key)
    return tuple(s for s in sources if _says(s.quote.zh, signs)) or sources


def read_sentences(search: Search, queries: Sequence[str]) -> Iterator[_Found]:
    """Yield the sentences of the company's papers that are found for queries, best first.

    The guidance is left out: it says how companies do it, not how this one does. So is text
    that addresses a model.
    """
    hits = {
        hit.chunk.id: hit
        for query in queries
        for hit in search(query, HITS)
        if not is_guidance(hit.document)
    }
    for hit in sorted(hits.values(), key=lambda each: (-each.score, each.chunk.id)):
        for sentence in sentences(hit.chunk.text):
            if not addresses_model(sentence):
                yield _Found(sentence, hit.score, hit)


def company_source(hit: Hit, quote: str) -> Source:
    """Return a sentence of a company's paper as a source."""
    heading = " > ".join(hit.chunk.heading)
    page = hit.chunk.page
    unit = {"page": ("第{}页", "page {}"), "slide": ("第{}张幻灯片", "slide {}"),
            "row": ("第{}行", "row {}")}[hit.chunk.page_unit]  # fmt: skip
    zh, en = (
        " · ".join(part for part in (heading, words.format(page) if page else "") if part)
        for words in unit
    )
    return Source(
        kind="company",
        title=same(hit.document.title),
        place=Words(zh, en),
        quote=same(quote[:_LONGEST_QUOTE]),
        reference=hit.chunk.id,
    )


def _numbers(asked: Field, find: Find, found: Sequence[_Found]) -> list[Reading]:
    """Read numbers by the first pattern that matches anything; each value once."""
    for pattern in find.patterns:
        matched = [
            (value, each)
            for each in found
            for match in _asserted(pattern, folded(each.text))
            if (value := _number(match["n"])) is not None and asked.low <= value <= asked.high
        ]
        if matched:
            return _readings(matched)
    return []


def _number(text: str) -> float | None:
    return 0.0 if text in ("没有", "无", "no") else parse_number(text)


def _gpus(asked: Field, find: Find, found: Sequence[_Found]) -> list[Reading]:
    for pattern in find.patterns:
        matched = []
        for each in found:
            names = [match["n"] for match in _asserted(pattern, folded(each.text))]
            try:
                if names:
                    matched.append((parse(asked, "，".join(names)), each))
            except QuestionError:
                continue
        if matched:
            return _readings(matched)
    return []


def _choice(asked: Field, find: Find, found: Sequence[_Found]) -> list[Reading]:
    """Return the options by the weight of what speaks for each: the scores of its sentences."""
    signs = _signs(asked, find, found)
    weights = {option: sum(each.score for each in found) for option, found in signs.items()}
    order = sorted(weights, key=lambda option: -weights[option])
    order = [option for option in order if weights[option] >= CONTRADICTS * weights[order[0]]]
    return [Reading(option, (signs[option][0].source(),)) for option in order]


def _many(asked: Field, find: Find, found: Sequence[_Found]) -> list[Reading]:
    signs = _signs(asked, find, found)
    chosen = tuple(option for option in asked.options if option in signs)
    sources = dict.fromkeys(signs[option][0].source() for option in chosen)
    return [Reading(chosen, tuple(sources))] if chosen else []


def _signs(asked: Field, find: Find, found: Sequence[_Found]) -> dict[str, list[_Found]]:
    """Return the sentences that speak for each option, best first."""
    signs = {
        option: [
            each
            for each in found
            if _says(each.text, find.signs.get(option, ()))
            or _says(each.hit.document.title, find.titles.get(option, ()))
        ]
        for option in asked.options
    }
    return {option: sentences for option, sentences in signs.items() if sentences}


def _says(text: str, signs: Sequence[str]) -> bool:
    return any(True for sign in signs for _ in _asserted(sign, text))


def _asserted(pattern: str, text: str) -> Iterator[re.Match[str]]:
    """Yield the matches whose clause neither denies them nor wishes, asks or orders them.

    A negation that belongs to the pattern itself counts for it.
    """
    if text.rstrip("”’\"'").endswith(("？", "?")):
        return
    for match in re.finditer(pattern, text, re.IGNORECASE):
        start = max((m.end() for m in _CLAUSE.finditer(text, 0, match.start())), default=0)
        after = _CLAUSE.search(text, match.end())
        beside = text[start : match.start()] + " " + text[match.end() : after and after.start()]
        within = [word for word in _NOT_SO.findall(match.group()) if word not in pattern]
        if not within and not _NOT_SO.search(beside):
            yield match


def _readings(matched: Sequence[tuple[Value, _Found]]) -> list[Reading]:
    """Return each value with its best sentence of each paper, in the order found."""
    readings: dict[Value, dict[str, _Found]] = {}
    for value, each in matched:
        readings.setdefault(value, {}).setdefault(each.hit.document.id, each)
    return [
        Reading(value, tuple(each.source() for each in papers.values()))
        for value, papers in readings.items()
    ]


def folded(text: str) -> str:
    """Return text as the patterns read it: plain figures, Chinese colons and brackets."""
    return unicodedata.normalize("NFKC", text).translate(_PUNCTUATION)


_BY_KIND: dict[str, Callable[[Field, Find, Sequence[_Found]], list[Reading]]] = {
    "number": _numbers,
    "gpus": _gpus,
    "choice": _choice,
    "many": _many,
}
