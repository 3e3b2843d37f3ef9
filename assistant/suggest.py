"""Questions to go on with: made from the headings of documents, kept when documents answer them.

No model is asked. A candidate is offered only after the search and the evidence gate have
let it pass, and its own section is what they found: clicking it does not end in a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from assistant.followup import complete, needs_context
from assistant.index.store import Index
from assistant.prompts import reply
from assistant.questions import courtesy
from assistant.retrieve import Found, enough
from assistant.settings import Settings
from assistant.text import addresses_model, content_terms, detect_language, unmarked
from assistant.types import Chunk, Context, Document, Hit, Language, Message, Principal

MOST = 3
# Searches that one call may cost beyond the one for the question itself.
MOST_TRIED = 10
_NEIGHBOURS = 12
_MOST_CITED = 4
_LONGEST = {"zh": 60, "en": 140}
# Two texts that share this much of what they are about ask the same.
_SAME = 0.75

_NUMBERING = re.compile(
    r"^\s*(?:第[零一二三四五六七八九十百\d]+[章节条部分篇]+|[(（]?[一二三四五六七八九十]+[)）、.．]"
    r"|(?:chapter|section|part|appendix)\s+[\dA-Z]+[:.]?|[(（]?\d+(?:[.．]\d+)*[)）]?[.．、:]?(?=\s|[^\d\s%.]))"
    r"[\s:：、.．]*",
    re.IGNORECASE,
)
_ASKED_BY = re.compile(r"^\s*(?:问题?|q(?:uestion)?)\s*\d*\s*[:：.、]\s*", re.IGNORECASE)
_NAMELESS = re.compile(
    r"^(?:sheet|table|slide|page|工作表|表|幻灯片)\s*\d*$|^[\W\d_]*$", re.IGNORECASE
)
_ASKS = re.compile(r"什么|怎样|怎么|如何|多少|哪些|哪个|哪种|为什么|为何|是否|何时|吗$")
_HOW_TO = re.compile(r"^how to\s+", re.IGNORECASE)

# ``(query, principal, k)`` to what was found; ``(question, found)`` to that, read and judged anew.
Search = Callable[[str, Principal, int], Found]
Read = Callable[[str, Found], Found]


@dataclass(frozen=True)
class _Candidate:
    """A question, what it is about, and the part of a document that should answer it."""

    question: str
    subject: str
    section: tuple[str, ...]


def suggest(
    said: Sequence[Message],
    principal: Principal,
    search: Search,
    read: Read,
    index: Index,
    settings: Settings,
) -> list[str]:
    """Return up to three questions that go on from the last answer of what was ``said``."""
    *before, asked, answer = said
    language = detect_language(asked.text)
    if courtesy(asked.text, language):
        return []
    asking = complete(asked.text, before, settings.max_question_chars)
    found = search(asking, principal, settings.top_k)
    cited = _cited(answer, index, principal)
    done = {_section(context.document, context.chunk) for context in cited}
    heard = [message.text for message in said if message.role == "user"]
    longest = min(_LONGEST[language], settings.max_question_chars)
    offered: list[str] = []
    tried = 0
    for candidate in _candidates(found.hits, cited, language):
        if len(offered) == MOST or tried == MOST_TRIED:
            break
        if candidate.section in done or any(_same(candidate.subject, text) for text in heard):
            continue
        if len(candidate.question) > longest:
            continue
        tried += 1
        there = search(candidate.question, principal, settings.top_k)
        if _answered(candidate, there, read, settings):
            offered.append(candidate.question)
            heard.append(candidate.subject)
    return offered


def _answered(candidate: _Candidate, found: Found, read: Read, settings: Settings) -> bool:
    """Tell whether a question leads to the section it was made from and passes the gate.

    Reading costs most and comes last.
    """
    if not enough(found, settings.gate_threshold) or not _leads(candidate, found):
        return False
    found = read(candidate.question, found)
    return enough(found, settings.gate_threshold) and _leads(candidate, found)


def _leads(candidate: _Candidate, found: Found) -> bool:
    best = _section(found.hits[0].document, found.hits[0].chunk)
    return best[: len(candidate.section)] == candidate.section


def _cited(answer: Message, index: Index, principal: Principal) -> list[Context]:
    """Return the passages that an answer cites, as far as they are there, amid their neighbours."""
    audiences = index.audiences(principal)
    contexts = (
        index.catalog.context(citation.chunk_id, audiences, _NEIGHBOURS)
        for citation in answer.citations[:_MOST_CITED]
    )
    return [context for context in contexts if context]


def _candidates(
    hits: Sequence[Hit], cited: Sequence[Context], language: Language
) -> list[_Candidate]:
    """Return candidates: places near the cited and places found in turn, whole papers last."""
    found = [(hit.document, hit.chunk) for hit in hits]
    places = [place for pair in zip_longest(_near(cited), found) for place in pair if place]
    own = [(document, chunk) for document, chunk in places if document.language == language]
    made = [*(_of_heading(*place) for place in own), *(_of_document(place[0]) for place in own)]
    usable = [c for c in made if c and not needs_context(c.question)]
    return list({candidate.question: candidate for candidate in reversed(usable)}.values())[::-1]


def _near(cited: Sequence[Context]) -> list[tuple[Document, Chunk]]:
    """Return the neighbours of the cited passages, nearest first, those that follow before."""
    ranked = [
        (distance, context.document, chunk)
        for context in cited
        for side in (context.after, context.before[::-1])
        for distance, chunk in enumerate(side)
    ]
    return [(document, chunk) for _, document, chunk in sorted(ranked, key=lambda r: r[0])]


def _of_heading(document: Document, chunk: Chunk) -> _Candidate | None:
    """Make a question of the heading right above a passage; None when it names nothing."""
    raw = chunk.heading[-1] if chunk.heading else ""
    heading = unmarked(_ASKED_BY.sub("", _NUMBERING.sub("", raw))).strip(" ：:。.")
    if _NAMELESS.match(heading) or addresses_model(heading) or _names(heading, document.title):
        return None
    return _Candidate(_worded(heading, document), heading, _section(document, chunk))


def _of_document(document: Document) -> _Candidate | None:
    title = _bare(document.title)
    if _NAMELESS.match(title) or addresses_model(title):
        return None
    return _Candidate(
        reply("about_document", document.language, title=title), title, (document.id,)
    )


def _worded(heading: str, document: Document) -> str:
    """Return a heading as a question; one that asks already only gets its question mark."""
    if heading.endswith(("？", "?")):
        return heading
    if document.language == "zh" and _ASKS.search(heading):
        return f"{heading}？"
    if _HOW_TO.match(heading):
        return reply("how_to", document.language, what=_HOW_TO.sub("", heading))
    return reply("about_section", document.language, title=_bare(document.title), heading=heading)


def _bare(title: str) -> str:
    """Return a title without marks that would clash with those of a question about it."""
    return unmarked(title).strip("《》“”\"' ")


def _section(document: Document, chunk: Chunk) -> tuple[str, ...]:
    return (document.id, *chunk.heading)


def _names(heading: str, title: str) -> bool:
    """Tell whether a heading is the name of its paper once more."""
    return title in heading or _same(heading, title)


def _same(subject: str, text: str) -> bool:
    """Tell whether a subject says nothing that the text does not, or both say nearly the same."""
    mine, theirs = set(content_terms(subject)), set(content_terms(text))
    shared = len(mine & theirs)
    return mine <= theirs or shared >= _SAME * len(mine | theirs)
