"""Any server that speaks OpenAI's API, vLLM first, as a LangChain chat model.

A writer that `assistant adapt` taught is a LoRA adapter of its base model, which vLLM serves
under a name of its own: ``vllm serve BASE --enable-lora --lora-modules
assistant-writer=FOLDER``, with `vllm_model` set to ``assistant-writer``, by which it is also
known that it wants the prompt it was taught; one that points is an ``assistant-pointer``.

LangChain's own client does the talking. This module asks the server what it is, gives it the
prompt in the form its model wants, and makes sure that an answer which was cut off is not taken
for a whole one. Which server, and what to do when it fails, others decide.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk
from pydantic import Field, PrivateAttr, SecretStr, model_validator

from assistant.engines.background import Background
from assistant.engines.base import WritingEngine, estimated_tokens, plain_messages, without_password
from assistant.errors import (
    AssistantError,
    ConfigurationError,
    EngineError,
    RequestRefusedError,
)
from assistant.prompts import PromptName
from assistant.settings import Settings
from assistant.types import PromptForm
from assistant.writer import PROMPTS, SERVED_NAMES

_CONNECT_TIMEOUT_S = 3.0
# What a working server says of itself at once; a hung one must not hold up every asker.
_LOOK_TIMEOUT_S = 3.0
_TRY_TIMEOUT_S = 10.0
_COUNTED_TEXTS = 512
# Too long, malformed, too many at once: the server works, but not for this request.
_REFUSALS = (400, 413, 422, 429)
_NO_KEY = SecretStr("none")


@dataclass(frozen=True)
class ServedModel:
    """What a server says of the model that will answer."""

    name: str
    form: PromptForm
    window: int
    is_vllm: bool
    counts: bool


@dataclass(frozen=True)
class _Piece:
    """Some text; the last piece has the reason why it ended, and what it took where told."""

    text: str = ""
    reason: str = ""
    usage: tuple[int, int] | None = None


class OpenAICompatibleEngine(WritingEngine):
    """The model at ``settings.vllm_base_url``; many askers at once are the server's to queue.

    ``stream`` and ``invoke`` also take ``max_tokens``, ``temperature``, ``seed``, and
    ``cancel``, a `threading.Event` that ends the request at the server, too.
    """

    name: str = "openai_compatible"
    settings: Settings = Field(exclude=True, repr=False)
    _background: Background = PrivateAttr()
    _count: Callable[[str], int] = PrivateAttr()
    _clients: dict[int, Any] = PrivateAttr(default_factory=dict)
    _served: ServedModel | None = PrivateAttr(default=None)
    _closed: bool = PrivateAttr(default=False)

    @model_validator(mode="after")
    def _connect(self) -> Self:
        self._background = Background("model server")
        self._count = lru_cache(_COUNTED_TEXTS)(self._count_at_server)
        weakref.finalize(self, _wind_up, self._background, self._clients)
        return self

    @property
    def _llm_type(self) -> str:
        return self.name

    @property
    def served(self) -> ServedModel:
        """What the server offers, asked once.

        Raises:
            EngineError: the server does not answer, or has no such model.
        """
        if self._served is None:
            self.load()
        assert self._served is not None
        return self._served

    @property
    def form(self) -> PromptForm:
        """As set; else ``chat`` when the server's model has a chat template."""
        return self.served.form

    @property
    def prompt_name(self) -> PromptName:
        """That of a taught writer, where the server offers one under a name for it."""
        form = SERVED_NAMES.get(self.served.name)
        return PROMPTS[form] if form else super().prompt_name

    @property
    def context_tokens(self) -> int:
        """The window as the server says; ``llm_context`` where it does not."""
        return self.served.window

    def count_tokens(self, text: str) -> int:
        """Return the tokens by the server's tokenizer; estimated where it does not count."""
        self._check_open()
        return self._count(text) if self.served.counts and text else estimated_tokens(text)

    def load(self) -> None:
        """Ask the server again whether it is there, and what it offers.

        Raises:
            EngineError: the server does not answer, or has no such model.
        """
        self._check_open()
        with _server_errors(self.settings):
            self._served = self._background.run(self._look())

    def close(self) -> None:
        """End all requests; any later use is an `EngineError`."""
        self._closed = True
        _wind_up(self._background, self._clients)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
        cancel: threading.Event | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        served, settings = self.served, self.settings
        self._check_open()
        options: dict[str, Any] = {
            "max_tokens": max_tokens or settings.max_answer_tokens,
            "temperature": settings.temperature if temperature is None else temperature,
            "seed": seed,
        }
        if stop:
            options["stop"] = stop
        if served.is_vllm and served.name in SERVED_NAMES:
            # A penalty in the model's own defaults would keep a writer from copying.
            options["extra_body"] = {"repetition_penalty": 1.0}
        write = self._chat_pieces if served.form == "chat" else self._completion_pieces
        pieces = write(served, plain_messages(messages), options)
        reason, usage, said = "", None, 0
        with _server_errors(settings):
            for piece in self._background.draw(pieces, cancel):
                reason, usage = piece.reason or reason, piece.usage or usage
                said += bool(piece.text)
                if piece.text:
                    yield ChatGenerationChunk(message=AIMessageChunk(content=piece.text))
        if not reason:
            raise EngineError(
                f"The server at {without_password(settings.vllm_base_url)} broke off in the "
                "middle of an answer. Ask again; its log says why."
            )
        if usage is None:  # not all servers tell; most send a piece a token
            usage = (sum(self.count_tokens(str(m.content)) for m in messages), said)
        yield _last_chunk(reason, usage, served.name)

    # -- in the event loop ------------------------------------------------------------------

    async def _look(self) -> ServedModel:
        client = self._chat.root_async_client.with_options(timeout=_LOOK_TIMEOUT_S, max_retries=0)
        listed = [model async for model in client.models.list()]
        wanted = self.settings.vllm_model
        chosen = next((m for m in listed if not wanted or m.id == wanted), None)
        if chosen is None:
            offered = ", ".join(m.id for m in listed) or "none"
            raise EngineError(
                f"The server at {without_password(self.settings.vllm_base_url)} has no model "
                f"{wanted!r} (it offers: {offered}). Set ASSISTANT_VLLM_MODEL to one of them, "
                "or load it there."
            )
        is_vllm = chosen.owned_by == "vllm"
        # vLLM tells an adapter's window with the model below it.
        known = [m for m in listed if m.id in (chosen.id, getattr(chosen, "parent", None))]
        told = [length for m in known if (length := getattr(m, "max_model_len", None))]
        window = min(told, default=self.settings.llm_context)
        form = await self._form(chosen.id)
        counts = is_vllm and await self._counts(chosen.id)
        return ServedModel(chosen.id, form, int(window), is_vllm, counts)

    async def _counts(self, model: str) -> bool:
        """Tell whether vLLM's tokenizer can be reached; a gateway may pass the API alone."""
        from openai import APIStatusError

        try:
            await self._tokenize(model, "hi")
        except APIStatusError:
            return False
        return True

    async def _form(self, model: str) -> PromptForm:
        """Try a chat of one token: a model without a chat template refuses it."""
        from openai import BadRequestError

        if self.settings.vllm_form != "auto":
            return self.settings.vllm_form
        if self._served is not None and self._served.name == model:
            return self._served.form
        client = self._chat.root_async_client.with_options(timeout=_TRY_TIMEOUT_S, max_retries=0)
        try:
            await client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": "hi"}], max_tokens=1
            )
        except BadRequestError:
            return "completion"
        return "chat"

    async def _chat_pieces(
        self, served: ServedModel, messages: list[dict[str, str]], options: dict[str, Any]
    ) -> AsyncIterator[_Piece]:
        if served.is_vllm:  # models that can think aloud are asked not to
            thinking = {"chat_template_kwargs": {"enable_thinking": False}}
            options["extra_body"] = options.get("extra_body", {}) | thinking
        async for chunk in self._chat.astream(messages, model=served.name, **options):
            used = chunk.usage_metadata
            yield _Piece(
                str(chunk.text),
                chunk.response_metadata.get("finish_reason") or "",
                (used["input_tokens"], used["output_tokens"]) if used else None,
            )

    async def _completion_pieces(
        self, served: ServedModel, messages: list[dict[str, str]], options: dict[str, Any]
    ) -> AsyncIterator[_Piece]:
        """Complete the last human message, which is the whole prompt."""
        human = [m for m in messages if m["role"] == "user"]
        stream = await self._chat.root_async_client.completions.create(
            model=served.name,
            prompt=(human or messages)[-1]["content"],
            stream=True,
            stream_options={"include_usage": True},
            **options,
        )
        async with stream:
            async for chunk in stream:
                choice = chunk.choices[0] if chunk.choices else None
                yield _Piece(
                    (choice.text or "") if choice else "",
                    (choice.finish_reason or "") if choice else "",
                    (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
                    if chunk.usage
                    else None,
                )

    async def _tokenize(self, model: str, text: str) -> int:
        """Return vLLM's count of tokens; its tokenizer answers beside the API."""
        root = self.settings.vllm_base_url.rstrip("/").removesuffix("/v1")
        body = {"model": model, "prompt": text, "add_special_tokens": False}
        client = self._chat.root_async_client.with_options(timeout=_LOOK_TIMEOUT_S, max_retries=0)
        told = await client.post(f"{root}/tokenize", body=body, cast_to=object)
        return int(told["count"])

    def _count_at_server(self, text: str) -> int:
        with _server_errors(self.settings):
            return self._background.run(self._tokenize(self.served.name, text))

    @property
    def _chat(self) -> Any:
        """LangChain's client; a process that was forked off needs one of its own."""
        if os.getpid() not in self._clients:
            self._clients[os.getpid()] = _client(self.settings)
        return self._clients[os.getpid()]

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("The model server's engine is closed. Open the assistant anew.")


def build(settings: Settings) -> OpenAICompatibleEngine:
    """Return the engine; the server is asked on first use.

    Raises:
        ConfigurationError: no server is set.
    """
    if not settings.vllm_base_url:
        raise ConfigurationError(
            "No model server is set. Set ASSISTANT_VLLM_BASE_URL, for example to "
            "http://127.0.0.1:8000/v1, or choose another ASSISTANT_ENGINE."
        )
    return OpenAICompatibleEngine(settings=settings)


def _wind_up(background: Background, clients: dict[int, Any]) -> None:
    client = clients.get(os.getpid())
    background.close(client.root_async_client.close if client else None)


def _client(settings: Settings) -> Any:
    """Return LangChain's client; it retries, with growing pauses and jitter, before any reply."""
    import openai
    from langchain_openai.chat_models.base import BaseChatOpenAI

    timeout = openai.Timeout(settings.vllm_timeout_s, connect=_CONNECT_TIMEOUT_S)
    return BaseChatOpenAI(
        base_url=settings.vllm_base_url,
        # The client insists on a key, a server of one's own seldom does.
        api_key=settings.vllm_api_key if settings.vllm_api_key.get_secret_value() else _NO_KEY,
        model=settings.vllm_model,
        timeout=timeout,
        max_retries=settings.vllm_retries,
        stream_usage=True,
        # Watches the gap between pieces; the read timeout above does that already.
        stream_chunk_timeout=None,
    )


@contextmanager
def _server_errors(settings: Settings) -> Iterator[None]:
    """Turn whatever the client raises into an EngineError that names the server."""
    try:
        yield
    except (AssistantError, GeneratorExit):
        raise
    except Exception as error:  # the client's, its HTTP library's and LangChain's own kinds
        why = " ".join(str(error).split()) or type(error).__name__
        url = without_password(settings.vllm_base_url)
        if getattr(error, "status_code", 0) in _REFUSALS:
            raise RequestRefusedError(
                f"The model server at {url} refused the question ({why[:300]}). Ask a shorter "
                "one, or lower ASSISTANT_MAX_PASSAGES; if it is busy, ask again shortly."
            ) from error
        raise EngineError(
            f"The model server at {url} failed ({why[:300]}). Ask again; `assistant engine "
            "status` shows how it is."
        ) from error


def _last_chunk(reason: str, usage: tuple[int, int], model_name: str) -> ChatGenerationChunk:
    counted = UsageMetadata(input_tokens=usage[0], output_tokens=usage[1], total_tokens=sum(usage))
    return ChatGenerationChunk(
        message=AIMessageChunk(
            content="",
            usage_metadata=counted,
            response_metadata={"finish_reason": reason, "model_name": model_name},
            chunk_position="last",
        )
    )
