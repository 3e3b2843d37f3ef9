"""A run's work folder: what each stage leaves there, so that a run that was killed goes on.

It knows the order of no stage.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from assistant.adapt.collect import Collected, check_allowed, collect
from assistant.adapt.passages import Library
from assistant.adapt.recipe import ReaderRecipe, Recipe, WriterRecipe
from assistant.adapt.registry import Registry
from assistant.adapt.samples import (
    Asked,
    Sample,
    counts,
    data_hash,
    read_samples,
    write_samples,
)
from assistant.adapt.watch import Reference
from assistant.embed import Embedder
from assistant.errors import ConfigurationError
from assistant.settings import Settings
from evals.stats import Difference

RECIPE_FILE, DROPPED_FILE = "recipe.json", "dropped.json"
SAMPLES_FILE, TRIALS_FILE = "samples.jsonl", "trials.jsonl"
_LIBRARY = "library"
_WATCHED = 300  # held-back questions whose nearness to the training is noted

Tell = Callable[[str], None]
Outcomes = TypeVar("Outcomes")
Taught = TypeVar("Taught", bound=Asked)
Tried = TypeVar("Tried")


@dataclass(frozen=True)
class Adapted:
    """A registered model; ``refusals`` say by what it is worse than the one that stays in use."""

    folder: Path
    refusals: dict[str, str]


def open_work(recipe: Recipe, work: Path, resume: bool) -> None:
    """Make the work folder; keep what is in it only if that is of this recipe and wanted.

    Raises:
        ConfigurationError: it holds an earlier run that is not wanted, or one of another recipe.
    """
    file, content = work / RECIPE_FILE, recipe.model_dump_json(indent=2)
    if file.exists() and not resume:
        raise ConfigurationError(
            f"{work} holds an earlier run. Go on with it by --resume, or name another --work."
        )
    if file.exists() and json.loads(file.read_text("utf-8")) != json.loads(content):
        raise ConfigurationError(
            f"{work} is of another recipe, or the recipe was changed. Name another --work."
        )
    work.mkdir(parents=True, exist_ok=True)
    file.write_text(content, "utf-8")


class Process(Protocol[Taught, Tried]):
    """Makes samples to teach with, and trials to measure with, of what was collected."""

    def samples(self, raw: Sequence[Sample], tell: Tell) -> list[Taught]:
        """Return the samples."""

    def trials(self, held_back: Sequence[Sample]) -> list[Tried]:
        """Return the trials."""


def prepared(
    recipe: Recipe,
    settings: Settings,
    work: Path,
    tell: Tell,
    process: Callable[[Library, Collected], Process[Taught, Tried]],
    kinds: tuple[type[Taught], type[Tried]],
) -> tuple[list[Taught], list[Tried]]:
    """Collect and process, unless the work folder holds the result already; return it.

    Args:
        recipe: what to do.
        settings: of the embedding model.
        work: keeps the result.
        tell: is told of the progress.
        process: makes the samples and trials of what was collected.
        kinds: of the samples, and of the trials.

    Raises:
        ConfigurationError: a source is missing, or a sample is kept for measuring.
    """
    if not (work / TRIALS_FILE).exists():
        with Library(work / _LIBRARY, settings) as library:
            collected = collect(recipe, library, tell)
            (work / DROPPED_FILE).write_text(json.dumps(collected.dropped, indent=2), "utf-8")
            made = process(library, collected)
            samples = made.samples(collected.training, tell)
            check_allowed(samples, collected.forbidden, {s.group for s in collected.held_back})
            write_samples(work / SAMPLES_FILE, samples)
            write_samples(work / TRIALS_FILE, made.trials(collected.held_back))
        for reason, number in collected.dropped.items():
            tell(f"collect: dropped {number}: {reason}")
    samples = read_samples(work / SAMPLES_FILE, kinds[0])
    for name, number in counts(samples).items():
        tell(f"process: {name}: {number}")
    return samples, read_samples(work / TRIALS_FILE, kinds[1])


def kept(
    file: Path, kind: Callable[..., Outcomes], measure: Callable[[], Sequence[Outcomes]]
) -> list[Outcomes]:
    """Return the outcomes that a file holds already, else measure and keep them there."""
    if file.exists():
        return [kind(**row) for row in json.loads(file.read_text("utf-8"))]
    made: list[Any] = list(measure())
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps([asdict(outcome) for outcome in made]), "utf-8")
    partial.replace(file)
    return made


def reference(taught: Iterable[str], held_back: Sequence[str], embedder: Embedder) -> Reference:
    """Return what later questions are compared with: those taught, and those held back."""
    return Reference.of(sorted(set(taught)), held_back[:_WATCHED], embedder.embed_question)


def registered(
    recipe: ReaderRecipe | WriterRecipe,
    registry: Registry,
    adapter: Path,
    samples: Sequence[Asked],
    texts: dict[str, str],
    refusals: dict[str, str],
    tell: Tell,
) -> Adapted:
    """Keep an adapter in the registry, and put it to use unless it is refused.

    Args:
        recipe: it was taught by.
        registry: keeps it.
        adapter: its folder.
        samples: it was taught with.
        texts: further files by their names, such as the card.
        refusals: why it is not to be used; empty: it is.
        tell: is told what came of it.
    """
    data = {"hash": data_hash(samples), "counts": counts(samples)}
    files = {
        RECIPE_FILE: recipe.model_dump_json(indent=2),
        "data.json": json.dumps(data, indent=2),
        **texts,
    }
    folder = registry.add(recipe.kind, recipe.name, adapter, files)
    if not refusals:
        registry.adopt(recipe.kind, folder)
    tell(f"register: {folder} is {'kept, but not' if refusals else 'now'} in use")
    return Adapted(folder, refusals)


def told(found: dict[str, Difference]) -> dict[str, str]:
    """Return differences as people read them."""
    return {
        name: f"{d.mean.value:+.3f} ({d.mean.low:+.3f} to {d.mean.high:+.3f}, p = {d.p:.3f})"
        for name, d in found.items()
    }
