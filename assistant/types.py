"""The values that travel between the stages: frozen data, no behaviour worth a test of its own.

This module imports nothing of the project and no heavy library.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal

EVERYONE_GROUP = "everyone"

Language = Literal["zh", "en"]
PromptForm = Literal["chat", "completion"]
PageUnit = Literal["page", "slide", "row"]
Role = Literal["user", "assistant"]
Verdict = Literal["up", "down"]


@dataclass(frozen=True)
class Principal:
    """Who asks. Every principal belongs to the group ``everyone``."""

    user_id: str
    groups: frozenset[str] = frozenset()

    def __init__(self, user_id: str, groups: Iterable[str] = ()) -> None:
        names = (groups,) if isinstance(groups, str) else groups
        object.__setattr__(self, "user_id", user_id)
        object.__setattr__(self, "groups", frozenset(names) | {EVERYONE_GROUP})


EVERYONE = Principal("anonymous")


@dataclass(frozen=True)
class Document:
    """One visible version of one source.

    ``source`` is the path or URL as it was ingested, ``groups`` who may read it
    (a member of any of them), ``provenance`` where its facts come from.
    """

    id: str
    title: str
    source: str
    version: int
    language: Language
    groups: tuple[str, ...] = (EVERYONE_GROUP,)
    provenance: str = ""
    chunks: int = 0
    ingested_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Chunk:
    """A passage: ``text`` is characters ``start:end`` of its document's cleaned text.

    ``heading`` is the path of headings above it. ``page`` counts from 1 in
    ``page_unit``: a PDF page, a slide, or a row of a table.
    """

    id: str
    document_id: str
    text: str
    heading: tuple[str, ...] = ()
    page: int | None = None
    page_unit: PageUnit = "page"
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Reading:
    """What the reader makes of one passage.

    ``start`` and ``end`` are characters of the passage, the end exclusive, and ``text`` what
    stands there, ``""`` where it points at nothing. ``score`` is the log-odds of that span
    against "not here"; ``answerable`` the calibrated probability that the passage answers the
    question at all.
    """

    start: int
    end: int
    score: float
    answerable: float
    text: str


@dataclass(frozen=True)
class Hit:
    """A chunk found for a query.

    ``score`` orders the hits (0 to 1, fused), and a reader, where there is one, the best of
    them anew; ``dense_score`` is the cosine similarity, ``lexical_score`` BM25 (0 when no
    term matched), ``late_score`` the MaxSim of their tokens (0 where the passage was not
    compared token by token). ``reading`` is None where no reader has read it.
    """

    chunk: Chunk
    document: Document
    score: float
    dense_score: float
    lexical_score: float
    late_score: float = 0.0
    reading: Reading | None = None


@dataclass(frozen=True)
class Citation:
    """What ``[marker]`` in an answer points at; ``quote`` occurs verbatim in the chunk.

    ``span`` are the words of the quote that answer, as the reader found them; ``""`` where it
    found none there.
    """

    marker: int
    chunk_id: str
    document_id: str
    title: str
    source: str
    heading: tuple[str, ...]
    page: int | None
    page_unit: PageUnit
    quote: str
    span: str = ""


@dataclass(frozen=True)
class Match:
    """A word of a question, and the characters ``start:end`` of a passage that it met.

    ``similarity`` is the cosine of the two in context: 1.0 for the same word in the same sense.
    """

    term: str
    start: int
    end: int
    similarity: float


@dataclass(frozen=True)
class Context:
    """A passage in its place: the chunks right before and after it, in reading order."""

    document: Document
    chunk: Chunk
    before: tuple[Chunk, ...] = ()
    after: tuple[Chunk, ...] = ()


@dataclass(frozen=True)
class Cited:
    """A citation, and the passage it points at; no passage when the document has changed since.

    ``matches`` tells where the question's words met the passage's, in its order.
    """

    citation: Citation
    context: Context | None = None
    matches: tuple[Match, ...] = ()


@dataclass(frozen=True)
class Usage:
    """Tokens the engine read and wrote for one answer; zero where no model ran."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Answer:
    """A checked answer: each ``[n]`` in ``text`` has a citation and each citation is in ``text``.

    ``confidence`` is the evidence gate's probability that the documents hold the
    answer; ``timings`` are seconds a stage, ``first_token`` those from the question to the
    engine's first word, ``whole`` those to the finished answer. ``notice`` says why another
    engine than the preferred one spoke. ``topic`` is one of `topics.TOPICS`, ``""`` where none
    is sure.
    """

    text: str
    citations: tuple[Citation, ...]
    refused: bool
    confidence: float
    engine: str
    conversation_id: str
    answer_id: str
    timings: dict[str, float] = field(default_factory=dict)
    usage: Usage = Usage()
    notice: str = ""
    topic: str = ""


@dataclass(frozen=True)
class AnswerEvent:
    """One step of a streamed answer: ``sources`` once, ``token`` many times, ``answer`` last.

    ``waiting`` tells how many questions are served before this one (``ahead``). ``restart``
    says in ``text`` that an engine failed: what was shown so far is void, another begins anew.
    """

    kind: Literal["sources", "waiting", "token", "restart", "answer"]
    hits: tuple[Hit, ...] = ()
    text: str = ""
    ahead: int = 0
    answer: Answer | None = None


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; an assistant's carries its citations and its reader's verdict."""

    role: Role
    text: str
    at: datetime
    answer_id: str = ""
    citations: tuple[Citation, ...] = ()
    refused: bool = False
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Conversation:
    """A conversation and its owner; ``messages`` is empty in listings."""

    id: str
    user_id: str
    title: str
    updated_at: datetime
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Reviewable:
    """An answer worth a second look: it was refused, or its reader disliked it.

    ``history`` holds the user's questions before it in the conversation, ``groups`` the
    asker's; who asked is left out. ``verdict`` is ``""`` where nobody gave one.
    """

    question: str
    history: tuple[str, ...]
    groups: tuple[str, ...]
    answer: str
    refused: bool
    verdict: str
    comment: str
    at: datetime


@dataclass(frozen=True)
class UsageDay:
    """What happened on one day; the verdicts count on the day of their answer."""

    day: date
    questions: int = 0
    refused: int = 0
    up: int = 0
    down: int = 0


@dataclass(frozen=True)
class Latency:
    """Seconds that half, and 19 in 20, of ``count`` answers took at most; zero for none."""

    count: int = 0
    p50: float = 0.0
    p95: float = 0.0


@dataclass(frozen=True)
class Topic:
    """How many answers of a week rest first on one document.

    ``week`` is its Monday. An empty ``title`` sums up all documents that whoever reads the
    report may not read, or that are gone.
    """

    week: date
    title: str
    questions: int


@dataclass(frozen=True)
class Subject:
    """How many questions were about one of `topics.TOPICS` (``""``: none was sure)."""

    name: str
    questions: int
    refused: int


@dataclass(frozen=True)
class UsageReport:
    """How the assistant was used: ``days`` without a gap, oldest first; nobody is named.

    Greetings do not count. ``engines`` maps an engine to the number of its answers.
    """

    days: tuple[UsageDay, ...] = ()
    retrieval: Latency = Latency()
    first_token: Latency = Latency()
    whole: Latency = Latency()
    engines: dict[str, int] = field(default_factory=dict)
    topics: tuple[Topic, ...] = ()
    subjects: tuple[Subject, ...] = ()


@dataclass(frozen=True)
class Quarantined:
    """A source that was not taken in, and why."""

    source: str
    reason: str


@dataclass(frozen=True)
class Duplicate:
    """A source whose text is (nearly) another's; ``similarity`` is 1.0 when identical."""

    source: str
    of: str
    similarity: float


@dataclass(frozen=True)
class IngestReport:
    """What one ingest did; the sources are named as they were given."""

    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    chunks: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Progress:
    """How far a long job is: ``done`` of ``total`` steps of ``stage``, now at ``item``."""

    stage: str
    done: int
    total: int
    item: str = ""


@dataclass(frozen=True)
class Health:
    """What would answer a question now; ``problems`` each name their remedy.

    ``notes`` say what is done without, for those who care to have it.
    """

    ok: bool
    engine: str
    documents: int
    chunks: int
    fingerprint: str
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
