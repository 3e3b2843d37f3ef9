"""The loop of a training: rates, stopping and going on, and a best state that is always whole."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
import torch
from test_adapt_train import SAMPLES, recipe
from tiny_model import tiny_embedder, tiny_model

from assistant.adapt import train_reader
from assistant.adapt.loop import BEST_FOLDER, CHECKPOINT_FILE, schedule
from assistant.adapt.train_reader import Trainer
from assistant.embed import Embedder
from assistant.errors import ConfigurationError
from assistant.reader import WEIGHTS_FILE


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return tiny_embedder(tiny_model(tmp_path_factory.mktemp("tiny")))


def die_after(number: int, trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a trainer take so many steps and no more."""
    steps, take = iter(range(number)), trainer._step

    def dying(*arguments: object) -> float:
        next(steps)  # StopIteration, as good as a kill
        return take(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer, "_step", dying)


def test_the_rate_rises_and_falls() -> None:
    rates = [schedule(progress / 100, 0.1) for progress in range(101)]
    assert max(rates) == rates[10] == 1.0
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0.0)


def test_a_training_that_was_stopped_goes_on_where_it_was(
    embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = recipe(tmp_path, checkpoint_every=1e-9)
    straight = Trainer(every, embedder, tmp_path / "straight", lambda _: None)
    straight.train(SAMPLES[:40], SAMPLES[40:])
    stopped = Trainer(every, embedder, tmp_path / "stopped", lambda _: None)
    die_after(4, stopped, monkeypatch)
    with pytest.raises(StopIteration):
        stopped.train(SAMPLES[:40], SAMPLES[40:])
    said: list[str] = []
    resumed = Trainer(every, embedder, tmp_path / "stopped", said.append)
    resumed.train(SAMPLES[:40], SAMPLES[40:])
    assert any("going on at epoch 1, batch 5" in line for line in said)
    assert (resumed.position.epoch, resumed.position.batch) == (2, 0)
    for name, tensor in straight.tensors().items():
        assert torch.allclose(resumed.tensors()[name], tensor, atol=1e-5), name


def test_a_checkpoint_is_written_with_the_best_state(
    embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    often = recipe(tmp_path, eval_every=1e-9, checkpoint_every=999)
    killed = Trainer(often, embedder, tmp_path, lambda _: None)
    die_after(2, killed, monkeypatch)  # the first evaluation is after the second step
    with pytest.raises(StopIteration):
        killed.train(SAMPLES[:40], SAMPLES[40:])
    assert killed.position.best > -math.inf
    resumed = Trainer(often, embedder, tmp_path, lambda _: None)
    resumed._resume()
    assert resumed.position == killed.position


def test_a_best_state_that_was_being_replaced_is_taken_back(
    embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = Trainer(recipe(tmp_path), embedder, tmp_path, lambda _: None)
    best = trained.train(SAMPLES[:40], SAMPLES[40:])
    kept = (best / WEIGHTS_FILE).read_bytes()
    rename = Path.rename

    def killed(self: Path, target: Path) -> Path:
        if self.name == f"{BEST_FOLDER}.part":
            raise KeyboardInterrupt
        return rename(self, target)

    with torch.no_grad():
        for parameter in trained.heads.parameters():
            parameter.add_(1.0)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            trained._write_best()
    assert not best.exists()
    resumed = Trainer(recipe(tmp_path), embedder, tmp_path, lambda _: None)
    assert resumed.train(SAMPLES[:40], SAMPLES[40:]) == best
    assert (best / WEIGHTS_FILE).read_bytes() == kept
    trained._write_best()
    assert (best / WEIGHTS_FILE).read_bytes() != kept
    assert not list(tmp_path.glob(f"{BEST_FOLDER}.*"))


def test_a_kill_before_the_old_best_state_is_gone_does_no_harm(
    embedder: Embedder, tmp_path: Path
) -> None:
    trained = Trainer(recipe(tmp_path), embedder, tmp_path, lambda _: None)
    best = trained.train(SAMPLES[:40], SAMPLES[40:])
    shutil.copytree(best, tmp_path / f"{BEST_FOLDER}.old")
    resumed = Trainer(recipe(tmp_path), embedder, tmp_path, lambda _: None)
    resumed._resume()
    resumed._write_best()
    assert not list(tmp_path.glob(f"{BEST_FOLDER}.*"))


def test_a_checkpoint_of_another_recipe_is_refused(embedder: Embedder, tmp_path: Path) -> None:
    Trainer(recipe(tmp_path), embedder, tmp_path, lambda _: None).train(SAMPLES[:9], SAMPLES[9:])
    assert (tmp_path / CHECKPOINT_FILE).exists()
    other = Trainer(recipe(tmp_path, epochs=5), embedder, tmp_path, lambda _: None)
    with pytest.raises(ConfigurationError, match="another recipe"):
        other.train(SAMPLES[:9], SAMPLES[9:])


def test_it_stops_when_nothing_gets_better(
    embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = train_reader.Validation(1.0, 0.5, 0.5)
    monkeypatch.setattr(Trainer, "validate", lambda self, held: same)
    trainer = Trainer(
        recipe(tmp_path, epochs=90, eval_every=1e-9, patience=3), embedder, tmp_path, lambda _: None
    )
    trainer.train(SAMPLES[:40], SAMPLES[40:])
    assert (trainer.position.epoch, trainer.position.batch) == (0, 5)
