"""What the first year asks of hardware: the load, three model sizes to test, the cards they need.

The guidance's rule is to test three sizes upward and to take the smallest that passes; the
plan's money is computed with the smallest.
"""

from __future__ import annotations

from dataclasses import dataclass

from assistant.strategy.estimate.data_needs import DataNeeds, data_needs
from assistant.strategy.estimate.hardware import Gpu, find_gpu
from assistant.strategy.estimate.load import Load
from assistant.strategy.estimate.models import find_model
from assistant.strategy.estimate.ranges import exactly, figure, number
from assistant.strategy.estimate.serving import Serving, serve
from assistant.strategy.estimate.training import Job, Training, train
from assistant.strategy.guidance import guidance
from assistant.strategy.holdings import held_gpus
from assistant.strategy.profile import Profile
from assistant.strategy.types import Figure, Source, Statement, Words
from assistant.strategy.value import assumptions

# Model and bits a weight, from small to large: what one card of 24 to 48 GB can hold.
SIZES = (("qwen3-8b", 16.0), ("qwen3-14b", 8.0), ("qwen3-32b", 4.0))
# The guidance's example of fine-tuning (chapter 12): 10,000 samples of 500 tokens, 3 epochs,
# and the settings that are tried.
SAMPLES, SAMPLE_TOKENS, EPOCHS, TRIALS = 10_000, 500, 3, 5
# The card that is assumed where the company holds none that is known.
COMMON_CARD = "L20"


@dataclass(frozen=True)
class Sizing:
    """The load, the card it is computed for, and what each size needs, the smallest first.

    ``held`` counts the company's own cards of that kind; ``tuning`` is LoRA of the smallest
    size, by the guidance's example, and ``data`` what retrieval and fine-tuning need.
    """

    users: Figure
    load: Load
    card: Statement
    gpu: Gpu
    held: int
    sizes: tuple[Serving, ...]
    tuning: Training
    data: tuple[DataNeeds, ...]


def size(profile: Profile) -> Sizing:
    """Return what a company's first year asks of hardware."""
    users = _users(profile)
    load = Load(users.likely, assumptions().values("calls_per_day").likely)
    gpu, held, card = _card(profile)
    sizes = tuple(serve(find_model(name), bits, gpu, load) for name, bits in SIZES)
    tokens = float(SAMPLES * SAMPLE_TOKENS * EPOCHS)
    tuning = train(Job(sizes[0].model.parameters, tokens, "lora", trials=TRIALS), gpu)
    data = (data_needs("rag"), data_needs("finetuning"))
    return Sizing(users, load, card, gpu, held, sizes, tuning, data)


def _users(profile: Profile) -> Figure:
    given, staff = profile.number("users"), profile.number("employees")
    assumed = assumptions()
    if given:
        values, sources, formula = exactly(given), profile.sources("users"), number(given)
    elif staff:
        share = assumed.values("users_share")
        values = (share * staff).each(lambda value: float(max(1, round(value))))
        sources = (*profile.sources("employees"), *assumed.sources("users_share"))
        formula = f"{number(staff)} × {number(share.likely)} = {number(values.likely)}"
    else:
        values, sources = assumed.values("users_unknown"), assumed.sources("users_unknown")
        formula = number(values.likely)
    return figure("users", Words("第一年的用户", "Users in the first year"), values,
                  Words("人", "people"), formula, sources)  # fmt: skip


def _card(profile: Profile) -> tuple[Gpu, int, Statement]:
    """Return the card to compute with, how many the company holds, and why this one."""
    known = [held for held in held_gpus(profile.many("gpus")) if held.gpu]
    if known:
        best = known[0]
        assert best.gpu is not None
        text = Words(
            f"按公司已有的{best.gpu.name}估算。",
            f"Computed for the {best.gpu.name} that the company holds.",
        )
        return best.gpu, best.count, Statement(text, profile.sources("gpus"))
    gpu = find_gpu(COMMON_CARD)
    text = Words(
        f"没有可用的GPU，按常见的{gpu.name}（{gpu.memory_gb:g} GB）估算。",
        f"No GPU is at hand; a common {gpu.name} ({gpu.memory_gb:g} GB) is assumed.",
    )
    assumed = Source("assumption", text)
    return gpu, 0, Statement(text, (assumed, *profile.sources("gpus")))


def sizing_rule() -> Source:
    """Return the guidance's rule for choosing a size."""
    return guidance(24, "Which model size should we choose?")
