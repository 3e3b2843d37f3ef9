"""Tokens are counted whole, whatever limits the tokenizer's file or its owner sets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from assistant.errors import ModelError
from assistant.tokens import TokenCounter, encodable, estimated_tokens


@pytest.fixture
def tokenizer() -> Tokenizer:
    """Words, lower-cased; ``<s>`` is special."""
    built = Tokenizer(models.WordLevel({"data": 0, "[UNK]": 1}, unk_token="[UNK]"))
    built.normalizer = normalizers.Lowercase()
    built.pre_tokenizer = pre_tokenizers.Whitespace()
    built.add_special_tokens([AddedToken("<s>", normalized=False)])
    return built


def test_a_limit_and_padding_in_the_file_are_ignored(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=20)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    counter = TokenCounter.read(tmp_path / "tokenizer.json")
    assert counter.count(["Data", "data data data", ""]) == [1, 3, 0]


def test_a_shared_vocabulary_keeps_no_limit_of_its_owner(tokenizer: Tokenizer) -> None:
    counter = TokenCounter.sharing(tokenizer)
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=20)
    assert counter.count(["Data DATA data", "<s>data"]) == [3, 2]
    assert len(tokenizer.encode("data data data")) == 20


def test_a_wrapped_tokenizer_is_unwrapped_and_others_are_refused(tokenizer: Tokenizer) -> None:
    class Wrapper:
        backend_tokenizer = tokenizer

    assert TokenCounter.sharing(Wrapper()).count(["data"]) == [1]
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        TokenCounter.sharing(object())


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read.*Delete"):
        TokenCounter.read(tmp_path / "tokenizer.json")


def test_threads_count_alike(tokenizer: Tokenizer) -> None:
    counter = TokenCounter.sharing(tokenizer)
    texts = ["data " * n for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda text: counter.count([text])[0], texts)) == list(range(200))


def test_lone_surrogates_are_replaced() -> None:
    assert encodable("a\ud800b 数据") == "a?b 数据"


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("数据", 2), ("data", 2), ("数据 governance", 6), (" \n ", 0)]
)
def test_estimates_are_arithmetic(text: str, tokens: int) -> None:
    assert estimated_tokens(text) == tokens
