"""The whole chain of a recipe: collect, process, train, measure, register.

Each stage leaves its result in the work folder, so that a run that was killed goes on where it
was. What a stage does is told in its own module; the writer's chain is `run_writer`.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from assistant.adapt.adapter import blend, write_facts
from assistant.adapt.batches import split
from assistant.adapt.card import card, scores_json
from assistant.adapt.collect import Collected
from assistant.adapt.measure import ALL, Outcome, calibrate, outcomes, summary, worse
from assistant.adapt.passages import Library
from assistant.adapt.process import Processor
from assistant.adapt.recipe import ReaderRecipe, WriterRecipe
from assistant.adapt.registry import Registry, registry_folder
from assistant.adapt.samples import (
    Sample,
    Trial,
    counts,
)
from assistant.adapt.train_reader import Trainer, untrained
from assistant.adapt.watch import REFERENCE_FILE
from assistant.adapt.work import (
    Adapted,
    Tell,
    kept,
    open_work,
    prepared,
    reference,
    registered,
    told,
)
from assistant.embed import Embedder, load_embedder
from assistant.reader import SHIPPED, Calibration, Reader, read_facts
from assistant.settings import Settings

_TRAINING = "training"
_BEFORE_LIMIT = 60  # questions put to the untrained reader, who knows nothing


def adapt(
    recipe: ReaderRecipe | WriterRecipe,
    settings: Settings,
    work: Path,
    tell: Tell,
    *,
    resume: bool = False,
) -> Adapted:
    """Run a recipe from its sources to a registered model, and put it to use if it passes.

    It passes unless, on the same held-back questions, the one in use finds or refuses better
    and this is no chance.

    Args:
        recipe: what to do.
        settings: of the embedding model and the data directory.
        work: keeps what each stage leaves.
        tell: is told of the progress, a line at a time.
        resume: go on with what is in ``work``, in place of starting anew.

    Raises:
        ConfigurationError: a source or a setting is missing, or ``work`` is of another recipe.
    """
    open_work(recipe, work, resume)
    if isinstance(recipe, WriterRecipe):
        from assistant.adapt.run_writer import adapt_writer

        return adapt_writer(recipe, settings, work, tell)
    return _adapt_reader(recipe, settings, work, tell)


def _adapt_reader(recipe: ReaderRecipe, settings: Settings, work: Path, tell: Tell) -> Adapted:
    embedder = load_embedder(settings)

    def process(library: Library, collected: Collected) -> Processor:
        count = embedder.count_tokens
        return Processor(recipe, library, count, collected.held_back, collected.forbidden)

    samples, trials = prepared(recipe, settings, work, tell, process, (Sample, Trial))
    adapter, minutes = teach(recipe, embedder, samples, work, tell)
    made = kept(
        work / "outcomes.json",
        Outcome,
        lambda: outcomes(Reader.load(adapter, embedder), trials, tell),
    )
    before = kept(
        work / "before.json",
        Outcome,
        lambda: outcomes(untrained(recipe.seed, embedder), trials[:_BEFORE_LIMIT], tell),
    )
    calibration = read_facts(adapter).calibration
    scores = {
        "before": {ALL: summary(before, 0.5)[ALL]},
        "after": summary(made, calibration.threshold),
    }
    registry = Registry(recipe.adapters or registry_folder(settings.data_dir))
    refusals = _refusals(registry, recipe.kind, embedder, trials, made, calibration, tell)
    texts = {
        "scores.json": scores_json(scores),
        "card.md": card(recipe, counts(samples), minutes, calibration, scores, refusals),
    }
    held_back = [trial.gold.question for trial in trials]
    reference((s.question for s in samples), held_back, embedder).save(adapter / REFERENCE_FILE)
    return registered(recipe, registry, adapter, samples, texts, refusals, tell)


def teach(
    recipe: ReaderRecipe, embedder: Embedder, samples: Sequence[Sample], work: Path, tell: Tell
) -> tuple[Path, float]:
    """Train and calibrate; return the adapter and the minutes of training.

    It goes on where the training in the work folder is. With ``folds`` above 1 each fold is a
    training of its own before that.
    """
    if recipe.training.folds > 1:
        _cross_validate(recipe, embedder, samples, work, tell)
    training, validation = split(samples, recipe.training.validation)
    trainer = Trainer(recipe, embedder, work / _TRAINING, tell)
    best = trainer.train(training, validation)
    adapter = work / "adapter"
    shutil.rmtree(adapter, ignore_errors=True)
    shutil.copytree(best, adapter)
    if recipe.training.start and recipe.training.blend < 1:
        blend(adapter, recipe.training.start, recipe.training.blend)
    calibration = calibrate(Reader.load(adapter, embedder), validation)
    write_facts(adapter, replace(read_facts(best), calibration=calibration))
    return adapter, trainer.position.seconds / 60


def _cross_validate(
    recipe: ReaderRecipe, embedder: Embedder, samples: Sequence[Sample], work: Path, tell: Tell
) -> None:
    """Train once for each fold, and tell the scores on the folds left out."""
    folds = recipe.training.folds
    best = []
    for fold in range(folds):
        tell(f"cross-validation: fold {fold + 1} of {folds}")
        trainer = Trainer(recipe, embedder, work / f"{_TRAINING}-{fold + 1}", tell)
        trainer.train(*split(samples, 1 / folds, fold))
        best.append(trainer.position.best)
    tell(f"cross-validation: score {np.mean(best):.3f} ± {np.std(best, ddof=1):.3f}")


def _refusals(
    registry: Registry,
    kind: str,
    embedder: Embedder,
    trials: Sequence[Trial],
    made: Sequence[Outcome],
    calibration: Calibration,
    tell: Tell,
) -> dict[str, str]:
    """Return by what the new reader is worse than the one in use, the shipped one at first.

    One for another embedding model cannot be used any more, so it is no rival.
    """
    current = registry.current(kind) or SHIPPED
    if read_facts(current).embedding_model != embedder.fingerprint:
        return {}
    tell(f"register: measuring {current.name}, which is in use, on the same questions")
    theirs = outcomes(Reader.load(current, embedder), trials, tell)
    before_at = read_facts(current).calibration.threshold
    return told(worse(theirs, before_at, made, calibration.threshold))
