"""Tokens, counted as an embedding model counts them, without loading the model.

It reads a fast tokenizer from a model's folder, or shares the one of a loaded model; it
counts and never cuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.errors import ModelError
from assistant.text import is_cjk

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER_FILE = "tokenizer.json"


class TokenCounter:
    """Counts tokens with a tokenizer that has neither a limit nor padding; thread-safe."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def read(cls, file: Path) -> TokenCounter:
        """Return the counter of a ``tokenizer.json``.

        Raises:
            ModelError: the file is damaged.
        """
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises nothing more special
            raise ModelError(
                f"{file} cannot be read ({error}). Delete its folder and fetch the model again."
            ) from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(tokenizer)

    @classmethod
    def sharing(cls, tokenizer: object) -> TokenCounter:
        """Return a counter that shares the vocabulary of a loaded model's tokenizer.

        The vocabulary is the bulk of it (150 MB for 250,000 pieces). The limit and the
        padding, which the model sets anew at every call, are not shared.

        Raises:
            ModelError: it is not one of Hugging Face's fast tokenizers.
        """
        from tokenizers import Tokenizer

        backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
        if not isinstance(backend, Tokenizer):
            raise ModelError(
                "The embedding model has no tokenizer that counts tokens fast. "
                f"Set ASSISTANT_EMBEDDING_MODEL to a model with a {TOKENIZER_FILE}."
            )
        twin = Tokenizer(backend.model)
        if backend.normalizer is not None:
            twin.normalizer = backend.normalizer
        if backend.pre_tokenizer is not None:
            twin.pre_tokenizer = backend.pre_tokenizer
        twin.add_tokens(list(backend.get_added_tokens_decoder().values()))
        return cls(twin)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text, without special tokens."""
        batch = [encodable(text) for text in texts]
        encodings = self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        return [len(encoding) for encoding in encodings]


def encodable(text: str) -> str:
    """Return ``text`` without lone surrogates (from file names), which tokenizers refuse."""
    return text.encode("utf-8", "replace").decode("utf-8")


def estimated_tokens(text: str) -> int:
    """Return about the tokens of ``text``: one a CJK character, one for three others."""
    wide = sum(map(is_cjk, text))
    narrow = sum(map(len, text.split())) - wide
    return wide - (-narrow // 3)
