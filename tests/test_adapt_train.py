"""Training: batches, the adapter at run time, stopping and going on, the whole chain."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_adapt_collect import squad
from tiny_model import tiny_embedder, tiny_model, tiny_settings

from assistant.adapt import run, train_reader
from assistant.adapt.adapter import blend, write_adapter
from assistant.adapt.batches import Item, drawn, encoded, epoch_batches, split
from assistant.adapt.recipe import ReaderRecipe
from assistant.adapt.registry import Registry
from assistant.adapt.run import adapt
from assistant.adapt.samples import Sample, group_of
from assistant.adapt.train_reader import Trainer, loss_of
from assistant.embed import Embedder
from assistant.errors import ConfigurationError
from assistant.pairs import PairTokenizer
from assistant.reader import WEIGHTS_FILE, Facts, Reader, Scores, encoder_of, forward, read_facts
from evals.stats import Difference, Mean

FACTS = ("员工每年有十五天年假。", "病假需要医院证明。", "公司的预算是三百万元。")


def sample(number: int, answerable: bool = True) -> Sample:
    fact = FACTS[number % 3]
    passage = fact * (1 + number % 4)
    start, end = (2, 5) if answerable else (-1, -1)
    return Sample(
        question=f"{fact[:2]}{number}？",
        passage=passage,
        start=start,
        end=end,
        language="zh",
        source="test",
        group=group_of("test", str(number)),
        licence="none",
        answers=(fact[2:5],),
    )


SAMPLES = [sample(number, number % 2 == 0) for number in range(60)]


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return tiny_embedder(tiny_model(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def tokenizer(embedder: Embedder) -> PairTokenizer:
    return PairTokenizer(encoder_of(embedder)[1])


def recipe(path: Path, **training: object) -> ReaderRecipe:
    return ReaderRecipe.model_validate(
        {
            "kind": "reader",
            "name": "tiny",
            "sources": [
                {
                    "kind": "public",
                    "name": "set",
                    "format": "squad",
                    "licence": "CC BY-SA 4.0",
                    "attribution": "Somebody",
                    "path": path,
                    "held_back": 0.4,
                }
            ],
            "training": {
                "rank": 4,
                "alpha": 8,
                "batch_tokens": 256,
                "epochs": 2,
                "validation": 0.3,
                "threads": 1,
                **training,
            },
        }
    )


def test_tokens_of_an_answer_are_found(tokenizer: PairTokenizer) -> None:
    for item in encoded(SAMPLES, tokenizer):
        if item.sample.answerable:
            first, last = item.window.offsets[item.start, 0], item.window.offsets[item.end, 1]
            assert item.sample.passage[first:last] == item.sample.answer
        else:
            assert (item.start, item.end) == (0, 0)


def test_the_window_with_the_answer_is_taken(tokenizer: PairTokenizer) -> None:
    passage = "病假需要医院证明。" * 80 + "年假有十五天。"
    start = passage.index("十五天")
    long = replace(SAMPLES[0], passage=passage, start=start, end=start + 3, answers=("十五天",))
    (item,) = encoded([long], tokenizer)
    first, last = item.window.offsets[item.start, 0], item.window.offsets[item.end, 1]
    assert passage[first:last] == "十五天"


def test_an_epoch_has_every_item_once_in_batches_that_fit(tokenizer: PairTokenizer) -> None:
    items = encoded(SAMPLES, tokenizer)
    batches = epoch_batches(items, 300, seed=1, epoch=0)
    assert sorted(id(i) for b in batches for i in b) == sorted(map(id, items))
    assert all(len(batch) * max(map(len, batch)) <= 300 for batch in batches)
    assert batches == epoch_batches(items, 300, seed=1, epoch=0)
    assert batches != epoch_batches(items, 300, seed=1, epoch=1)


def test_a_document_is_trained_on_or_validated_with() -> None:
    training, validation = split(SAMPLES, 0.3)
    assert len(training) + len(validation) == len(SAMPLES)
    assert training and validation
    assert not {s.group for s in training} & {s.group for s in validation}
    folds = [split(SAMPLES, 1 / 3, fold)[1] for fold in range(3)]
    assert sorted(s.question for fold in folds for s in fold) == sorted(s.question for s in SAMPLES)


def bundles(source: str, number: int) -> list[Sample]:
    """Return samples of a source: each passage is shown with four questions in turn."""
    return [
        replace(
            sample(n), source=source, passage=f"{source}{n // 4}厂放假。", question=f"第{n}问？"
        )
        for n in range(number)
    ]


def passage_of(sample: Sample) -> str:
    return sample.passage


def test_samples_are_drawn_from_all_sources_and_bundles_stay_together() -> None:
    samples = [*bundles("甲", 80), *bundles("乙", 80)]
    chosen = drawn(samples, 40, passage_of)
    assert len(chosen) == 40
    assert {each.source for each in chosen} == {"甲", "乙"}
    assert [len(list(bundle)) for _, bundle in groupby(chosen, passage_of)] == [4] * 10
    assert all(each in samples for each in chosen)
    assert chosen == drawn(samples, 40, passage_of)
    assert chosen == drawn([*bundles("乙", 80), *bundles("甲", 80)], 40, passage_of)
    assert drawn(samples, 80, passage_of)[:40] == chosen
    assert len(drawn(samples, 999, passage_of)) == len(samples)


def test_the_best_state_is_chosen_by_samples_of_all_sources(
    embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []

    def validate(self: Trainer, held: Sequence[Item]) -> train_reader.Validation:
        seen.append({item.sample.source for item in held})
        assert len(held) == 20
        return train_reader.Validation(1.0, 0.5, 0.5)

    monkeypatch.setattr(Trainer, "validate", validate)
    few = recipe(tmp_path, validation_limit=20, epochs=1)
    trainer = Trainer(few, embedder, tmp_path, lambda _: None)
    trainer.train(SAMPLES, [*bundles("甲", 40), *bundles("乙", 40)])
    assert seen == [{"甲", "乙"}]


def test_the_loss_is_of_spans_and_of_whether(tokenizer: PairTokenizer) -> None:
    batch = encoded([sample(0), sample(1, False)], tokenizer)
    flat = torch.zeros(2, max(map(len, batch)))
    scores = Scores(flat, flat, torch.zeros(2))
    expected = math.log(flat.shape[1]) + 0.5 * math.log(2)
    assert float(loss_of(scores, batch, 0.5)) == pytest.approx(expected, rel=1e-5)
    assert float(loss_of(scores, batch, 0.0)) == pytest.approx(math.log(flat.shape[1]), rel=1e-5)


def test_the_merged_reader_says_what_the_adapted_model_says(
    embedder: Embedder, tmp_path: Path
) -> None:
    trainer = Trainer(recipe(tmp_path), embedder, tmp_path, lambda _: None)
    with torch.no_grad():
        for name, parameter in trainer.model.named_parameters():
            if "lora_B" in name:  # which PEFT sets to zero
                parameter.normal_(std=0.2)
    facts = Facts(embedder.fingerprint, 4, 8.0)
    write_adapter(tmp_path, trainer.tensors(), facts)
    reader = Reader.load(tmp_path, embedder)
    windows = [item.window for item in encoded(SAMPLES[:4], trainer.tokenizer)]
    trainer.model.eval()
    with torch.inference_mode():
        ours = forward(reader._encoder, reader._heads, windows, trainer.tokenizer.padding)
        theirs = forward(trainer.model, trainer.heads, windows, trainer.tokenizer.padding)
    assert torch.isinf(theirs.start).any()
    for name in ("start", "end", "answerable"):
        assert torch.allclose(getattr(ours, name), getattr(theirs, name), atol=2e-3)


def test_only_the_upper_layers_may_be_adapted(embedder: Embedder, tmp_path: Path) -> None:
    trainer = Trainer(recipe(tmp_path, layers=1), embedder, tmp_path, lambda _: None)
    names = {name for name in trainer.tensors() if name.endswith("lora_A")}
    assert len(names) == 6
    assert all(name.startswith("encoder.layer.1.") for name in names)


def test_training_leaves_the_embedding_model_as_it_is(embedder: Embedder, tmp_path: Path) -> None:
    before = embedder.embed_question("年假")
    Trainer(recipe(tmp_path), embedder, tmp_path, lambda _: None).train(SAMPLES[:40], SAMPLES[40:])
    assert (embedder.embed_question("年假") == before).all()


def test_it_learns(embedder: Embedder, tmp_path: Path) -> None:
    eager = recipe(tmp_path, epochs=30, learning_rate=0.02, head_learning_rate=0.02, dropout=0.0)
    trainer = Trainer(eager, embedder, tmp_path, lambda _: None)
    held = encoded(SAMPLES[40:], trainer.tokenizer)
    before = trainer.validate(held)
    trainer.train(SAMPLES[:40], SAMPLES[40:])
    after = trainer.validate(held)
    assert after.loss < before.loss / 2
    assert after.f1 > 0.8


def test_the_whole_chain_ends_with_a_reader_in_use(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = tiny_settings(tiny_model(tmp_path_factory.mktemp("chain")), tmp_path / "data")
    whole = recipe(squad(tmp_path / "set.json"), folds=2, epochs=1)
    said: list[str] = []
    done = adapt(whole, settings, tmp_path / "work", said.append)
    assert done.refusals == {}
    assert Registry(tmp_path / "data" / "adapters").current("reader") == done.folder
    assert any("cross-validation: score" in line for line in said)
    names = {file.name for file in done.folder.iterdir()}
    assert names >= {"adapter.safetensors", "reader.json", "recipe.json", "scores.json", "card.md"}
    card = (done.folder / "card.md").read_text("utf-8")
    assert "CC BY-SA 4.0" in card and "Somebody" in card
    scores = json.loads((done.folder / "scores.json").read_text("utf-8"))
    assert scores["after"]["all"]["questions"] > 0
    reader = Reader.load(done.folder, Embedder(settings))
    assert read_facts(done.folder).calibration == reader.calibration
    assert len(reader.read("年假有几天？", ["年假有十五天。"])) == 1

    with pytest.raises(ConfigurationError, match="--resume"):
        adapt(whole, settings, tmp_path / "work", said.append)
    said.clear()
    again = adapt(whole, settings, tmp_path / "work", said.append, resume=True)
    assert again.folder.name == "tiny-2"
    assert not any("tokens/s" in line or "library" in line for line in said)


def test_a_first_reader_must_be_no_worse_than_the_shipped_one(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_settings(tiny_model(tmp_path_factory.mktemp("rival")), tmp_path / "data")
    whole = recipe(squad(tmp_path / "set.json"), epochs=1)
    shipped = adapt(whole, settings, tmp_path / "shipped", lambda _: None).folder
    Registry(tmp_path / "data" / "adapters").roll_back("reader")
    better = Difference(Mean(-0.3, -0.4, -0.2, 9), 0.001, 5)
    monkeypatch.setattr(run, "SHIPPED", shipped)
    monkeypatch.setattr(run, "worse", lambda *_: {"F1": better})
    done = adapt(whole, settings, tmp_path / "work", lambda _: None)
    assert "-0.300" in done.refusals["F1"]
    assert Registry(tmp_path / "data" / "adapters").current("reader") is None


def test_a_blend_lies_between_the_two(tmp_path: Path, embedder: Embedder) -> None:
    folders = [tmp_path / name for name in ("start", "taught")]
    for folder, value in zip(folders, (0.0, 1.0), strict=True):
        folder.mkdir()
        facts = Facts(embedder.fingerprint, 4, 8.0)
        write_adapter(folder, {"heads.span.bias": torch.full((2,), value)}, facts)
    blend(folders[1], folders[0], 0.25)
    assert load_file(folders[1] / WEIGHTS_FILE)["heads.span.bias"].tolist() == [0.25, 0.25]
    assert load_file(folders[0] / WEIGHTS_FILE)["heads.span.bias"].tolist() == [0.0, 0.0]


def test_a_training_goes_on_from_an_adapter(embedder: Embedder, tmp_path: Path) -> None:
    first = Trainer(recipe(tmp_path), embedder, tmp_path / "first", lambda _: None)
    taught = first.train(SAMPLES[:9], SAMPLES[9:])
    second = Trainer(recipe(tmp_path, start=taught), embedder, tmp_path / "x", lambda _: None)
    kept = load_file(taught / WEIGHTS_FILE)
    for name, tensor in second.tensors().items():
        assert torch.equal(tensor.half(), kept[name]), name
    with pytest.raises(ConfigurationError, match="rank"):
        Trainer(recipe(tmp_path, start=taught, rank=2), embedder, tmp_path, lambda _: None)


def test_a_blend_needs_a_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a start"):
        recipe(tmp_path, blend=0.5)
