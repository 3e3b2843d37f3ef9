"""The engine without a model: it answers with the passages' best sentences, quoted and cited.

It cannot invent. It reads the question and the passages as data that travel beside
the prompt's text, so it needs no parsing of the prompt.
"""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from numpy.typing import NDArray
from pydantic import ConfigDict

from assistant.embed import Embedder
from assistant.engines.base import Engine, Evidence, Passage, evidence_of
from assistant.settings import Settings
from assistant.spans import LEAST_ANSWERABLE
from assistant.text import addresses_model, detect_language, sentence_spans, terms, unmarked
from assistant.types import Reading

# Chosen on questions about knowledge/, CMRC and DRCD; see evals/LOG.md.
MOST_SENTENCES = 4
MOST_CHARS = {"zh": 300, "en": 640}
# A further sentence must be nearly as like the question as the likest one to be quoted beside it.
WORTH_QUOTING = 0.78
_DENSE_SHARE = 0.55
_LEAD_BONUS = 0.06
_RANK_PENALTY = 0.01
_NUMBER_BONUS = 0.10
_LIST_BONUS = 0.15
_READ_BONUS = 0.5

# What a question asks for, and what a sentence must hold to give it.
_ASKS_A_NUMBER = re.compile(
    r"多少|几(?!乎)|何时|什么时候|哪[天年月]|日期|占比|比例|多久|多长|率"
    r"|\bhow (?:many|much|long|soon|often)\b|\bwhen\b|\bwhat (?:percentage|share|date|year|time)\b",
    re.IGNORECASE,
)
_ASKS_A_LIST = re.compile(r"哪些|哪几|有什么|列出|\bwhich\b|\bwhat are\b|\blist\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d|[一二三四五六七八九十百千万亿几]+[个条天年月次件万亿块台人元]")
_SEPARATOR = re.compile(r"[、；;，,]")
_LIST_SEPARATORS = 3


@dataclass(frozen=True)
class _Candidate:
    """A sentence of a passage, where it stands, and what it is read with.

    ``read`` is the probability that the passage answers, times the share of the reader's span
    that lies in the sentence; 0.0 where no reader has read it. ``found`` tells whether a reader
    rather found the answer there: most of its span, or the span in most of the sentence.
    """

    marker: int
    position: int
    text: str
    context: str
    read: float = 0.0
    found: bool = False


class ExtractiveEngine(Engine):
    """Quotes sentences; the embedder, when given, sharpens the choice."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = "extractive"
    embedder: Embedder | None = None
    steers: Callable[[str], bool] = addresses_model

    @property
    def _llm_type(self) -> str:
        return self.name

    @property
    def follows_instructions(self) -> bool:
        """It reads no prompt."""
        return False

    @property
    def context_tokens(self) -> int:
        """No model, no window: whatever passages it is given."""
        return sys.maxsize

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text = "".join(quotations(evidence_of(messages), self.embedder, self.steers))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        # LangChain refuses a stream without any piece.
        for text in quotations(evidence_of(messages), self.embedder, self.steers) or [""]:
            yield ChatGenerationChunk(message=AIMessageChunk(content=text))


def quotations(
    evidence: Evidence,
    embedder: Embedder | None,
    steers: Callable[[str], bool] = addresses_model,
) -> list[str]:
    """Return the sentences that best answer, each with its marker, in reading order.

    A sentence that ``steers`` takes for a planted instruction is passed over, as though it
    were not there.
    """
    candidates = _candidates(_passages(evidence)) or _candidates(evidence.passages)
    if not candidates:
        return []
    likeness = _scores(evidence.question, candidates, embedder)
    read = np.array([candidate.read for candidate in candidates])
    found = _best_found(candidates)
    scores = likeness + _READ_BONUS * read
    least = WORTH_QUOTING * likeness.max()
    chosen: list[int] = []
    room = MOST_CHARS[detect_language(evidence.question)]
    for index in np.lexsort((-scores, ~found)):
        sentence = candidates[index].text
        worth = found[index] or likeness[index] >= least
        if chosen and (not worth or len(sentence) > room):
            continue
        if steers(sentence):
            continue
        chosen.append(int(index))
        room -= len(sentence)
        if len(chosen) == MOST_SENTENCES:
            break
    ordered = sorted(chosen, key=lambda i: (-scores[_first(candidates, chosen, i)], i))
    return [f"{unmarked(candidates[i].text)}[{candidates[i].marker}]\n" for i in ordered]


def _best_found(candidates: Sequence[_Candidate]) -> NDArray[np.bool_]:
    """Return which sentences a reader found in the first passage that it found any in.

    Search and reader together have ordered the passages; alone the reader is surer than right.
    """
    first = min((c.marker for c in candidates if c.found), default=0)
    return np.array([c.found and c.marker == first for c in candidates])


def _first(candidates: Sequence[_Candidate], chosen: Sequence[int], index: int) -> int:
    """Return the first chosen sentence of the same passage, so that passages stay together."""
    return next(i for i in chosen if candidates[i].marker == candidates[index].marker)


def _candidates(passages: Sequence[Passage]) -> list[_Candidate]:
    candidates = []
    for passage in passages:
        context = " > ".join((passage.title, *passage.heading))
        position = 0
        for start, end in sentence_spans(passage.text):
            sentence = passage.text[start:end].strip()
            read, found = _read(passage.reading, start, end)
            if _states(sentence, found):
                candidates.append(
                    _Candidate(passage.marker, position, sentence, context, read, found)
                )
                position += 1
    return candidates


def _passages(evidence: Evidence) -> Sequence[Passage]:
    """Return the passages to quote from: where a reader found the answer, those it read.

    Where it found it in the other language alone, all of them: further down one in the asker's
    own may say it, too.
    """
    language = detect_language(evidence.question)
    own = any(_found(p) and detect_language(p.text) == language for p in evidence.passages)
    return [p for p in evidence.passages if p.reading] if own else evidence.passages


def _found(passage: Passage) -> bool:
    return passage.reading is not None and passage.reading.answerable >= LEAST_ANSWERABLE


def _states(sentence: str, found: bool) -> bool:
    """Tell whether a sentence may be quoted; what a reader found may be of a word or two."""
    return (
        bool(sentence)
        and (found or len(terms(sentence)) > 2)
        and not addresses_model(sentence)
        and not sentence.endswith(("？", "?"))
    )


def _read(reading: Reading | None, start: int, end: int) -> tuple[float, bool]:
    """Return a sentence's ``read`` and ``found``; it is characters ``start:end`` of its passage."""
    if reading is None or not reading.text:
        return 0.0, False
    shared = max(0, min(end, reading.end) - max(start, reading.start))
    share = shared / (reading.end - reading.start)
    most = max(share, shared / (end - start)) >= 0.5
    return reading.answerable * share, most and reading.answerable >= LEAST_ANSWERABLE


def _scores(
    question: str, candidates: Sequence[_Candidate], embedder: Embedder | None
) -> NDArray[np.float64]:
    lexical = _coverage(question, candidates)
    score = lexical
    if embedder is not None:
        vectors = embedder.embed_passages([f"{c.context}\n{c.text}" for c in candidates])
        dense = (vectors @ embedder.embed_question(question)).astype(np.float64)
        score = _DENSE_SHARE * _stretched(dense) + (1 - _DENSE_SHARE) * lexical
    lead = np.array([_LEAD_BONUS * (c.position == 0) for c in candidates])
    rank = np.array([_RANK_PENALTY * (c.marker - 1) for c in candidates])
    return np.asarray(score + lead - rank + _expected(question, candidates))


def _expected(question: str, candidates: Sequence[_Candidate]) -> NDArray[np.float64]:
    """Favour sentences with a number where one is asked for, and enumerations likewise."""
    number = _NUMBER_BONUS if _ASKS_A_NUMBER.search(question) else 0.0
    listing = _LIST_BONUS if _ASKS_A_LIST.search(question) else 0.0
    return np.array(
        [
            number * bool(_NUMBER.search(c.text))
            + listing * (len(_SEPARATOR.findall(c.text)) >= _LIST_SEPARATORS)
            for c in candidates
        ]
    )


def _coverage(question: str, candidates: Sequence[_Candidate]) -> NDArray[np.float64]:
    """Return the share of the question's terms that each sentence holds, rare ones weighing more.

    A term found only in the headings above the sentence counts half.
    """
    own = [set(terms(c.text)) for c in candidates]
    above = [set(terms(c.context)) for c in candidates]
    occurrences = Counter(term for held in own for term in held)
    wanted = {
        term: math.log(1 + len(candidates) / (1 + occurrences[term]))
        for term in set(terms(question))
        if occurrences[term] or any(term in held for held in above)
    }
    mass = sum(wanted.values()) or 1.0
    return np.array(
        [
            sum(w * (1.0 if t in mine else 0.5 if t in over else 0.0) for t, w in wanted.items())
            / mass
            for mine, over in zip(own, above, strict=True)
        ]
    )


def _stretched(similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spread cosines, which e5 packs into a narrow band, over 0 to 1."""
    spread = similarity.max() - similarity.min()
    if spread <= 0:
        return np.ones_like(similarity)
    return np.asarray((similarity - similarity.min()) / spread)


def build(settings: Settings) -> ExtractiveEngine:
    """Return the engine; it needs no model, and the embedder is given to it later."""
    return ExtractiveEngine()
