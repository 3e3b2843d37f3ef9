"""The chain of a writer's recipe: what is registered, what is put to use, and what is kept out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_adapt_collect import squad
from test_adapt_writer import recipe
from test_writer import FACTS, write
from tiny_model import tiny_causal

from assistant import Settings
from assistant.adapt import process, run_writer
from assistant.adapt.collect import collect
from assistant.adapt.measure_writer import Write
from assistant.adapt.passages import Library
from assistant.adapt.recipe import RECIPES, WriterRecipe, load_recipe
from assistant.adapt.registry import Registry
from assistant.adapt.run import adapt
from assistant.adapt.run_writer import _rival
from assistant.adapt.samples import read_samples
from assistant.adapt.work import SAMPLES_FILE
from assistant.adapt.writing import WriterSample
from assistant.errors import ConfigurationError
from assistant.writer import ADAPTER_FILE, FACTS_FILE, declined, sha256_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_causal(tmp_path_factory.mktemp("causal"))


@pytest.fixture(autouse=True)
def _set(tmp_path: Path) -> None:
    squad(tmp_path / "set.json")


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return Registry(settings.data_dir / "adapters")


def test_the_whole_chain_ends_with_a_writer_in_use(
    folder: Path, tmp_path: Path, settings: Settings
) -> None:
    seven = load_recipe(RECIPES / "writer-7b.yaml")
    assert isinstance(seven, WriterRecipe)
    whole = recipe(
        tmp_path,
        folder,
        training={
            "gradient_checkpointing": seven.training.gradient_checkpointing,
            "targets": seven.training.targets,
            "vocabulary": seven.training.vocabulary,
        },
    )
    said: list[str] = []
    done = adapt(whole, settings, tmp_path / "work", said.append)
    assert done.refusals == {}
    registry = Registry(tmp_path / "data" / "adapters")
    assert registry.current("writer") == done.folder
    assert registry.current("reader") is None
    names = {file.name for file in done.folder.iterdir()}
    assert names >= {
        *("adapter_model.safetensors", "adapter_config.json", ADAPTER_FILE, "writer.json"),
        *("recipe.json", "data.json", "scores.json", "card.md", "reference.npz"),
    }
    assert "NOTICE" not in names  # it is not Gemma's
    card = (done.folder / "card.md").read_text("utf-8")
    assert "CC BY-SA 4.0" in card and "Somebody" in card and "wrongly refused" in card
    scores = json.loads((done.folder / "scores.json").read_text("utf-8"))
    assert set(scores) == {"before", "after"}
    assert set(scores["before"]) == set(scores["after"]) == {"all", "set", "zh"}
    assert scores["before"]["all"]["questions"] == scores["after"]["all"]["questions"] > 0

    with pytest.raises(ConfigurationError, match="--resume"):
        adapt(whole, settings, tmp_path / "work", said.append)
    said.clear()
    again = adapt(whole, settings, tmp_path / "work", said.append, resume=True)
    assert again.folder.name == "tiny-2"
    assert not any("tokens/s" in line or "library" in line for line in said)
    assert any("measuring tiny-1" in line for line in said)
    best = tmp_path / "work" / "training" / "best" / ADAPTER_FILE
    best.write_bytes(best.read_bytes()[:-9])
    with pytest.raises(ConfigurationError, match="is gone or damaged"):
        adapt(whole, settings, tmp_path / "work", said.append, resume=True)


def writing(by: dict[bool, str]) -> Any:
    """Return what stands in for writing: the target, or a refusal, as is said of an adapter."""

    @contextmanager
    def opened(_: WriterRecipe, __: Settings, adapter: Path | None) -> Iterator[Write]:
        said = by[adapter is not None]
        yield lambda sample: sample.target if said == "right" else declined("sentence", "zh")

    return opened


@pytest.mark.parametrize(
    ("taught", "plain", "kept_out"),
    [("silent", "right", {"F1", "refusal"}), ("right", "silent", set()), ("right", "right", set())],
)
def test_a_first_writer_must_be_no_worse_than_the_model_as_it_is(
    folder: Path,
    tmp_path: Path,
    settings: Settings,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    taught: str,
    plain: str,
    kept_out: set[str],
) -> None:
    monkeypatch.setattr(run_writer, "_writing", writing({True: taught, False: plain}))
    said: list[str] = []
    done = adapt(recipe(tmp_path, folder), settings, tmp_path / "work", said.append)
    assert set(done.refusals) == kept_out
    assert registry.current("writer") == (None if kept_out else done.folder)
    assert registry.all("writer") == [done.folder]
    assert not any("measuring" in line for line in said)


def test_no_copy_is_worded_as_a_question_that_measures(
    folder: Path, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_by = recipe(tmp_path, folder, process={"crop_tokens": (16, 40), "paraphrased": 1.0})
    with Library(tmp_path / "library", settings) as library:
        kept = collect(made_by, library, lambda _: None).held_back
    measured = [sample.question for sample in kept]
    monkeypatch.setattr(process, "paraphrased", lambda _, rng: rng.choice(measured))
    adapt(made_by, settings, tmp_path / "work", lambda _: None)
    samples = read_samples(tmp_path / "work" / SAMPLES_FILE, WriterSample)
    assert not {sample.question for sample in samples} & set(measured)


# -- the one in use ------------------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a writer would ship."""
    monkeypatch.setattr("assistant.writer.SHIPPED", tmp_path / "shipped")
    return tmp_path / "shipped"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A new writer."""
    return write(tmp_path / "made", FACTS)


def adopted(registry: Registry, made: Path, **changes: Any) -> Path:
    """Return the folder of a writer in use, the new one but for the changes."""
    sha256 = sha256_of(made / ADAPTER_FILE)
    folder = registry.add("writer", "own", made, {})
    registry.adopt("writer", folder)
    return write(folder, replace(FACTS, adapter_sha256=sha256, **changes))


def test_what_is_damaged_is_no_rival_and_told_of(
    registry: Registry, made: Path, shipped: Path
) -> None:
    whole = adopted(registry, made)
    damaged, unreadable = adopted(registry, made), adopted(registry, made)
    (damaged / ADAPTER_FILE).write_bytes(b"half")
    (unreadable / FACTS_FILE).write_text("{}", "utf-8")
    said: list[str] = []
    assert _rival(registry, made, said.append) == whole
    first, second = said
    assert "passed over" in first and str(unreadable) in first
    assert "passed over" in second and str(damaged) in second and "is gone or damaged" in second


def test_a_writer_whose_weights_are_gone_is_no_rival(
    registry: Registry, made: Path, shipped: Path
) -> None:
    (adopted(registry, made) / ADAPTER_FILE).unlink()
    said: list[str] = []
    assert _rival(registry, made, said.append) is None
    assert "passed over" in said[0]


def test_the_rival_is_the_last_for_the_same_model_and_prompt(
    registry: Registry, made: Path, shipped: Path
) -> None:
    assert _rival(registry, made, lambda _: None) is None
    write(shipped, FACTS)
    assert _rival(registry, made, lambda _: None) == shipped
    own = adopted(registry, made)
    for change in (
        {"form": "point"},
        {"base": "another"},
        {"base_sha256": "0" * 64},
        {"prompt_version": 0},
    ):
        adopted(registry, made, **change)
    assert _rival(registry, made, lambda _: None) == own
