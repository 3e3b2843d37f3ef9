"""Estimates the data a task takes: examples, test questions, tokens, labelling.

Orders of magnitude from the guidance's chapter 11; a learning curve on the company's own data
decides (`samples_to_reach`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from assistant.strategy.estimate.assumptions import Prices, load_prices
from assistant.strategy.estimate.ranges import Range, exactly, figure, number, positive, share
from assistant.strategy.guidance import guidance
from assistant.strategy.types import Figure, Words

Task = Literal["prompting", "rag", "finetuning", "classification", "complex", "pretraining"]
TASKS: tuple[Task, ...] = (
    "prompting",
    "rag",
    "finetuning",
    "classification",
    "complex",
    "pretraining",
)
_LABELLED = frozenset({"finetuning", "classification", "complex"})
_LABELLING = (
    "double_labelled",
    "label_minutes",
    "label_rate",
    "reviewed",
    "review_minutes",
    "review_rate",
)


@dataclass(frozen=True)
class DataNeeds:
    """What a task needs: training examples (or tokens), test questions, the cost of labelling.

    ``labelling`` is None where nothing is labelled.
    """

    task: Task
    examples: Figure
    test_questions: Figure
    labelling: Figure | None

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Return the figures in the order they are read."""
        both = (self.examples, self.test_questions)
        return (*both, self.labelling) if self.labelling else both


def data_needs(
    task: Task, *, parameters: float | None = None, prices: Prices | None = None
) -> DataNeeds:
    """Estimate the data of a task; ``parameters`` belongs to pre-training.

    Raises:
        ValueError: the task is unknown, or pre-training comes without parameters.
    """
    prices = prices or load_prices()
    if task not in TASKS:
        raise ValueError(f"Unknown task {task!r}: choose one of {', '.join(TASKS)}.")
    if task == "pretraining":
        if parameters is None:
            raise ValueError("Pre-training needs the model's size: give parameters.")
        examples = pretraining_tokens(parameters, prices)
    else:
        examples = _plain(f"samples_{task}", prices)
    labelled = Range(examples.low, examples.likely, examples.high)
    return DataNeeds(
        task=task,
        examples=examples,
        test_questions=_plain("test_questions", prices),
        labelling=labelling_cost(labelled, prices) if task in _LABELLED else None,
    )


def pretraining_tokens(parameters: float, prices: Prices | None = None) -> Figure:
    """Return the tokens of pre-training: 20 a parameter (Hoffmann et al. 2022), up to Llama 3's."""
    prices = prices or load_prices()
    ratio = prices["tokens_per_parameter"]
    return figure(
        "pretraining_tokens",
        Words("预训练token数", "Pre-training tokens"),
        ratio.values * positive("Parameters", parameters),
        Words("token", "tokens"),
        f"{number(ratio.values.likely)} × {number(parameters)}",
        ratio.sources,
    )


def labelling_cost(items: Range | float, prices: Prices | None = None) -> Figure:
    """Return what labelling costs in CNY: first pass, double labelling, expert review (ch. 11)."""
    prices = prices or load_prices()
    count = items if isinstance(items, Range) else exactly(positive("Items", items))
    double, minutes, rate, reviewed, review_minutes, review_rate = map(prices.values, _LABELLING)
    first = count * (exactly(1) + double) * minutes / 60 * rate
    review = count * reviewed * review_minutes / 60 * review_rate
    n = number(count.likely)
    return figure(
        "labelling",
        Words("标注费用", "Cost of labelling"),
        first + review,
        Words("元", "CNY"),
        f"{n} × (1 + {number(double.likely)}) × {number(minutes.likely)} ÷ 60 × "
        f"{number(rate.likely)} + {n} × {number(reviewed.likely)} × "
        f"{number(review_minutes.likely)} ÷ 60 × {number(review_rate.likely)}",
        (guidance(11, "What does labelling data cost?"), *prices.sources(*_LABELLING)),
    )


def samples_to_reach(error: float, samples: float, at: float, exponent: float) -> float:
    """Return the samples at which a learning curve falls to ``error``.

    From ``at`` measured on ``samples``, with err(n) ∝ n^−``exponent`` and no floor (ch. 11).
    """
    ratio = positive("At", at) / positive("Error", error)
    return positive("Samples", samples) * math.pow(ratio, 1 / positive("Exponent", exponent))


def kappa(observed: float, chance: float) -> float:
    """Return Cohen's kappa, (p_o − p_e) ÷ (1 − p_e) (guidance ch. 11).

    Raises:
        ValueError: a share is not between 0 and 1, or chance agreement is complete.
    """
    if share("Agreement by chance", chance) == 1:
        raise ValueError("Agreement by chance is complete: kappa needs two classes in use.")
    return (share("Observed agreement", observed) - chance) / (1 - chance)


def _plain(key: str, prices: Prices) -> Figure:
    known = prices[key]
    formula = number(known.values.likely)
    return figure(key, known.label, known.values, known.unit, formula, known.sources)
