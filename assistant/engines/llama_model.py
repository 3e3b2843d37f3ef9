"""A loaded llama.cpp model: messages to tokens, tokens to text.

It keeps what it has read, so that the next prompt with the same beginning is read from
where the two part. It is given llama.cpp instead of importing it, and knows no queue.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from assistant.engines.chat import ChatTemplate, PlainMessage
from assistant.engines.stops import StopFilter
from assistant.errors import EngineError, ModelError, RequestRefusedError
from assistant.types import PromptForm
from assistant.writer import Form

# Base models fall into loops; 1.1 breaks most of them and still lets them copy. Models
# that chat are trained out of it, and so are taught writers, who have to copy.
_REPEAT_PENALTY = {"chat": 1.0, "completion": 1.1}


@dataclass(frozen=True)
class Request:
    """What to write upon (messages: ``role``, ``content``), where to stop, and how to choose."""

    messages: Sequence[PlainMessage]
    stop: Sequence[str]
    max_tokens: int
    temperature: float
    seed: int


@dataclass(frozen=True)
class Piece:
    """Some text, maybe none; the last piece also tells why it ended and what it took.

    ``usage`` counts tokens: read, written, and of those read, already known.
    """

    text: str = ""
    finish_reason: str = ""
    usage: tuple[int, int, int] | None = None


class LlamaModel:
    """A loaded model; only its owner's thread may `write` and `close`.

    `tokens` and `count` read the vocabulary, which nothing changes, and are safe in any
    thread: llama.cpp's own server tokenizes in its HTTP threads, too.

    Args:
        native: the package ``llama_cpp``.
        llama: its ``Llama``, loaded.
        form: of the prompts; None: ``chat`` when the model carries a chat template.
        writer: the form of the taught writer whose adapter is in it, if one is.

    Raises:
        ModelError: the model cannot chat, but is asked to.
    """

    def __init__(
        self,
        native: ModuleType,
        llama: Any,
        form: PromptForm | None,
        writer: Form | None = None,
    ) -> None:
        self._native = native
        self._llama = llama
        self._vocab = self._native.llama_model_get_vocab(llama.model)
        self._vocab_lock = threading.Lock()
        self._closed = False
        family = llama.metadata.get("general.architecture", "")
        trained = int(llama.metadata.get(f"{family}.context_length", llama.n_ctx()))
        self.window: int = min(llama.n_ctx(), trained)
        template = llama.metadata.get("tokenizer.chat_template", "")
        self.writer = writer
        self.form: PromptForm = form or ("chat" if template else "completion")
        if self.form == "chat":
            self._chat = self._chat_template(template)

    def count(self, text: str) -> int:
        """Return the tokens of a text that stands inside a prompt."""
        return len(self._tokenize(text, beginning=False, special=False))

    def tokens(self, messages: Sequence[PlainMessage]) -> list[int]:
        """Return the prompt; in completion form the last human message is all of it.

        Raises:
            RequestRefusedError: it leaves no room for an answer.
        """
        if self.form == "chat":
            prompt = self._chat.prompt(messages)
            # A template that writes the beginning-of-text token itself must not get another.
            beginning = not prompt.startswith(self._text(self._llama.token_bos()) or "\0")
            tokens = self._tokenize(prompt, beginning, special=True)
        else:
            human = [m for m in messages if m["role"] == "user"]
            tokens = self._tokenize((human or messages)[-1]["content"], True, special=False)
        if len(tokens) >= self.window:
            raise RequestRefusedError(
                f"The prompt has {len(tokens)} tokens, the context window holds {self.window}. "
                "Raise ASSISTANT_LLM_CONTEXT (llm_context) as far as the model allows, or lower "
                "ASSISTANT_MAX_PASSAGES."
            )
        return tokens

    def write(self, request: Request) -> Generator[Piece, None, None]:
        """Yield a piece, maybe empty, for each batch read and each token written.

        Raises:
            RequestRefusedError: the prompt leaves no room for an answer.
        """
        llama, tokens = self._llama, self.tokens(request.messages)
        room = min(request.max_tokens, self.window - len(tokens))
        cached = llama.longest_token_prefix(llama.eval_tokens, tokens[:-1])
        text = StopFilter(request.stop)
        reason, written = "length", 0
        try:
            # Batch by batch, each upon the ones before, so that it can be cancelled between.
            for end in range(cached + llama.n_batch, len(tokens), llama.n_batch):
                next(llama.generate(tokens[:end], temp=0.0))
                yield Piece()
            llama.set_seed(request.seed)
            penalty = 1.0 if self.writer else _REPEAT_PENALTY[self.form]
            for token in llama.generate(tokens, temp=request.temperature, repeat_penalty=penalty):
                if self._native.llama_vocab_is_eog(self._vocab, token):
                    reason = "stop"
                    break
                written += 1
                yield Piece(text.add(self._bytes(token)))
                if text.stopped:
                    reason = "stop"
                if text.stopped or written == room:
                    break
        except Exception:
            llama.reset()  # what it holds after a failure is not to be built upon
            raise
        yield Piece(text.rest(), reason, (len(tokens), written, cached))

    def close(self) -> None:
        """Free the model."""
        with self._vocab_lock:
            self._closed = True
            self._llama.close()

    def _tokenize(self, text: str, beginning: bool, special: bool) -> list[int]:
        with self._vocab_lock:
            if self._closed:
                raise EngineError("The llama.cpp engine is closed. Open the assistant anew.")
            # A lone surrogate has no bytes; everything else passes unchanged.
            found: list[int] = self._llama.tokenize(
                text.encode("utf-8", "replace"), beginning, special
            )
            return found

    def _chat_template(self, template: str) -> ChatTemplate:
        if not template:
            raise ModelError(
                f"{self._llama.model_path} carries no chat template. Set ASSISTANT_LLM_FORM to "
                "`completion` or `auto`, or choose a model that can chat."
            )
        render = self._native.llama_chat_format.Jinja2ChatFormatter(
            template, self._text(self._llama.token_eos()), self._text(self._llama.token_bos())
        )
        ids, attribute = range(self._llama.n_vocab()), self._native.llama_vocab_get_attr
        steers = self._native.LLAMA_TOKEN_ATTR_CONTROL
        control = [self._text(i) for i in ids if attribute(self._vocab, i) & steers]
        return ChatTemplate(render, control)

    def _text(self, token: int) -> str:
        """Return a token as the vocabulary writes it, control tokens included."""
        raw: bytes = self._native.llama_vocab_get_text(self._vocab, token) if token >= 0 else b""
        return raw.decode("utf-8", "replace")

    def _bytes(self, token: int) -> bytes:
        """Return what a token adds to a text; a control token adds nothing."""
        # Llama.detokenize fails on tokens above 32 bytes, such as long runs of spaces.
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = self._native.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
            if length >= 0:
                return buffer.raw[:length]
            size = -length
