"""OpenAI's chat API, so that any program made for it can ask the assistant.

Of a request only the messages count: the last one of the user's is the question, those
before it are the history, and neither a system message nor a parameter reaches the engine.
So answers are grounded here as everywhere. The caller keeps the conversation: nothing of
it is stored.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from typing import Any

import anyio
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT
from starlette.concurrency import run_in_threadpool

from assistant.accounts.records import Identity
from assistant.errors import AssistantError, NotFoundError
from assistant.export import place
from assistant.surfaces.http.chores import chore_reply
from assistant.surfaces.http.depend import Asker, TheService, limited
from assistant.surfaces.http.openai_errors import documented, openai_error
from assistant.surfaces.http.openai_request import ChatRequest
from assistant.surfaces.http.service import Service
from assistant.surfaces.problems import to_problem
from assistant.text import detect_language
from assistant.types import Answer, AnswerEvent, Language

router = APIRouter(prefix="/v1", tags=["openai"], dependencies=[Depends(limited)])

MODEL = "assistant"
_MODEL_CARD = {"id": MODEL, "object": "model", "created": 0, "owned_by": "strategy-assistant"}
# Proxies cut a connection on which nothing was sent for a minute.
_PING_S = 15.0
_CLIENT_GONE = 499
_SOURCES: dict[Language, str] = {"zh": "来源：", "en": "Sources:"}
# What was sent cannot be taken back in this protocol.
_VOID: dict[Language, str] = {
    "zh": "（以上内容作废，回答中断的原因：{}）\n\n以下是重新生成的回答：",
    "en": "(Disregard the above, which broke off: {})\n\nThe answer, begun anew:",
}


@router.get("/models", responses=documented(401, 403, 429))
def models(asker: Asker) -> dict[str, Any]:
    """List the one model that there is: the assistant."""
    asker.require("ask")
    return {"object": "list", "data": [_MODEL_CARD]}


@router.get("/models/{model:path}", responses=documented(401, 403, 404, 429))
def model(model: str, asker: Asker) -> dict[str, Any]:
    """Describe the model."""
    asker.require("ask")
    _check_model(model)
    return _MODEL_CARD


@router.post(
    "/chat/completions",
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "text/event-stream": {"schema": {"type": "string"}},
            }
        },
        **documented(400, 401, 403, 404, 413, 429, 502, 503),
    },
)
async def complete(
    asked: ChatRequest, request: Request, service: TheService, asker: Asker
) -> Response:
    """Answer the last message of the user's, as OpenAI's chat completions do."""
    asker.require("ask")
    _check_model(asked.model)
    completion = _Completion(
        detect_language(asked.question),
        counted=bool(asked.stream_options and asked.stream_options.include_usage),
    )
    events = _drawn(_events(asked, service, asker), request)
    if asked.stream:
        # What stands in the way of an answer is told before the response begins.
        begun = [event async for event in _until_told(events)]
        return StreamingResponse(
            _kept_alive(_streamed(completion, begun, events)),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )
    async with aclosing(events):
        answers = [event.answer async for event in events if event.answer]
    if not answers:
        return Response(status_code=_CLIENT_GONE)
    return JSONResponse(completion.whole(answers[-1]))


@dataclass(frozen=True)
class _Completion:
    """One completion in OpenAI's shape, whole or in chunks; ``counted``: the usage comes last."""

    language: Language
    counted: bool
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answer: Answer) -> dict[str, Any]:
        content = answer.text + self.sources(answer)
        message = {"role": "assistant", "content": content, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {
            **self._frame("chat.completion", [choice]),
            "usage": _usage(answer),
            **_extras(answer),
        }

    def chunk(self, text: str, **more: Any) -> str:
        return self._chunk([{"index": 0, "delta": {"content": text}, "finish_reason": None}], more)

    def first(self) -> str:
        delta = {"role": "assistant", "content": ""}
        return self._chunk([{"index": 0, "delta": delta, "finish_reason": None}], {})

    def last(self, answer: Answer) -> str:
        end = self._chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}], _extras(answer))
        usage = self._chunk([], {"usage": _usage(answer)}) if self.counted else ""
        return f"{end}{usage}data: [DONE]\n\n"

    def sources(self, answer: Answer) -> str:
        """Return the list of sources that ends an answer, ``""`` for one without."""
        if not answer.citations:
            return ""
        listed = "\n".join(f"- [{cited.marker}] {place(cited)}" for cited in answer.citations)
        return f"\n\n{_SOURCES[self.language]}\n\n{listed}"

    def _chunk(self, choices: list[dict[str, Any]], more: dict[str, Any]) -> str:
        usage = {"usage": None} if self.counted else {}
        return _data({**self._frame("chat.completion.chunk", choices), **usage, **more})

    def _frame(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": MODEL,
            "choices": choices,
        }


def _check_model(name: str) -> None:
    if name != MODEL:
        raise NotFoundError(f"There is no model {name!r} here. The model is called {MODEL!r}.")


def _events(
    asked: ChatRequest, service: Service, asker: Identity
) -> Generator[AnswerEvent, None, None]:
    if (reply := chore_reply(asked.question)) is not None:
        yield AnswerEvent("token", text=reply)
        yield AnswerEvent("answer", answer=Answer(reply, (), False, 0.0, "none", "", ""))
        return
    service.limits.count_question(asker)
    yield from service.metrics.watch(
        service.assistant.stream(asked.question, history=asked.history, principal=asker.principal)
    )


async def _drawn(
    events: Generator[AnswerEvent, None, None], request: Request
) -> AsyncGenerator[AnswerEvent, None]:
    """Yield the events; when the asker has left, leave too, which frees the engine."""
    try:
        while event := await run_in_threadpool(next, events, None):
            if await request.is_disconnected():
                return
            yield event
    finally:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(events.close)


async def _until_told(events: AsyncIterator[AnswerEvent]) -> AsyncIterator[AnswerEvent]:
    """Yield the first event that the asker is told of, or nothing when they have left."""
    async for event in events:
        if event.kind in ("token", "waiting", "answer"):
            yield event
            return


async def _streamed(
    completion: _Completion, begun: list[AnswerEvent], events: AsyncGenerator[AnswerEvent, None]
) -> AsyncGenerator[str, None]:
    shown = False
    async with aclosing(events):
        yield completion.first()
        try:
            for event in begun:
                shown |= bool(event.text)
                yield _told(completion, event, shown)
            async for event in events:
                yield _told(completion, event, shown)
                shown = event.kind != "restart" and (shown or bool(event.text))
        except AssistantError as error:
            yield _data(openai_error(to_problem(error)))


def _told(completion: _Completion, event: AnswerEvent, shown: bool) -> str:
    """Return what a stream says of an event; a comment where the protocol has no word for it."""
    if event.kind == "token":
        return completion.chunk(event.text)
    if event.kind == "restart" and shown:
        return completion.chunk(f"\n\n{_VOID[completion.language].format(event.text)}\n\n")
    if event.answer:
        sources = completion.sources(event.answer)
        return (completion.chunk(sources) if sources else "") + completion.last(event.answer)
    return f": {event.kind} {event.ahead}\n\n"


async def _kept_alive(lines: AsyncGenerator[str, None]) -> AsyncIterator[str | bytes]:
    """Yield the lines, and a comment whenever none came for a while."""
    coming: asyncio.Task[str | None] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(_next(lines))
            while not (await asyncio.wait({coming}, timeout=_PING_S))[0]:
                yield KEEPALIVE_COMMENT
            if (line := coming.result()) is None:
                return
            yield line
    finally:
        # A thread that draws the next event cannot be stopped, only awaited.
        with anyio.CancelScope(shield=True):
            if coming and not coming.done():
                await asyncio.wait({coming})
            await lines.aclose()


async def _next(lines: AsyncIterator[str]) -> str | None:
    return await anext(lines, None)


def _usage(answer: Answer) -> dict[str, int]:
    read, written = answer.usage.prompt_tokens, answer.usage.completion_tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _extras(answer: Answer) -> dict[str, Any]:
    """Return what OpenAI's shape has no place for."""
    names = ("refused", "confidence", "engine", "conversation_id", "answer_id", "notice")
    return {
        "citations": [asdict(cited) for cited in answer.citations],
        "assistant": {name: getattr(answer, name) for name in names},
    }


def _data(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
