"""From raw samples to what is trained on and measured with: windows, negatives, variants.

Deterministic by the recipe's seed: each question draws from a generator of its own. It trains
nothing and reads no source.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatch

from assistant.adapt import crops
from assistant.adapt.documents import KNOWLEDGE, knowledge_group
from assistant.adapt.paraphrase import paraphrased
from assistant.adapt.passages import Excerpt, Library, passage_name
from assistant.adapt.recipe import Process, QuestionsSource, Recipe
from assistant.adapt.samples import (
    NO_ANSWER,
    Sample,
    Trial,
    normalised,
    question_hash,
)
from assistant.reader import MAX_SPAN_TOKENS
from assistant.text import detect_language

TRIAL_NEGATIVES = 4
_TELL_EVERY = 500

Tell = Callable[[str], None]


class Processor:
    """Makes samples of raw ones, with the library's search for what looks alike.

    Args:
        recipe: its process, its seed, and what each source asks for.
        library: holds the passages of all sources.
        count: counts tokens as the reader does.
        held_back: raw samples that only measure; their passages are no training negatives.
        forbidden: hashes of questions that no paraphrase may hit.
    """

    def __init__(
        self,
        recipe: Recipe,
        library: Library,
        count: crops.TokenCounter,
        held_back: Sequence[Sample],
        forbidden: frozenset[str] = frozenset(),
    ) -> None:
        self._forbidden = forbidden
        self._process: Process = recipe.process
        self._seed = recipe.seed
        self._copies = {source.name: source.copies for source in recipe.sources}
        self._repeats = tuple(
            pattern
            for source in recipe.sources
            if isinstance(source, QuestionsSource)
            for pattern in source.repeats
        )
        self._library = library
        self._count = count
        self._withheld = {passage_name(s.title, s.passage) for s in held_back} | {
            s.group for s in held_back
        }

    def samples(self, raw: Sequence[Sample], tell: Tell) -> list[Sample]:
        """Return the training samples of raw ones, in an order of their own."""
        unique = deduplicated(raw)
        lengths = self._count([sample.answer for sample in unique])
        unique = [s for s, n in zip(unique, lengths, strict=True) if n <= MAX_SPAN_TOKENS]
        tell(f"process: {len(unique)} of {len(raw)} questions are distinct, with a short answer")
        fakes = [s.answer for s in unique if s.answerable and len(s.answer) <= 30] or ["OK"]
        made: list[Sample] = []
        for done, sample in enumerate(unique, 1):
            made += self._variants(sample, fakes)
            if done % _TELL_EVERY == 0:
                tell(f"process: {done} of {len(unique)} questions, {len(made)} samples")
        random.Random(self._seed).shuffle(made)
        return made

    def trials(self, held_back: Sequence[Sample]) -> list[Trial]:
        """Return the held-back questions with look-alike passages.

        The negatives are from all documents but those that say the same: no reader has seen
        these questions, and in use they compete with passages of every kind.
        """
        trials = []
        for sample in deduplicated(held_back):
            alike = [excerpt.text for excerpt in self.alike(sample)][:TRIAL_NEGATIVES]
            trials.append(Trial(crops.dressed(sample), tuple(alike)))
        return trials

    def _variants(self, sample: Sample, fakes: Sequence[str]) -> Iterator[Sample]:
        """Yield all training samples of one question."""
        rng = random.Random(f"{self._seed} {sample.question} {sample.answer}")
        copies = self._copies[sample.source]
        alike = self.negatives(sample) if sample.answerable else []
        for copy in range(copies):
            question = self.worded(sample.question, rng) if copy else sample.question
            for part in self._copy(sample, alike, rng):
                made = replace(part, question=question)
                changed = self._planted(self.rewritten(made, rng), fakes, rng)
                yield crops.dressed(changed)

    def worded(self, question: str, rng: random.Random) -> str:
        """Return a question in other words, as often as the recipe says."""
        if rng.random() >= self._process.paraphrased:
            return question
        other = paraphrased(question, rng)
        return question if question_hash(other) in self._forbidden else other

    def _copy(
        self, sample: Sample, alike: Sequence[Sample], rng: random.Random
    ) -> Iterator[Sample]:
        tokens = rng.randint(*self._process.crop_tokens)
        if not sample.answerable:
            yield crops.anywhere(sample, tokens, self._count, rng)
            return
        yield crops.around(sample, tokens, self._count, rng)
        for other in rng.sample(alike, min(self._process.negatives, len(alike))):
            tokens = rng.randint(*self._process.crop_tokens)
            yield crops.anywhere(other, tokens, self._count, rng)
        if rng.random() < self._process.beside:
            without = crops.beside(sample, tokens, self._count, rng)
            if without:
                yield without

    def negatives(self, sample: Sample) -> list[Sample]:
        """Return unanswerable samples of the same question, best-ranked passages first."""
        return [unanswered(sample, excerpt) for excerpt in self.rivals(sample)]

    def rivals(self, sample: Sample) -> list[Excerpt]:
        """Return look-alikes that may be trained on, best first."""
        found = [
            excerpt
            for excerpt in self.alike(sample)
            if not self._withheld & {excerpt.document, knowledge_group(excerpt.document)}
        ]
        return found[: self._process.ranked]

    def alike(self, sample: Sample) -> Iterator[Excerpt]:
        """Yield what search finds for a question, best first, without what answers it."""
        for excerpt in self._library.search(sample.question):
            if self._may_answer(sample, excerpt):
                continue
            if not crops.holds_answer(excerpt.text, sample.answers):
                yield excerpt

    def _may_answer(self, sample: Sample, excerpt: Excerpt) -> bool:
        """Tell whether a passage may say in other words, or another language, what answers.

        The chapters of the knowledge base are there twice, and some repeat others.
        """
        if not excerpt.is_file or not sample.group.startswith(KNOWLEDGE):
            return False
        if any(fnmatch(excerpt.document, pattern) for pattern in self._repeats):
            return True
        return detect_language(excerpt.chunk.text) != detect_language(sample.passage)

    def rewritten(self, sample: Sample, rng: random.Random) -> Sample:
        """Return the sample in the other Chinese script, as often as the recipe says."""
        script = self.script(sample.passage, rng)
        return (script and crops.converted(sample, script)) or sample

    def script(self, passage: str, rng: random.Random) -> crops.Script | None:
        """Return how to convert a passage, as often as the recipe says; None: not at all."""
        if detect_language(passage) != "zh":
            return None
        traditional = crops.is_traditional(passage)
        share = self._process.simplified if traditional else self._process.traditional
        if rng.random() >= share:
            return None
        return "t2s" if traditional else "s2t"

    def _planted(self, sample: Sample, fakes: Sequence[str], rng: random.Random) -> Sample:
        """Return the sample with an instruction in its passage, as often as the recipe says."""
        fake = rng.choice(fakes)
        if normalised(fake) in normalised(sample.answer) and sample.answerable:
            return sample
        if not sample.answerable and rng.random() < self._process.planted_only:
            return crops.dictated(sample, fake, rng)
        if rng.random() < self._process.planted:
            return crops.planted(sample, fake, rng)
        return sample


def unanswered(sample: Sample, excerpt: Excerpt) -> Sample:
    """Return the question of a sample with another passage, which does not answer it."""
    return replace(
        sample,
        passage=excerpt.chunk.text,
        start=NO_ANSWER,
        end=NO_ANSWER,
        title=excerpt.title,
        heading=excerpt.chunk.heading,
    )


def deduplicated(samples: Iterable[Sample]) -> list[Sample]:
    """Return the samples with distinct questions and answers.

    A question without an answer counts by its passage.
    """
    unique: dict[tuple[str, str], Sample] = {}
    for sample in samples:
        said = sample.answer or sample.passage
        unique.setdefault((question_hash(sample.question), normalised(said)), sample)
    return list(unique.values())
