"""The whole story of an answer, on one screen: see `Answerer.stream`.

validate · condense with the history · retrieve · evidence gate · prompt · engine ·
check citations · answer, or a plain refusal. It holds no state between questions and
knows no surface.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk

from assistant.asking import Ask
from assistant.citations import (
    Checked,
    Checker,
    CitationList,
    Nearest,
    ends_sentence,
    split_stream,
)
from assistant.conversation import new_id
from assistant.embed import Embedder
from assistant.engines.base import (
    Engine,
    ahead_of,
    engine_name,
    failures_named,
    follows_instructions,
)
from assistant.engines.extractive import ExtractiveEngine, quotations
from assistant.engines.failover import Engines
from assistant.errors import (
    AssistantError,
    ConfigurationError,
    EngineBusyError,
    EngineError,
)
from assistant.followup import complete, needs_context
from assistant.ingest.clean import clean_text
from assistant.prompts import declines, load_prompt, reply
from assistant.questions import courtesy
from assistant.retrieve import Found, enough
from assistant.settings import Settings
from assistant.spans import conflict, emphasised
from assistant.text import addresses_model, detect_language, unmarked
from assistant.topics import OFF_TOPIC, TopicRouter
from assistant.types import Answer, AnswerEvent, Hit, Language, Message, Principal, Usage

NEAREST_DOCUMENTS = 3


@dataclass
class _Turn:
    """One question on its way to an answer."""

    question: str
    language: Language
    principal: Principal
    conversation_id: str
    began: float = field(default_factory=time.perf_counter)
    timings: dict[str, float] = field(default_factory=dict)
    citations: CitationList = field(default_factory=CitationList)
    text: str = ""
    engine: str = "none"
    usage: Usage = field(default_factory=Usage)
    refused: bool = False
    cut_off: bool = False
    quoting: bool = False
    notice: str = ""
    topic: str = ""
    confidence: float = 0.0

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] = self.timings.get(stage, 0.0) + time.perf_counter() - began

    def start_over(self, error: AssistantError) -> AnswerEvent:
        """Forget what an engine said that failed, and say so."""
        self.text, self.citations, self.cut_off, self.usage = "", CitationList(), False, Usage()
        self.notice = str(error)
        return AnswerEvent("restart", text=self.notice)

    def add(self, text: str) -> AnswerEvent:
        self.text += text
        return AnswerEvent("token", text=text)

    def answer(self) -> Answer:
        """Return the finished answer."""
        self.timings["whole"] = time.perf_counter() - self.began
        return Answer(
            text=self.text.strip(),
            citations=self.citations.citations(),
            refused=self.refused,
            confidence=self.confidence,
            engine=self.engine,
            conversation_id=self.conversation_id,
            answer_id=new_id(),
            timings=self.timings,
            usage=self.usage,
            notice=self.notice,
            topic=self.topic,
        )


class Answerer:
    """Answers one question at a time from what `search` finds; safe to share between threads.

    Args:
        search: ``(query, principal, k)`` to `Found`.
        embedder: for judging whether a passage supports a sentence.
        engines: who may write the answer, best first.
        count_documents: how many documents a principal may read.
        steers: tells a planted instruction from an ordinary sentence.
        nearest: compares a sentence with a passage in another language token by token.
        read: reads what was found for the question, and judges it anew; None: search decides.
    """

    def __init__(
        self,
        settings: Settings,
        search: Callable[[str, Principal, int], Found],
        embedder: Embedder,
        engines: Engines,
        count_documents: Callable[[Principal], int],
        steers: Callable[[str], bool] = addresses_model,
        nearest: Nearest | None = None,
        read: Callable[[str, Found], Found] | None = None,
    ) -> None:
        self._settings = settings
        self._search = search
        self._embedder = embedder
        self._engines = engines
        self._count_documents = count_documents
        self._nearest = nearest
        self._steers = steers
        self._read = read

    def stream(
        self,
        question: str,
        history: Sequence[Message],
        principal: Principal,
        conversation_id: str,
    ) -> Iterator[AnswerEvent]:
        """Yield the sources, then checked text sentence by sentence, then the whole answer."""
        turn = _Turn(question, detect_language(question), principal, conversation_id)
        if polite := courtesy(question, turn.language):
            yield AnswerEvent("sources")
            yield turn.add(polite)
        else:
            with turn.timed("condense"):
                standalone = self._condense(question, history, turn.language, principal)
            with turn.timed("retrieve"):
                found = self._search(standalone, principal, self._settings.top_k)
            if self._read:
                with turn.timed("read"):
                    found = self._read(standalone, found)
            turn.confidence = found.confidence
            turn.topic = self._topic(standalone)
            yield AnswerEvent("sources", hits=found.hits)
            if enough(found, self._settings.gate_threshold):
                yield from self._answer(turn, standalone, found.hits)
                if warning := _told_apart(turn, standalone, found.hits, self._steers):
                    yield turn.add(warning)
            if not turn.text:
                yield self._refuse(turn, found.hits)
        yield AnswerEvent("answer", answer=turn.answer())

    def _topic(self, question: str) -> str:
        return self._router.topic(question) if self._router else ""

    @cached_property
    def _router(self) -> TopicRouter | None:
        try:
            return TopicRouter.load(self._embedder)
        except ConfigurationError:  # `assistant doctor` tells of it
            return None

    def _condense(
        self,
        question: str,
        history: Sequence[Message],
        language: Language,
        principal: Principal,
    ) -> str:
        """Make a follow-up complete: by the engine when it can chat, else by joining questions."""
        if not history or not needs_context(question):
            return question
        said = "\n".join(f"{m.role}: {m.text[:400]}" for m in history[-6:])
        messages = load_prompt("condense").messages(language, history=said, question=question)
        for engine in self._engines.candidates():
            try:
                with failures_named(engine):
                    if not follows_instructions(engine):
                        break
                    reply_ = engine.invoke(messages, **_asker(engine, principal))
                    rewritten = clean_text(str(reply_.text))
            except EngineError as error:
                self._failed(engine, error)
                continue
            if rewritten and len(rewritten) <= self._settings.max_question_chars:
                return rewritten
            break
        return complete(question, history, self._settings.max_question_chars)

    def _answer(self, turn: _Turn, question: str, hits: Sequence[Hit]) -> Iterator[AnswerEvent]:
        """Yield the engine's supported sentences; when none is, the best ones of the passages.

        When an engine fails, the next one answers from the start.
        """
        for engine in self._engines.candidates():
            try:
                yield from self._speak(turn, engine, question, hits)
            except EngineError as error:
                self._failed(engine, error)
                yield turn.start_over(error)
            else:
                self._engines.succeeded(engine)
                break
        if not turn.text and not turn.refused and not isinstance(engine, ExtractiveEngine):
            fallback = ExtractiveEngine(embedder=self._embedder, steers=self._steers)
            yield from self._speak(turn, fallback, question, hits)

    def _failed(self, engine: BaseChatModel, error: AssistantError) -> None:
        """Note the failure; a full queue is none, and the asker is told of it at once."""
        if isinstance(error, EngineBusyError):
            raise error
        self._engines.failed(engine, error)

    def _speak(
        self, turn: _Turn, engine: BaseChatModel, question: str, hits: Sequence[Hit]
    ) -> Iterator[AnswerEvent]:
        with turn.timed("check"):
            with failures_named(engine):
                ask = Ask(engine, question, hits, turn.language, turn.topic, self._settings)
            checker = Checker(
                question,
                ask.passages,
                self._embedder.embed_passages,
                self._steers,
                self._nearest,
            )
        if not ask.passages:  # the window is too small for this question
            return
        turn.engine = engine_name(engine)
        turn.quoting = ask.points or isinstance(engine, ExtractiveEngine)
        pieces = self._generate(turn, engine, ask)
        first = next(pieces, "")
        while not isinstance(first, str):
            yield first
            first = next(pieces, "")
        for sentence in split_stream(ask.understood(chain([first], pieces))):
            if declines(sentence) and not isinstance(engine, ExtractiveEngine):
                turn.refused = not turn.text
                return
            yield from _checked(turn, checker, sentence)
        if ask.points:
            for sentence in quotations(ask.evidence, self._embedder, self._steers):
                yield from _checked(turn, checker, sentence)

    def _generate(self, turn: _Turn, engine: BaseChatModel, ask: Ask) -> Iterator[Any]:
        """Yield the place in line while the engine serves others, then text and nothing else."""
        pieces = engine.stream(ask.messages(), stop=ask.stop, **_asker(engine, turn.principal))
        while True:
            with turn.timed("engine"), failures_named(engine):
                piece = next(pieces, None)
            if piece is None:
                return
            if ahead := ahead_of(piece):
                yield AnswerEvent("waiting", ahead=ahead)
                continue
            if isinstance(piece, AIMessageChunk) and piece.usage_metadata:
                used = piece.usage_metadata
                turn.usage = Usage(used["input_tokens"], used["output_tokens"])
            turn.cut_off |= piece.response_metadata.get("finish_reason") == "length"
            if piece.text:
                turn.timings.setdefault("first_token", time.perf_counter() - turn.began)
            yield str(piece.text)

    def _refuse(self, turn: _Turn, hits: Sequence[Hit]) -> AnswerEvent:
        """Say that the documents do not hold the answer, what was searched, and what is nearest."""
        turn.refused, turn.engine = True, "none"
        count = self._count_documents(turn.principal)
        if not count:
            return turn.add(reply("nothing", turn.language))
        titles = list(dict.fromkeys(hit.document.title for hit in hits))[:NEAREST_DOCUMENTS]
        listed = "\n".join(f"- {unmarked(title)}" for title in titles)
        searched = reply("searched", turn.language, count=count)
        space = "" if turn.language == "zh" else " "
        parts = [
            reply("refusal", turn.language) + space + searched,
            f"{reply('nearest', turn.language)}\n{listed}" if titles else "",
            reply("off_topic" if turn.topic == OFF_TOPIC else "advice", turn.language),
        ]
        return turn.add("\n\n".join(part for part in parts if part))


def _asker(engine: BaseChatModel, principal: Principal) -> dict[str, Any]:
    """Return who asks, for engines in which askers take turns."""
    return {"asker": principal.user_id} if isinstance(engine, Engine) else {}


def _checked(turn: _Turn, checker: Checker, sentence: str) -> Iterator[AnswerEvent]:
    """Yield a whole sentence with its citation, if a passage supports it."""
    if turn.cut_off and not ends_sentence(sentence):
        return
    with turn.timed("check"):
        checked = checker.check(sentence)
    if checked:
        yield turn.add(_joined(turn, checked))


def _joined(turn: _Turn, checked: Checked) -> str:
    """Return a checked sentence as it continues the answer, in a quotation the found words bold."""
    text = " ".join(checked.text.split())
    best = checked.supports[0]
    if turn.quoting:
        text = emphasised(text, best.span)
    cited = turn.citations.cite(replace(checked, text=text))
    if not turn.text:
        # The text alone does not tell: a Chinese line on hardware is mostly English names.
        languages = {best.hit.document.language, detect_language(text)}
        foreign = turn.language not in languages
        return (reply("foreign", turn.language) + "\n" if foreign else "") + cited
    if turn.quoting:
        return "\n" + cited
    return cited if turn.language == "zh" else " " + cited


def _told_apart(
    turn: _Turn, question: str, hits: Sequence[Hit], steers: Callable[[str], bool]
) -> str:
    """Return what to say where passages contradict each other on what was asked, else ``""``.

    One of them must be cited already, and neither be a planted instruction.
    """
    found = conflict(question, hits)
    if not found or not any(turn.citations.cites(support.hit) for support in found):
        return ""
    if any(steers(support.quote) for support in found):
        return ""
    first, second = found
    one = first.hit.document.id == second.hit.document.id
    return "\n" + reply(
        "conflict_within" if one else "conflict",
        turn.language,
        first_title=unmarked(first.hit.document.title.strip("《》")),
        first_mark=turn.citations.mark(first),
        second_title=unmarked(second.hit.document.title.strip("《》")),
        second_mark=turn.citations.mark(second),
    )
