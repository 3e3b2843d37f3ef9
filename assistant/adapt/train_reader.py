"""Teaching a reader: LoRA on the embedding model's encoder, heads trained in full.

A plain loop: batches by tokens, AdamW, warmup and cosine, early stopping on a validation
split. It stops at its time limit and goes on from its checkpoint. It makes no samples and
registers nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from peft.helpers import disable_input_dtype_casting
from torch import nn
from torch.nn import functional

from assistant.adapt.adapter import write_adapter
from assistant.adapt.batches import Item, encoded, epoch_batches
from assistant.adapt.lora import adapted, autocast, lora_tensors
from assistant.adapt.progress import Clock, Position, Tell
from assistant.adapt.recipe import Recipe
from assistant.adapt.samples import Sample
from assistant.adapt.scores import area, best_f1
from assistant.embed import Embedder
from assistant.errors import ConfigurationError
from assistant.pairs import PairTokenizer
from assistant.reader import (
    Calibration,
    Facts,
    Reader,
    Scores,
    batches,
    encoder_of,
    forward,
    new_heads,
    span_of,
)

CHECKPOINT_FILE = "checkpoint.pt"
BEST_FOLDER = "best"


@dataclass(frozen=True)
class Validation:
    """Measures on the validation split: loss, F1 where there is an answer, AUC of whether."""

    loss: float
    f1: float
    auc: float

    @property
    def score(self) -> float:
        """What the best state is chosen by: finding and refusing count alike."""
        return (self.f1 + self.auc) / 2


class Trainer:
    """One training of a reader.

    Args:
        recipe: its training and its seed.
        embedder: of the model that is adapted; it stays as it is.
        folder: keeps the checkpoint and the best adapter.
        tell: is told of the progress, a line at a time.
    """

    def __init__(self, recipe: Recipe, embedder: Embedder, folder: Path, tell: Tell) -> None:
        self.position = Position()
        self._recipe = recipe
        self._training = recipe.training
        self._folder = folder
        self._tell = tell
        self._facts = Facts(embedder.fingerprint, self._training.rank, self._training.alpha)
        torch.set_num_threads(self._training.threads)
        torch.manual_seed(recipe.seed)
        encoder, tokenizer = encoder_of(embedder)
        self.tokenizer = PairTokenizer(tokenizer)
        self.encoder = adapted(encoder, self._training)
        self.heads = new_heads(encoder.config.hidden_size).to(encoder.device)
        self._autocast = autocast(encoder)
        self._optimizer = self._new_optimizer()

    def train(self, training: Sequence[Sample], validation: Sequence[Sample]) -> Path:
        """Teach until the epochs, the time or the patience are over; return the best's folder.

        It goes on from the checkpoint where there is one.

        Args:
            training: samples to teach with.
            validation: samples to choose the best state by, of which so many as the recipe says.
        """
        items = encoded(training, self.tokenizer)
        held = encoded(validation[: self._training.validation_limit], self.tokenizer)
        self._tell(f"train: {len(items)} samples, {sum(map(len, items))} tokens an epoch")
        self._resume()
        if not self._over:
            self._run(items, held)
        return self._folder / BEST_FOLDER

    @property
    def _over(self) -> bool:
        return (
            self.position.epoch >= self._training.epochs
            or self.position.seconds >= self._training.max_minutes * 60
            or self.position.misses >= self._training.patience
        )

    def _run(self, items: Sequence[Item], held: Sequence[Item]) -> None:
        clock = Clock(self._tell)
        begun = time.monotonic() - self.position.seconds
        while not self._over:
            plan = epoch_batches(
                items, self._training.batch_tokens, self._recipe.seed, self.position.epoch
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
                if clock.due("checkpoint", self._training.checkpoint_every):
                    self._save()
                if self._over:
                    break
            else:
                self.position.epoch, self.position.batch = self.position.epoch + 1, 0
        self._evaluate(held)
        self._save()

    def _progress(self, batches: int) -> float:
        """Return how much of the training is over, 0 to 1: by batches or by time, if that ends it.

        The learning rate follows it, so that it has come down whenever the training ends.
        """
        done = self.position.epoch + self.position.batch / batches
        spent = self.position.seconds / (60 * self._training.max_minutes)
        return min(1.0, max(done / self._training.epochs, spent))

    def _step(self, batch: Sequence[Item], progress: float) -> float:
        """Take one step and return its loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * schedule(progress, self._training.warmup)
        self.encoder.train()
        with self._autocast(), disable_input_dtype_casting(self.encoder):
            scores = forward(
                self.encoder, self.heads, [i.window for i in batch], self.tokenizer.padding
            )
        loss = loss_of(scores, batch, self._training.answerable_weight)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters(), self._training.clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return float(loss.detach())

    def validate(self, held: Sequence[Item]) -> Validation:
        """Return the measures of the present state."""
        self.encoder.eval()
        losses, f1s, logits, answerable = [], [], [], []
        for places in batches(list(map(len, held)), self._training.batch_tokens):
            batch = [held[place] for place in places]
            windows = [item.window for item in batch]
            with torch.inference_mode(), self._autocast():
                scores = forward(self.encoder, self.heads, windows, self.tokenizer.padding)
            loss = loss_of(scores, batch, self._training.answerable_weight)
            losses += [float(loss)] * len(batch)
            logits += scores.answerable.tolist()
            answerable += [item.sample.answerable for item in batch]
            rows = zip(batch, scores.start.cpu().numpy(), scores.end.cpu().numpy(), strict=True)
            for item, start, end in rows:
                if item.sample.answerable:
                    *_, text = span_of(item.window, item.sample.passage, start, end)
                    f1s.append(best_f1(text, item.sample.answers))
        return Validation(_mean(losses), _mean(f1s), area(logits, answerable))

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the adapter and the heads, named as an adapter folder names them."""
        heads = {f"heads.{name}": tensor for name, tensor in self.heads.state_dict().items()}
        return {**lora_tensors(self.encoder), **heads}

    def _evaluate(self, held: Sequence[Item]) -> None:
        found = self.validate(held)
        position = self.position
        position.history.append({"seconds": position.seconds, **asdict(found)})
        better = found.score > position.best
        position.best = max(position.best, found.score)
        position.misses = 0 if better else position.misses + 1
        if better:
            self._write_best()
        self._tell(
            f"validation: loss {found.loss:.3f}, F1 {found.f1:.3f}, AUC {found.auc:.3f}"
            f"{' (best)' if better else ''}"
        )

    def _write_best(self) -> None:
        """Write the best adapter; each of its files is the old or the new one at any moment."""
        best, partial = self._folder / BEST_FOLDER, self._folder / f"{BEST_FOLDER}.part"
        for folder in (best, partial):
            folder.mkdir(parents=True, exist_ok=True)
        write_adapter(partial, self.tensors(), self._facts)
        for file in partial.iterdir():
            file.replace(best / file.name)
        partial.rmdir()

    def _save(self) -> None:
        """Write the checkpoint; it is the old or the new one at any moment."""
        state = {
            "position": asdict(self.position),
            "tensors": self.tensors(),
            "optimizer": self._optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "recipe": self._recipe.hash,
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / f"{CHECKPOINT_FILE}.part"
        torch.save(state, partial)
        partial.replace(self._folder / CHECKPOINT_FILE)

    def _resume(self) -> None:
        file = self._folder / CHECKPOINT_FILE
        if not file.exists():
            return
        state = torch.load(file, weights_only=True)
        if state["recipe"] != self._recipe.hash:
            raise ConfigurationError(
                f"{file} is of another recipe. Delete the work folder, or name another one."
            )
        self.position = Position(**state["position"])
        with torch.no_grad():
            for name, tensor in self.tensors().items():
                tensor.copy_(state["tensors"][name])
        self._optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        self._tell(
            f"train: going on at epoch {self.position.epoch + 1}, batch {self.position.batch + 1}"
        )

    def _parameters(self) -> list[nn.Parameter]:
        return [p for group in self._optimizer.param_groups for p in group["params"]]

    def _new_optimizer(self) -> torch.optim.AdamW:
        adapter = [p for p in self.encoder.parameters() if p.requires_grad]
        rates = (self._training.learning_rate, self._training.head_learning_rate)
        groups = [
            {"params": list(parameters), "lr": rate, "peak": rate}
            for parameters, rate in zip((adapter, self.heads.parameters()), rates, strict=True)
        ]
        return torch.optim.AdamW(groups, weight_decay=self._training.weight_decay)


def loss_of(scores: Scores, batch: Sequence[Item], answerable_weight: float) -> torch.Tensor:
    """Return the mean of both spans' cross-entropies plus the weighted one of answerability."""
    device = scores.start.device
    start = torch.tensor([item.start for item in batch], device=device)
    end = torch.tensor([item.end for item in batch], device=device)
    there = torch.tensor([float(item.sample.answerable) for item in batch], device=device)
    span = functional.cross_entropy(scores.start, start) + functional.cross_entropy(scores.end, end)
    whether = functional.binary_cross_entropy_with_logits(scores.answerable, there)
    return span / 2 + answerable_weight * whether


def schedule(progress: float, warmup: float) -> float:
    """Return the share of the peak learning rate: a linear rise, then a half cosine to 0."""
    if progress < warmup:
        return progress / warmup + 1e-3
    return (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2


def untrained(seed: int, embedder: Embedder) -> Reader:
    """Return a reader with new heads on the encoder as it is, to compare with."""
    encoder, tokenizer = encoder_of(embedder)
    torch.manual_seed(seed)
    heads = new_heads(encoder.config.hidden_size).to(encoder.device)
    return Reader(encoder, heads, PairTokenizer(tokenizer), Calibration())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
