"""Estimates training and fine-tuning: operations, GPU-hours, days, memory.

T = 6ND ÷ (g·P·u) (Kaplan et al. 2020; guidance ch. 12); LoRA and QLoRA 4ND, for the frozen
weights need no gradients of their own. Limits: dense transformers whose sequences are short
against the width (no attention term); of a mixture of experts the active parameters count.
QLoRA's unpacking of 4-bit weights and gradient checkpointing are not counted: both add time.
"""

from __future__ import annotations

from dataclasses import dataclass

from assistant.strategy.estimate.assumptions import Prices, load_prices
from assistant.strategy.estimate.hardware import Gpu
from assistant.strategy.estimate.memory import Mode, cards_to_hold, training_memory
from assistant.strategy.estimate.ranges import (
    Range,
    exactly,
    figure,
    number,
    positive,
    range_of,
)
from assistant.strategy.guidance import guidance
from assistant.strategy.types import Figure, Source, Words

_OPERATIONS: dict[Mode, int] = {"full": 6, "lora": 4, "qlora": 4}
_TERA = 1e12
HOURS = Words("GPU小时", "GPU-hours")


@dataclass(frozen=True)
class Job:
    """A training to estimate.

    ``parameters`` N and ``tokens`` D are plain counts, D over all epochs; ``active`` are the
    parameters used a token where that is fewer; ``trainable`` belongs to LoRA and QLoRA;
    ``trials`` are the settings that will be tried.

    Raises:
        ValueError: a count is not a finite number above zero, or the mode is unknown.
    """

    parameters: float
    tokens: float
    mode: Mode = "full"
    cards: int = 1
    trials: int = 1
    trainable: float = 4e7
    active: float | None = None

    def __post_init__(self) -> None:
        for name in ("parameters", "tokens", "cards", "trials", "trainable"):
            positive(name.capitalize(), getattr(self, name))
        if self.active is not None and positive("Active", self.active) > self.parameters:
            raise ValueError("Active parameters exceed all parameters: swap or correct the two.")
        if self.mode not in _OPERATIONS:
            raise ValueError(f"Unknown mode {self.mode!r}: choose one of {', '.join(_OPERATIONS)}.")


@dataclass(frozen=True)
class Training:
    """What a job takes.

    ``run`` is one faultless run in GPU-hours, ``days`` its length on the job's cards, ``plan``
    the GPU-hours to ask for with all trials, faults and reruns.
    """

    job: Job
    operations: Figure
    run: Figure
    days: Figure
    plan: Figure
    memory: Figure
    cards_to_hold: Figure

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Return all figures in the order they are read."""
        return (
            self.operations,
            self.run,
            self.days,
            self.plan,
            self.memory,
            self.cards_to_hold,
        )


def training_operations(parameters: float, tokens: float, mode: Mode = "full") -> float:
    """Return the floating-point operations of a training: 6ND, 4ND with a frozen base."""
    return _OPERATIONS[mode] * positive("Parameters", parameters) * positive("Tokens", tokens)


def gpu_hours(operations: float, tflops: float, utilisation: float) -> float:
    """Return operations ÷ (peak × utilisation) in GPU-hours; ``tflops`` is one card's peak."""
    speed = positive("TFLOPS", tflops) * _TERA * positive("Utilisation", utilisation)
    return positive("Operations", operations) / speed / 3600


def spread(hours: float, cards: int, efficiency: float = 0.9) -> tuple[float, float]:
    """Return the hours a one-card job takes on several cards, and its GPU-hours (ch. 13)."""
    elapsed = positive("Hours", hours) / (
        positive("Cards", cards) * positive("Efficiency", efficiency)
    )
    return elapsed, elapsed * cards


def steps_minutes(steps: float, seconds: float) -> float:
    """Return the minutes of a training from its measured seconds a step (ch. 12)."""
    return positive("Steps", steps) * positive("Seconds per step", seconds) / 60


def train(job: Job, gpu: Gpu, prices: Prices | None = None) -> Training:
    """Estimate a job on a kind of card.

    A pre-training's utilisation is the whole cluster's; fine-tuning's is one card's, so that
    several cards cost their efficiency besides.
    """
    prices = prices or load_prices()
    operations = _operations(job)
    run = _run(job, gpu, operations, prices)
    memory = training_memory(job.parameters, job.mode, job.trainable, prices)
    return Training(
        job=job,
        operations=operations,
        run=run,
        days=_days(job, run),
        plan=_plan(job, run, prices),
        memory=memory,
        cards_to_hold=cards_to_hold(memory, gpu),
    )


def _operations(job: Job) -> Figure:
    used = job.active or job.parameters
    return figure(
        "training_operations",
        Words("训练计算量", "Operations of the training"),
        exactly(training_operations(used, job.tokens, job.mode)),
        Words("次浮点运算", "operations"),
        f"{_OPERATIONS[job.mode]} × {number(used)} × {number(job.tokens)}",
        (_estimate_source(job),),
    )


def _run(job: Job, gpu: Gpu, operations: Figure, prices: Prices) -> Figure:
    key = "utilisation_pretraining" if job.mode == "full" else "utilisation_finetuning"
    speed = prices.values(key)
    keys = [key]
    formula = (
        f"{number(operations.likely)} ÷ ({number(gpu.tflops * _TERA)} × {number(speed.likely)}"
    )
    if job.mode != "full" and job.cards > 1:
        keys.append("multi_card_efficiency")
        efficiency = prices.values("multi_card_efficiency")
        speed = speed * efficiency
        formula += f" × {number(efficiency.likely)}"
    done = operations.likely
    return figure(
        "training_run",
        Words("一次顺利训练的GPU小时", "GPU-hours of one faultless run"),
        Range(*(gpu_hours(done, gpu.tflops, u) for u in (speed.high, speed.likely, speed.low))),
        HOURS,
        f"{formula}) ÷ 3600",
        (_estimate_source(job), *gpu.sources, *prices.sources(*keys)),
    )


def _days(job: Job, run: Figure) -> Figure:
    return figure(
        "training_days",
        Words("一次顺利训练的天数", "Days of one faultless run"),
        range_of(run) / (job.cards * 24),
        Words("天", "days"),
        f"{number(run.likely)} ÷ {job.cards} ÷ 24",
        run.sources,
    )


def _plan(job: Job, run: Figure, prices: Prices) -> Figure:
    factor = prices.values("rerun_factor")
    return figure(
        "training_plan",
        Words("应申请的GPU小时（含试验与重跑）", "GPU-hours to ask for, with trials and reruns"),
        range_of(run) * factor * job.trials,
        HOURS,
        f"{number(run.likely)} × {job.trials} × {number(factor.likely)}",
        (*run.sources, *prices.sources("rerun_factor")),
    )


def _estimate_source(job: Job) -> Source:
    if job.mode == "full":
        return guidance(12, "How do I estimate training compute with the 6ND rule?")
    return guidance(12, "How long does it take to fine-tune a 7-billion-parameter model?")
