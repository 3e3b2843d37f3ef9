"""From sources to raw samples: each question with a whole passage, and the place of its answer.

What is kept for measuring never becomes a training sample: the questions of the evaluation
cases and of held-back documents are known by their hashes, and a sample with one of them, or
from a held-back document, is dropped and counted. It crops nothing and adds no negatives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.adapt.documents import read_cases, read_questions
from assistant.adapt.liked import read_liked
from assistant.adapt.passages import Library
from assistant.adapt.public_sets import read_public
from assistant.adapt.recipe import (
    CasesSource,
    LikedSource,
    PublicSource,
    QuestionsSource,
    Recipe,
    Source,
)
from assistant.adapt.samples import Asked, Sample, draw, is_held_back, question_hash
from assistant.errors import ConfigurationError
from evals.case import CASES, Case, load_cases

TRAINING_SHARE = 0.2  # of the evaluation cases; the others only ever measure


@dataclass(frozen=True)
class Collected:
    """Raw samples to train on and to measure with; ``forbidden`` hashes questions of the latter.

    ``dropped`` counts what was left out, by reason.
    """

    training: tuple[Sample, ...]
    held_back: tuple[Sample, ...]
    forbidden: frozenset[str]
    dropped: dict[str, int]


def collect(recipe: Recipe, library: Library, tell: Callable[[str], None]) -> Collected:
    """Read all sources of a recipe; the passages go into the library on the way.

    Raises:
        ConfigurationError: a source is missing or malformed.
    """
    public = {s.name: read_public(s) for s in recipe.sources if isinstance(s, PublicSource)}
    folders = [s.knowledge for s in recipe.sources if isinstance(s, QuestionsSource | CasesSource)]
    library.add(_wanted(recipe, public), folders, tell)
    dropped: Counter[str] = Counter()
    forbidden = set(evaluation_questions())
    training: list[Sample] = []
    held_back: list[Sample] = []
    groups: set[str] = set()
    for source in recipe.sources:
        samples = public.get(source.name) or _read(source, library, dropped)
        taught, kept = _split(samples, source)
        forbidden |= {question_hash(sample.question) for sample in kept}
        groups |= {sample.group for sample in kept}
        training += _limited(taught, source.limit)
        held_back += _limited(kept, recipe.measured)
        tell(f"{source.name}: {len(samples)} questions, {len(kept)} of them held back")
    allowed = [
        s for s in training if s.group not in groups and question_hash(s.question) not in forbidden
    ]
    dropped["question or document of the evaluation, or held back"] += len(training) - len(allowed)
    return Collected(tuple(allowed), tuple(held_back), frozenset(forbidden), dict(dropped))


def is_training_case(case: Case) -> bool:
    """Tell whether an evaluation case is one of the fifth that may be trained on."""
    return draw("case", case.id) < TRAINING_SHARE


def evaluation_questions(cases: Path = CASES) -> frozenset[str]:
    """Return the hashes of the questions of all cases that only measure."""
    return frozenset(
        question_hash(case.question) for case in load_cases([cases]) if not is_training_case(case)
    )


def check_allowed(
    samples: Iterable[Asked], forbidden: frozenset[str], held_back: Iterable[str]
) -> None:
    """Make sure that nothing kept for measuring is trained on.

    Args:
        samples: what is to be trained on.
        forbidden: the hashes of questions that only measure.
        held_back: the groups of documents that only measure.

    Raises:
        ConfigurationError: a sample has such a question, or is from such a document.
    """
    groups = frozenset(held_back)
    for sample in samples:
        if sample.group in groups or question_hash(sample.question) in forbidden:
            raise ConfigurationError(
                f"The sample {sample.question!r} of {sample.source} is kept for measuring. Delete "
                "the work folder and run anew; if it happens again, take the source out."
            )


def _read(source: Source, library: Library, dropped: Counter[str]) -> list[Sample]:
    if isinstance(source, QuestionsSource):
        return read_questions(source, library, dropped)
    if isinstance(source, CasesSource):
        cases = [case for case in load_cases([source.path]) if is_training_case(case)]
        return read_cases(source, cases, library, dropped)
    assert isinstance(source, LikedSource)
    return read_liked(source, dropped)


def _wanted(recipe: Recipe, public: Mapping[str, Sequence[Sample]]) -> Iterator[Sample]:
    """Yield the samples of the public sets that the recipe makes use of."""
    for source in recipe.sources:
        taught, kept = _split(public.get(source.name, ()), source)
        yield from _limited(taught, source.limit)
        yield from _limited(kept, recipe.measured)


def _split(samples: Sequence[Sample], source: Source) -> tuple[list[Sample], list[Sample]]:
    """Return the samples to teach with, and those to measure with."""
    parts: tuple[list[Sample], list[Sample]] = ([], [])
    for sample in samples:
        parts[is_held_back(sample.group, source.held_back)].append(sample)
    return parts


def _limited(samples: Sequence[Sample], limit: int) -> list[Sample]:
    """Return ``limit`` of the samples (0: all), drawn by the hash of their questions."""
    if not limit:
        return list(samples)
    return sorted(samples, key=lambda s: question_hash(s.question))[:limit]
