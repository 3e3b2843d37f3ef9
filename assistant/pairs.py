"""A question with a passage, as an encoder reads the two: tokens, and where each stands.

It splits what is too long into windows; it loads no model and makes no tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant.tokens import encodable

if TYPE_CHECKING:
    from tokenizers import Encoding

QUERY_PREFIX, PASSAGE_PREFIX = "query: ", "passage: "
MAX_TOKENS = 512
_QUESTION_CHARACTERS = 256
_STRIDE = 128  # tokens that neighbouring windows of a long passage share


class Window:
    """A question with a passage, or a part of a long one, as the model reads them.

    ``offsets`` (tokens, 2) are characters of the passage, ``inside`` (tokens,) tells which
    tokens are the passage's.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.ids = np.array(encoding.ids, np.int32)
        self.types = np.array(encoding.type_ids, np.int32)
        inside = [number == 1 for number in encoding.sequence_ids]
        shift = len(PASSAGE_PREFIX)
        self.offsets = np.array(encoding.offsets, np.int32).reshape(-1, 2) - shift
        self.inside = np.array(inside) & (self.offsets[:, 1] > 0)
        self.offsets = np.maximum(self.offsets, 0)

    def __len__(self) -> int:
        return len(self.ids)


class PairTokenizer:
    """Reads questions with passages; only the passage is cut, into windows that overlap.

    It shares the vocabulary of a loaded model's tokenizer, not its limit and padding, which
    the model sets anew at every call.
    """

    def __init__(self, tokenizer: Any) -> None:
        from tokenizers import Tokenizer

        backend = tokenizer.backend_tokenizer
        own = Tokenizer(backend.model)
        if backend.normalizer is not None:
            own.normalizer = backend.normalizer
        if backend.pre_tokenizer is not None:
            own.pre_tokenizer = backend.pre_tokenizer
        if backend.post_processor is not None:
            own.post_processor = backend.post_processor
        own.add_tokens(list(backend.get_added_tokens_decoder().values()))
        own.enable_truncation(MAX_TOKENS, stride=_STRIDE, strategy="only_second")
        self._tokenizer = own
        self.padding = int(tokenizer.pad_token_id)

    def windows(self, pairs: Sequence[tuple[str, str]]) -> list[list[Window]]:
        """Return the windows of each question with its passage, one at least.

        Only the first characters of an overlong question count: the passage must have room.
        """
        batch = [
            (QUERY_PREFIX + encodable(q)[:_QUESTION_CHARACTERS], PASSAGE_PREFIX + encodable(p))
            for q, p in pairs
        ]
        encodings = self._tokenizer.encode_batch(batch)
        return [[Window(part) for part in (whole, *whole.overflowing)] for whole in encodings]
