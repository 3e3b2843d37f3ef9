"""The data file of the embedded model is read right: its normaliser, pieces and weights."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from assistant import e5, model_files
from assistant.model_files import embedded_model_dir
from assistant.settings import Settings


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedded_model_dir(Settings(cache_dir=tmp_path_factory.getbasetemp() / "models"))


@pytest.fixture(scope="session")
def data() -> bytes:
    return model_files._verified_data()


def test_normaliser_agrees_with_the_table_in_the_file(data: bytes, folder: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pieces = struct.unpack_from("<i", data, 44)[0]
    (blob,) = struct.unpack_from("<Q", data, 64)
    at = 72 + 4 * (pieces + 1) + 4 * pieces + blob
    (entries,) = struct.unpack_from("<i", data, at)
    at += 8
    wrong = []
    for _ in range(entries):
        point, length = struct.unpack_from("<IB", data, at)
        expected = "".join(map(chr, struct.unpack_from(f"<{length}I", data, at + 5)))
        at += 5 + 4 * length
        if tokenizer.normalizer.normalize_str(f"|{chr(point)}|") != f"|{expected}|":
            wrong.append(hex(point))
    assert (entries, wrong) == (4837, [])


def test_text_survives_the_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in ("大模型训练需要多少数据?", "Cut the cost by 30% - or more.", "约5～10万元"):
        encoding = tokenizer.encode(text)
        assert tokenizer.decode(encoding.ids) == text
        assert (encoding.tokens[0], encoding.tokens[-1]) == ("<s>", "</s>")


@pytest.mark.parametrize(
    ("name", "offset", "row", "width"),
    [
        ("embeddings.word_embeddings.weight", 4_638_272, 6_789, 384),
        ("encoder.layer.0.attention.self.query.weight", 59_438_848, 7, 384),
        ("encoder.layer.0.output.dense.weight", 60_117_760, 383, 1536),
    ],
)
def test_weights_are_those_in_the_file(
    data: bytes, folder: Path, name: str, offset: int, row: int, width: int
) -> None:
    """A row decoded by hand, block by block: half scale, then low and high nibbles."""
    from safetensors import safe_open

    expected: list[float] = []
    for block in range(row * width // 32, (row + 1) * width // 32):
        scale, *packed = struct.unpack_from("<e16B", data, offset + 18 * block)
        expected += [((byte & 15) - 8) * scale for byte in packed]
        expected += [((byte >> 4) - 8) * scale for byte in packed]
    with safe_open(folder / "model.safetensors", "pt") as file:
        found = file.get_slice(name)[row].float().numpy()
    assert len(found) == width
    np.testing.assert_allclose(found, expected, rtol=2**-8)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_weights_are_rounded_to_the_nearest(dtype: str) -> None:
    import torch

    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    ours = torch.from_numpy(e5._rounded(values, dtype).copy()).view(getattr(torch, dtype))
    assert torch.equal(ours, torch.from_numpy(values).to(getattr(torch, dtype)))
