"""The card of a taught model: what it was taught on, how, how well it does, what binds it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from assistant.adapt.measure import Scores
from assistant.adapt.measure_writer import WriterScores
from assistant.adapt.recipe import ReaderRecipe, Recipe, WriterRecipe
from assistant.reader import Calibration
from assistant.writer import Form
from evals.stats import Mean

_LIMITS = """\
- It quotes spans of at most 64 tokens of one passage; it neither joins nor computes.
- The figures are of held-back questions of the same sets; other texts may be harder.
- A passage that looks alike but does not answer is its commonest error: use its probability
  together with the retrieval's own signals.
- It fits the embedding model it was taught on and no other.
"""


_WRITER_LIMITS: dict[Form, str] = {
    "sentence": """\
- It was taught one prompt, and writes what that asks for: sentences of one passage, cited, or
  that the documents do not say. It neither joins passages nor computes.
- The figures are of held-back questions of the same sets; other texts may be harder.
- It may miscopy a number or a name. Use it with the product's check of citations.
- It fits the model it was taught on and no other.
""",
    "point": """\
- It was taught one prompt, and names what that asks for: sentences of one passage, or that none
  answers. It neither joins passages nor computes, and words nothing.
- The figures are of held-back questions of the same sets; other texts may be harder, tables above
  all: it was taught with few.
- It fits the model it was taught on and no other.
""",
}
_MEASURES = {
    "F1": "f1",
    "holds the answer": "found",
    "numbers right": "numbers",
    "copied": "copied",
    "cites the right one": "cited",
    "wrongly refused": "wrongly_refused",
    "wrongly answered": "wrongly_answered",
    "seconds": "seconds",
}


def scores_json(scores: Mapping[str, Mapping[str, Scores | WriterScores]]) -> str:
    """Return the scores before and after the training as JSON."""
    plain = {
        when: {part: asdict(each) for part, each in slices.items()}
        for when, slices in scores.items()
    }
    return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"


def card(
    recipe: ReaderRecipe,
    counts: Mapping[str, int],
    minutes: float,
    calibration: Calibration,
    scores: Mapping[str, Mapping[str, Scores]],
    refusals: Mapping[str, str],
) -> str:
    """Return the card as Markdown.

    Args:
        recipe: it was taught by.
        counts: of its samples, by source, language and answerability.
        minutes: of training.
        calibration: of its answerability.
        scores: before and after, by source.
        refusals: why it was not put to use, by measure; empty: it was.
    """
    training = recipe.training
    lines = [
        f"# {recipe.name}",
        "",
        f"A {recipe.kind}, taught in {minutes:.0f} minutes by the recipe of hash {recipe.hash}: "
        f"LoRA of rank {training.rank}, alpha {training.alpha:g}, "
        f"{f'upper {training.layers}' if training.layers else 'all'} layers.",
        f"Calibration: temperature {calibration.temperature:.3f}, bias {calibration.bias:.3f}, "
        f"threshold {calibration.threshold:.3f}.",
        "",
        *_data(counts),
        "Held-back questions, with 95 % intervals. Refusals: as many passages with the gold one "
        "among them as without it.",
        "",
        *_table(scores),
        "",
        *_end(recipe, _LIMITS, (), refusals),
    ]
    return "\n".join(lines)


def writer_card(
    recipe: WriterRecipe,
    counts: Mapping[str, int],
    minutes: float,
    scores: Mapping[str, Mapping[str, WriterScores]],
    notices: Sequence[str],
    refusals: Mapping[str, str],
) -> str:
    """Return a writer's card as Markdown.

    Args:
        recipe: it was taught by.
        counts: of its samples, by source, language and answerability.
        minutes: of training.
        scores: before and after, by source.
        notices: that the model below it asks for.
        refusals: why it was not put to use, by measure; empty: it was.
    """
    training = recipe.training
    rows = [f"| | questions | {' | '.join(_MEASURES)} |", "|---" * (len(_MEASURES) + 2) + "|"]
    for when, slices in scores.items():
        for name, each in slices.items():
            shown = " | ".join(_interval(getattr(each, field)) for field in _MEASURES.values())
            rows.append(f"| {when}: {name} | {each.questions} | {shown} |")
    lines = [
        f"# {recipe.name}",
        "",
        f"A {recipe.kind} of the form `{recipe.writing.form}` on the model `{training.base}`, "
        f"taught in {minutes:.0f} minutes by the recipe of hash {recipe.hash}: LoRA of rank "
        f"{training.rank}, alpha {training.alpha:g}, in {', '.join(training.targets)}.",
        "",
        *_data(counts),
        "Held-back questions, with 95 % intervals, each with its gold passage among look-alikes "
        "and with look-alikes alone. Before: the same model and prompt without the adapter.",
        "",
        *rows,
        "",
        *_end(recipe, _WRITER_LIMITS[recipe.writing.form], notices, refusals),
    ]
    return "\n".join(lines)


def _data(counts: Mapping[str, int]) -> list[str]:
    listed = (f"- {name}: {count}" for name, count in counts.items())
    return ["## Data", "", *listed, "", "## Scores", ""]


def _end(
    recipe: Recipe, limits: str, notices: Sequence[str], refusals: Mapping[str, str]
) -> list[str]:
    lines = [
        "## Limits",
        "",
        limits,
        "## Notices",
        "",
        *(f"- {notice}" for notice in notices),
        *(f"- {s.name}: {s.licence}. {s.attribution}".rstrip() for s in recipe.sources),
        "",
    ]
    if refusals:
        worse = "; ".join(f"{name}: {why}" for name, why in refusals.items())
        lines += ["## Not in use", "", f"It is worse than the one in use. {worse}.", ""]
    return lines


def _table(scores: Mapping[str, Mapping[str, Scores]]) -> list[str]:
    rows = [
        "| | questions | exact | F1 | wrongly refused | wrongly answered | AUC | equal error |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for when, slices in scores.items():
        for name, each in slices.items():
            cells = (each.exact_match, each.f1, each.wrongly_refused, each.wrongly_answered)
            shown = " | ".join(map(_interval, (*cells, each.auc)))
            rows.append(f"| {when}: {name} | {each.questions} | {shown} | {each.equal_error:.3f} |")
    return rows


def _interval(mean: Mean) -> str:
    return f"{mean.value:.3f} ({mean.low:.3f}–{mean.high:.3f})" if mean.n else "–"
