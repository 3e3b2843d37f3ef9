"""The card of a taught reader: what it was taught on, how, how well it does, what binds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from assistant.adapt.measure import Scores
from assistant.adapt.recipe import Recipe
from assistant.reader import Calibration
from evals.stats import Mean

_LIMITS = """\
- It quotes spans of at most 64 tokens of one passage; it neither joins nor computes.
- The figures are of held-back questions of the same sets; other texts may be harder.
- A passage that looks alike but does not answer is its commonest error: use its probability
  together with the retrieval's own signals.
- It fits the embedding model it was taught on and no other.
"""


def scores_json(scores: Mapping[str, Mapping[str, Scores]]) -> str:
    """Return the scores before and after the training as JSON."""
    plain = {
        when: {part: asdict(each) for part, each in slices.items()}
        for when, slices in scores.items()
    }
    return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"


def card(
    recipe: Recipe,
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
        "## Data",
        "",
        *(f"- {name}: {count}" for name, count in counts.items()),
        "",
        "## Scores",
        "",
        "Held-back questions, with 95 % intervals. Refusals: as many passages with the gold one "
        "among them as without it.",
        "",
        *_table(scores),
        "",
        "## Limits",
        "",
        _LIMITS,
        "## Notices",
        "",
        *(f"- {s.name}: {s.licence}. {s.attribution}".rstrip() for s in recipe.sources),
        "",
    ]
    if refusals:
        worse = "; ".join(f"{name}: {why}" for name, why in refusals.items())
        lines += ["## Not in use", "", f"It is worse than the one in use. {worse}.", ""]
    return "\n".join(lines)


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
