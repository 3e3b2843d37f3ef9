"""Questions over HTTP: ask, stream, search, evidence and feedback."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field, TypeAdapter

from assistant.errors import AssistantError
from assistant.surfaces.http.depend import Asker, TheService, limited, question_limited
from assistant.surfaces.problems import documented, to_problem
from assistant.types import Answer, AnswerEvent, Context, Hit, Message, Verdict

router = APIRouter(prefix="/v1", tags=["answers"], dependencies=[Depends(limited)])

_events: TypeAdapter[AnswerEvent] = TypeAdapter(AnswerEvent)


class Question(BaseModel):
    """A question, in a conversation or at the beginning of one.

    With a ``history`` the caller keeps the conversation, and nothing is stored here.
    """

    question: str = Field(max_length=50_000)
    conversation_id: str | None = Field(None, max_length=64)
    history: list[Message] | None = Field(None, max_length=100)


class Feedback(BaseModel):
    """What the asker thought of an answer."""

    answer_id: str = Field(max_length=64)
    verdict: Verdict
    comment: str = Field("", max_length=4000)


@router.post("/ask", dependencies=[Depends(question_limited)], responses=documented(404, 422, 503))
def ask(question: Question, service: TheService, asker: Asker) -> Answer:
    """Answer a question, with its citations."""
    *_, last = _stream(question, service, asker)
    assert last.answer is not None
    return last.answer


def _opened(
    question: Question, service: TheService, asker: Asker
) -> Iterator[Iterator[AnswerEvent]]:
    """Begin a stream before the response begins, so that a bad question is a plain problem.

    It is closed with the request, so that whoever leaves frees the engine.
    """
    events = _stream(question, service, asker)
    with closing(events):
        yield chain([next(events)], events)


@router.post(
    "/stream",
    dependencies=[Depends(question_limited)],
    response_class=EventSourceResponse,
    responses=documented(404, 422, 503),
)
def stream(events: Annotated[Any, Depends(_opened)]) -> Iterator[ServerSentEvent]:
    """Answer step by step: `sources`, `waiting`, `token`, `restart`, `answer`; or `error`.

    Each event's data is an AnswerEvent; that of `error`, which ends the stream, a problem.
    """
    try:
        for event in events:
            data = _events.dump_json(event).decode("utf-8")
            yield ServerSentEvent(event=event.kind, raw_data=data)
    except AssistantError as error:
        yield ServerSentEvent(event="error", data=to_problem(error))


def _stream(question: Question, service: TheService, asker: Asker) -> Generator[AnswerEvent]:
    asker.require("ask")
    events = service.assistant.stream(
        question.question,
        conversation_id=question.conversation_id,
        history=question.history,
        principal=asker.principal,
    )
    return service.metrics.watch(events)


@router.get("/search", responses=documented(422))
def search(
    query: Annotated[str, Query(max_length=50_000)],
    service: TheService,
    asker: Asker,
    k: Annotated[int, Query(ge=1, le=100)] = 8,
) -> list[Hit]:
    """Return the best passages for a query among the documents that the asker may read."""
    asker.require("ask")
    return service.assistant.search(query, k=k, principal=asker.principal)


@router.get("/passages/{chunk_id}", responses=documented(404))
def passage(
    chunk_id: str,
    service: TheService,
    asker: Asker,
    neighbours: Annotated[int, Query(ge=0, le=20)] = 1,
) -> Context:
    """Return a passage with its document and what stands before and after it."""
    asker.require("ask")
    return service.assistant.passage(chunk_id, asker.principal, neighbours)


@router.get("/answers/{answer_id}/suggestions", responses=documented(404))
def suggestions(answer_id: str, service: TheService, asker: Asker) -> list[str]:
    """Return questions to go on with that the documents answer."""
    asker.require("ask")
    return service.assistant.suggestions(answer_id, asker.principal)


@router.post("/feedback", status_code=204, responses=documented(404, 422))
def feedback(given: Feedback, service: TheService, asker: Asker) -> None:
    """Keep what the asker thought of an answer; a later verdict replaces it."""
    asker.require("ask")
    service.assistant.feedback(given.answer_id, given.verdict, given.comment, asker.principal)
    service.metrics.verdict(given.verdict)
