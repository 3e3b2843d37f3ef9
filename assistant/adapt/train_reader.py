"""Teaching a reader: LoRA on the embedding model's encoder, heads trained in full.

The loop is that of all trainings. It makes no samples and registers nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from peft.helpers import disable_input_dtype_casting
from safetensors.torch import load_file
from torch.nn import functional

from assistant.adapt.adapter import write_adapter
from assistant.adapt.batches import Item, drawn, encoded
from assistant.adapt.loop import Found, Loop
from assistant.adapt.lora import adapted, autocast, lora_tensors
from assistant.adapt.progress import Tell
from assistant.adapt.recipe import ReaderRecipe, Training
from assistant.adapt.samples import Sample
from assistant.adapt.scores import area, best_f1
from assistant.embed import Embedder
from assistant.errors import ConfigurationError
from assistant.pairs import PairTokenizer
from assistant.reader import (
    WEIGHTS_FILE,
    Calibration,
    Facts,
    Reader,
    Scores,
    batches,
    encoder_of,
    forward,
    new_heads,
    read_facts,
    span_of,
)


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


class Trainer(Loop[Item]):
    """One training of a reader.

    Args:
        recipe: its training and its seed.
        embedder: of the model that is adapted; it stays as it is.
        folder: keeps the checkpoint and the best adapter.
        tell: is told of the progress, a line at a time.
    """

    _training: Training

    def __init__(self, recipe: ReaderRecipe, embedder: Embedder, folder: Path, tell: Tell) -> None:
        super().__init__(recipe, folder, tell)
        self._facts = Facts(embedder.fingerprint, self._training.rank, self._training.alpha)
        encoder, tokenizer = encoder_of(embedder)
        self.tokenizer = PairTokenizer(tokenizer)
        self.model = adapted(encoder, self._training)
        self.heads = new_heads(encoder.config.hidden_size).to(encoder.device)
        self._autocast = autocast(encoder)
        adapter = [p for p in self.model.parameters() if p.requires_grad]
        self._optimize(
            (adapter, self._training.learning_rate),
            (list(self.heads.parameters()), self._training.head_learning_rate),
        )
        if self._training.start:
            self._start_from(self._training.start)

    def train(self, training: Sequence[Sample], validation: Sequence[Sample]) -> Path:
        """Teach until the epochs, the time or the patience are over; return the best's folder.

        Args:
            training: samples to teach with.
            validation: samples to choose the best state by, of which so many as the recipe says.
        """
        items = encoded(training, self.tokenizer)
        some = drawn(validation, self._training.validation_limit, lambda s: (s.question, s.passage))
        held = encoded(some, self.tokenizer)
        return self.run(items, held)

    def loss(self, batch: Sequence[Item]) -> torch.Tensor:
        """Return the loss of a batch."""
        with self._autocast(), disable_input_dtype_casting(self.model):
            scores = forward(
                self.model, self.heads, [i.window for i in batch], self.tokenizer.padding
            )
        return loss_of(scores, batch, self._training.answerable_weight)

    def validate(self, held: Sequence[Item]) -> Validation:
        """Return the measures of the present state."""
        self.model.eval()
        losses, f1s, logits, answerable = [], [], [], []
        for places in batches(list(map(len, held)), self._training.batch_tokens):
            batch = [held[place] for place in places]
            windows = [item.window for item in batch]
            with torch.inference_mode(), self._autocast():
                scores = forward(self.model, self.heads, windows, self.tokenizer.padding)
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

    def evaluate(self, held: Sequence[Item]) -> Found:
        """Return the measures of the present state and what it is chosen by."""
        found = self.validate(held)
        return Found(found.score, asdict(found))

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the adapter and the heads, named as an adapter folder names them."""
        heads = {f"heads.{name}": tensor for name, tensor in self.heads.state_dict().items()}
        return {**lora_tensors(self.model), **heads}

    def write(self, folder: Path) -> None:
        """Write the present adapter as the product loads it."""
        write_adapter(folder, self.tensors(), self._facts)

    def _start_from(self, adapter: Path) -> None:
        facts = read_facts(adapter)
        if (facts.embedding_model, facts.rank) != (self._facts.embedding_model, self._facts.rank):
            raise ConfigurationError(
                f"{adapter} has rank {facts.rank} and the embedding model "
                f"{facts.embedding_model}; this training has {self._facts.rank} and "
                f"{self._facts.embedding_model}. Give the recipe the same, or no `start`."
            )
        self._load(load_file(adapter / WEIGHTS_FILE))


def loss_of(scores: Scores, batch: Sequence[Item], answerable_weight: float) -> torch.Tensor:
    """Return the mean of both spans' cross-entropies plus the weighted one of answerability."""
    device = scores.start.device
    start = torch.tensor([item.start for item in batch], device=device)
    end = torch.tensor([item.end for item in batch], device=device)
    there = torch.tensor([float(item.sample.answerable) for item in batch], device=device)
    span = functional.cross_entropy(scores.start, start) + functional.cross_entropy(scores.end, end)
    whether = functional.binary_cross_entropy_with_logits(scores.answerable, there)
    return span / 2 + answerable_weight * whether


def untrained(seed: int, embedder: Embedder) -> Reader:
    """Return a reader with new heads on the encoder as it is, to compare with."""
    encoder, tokenizer = encoder_of(embedder)
    torch.manual_seed(seed)
    heads = new_heads(encoder.config.hidden_size).to(encoder.device)
    return Reader(encoder, heads, PairTokenizer(tokenizer), Calibration())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
