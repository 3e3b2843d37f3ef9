"""The loop of a training: steps, evaluations, the best state kept, checkpoints, the end.

AdamW by warmup and cosine, early stopping on a validation split. It stops at its time limit
and goes on from its checkpoint. What is taught, and how well it does, the kinds of training say.
"""

from __future__ import annotations

import math
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic

import torch
from torch import nn

from assistant.adapt.batches import Packed, epoch_batches
from assistant.adapt.progress import Clock, Position, Tell
from assistant.adapt.recipe import ReaderRecipe, WriterRecipe
from assistant.errors import ConfigurationError

CHECKPOINT_FILE = "checkpoint.pt"
BEST_FOLDER = "best"


@dataclass(frozen=True)
class Found:
    """Measures on the validation split, by name, and the score that a best state is chosen by."""

    score: float
    measures: Mapping[str, float]


class Loop(ABC, Generic[Packed]):
    """One training of a model.

    Args:
        recipe: its training and its seed.
        folder: keeps the checkpoint and the best state.
        tell: is told of the progress, a line at a time.
    """

    model: Any
    _autocast: Callable[[], AbstractContextManager[Any]]
    _optimizer: torch.optim.Optimizer

    def __init__(self, recipe: ReaderRecipe | WriterRecipe, folder: Path, tell: Tell) -> None:
        self.position = Position()
        self._hash = recipe.hash
        self._seed = recipe.seed
        self._training = recipe.training
        self._folder = folder
        self._tell = tell
        torch.set_num_threads(self._training.threads)
        torch.manual_seed(recipe.seed)

    @abstractmethod
    def loss(self, batch: Sequence[Packed]) -> torch.Tensor:
        """Return the loss of a batch, a scalar that can be differentiated."""

    @abstractmethod
    def evaluate(self, held: Sequence[Packed]) -> Found:
        """Return the measures of the present state."""

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """Return all that is taught, by names that stay; the tensors still change."""

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write the present state as it is loaded for use into an existing folder."""

    @property
    def over(self) -> bool:
        """Whether the epochs, the time or the patience are over."""
        return (
            self.position.epoch >= self._training.epochs
            or self.position.seconds >= self._training.max_minutes * 60
            or self.position.misses >= self._training.patience
        )

    def run(self, items: Sequence[Packed], held: Sequence[Packed]) -> Path:
        """Teach until it is over; return the best state's folder.

        It goes on from the checkpoint where there is one.
        """
        self._tell(f"train: {len(items)} sequences, {sum(map(len, items))} tokens an epoch")
        self._resume()
        clock = Clock(self._tell)
        begun = time.monotonic() - self.position.seconds
        if self.over:
            return self._folder / BEST_FOLDER
        while not self.over:
            plan = epoch_batches(
                items, self._training.batch_tokens, self._seed, self.position.epoch
            )
            for batch in plan[self.position.batch :]:
                progress = self._progress(len(plan))
                started = time.monotonic()
                loss = self._step(batch, progress)
                took = time.monotonic() - started
                self.position.batch += 1
                self.position.seconds = time.monotonic() - begun
                clock.report(self.position, loss, progress, sum(map(len, batch)) / took)
                if clock.due("evaluate", self._training.eval_every):
                    self._evaluate(held)
                    self._save()  # else a run that was killed would take a worse state for better
                if clock.due("checkpoint", self._training.checkpoint_every):
                    self._save()
                if self.over:
                    break
            else:
                self.position.epoch, self.position.batch = self.position.epoch + 1, 0
        self._evaluate(held)
        self._save()
        return self._folder / BEST_FOLDER

    def _progress(self, batches: int) -> float:
        """Return how much of the training is over, 0 to 1: by batches or by time, if that ends it.

        The learning rate follows it, so that it has come down whenever the training ends.
        """
        done = self.position.epoch + self.position.batch / batches
        spent = self.position.seconds / (60 * self._training.max_minutes)
        return min(1.0, max(done / self._training.epochs, spent))

    def _step(self, batch: Sequence[Packed], progress: float) -> float:
        """Take one step and return its loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * schedule(progress, self._training.warmup)
        self.model.train()
        loss = self.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters(), self._training.clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return float(loss.detach())

    def _evaluate(self, held: Sequence[Packed]) -> None:
        found = self.evaluate(held)
        position = self.position
        position.history.append({"seconds": position.seconds, **found.measures})
        better = found.score > position.best
        position.best = max(position.best, found.score)
        position.misses = 0 if better else position.misses + 1
        if better:
            self._write_best()
        told = ", ".join(f"{name} {value:.3f}" for name, value in found.measures.items())
        self._tell(f"validation: {told}{' (best)' if better else ''}")

    def _write_best(self) -> None:
        """Write the best state; the old or the new one is there as a whole at any moment."""
        best, partial = self._folder / BEST_FOLDER, self._folder / f"{BEST_FOLDER}.part"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        self.write(partial)
        if best.exists():
            shutil.rmtree(self._old_best, ignore_errors=True)
            best.rename(self._old_best)
        partial.rename(best)
        shutil.rmtree(self._old_best, ignore_errors=True)

    @property
    def _old_best(self) -> Path:
        return self._folder / f"{BEST_FOLDER}.old"

    def _save(self) -> None:
        """Write the checkpoint; it is the old or the new one at any moment."""
        state = {
            "position": asdict(self.position),
            "tensors": self.tensors(),
            "optimizer": self._optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "recipe": self._hash,
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / f"{CHECKPOINT_FILE}.part"
        torch.save(state, partial)
        partial.replace(self._folder / CHECKPOINT_FILE)

    def _resume(self) -> None:
        if self._old_best.exists() and not (self._folder / BEST_FOLDER).exists():
            self._old_best.rename(self._folder / BEST_FOLDER)  # killed while it was replaced
        file = self._folder / CHECKPOINT_FILE
        if not file.exists():
            return
        state = torch.load(file, weights_only=True)
        if state["recipe"] != self._hash:
            raise ConfigurationError(
                f"{file} is of another recipe. Delete the work folder, or name another one."
            )
        self.position = Position(**state["position"])
        self._load(state["tensors"])
        self._optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        self._tell(
            f"train: going on at epoch {self.position.epoch + 1}, batch {self.position.batch + 1}"
        )

    def _load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, tensor in self.tensors().items():
                tensor.copy_(tensors[name])

    def _parameters(self) -> list[nn.Parameter]:
        return [p for group in self._optimizer.param_groups for p in group["params"]]

    def _optimize(self, *groups: tuple[Sequence[nn.Parameter], float]) -> None:
        """Set the optimizer up: parameters, each group with its peak learning rate."""
        self._optimizer = torch.optim.AdamW(
            [{"params": list(p), "lr": rate, "peak": rate} for p, rate in groups],
            weight_decay=self._training.weight_decay,
        )


def schedule(progress: float, warmup: float) -> float:
    """Return the share of the peak learning rate: a linear rise, then a half cosine to 0."""
    if progress < warmup:
        return progress / warmup + 1e-3
    return (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2
