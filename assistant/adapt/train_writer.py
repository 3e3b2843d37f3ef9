"""Teaching a writer: LoRA on a language model, the loss on the targets alone.

The loop is that of all trainings. What makes it fast: the questions of a bundle share one
reading of its passages (a row holds them once, and a mask keeps the questions apart), and the
output layer is computed for target tokens only. It makes no samples and registers nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from assistant.adapt.batches import drawn
from assistant.adapt.causal import Base, adapted_writer, linear_head, write_by
from assistant.adapt.export import write_writer
from assistant.adapt.loop import Found, Loop
from assistant.adapt.lora import autocast
from assistant.adapt.progress import Tell
from assistant.adapt.recipe import WriterRecipe, WriterTraining
from assistant.adapt.scores import best_f1
from assistant.adapt.writing import WriterSample
from assistant.reader import batches
from assistant.writer import Form, WriterFacts, prompt_of, prompt_text

_WRITTEN = 16  # validation samples that are written out, too: the loss alone does not tell
_LONGEST = 1024  # tokens of a row, attention grows by its square; a larger bundle becomes several

# Widths of batches are multiples of it: with a new size at every step the memory that is
# freed does not fit the next, and on a processor a training grew to three times its need.
_STEP = 64


@dataclass(frozen=True)
class Tail:
    """A question's own tokens after the shared ones, and what is to be written upon them."""

    sample: WriterSample
    prompt: tuple[int, ...]
    target: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.target) - 1  # nothing is read after the end


@dataclass(frozen=True)
class Row:
    """The tokens that the prompts of a bundle begin with, and their tails."""

    shared: tuple[int, ...]
    tails: tuple[Tail, ...]

    def __len__(self) -> int:
        return len(self.shared) + sum(map(len, self.tails))


@dataclass(frozen=True)
class Batch:
    """Rows side by side: tokens, positions and segments (rows, longest), and what to predict.

    A segment is 0 for the shared tokens, then one a tail; -1 is padding. ``places`` (n,) are
    where in the flattened rows the ``targets`` (n,) are predicted, and ``shares`` (n,) what
    each counts: those of a tail are 1 together.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    segments: torch.Tensor
    places: torch.Tensor
    targets: torch.Tensor
    shares: torch.Tensor

    @classmethod
    def of(cls, rows: Sequence[Row], device: torch.device) -> Batch:
        """Return the batch of rows."""
        width = -(-max(map(len, rows)) // _STEP) * _STEP
        tokens = torch.zeros(len(rows), width, dtype=torch.long)
        positions, segments = torch.zeros_like(tokens), torch.full_like(tokens, -1)
        places: list[int] = []
        targets: list[int] = []
        shares: list[float] = []
        for number, row in enumerate(rows):
            start = len(row.shared)
            tokens[number, :start] = torch.tensor(row.shared)
            positions[number, :start] = torch.arange(start)
            segments[number, :start] = 0
            for segment, tail in enumerate(row.tails, 1):
                end = start + len(tail)
                tokens[number, start:end] = torch.tensor((*tail.prompt, *tail.target[:-1]))
                positions[number, start:end] = torch.arange(len(tail)) + len(row.shared)
                segments[number, start:end] = segment
                first = number * width + start + len(tail.prompt) - 1
                places += range(first, first + len(tail.target))
                targets += tail.target
                shares += [1 / len(tail.target)] * len(tail.target)
                start = end
        predicted = (torch.tensor(each) for each in (places, targets, shares))
        return cls(*(part.to(device) for part in (tokens, positions, segments, *predicted)))

    def mask(self, window: int | None, dtype: torch.dtype) -> torch.Tensor:
        """Return what may be attended to (rows, 1, longest, longest): 0, or the least number.

        Args:
            window: only so many positions back; None: all.
            dtype: of the mask.
        """
        reading, read = self.segments[:, :, None], self.segments[:, None, :]
        back = self.positions[:, :, None] - self.positions[:, None, :]
        seen = ((read == 0) | (read == reading)) & (back >= 0)
        if window is not None:
            seen &= back < window
        seen |= torch.eye(seen.shape[1], dtype=torch.bool, device=seen.device)  # padding, itself
        blocked = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
        return blocked.masked_fill(~seen, torch.finfo(dtype).min)[:, None]


class WriterTrainer(Loop[Row]):
    """One training of a writer.

    Args:
        recipe: its training, its writing and its seed.
        base: the model that is adapted, in place.
        folder: keeps the checkpoint and the best adapter.
        tell: is told of the progress, a line at a time.
    """

    _training: WriterTraining

    def __init__(self, recipe: WriterRecipe, base: Base, folder: Path, tell: Tell) -> None:
        super().__init__(recipe, folder, tell)
        self._base = base
        self._form: Form = recipe.writing.form
        self.model = adapted_writer(base, self._training)
        self._autocast = autocast(base.model)
        self._seen: list[int] | None = None
        adapter = [p for p in self.model.parameters() if p.requires_grad]
        self._optimize((adapter, self._training.learning_rate))

    @cached_property
    def facts(self) -> WriterFacts:
        """What the writer must be used with."""
        return WriterFacts(
            base=self._base.name,
            base_sha256=self._base.sha256,
            base_bytes=self._base.file.stat().st_size if self._base.file else 0,
            form=self._form,
            prompt_version=prompt_of(self._form).version,
            rank=self._training.rank,
            alpha=self._training.alpha,
        )

    def train(self, training: Sequence[WriterSample], validation: Sequence[WriterSample]) -> Path:
        """Teach until the epochs, the time or the patience are over; return the best's folder.

        Args:
            training: samples to teach with.
            validation: samples to choose the best state by, of which so many as the recipe says.
        """
        rows = packed(training, self._base, self._form)
        some = drawn(validation, self._training.validation_limit, _shared_reading)
        held = packed(some, self._base, self._form)
        for counted in ("_head", "_numbers"):  # over the tokens of another training
            self.__dict__.pop(counted, None)
        if self._training.vocabulary == "seen":
            self._seen = sorted({token for row in [*rows, *held] for token in _tokens(row)})
        return self.run(rows, held)

    def loss(self, batch: Sequence[Row]) -> torch.Tensor:
        """Return the cross-entropy of the target tokens, a mean over the mean of each sample.

        Over all tokens alike a refusal of five would hardly count beside a quotation of sixty.
        """
        read = Batch.of(batch, self.model.device)
        targets = self._numbered(read.targets)
        each = functional.cross_entropy(self._logits(read), targets, reduction="none")
        return (each * read.shares).sum() / read.shares.sum()

    def logits(self, batch: Batch) -> torch.Tensor:
        """Return the logits over the whole vocabulary where targets are predicted, float32."""
        return self._over(batch, linear_head(self.model, None))

    def evaluate(self, held: Sequence[Row]) -> Found:
        """Return the loss on the validation split, and how near some of the written texts are."""
        self.model.eval()
        losses: list[float] = []
        weights: list[int] = []
        for places in batches(list(map(len, held)), self._training.batch_tokens):
            rows = [held[place] for place in places]
            with torch.inference_mode():
                losses.append(float(self.loss(rows)))
            weights.append(sum(len(row.tails) for row in rows))
        whole = sum(weights) or 1
        loss = sum(a * b for a, b in zip(losses, weights, strict=True)) / whole
        samples = [tail.sample for row in held for tail in row.tails][:_WRITTEN]
        nearness = [best_f1(self.write_upon(sample), [sample.target]) for sample in samples]
        f1 = sum(nearness) / len(nearness) if nearness else 0.0
        return Found(-loss, {"loss": loss, "F1": f1})

    def write_upon(self, sample: WriterSample) -> str:
        """Return what the model writes for a sample as it is."""
        prompt = prompt_text(self._form, sample.language, sample.passages, sample.question)
        with self._autocast():
            return write_by(self.model, self._base, prompt, self._training.answer_tokens)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the adapter's weights by PEFT's names."""
        return {n: p.detach() for n, p in self.model.named_parameters() if "lora_" in n}

    def write(self, folder: Path) -> None:
        """Write the present adapter as vLLM and llama.cpp load it."""
        write_writer(folder, self.model, self.facts)

    @cached_property
    def _head(self) -> torch.Tensor:
        return linear_head(self.model, self._seen)

    @cached_property
    def _numbers(self) -> torch.Tensor:
        assert self._seen is not None
        return torch.tensor(self._seen, device=self.model.device)

    def _numbered(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return tokens as the output layer of the loss numbers them."""
        return tokens if self._seen is None else torch.searchsorted(self._numbers, tokens)

    def _logits(self, batch: Batch) -> torch.Tensor:
        return self._over(batch, self._head)

    def _over(self, batch: Batch, head: torch.Tensor) -> torch.Tensor:
        body = self.model.get_base_model().model
        with self._autocast():
            hidden = body(
                input_ids=batch.tokens,
                position_ids=batch.positions,
                attention_mask=_masks(batch, body),
                use_cache=False,
            ).last_hidden_state
            # Flat, as one product of matrices: with three axes torch would copy the weights.
            chosen = hidden.reshape(-1, hidden.shape[-1])[batch.places]
            return functional.linear(chosen, head).float()


def packed(samples: Sequence[WriterSample], base: Base, form: Form) -> list[Row]:
    """Return the samples as rows: those that follow each other with the same passages share one."""
    rows: list[Row] = []
    for _, group in groupby(samples, key=_shared_reading):
        rows += _rows(list(group), base, form)
    return rows


def _shared_reading(sample: WriterSample) -> tuple[tuple[str, ...], str]:
    return sample.passages, sample.language


def _rows(samples: Sequence[WriterSample], base: Base, form: Form) -> Iterator[Row]:
    """Yield the rows of one bundle, each within the longest length."""
    prompts = [
        base.prompt_tokens(prompt_text(form, s.language, s.passages, s.question)) for s in samples
    ]
    shared = _common(prompts)
    tails: list[Tail] = []
    for sample, prompt in zip(samples, prompts, strict=True):
        tail = Tail(sample, tuple(prompt[shared:]), tuple(base.target_tokens(sample.target)))
        if tails and shared + sum(map(len, tails)) + len(tail) > _LONGEST:
            yield Row(tuple(prompts[0][:shared]), tuple(tails))
            tails = []
        tails.append(tail)
    yield Row(tuple(prompts[0][:shared]), tuple(tails))


def _common(prompts: Sequence[Sequence[int]]) -> int:
    """Return how many tokens all prompts begin with; each keeps one of its own at least."""
    shortest = min(map(len, prompts)) - 1
    columns = zip(*(prompt[:shortest] for prompt in prompts), strict=True)
    return next((n for n, column in enumerate(columns) if len(set(column)) > 1), shortest)


def _tokens(row: Row) -> Iterator[int]:
    yield from row.shared
    for tail in row.tails:
        yield from tail.prompt
        yield from tail.target


def _masks(batch: Batch, body: Any) -> Any:
    """Return the mask as the model's code takes it: one, or one a kind of its layers."""
    dtype = next(body.parameters()).dtype
    whole = batch.mask(None, dtype)
    if "sliding_attention" not in (getattr(body.config, "layer_types", None) or ()):
        return whole
    sliding = batch.mask(body.config.sliding_window, dtype)
    return {"full_attention": whole, "sliding_attention": sliding}
