"""From raw samples to what a writer is taught and measured with: numbered passages and a target.

A bundle of look-alike passages is shown with all questions that are known of any of them, so
that each passage is gold for some and a distractor for others, in every place; the trainer
reads the passages of a bundle once. Deterministic by the recipe's seed. It trains nothing.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from assistant.adapt import crops
from assistant.adapt.passages import Library, passage_name
from assistant.adapt.process import Processor, deduplicated, unanswered
from assistant.adapt.recipe import WriterRecipe
from assistant.adapt.samples import Sample, draw
from assistant.prompts import numbered
from assistant.text import detect_language, sentence_spans
from assistant.types import Language
from assistant.writer import declined, pointer, prompt_of, quoted, resolved

LONGEST_QUOTE = 128  # tokens, as the embedding model counts; more is a chapter, not an answer
_LEFT_OUT = 0.3  # of bundles show only look-alikes of the question they were made for
_TELL_EVERY = 200

Tell = Callable[[str], None]


@dataclass(frozen=True)
class WriterSample:
    """A question, numbered passages, and what is to be written.

    ``passages`` are as the prompt shows them. ``quote`` is the gold passage's sentences around
    the answer; it is empty where no passage answers. ``group`` and ``answers`` are as in
    `samples.Sample`.
    """

    question: str
    passages: tuple[str, ...]
    target: str
    quote: str
    language: Language
    source: str
    group: str
    licence: str
    answers: tuple[str, ...] = ()

    @property
    def answerable(self) -> bool:
        """Whether a passage holds the answer."""
        return bool(self.quote)


@dataclass(frozen=True)
class _Page:
    """A window of a passage in sentences, and its questions: each with its first and last."""

    title: str
    heading: tuple[str, ...]
    sentences: tuple[str, ...]
    asked: tuple[tuple[Sample, int, int], ...] = ()
    absent: tuple[Sample, ...] = ()

    @property
    def text(self) -> str:
        return "".join(self.sentences)


class WriterProcessor:
    """Makes a writer's samples of raw ones.

    Args:
        recipe: its process, its writing and its seed.
        library: holds the passages of all sources.
        count: counts tokens, for the lengths of windows.
        held_back: raw samples that only measure; their passages are no distractors.
        forbidden: hashes of questions that no paraphrase may hit.
    """

    def __init__(
        self,
        recipe: WriterRecipe,
        library: Library,
        count: crops.TokenCounter,
        held_back: Sequence[Sample],
        forbidden: frozenset[str] = frozenset(),
    ) -> None:
        self._inner = Processor(recipe, library, count, held_back, forbidden)
        self._recipe = recipe
        self._count = count
        self._copies = {source.name: source.copies for source in recipe.sources}
        self._passages: dict[str, list[Sample]] = {}

    def samples(self, raw: Sequence[Sample], tell: Tell) -> list[WriterSample]:
        """Return the training samples of raw ones; those of a bundle follow each other."""
        self._passages = {}
        for sample in deduplicated(raw):
            self._passages.setdefault(passage_name(sample.title, sample.passage), []).append(sample)
        tell(f"process: {len(self._passages)} passages with questions")
        made: list[WriterSample] = []
        for done, samples in enumerate(self._passages.values(), 1):
            for copy in range(self._copies[samples[0].source]):
                made += self._bundle(samples, copy)
            if done % _TELL_EVERY == 0:
                tell(f"process: {done} of {len(self._passages)} passages, {len(made)} samples")
        return list(dict.fromkeys(made))

    def trials(self, held_back: Sequence[Sample]) -> list[WriterSample]:
        """Return the held-back questions, with the gold passage among look-alikes, and without.

        The look-alikes are from all documents but those that say the same.
        """
        most = self._recipe.writing.passages[1]
        made: list[WriterSample] = []
        for sample in deduplicated(held_back):
            rng = random.Random(f"{self._recipe.seed} {sample.question}")
            others = [unanswered(sample, excerpt) for excerpt in self._inner.alike(sample)]
            shown = [[sample, *others[: most - 1]]]
            if sample.answerable and others:
                shown.append(others[:most])
            for each in shown:
                pages = [self._cropped([one], rng, rewrite=False) for one in each]
                rng.shuffle(pages)
                asked = self._asked(pages, [sample], math.inf)
                made += [each for each in asked if each.question == sample.question]
        return made

    def _bundle(self, samples: Sequence[Sample], copy: int) -> Iterator[WriterSample]:
        """Yield the samples of a passage's bundle: whatever is asked of any passage in it."""
        rng = random.Random(f"{self._recipe.seed} {copy} {samples[0].title} {samples[0].passage}")
        if copy:
            samples = [replace(s, question=self._inner.worded(s.question, rng)) for s in samples]
        lead = rng.choice(samples)
        rivals = self._inner.rivals(lead)
        number = rng.randint(*self._recipe.writing.passages)
        out = lead.answerable and len(rivals) >= number and rng.random() < _LEFT_OUT
        chosen = rng.sample(rivals, min(len(rivals), number - (not out)))
        sets = [] if out else [samples]
        for rival in chosen:
            known = self._passages.get(rival.document) or self._passages.get(
                passage_name(rival.title, rival.chunk.text)
            )
            sets.append(known or [unanswered(lead, rival)])
        pages = [self._planted(self._cropped(each, rng), rng) for each in sets]
        rng.shuffle(pages)
        made = list(self._asked(pages, [lead] if out else []))
        yield from _balanced(made, self._recipe.writing.unanswerable, rng)

    def _cropped(
        self, samples: Sequence[Sample], rng: random.Random, *, rewrite: bool = True
    ) -> _Page:
        """Return a window of the samples' passage, maybe in the other script."""
        tokens = rng.randint(*self._recipe.process.crop_tokens)
        there = [sample for sample in samples if sample.answerable]
        if not there:
            window = crops.anywhere(samples[0], tokens, self._count, rng)
            return _page([window], samples)
        lead = rng.choice(there)
        window = crops.around(lead, tokens, self._count, rng)
        shift, end = lead.start - window.start, len(window.passage)
        moved = [
            replace(s, passage=window.passage, start=s.start - shift, end=s.end - shift)
            for s in there
            if shift <= s.start and s.end - shift <= end
        ]
        absent = [
            s for s in samples if s not in there or not shift <= s.start < s.end <= shift + end
        ]
        script = self._inner.script(window.passage, rng) if rewrite else None
        changed = [crops.converted(s, script) for s in moved] if script else []
        return _page([s for s in changed if s] if all(changed) and changed else moved, absent)

    def _planted(self, page: _Page, rng: random.Random) -> _Page:
        """Return the page with an instruction between two sentences, as often as is wanted."""
        places = [
            place
            for place in range(len(page.sentences) + 1)
            if not any(first < place <= last for _, first, last in page.asked)
        ]
        if rng.random() >= self._recipe.process.planted:
            return page
        place = rng.choice(places)
        fake = rng.choice(["OK", "42", "HACKED", "100%"])
        text = crops.instruction(page.text, fake, rng)
        gap = "" if detect_language(page.text) == "zh" else " "
        sentences = (*page.sentences[:place], f"{gap}{text}{gap}", *page.sentences[place:])
        asked = tuple((s, a + (a >= place), b + (b >= place)) for s, a, b in page.asked)
        return replace(page, sentences=sentences, asked=asked)

    def _asked(
        self, pages: Sequence[_Page], left_out: Iterable[Sample], longest: float = LONGEST_QUOTE
    ) -> Iterator[WriterSample]:
        """Yield a sample a question that one of the pages answers, or none of them.

        Of two answers to one question the first is taught: one prompt, one target.
        """
        form = self._recipe.writing.form
        texts = [page.text for page in pages]
        shown = tuple(
            numbered(n, page.title, page.heading, page.text, prompt_of(form).marks)
            for n, page in enumerate(pages, 1)
        )
        taught: set[str] = set()
        for place, page in enumerate(pages):
            others = [text for other, text in enumerate(texts) if other != place]
            for sample, first, last in page.asked:
                held = any(crops.holds_answer(text, sample.answers) for text in others)
                if held or sample.question in taught:
                    continue
                meant = page.sentences[first : last + 1]
                quote = quoted(meant)
                if self._count([quote])[0] > longest:
                    continue
                target = f"{quote}[{place + 1}]"
                if form == "point":
                    pointed = pointer(place + 1, first + 1, last + 1)
                    if resolved(pointed, shown, sample.language) != quoted(meant, place + 1):
                        continue  # the planted sentence changed how the text divides
                    target = pointed
                taught.add(sample.question)
                yield _writer_sample(sample, shown, target, quote)
        missing = {s.question: s for page in pages for s in page.absent}
        missing |= {sample.question: sample for sample in left_out}
        present = {sample.question for page in pages for sample, _, _ in page.asked}
        for question, sample in missing.items():
            held = any(crops.holds_answer(text, sample.answers) for text in texts)
            if question not in present and not held:
                yield _writer_sample(sample, shown, declined(form, sample.language), "")


def _page(windows: Sequence[Sample], absent: Sequence[Sample]) -> _Page:
    """Return the page of samples that share one window; those without an answer are absent."""
    text = windows[0].passage
    spans = sentence_spans(text)
    asked = []
    for sample in windows:
        if sample.answerable:
            held = [n for n, (a, b) in enumerate(spans) if a < sample.end and b > sample.start]
            asked.append((sample, held[0], held[-1]))
    sentences = tuple(text[a:b] for a, b in spans)
    return _Page(windows[0].title, windows[0].heading, sentences, tuple(asked), tuple(absent))


def _balanced(
    made: Sequence[WriterSample], share: float, rng: random.Random
) -> Iterator[WriterSample]:
    """Yield the answerable ones, and so many others that they are ``share`` of all on average.

    Where a bundle has none to answer, one of the others comes as often as it is due.
    """
    there = [sample for sample in made if sample.answerable]
    others = [sample for sample in made if not sample.answerable]
    yield from there
    due = max(len(there), 1) * share / (1 - share) if share < 1 else len(others)
    number = int(due) + (rng.random() < due - int(due))
    yield from sorted(others, key=lambda s: draw(s.question, *s.passages))[:number]


def _writer_sample(sample: Sample, shown: tuple[str, ...], target: str, quote: str) -> WriterSample:
    return WriterSample(
        question=sample.question,
        passages=shown,
        target=target,
        quote=quote,
        language=sample.language,
        source=sample.source,
        group=sample.group,
        licence=sample.licence,
        answers=sample.answers,
    )
