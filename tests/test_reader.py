"""The reader: spans and their places, windows of long passages, and adapters of other models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import tiny_embedder, tiny_model

from assistant.adapt.adapter import write_adapter
from assistant.adapted import HashEmbedder
from assistant.embed import Embedder
from assistant.errors import ConfigurationError
from assistant.reader import (
    MAX_SPAN_TOKENS,
    Calibration,
    Facts,
    Reader,
    batches,
    best_span,
    encoder_of,
    merge,
    new_heads,
    read_facts,
)

LAYER = "encoder.layer.0.attention.self.query"
PASSAGE = "员工每年有十五天年假。 病假需要医院证明。"


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return tiny_embedder(tiny_model(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def adapter(embedder: Embedder, tmp_path: Path) -> Path:
    torch.manual_seed(3)
    heads = {f"heads.{name}": t for name, t in new_heads(16).state_dict().items()}
    lora = {f"{LAYER}.lora_A": torch.randn(4, 16), f"{LAYER}.lora_B": torch.randn(16, 4)}
    facts = Facts(embedder.fingerprint, 4, 8.0, Calibration(2.0, 0.5, 0.4))
    write_adapter(tmp_path, {**lora, **heads}, facts)
    return tmp_path


def test_a_span_is_the_best_pair_in_order_and_against_token_zero() -> None:
    start, end = np.full(6, -9.0, np.float32), np.full(6, -9.0, np.float32)
    start[0] = end[0] = 1.0
    start[4], end[2] = 8.0, 6.5  # the best two are the wrong way round
    start[1], end[5] = 5.0, 4.0
    assert best_span(start, end) == (4, 5, pytest.approx(12.0 - 2.0))


def test_a_span_has_a_greatest_length() -> None:
    start, end = np.zeros(100, np.float32), np.zeros(100, np.float32)
    start[1], end[1 + MAX_SPAN_TOKENS] = 10.0, 9.0
    first, last, _ = best_span(start, end)
    assert last - first < MAX_SPAN_TOKENS


def test_batches_hold_what_fits_padded() -> None:
    lengths = [10, 50, 20, 40, 500]
    made = list(batches(lengths, 100))
    assert sorted(place for batch in made for place in batch) == list(range(5))
    assert made[0] == [4]
    assert all(len(b) == 1 or max(lengths[p] for p in b) * len(b) <= 100 for b in made)


def test_a_reading_quotes_its_passage(adapter: Path, embedder: Embedder) -> None:
    reader = Reader.load(adapter, embedder)
    passages = [PASSAGE, "年假", PASSAGE * 40, ""]
    readings = reader.read("年假有几天？", passages)
    for passage, reading in zip(passages, readings, strict=True):
        assert passage[reading.start : reading.end] == reading.text == reading.text.strip()
        assert 0.0 <= reading.answerable <= 1.0
    assert readings[0].text and not readings[3].text


def test_passages_read_together_are_read_as_alone(adapter: Path, embedder: Embedder) -> None:
    reader = Reader.load(adapter, embedder)
    passages = [PASSAGE, "公司的预算是三百万元。", PASSAGE * 3]
    together = reader.read("预算", passages)
    for passage, reading in zip(passages, together, strict=True):
        (alone,) = reader.read("预算", [passage])
        assert (alone.start, alone.end) == (reading.start, reading.end)
        assert alone.score == pytest.approx(reading.score, abs=1e-4)


def test_a_long_passage_is_read_to_its_end(adapter: Path, embedder: Embedder) -> None:
    reader = Reader.load(adapter, embedder)
    (windows,) = reader._tokenizer.windows([("年假", "年假。" * 400)])
    assert len(windows) > 2
    assert all(len(window) <= 512 for window in windows)
    assert windows[-1].offsets[:, 1].max() == 1200
    covered = {int(a) for window in windows for a in window.offsets[window.inside][:, 0]}
    assert covered == set(range(1200))


def test_the_calibration_turns_logits_into_probabilities() -> None:
    calibration = Calibration(temperature=2.0, bias=1.0)
    assert calibration.probability(-2.0) == 0.5
    assert calibration.probability(6.0) == pytest.approx(1 / (1 + np.exp(-4.0)))


def test_only_what_changes_is_copied(embedder: Embedder) -> None:
    encoder, _ = encoder_of(embedder)
    before = encoder.get_submodule(LAYER).weight.clone()
    low, high = torch.randn(4, 16), torch.randn(16, 4)
    merged = merge(encoder, {f"{LAYER}.lora_A": low, f"{LAYER}.lora_B": high}, 0.5)
    changed = merged.get_submodule(LAYER).weight
    assert torch.allclose(changed, before + 0.5 * high @ low)
    assert torch.equal(encoder.get_submodule(LAYER).weight, before)
    ours, theirs = dict(merged.named_parameters()), dict(encoder.named_parameters())
    assert [n for n in ours if ours[n].data_ptr() != theirs[n].data_ptr()] == [f"{LAYER}.weight"]


def test_an_adapter_for_another_model_is_refused(
    adapter: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tiny_model(tmp_path_factory.mktemp("other"))
    (folder / "vocab.txt").write_text((folder / "vocab.txt").read_text("utf-8") + "\nx", "utf-8")
    with pytest.raises(ConfigurationError, match="assistant adapt"):
        Reader.load(adapter, tiny_embedder(folder))


def test_an_embedder_without_token_states_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ASSISTANT_EMBEDDING_MODEL"):
        encoder_of(HashEmbedder())


def test_what_is_no_adapter_is_told_with_its_remedy(tmp_path: Path, adapter: Path) -> None:
    with pytest.raises(ConfigurationError, match="assistant adapt"):
        read_facts(tmp_path / "nothing")
    facts = adapter / "reader.json"
    facts.write_text(facts.read_text("utf-8").replace('"version": 1', '"version": 99'), "utf-8")
    with pytest.raises(ConfigurationError, match="version 99"):
        read_facts(adapter)
