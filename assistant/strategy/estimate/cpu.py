"""Estimates serving on a CPU: bound by memory bandwidth, as the guidance's chapter 19 does it.

Limits: one stream's upper bound; batching would raise it a little, reading prompts (which a CPU
does slowly, and which is not counted) lowers it. Measure before relying on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from assistant.strategy.estimate.assumptions import Prices, load_prices
from assistant.strategy.estimate.decoding import decode_limit
from assistant.strategy.estimate.hardware import CpuServer
from assistant.strategy.estimate.load import Load
from assistant.strategy.estimate.memory import GB, stored_bits, weight_bytes
from assistant.strategy.estimate.models import Model
from assistant.strategy.estimate.ranges import Range, figure, number
from assistant.strategy.estimate.serving import SPEED
from assistant.strategy.guidance import guidance
from assistant.strategy.types import Figure, Words


@dataclass(frozen=True)
class CpuServing:
    """What a CPU server writes (``speed``) and what the load asks (``needed``, mean to peak)."""

    server: CpuServer
    speed: Figure
    needed: Figure

    @property
    def keeps_up(self) -> bool:
        """Tell whether even the peak stays below the likely speed."""
        return self.speed.likely >= self.needed.high


def serve_cpu(
    model: Model, bits: float, server: CpuServer, load: Load, prices: Prices | None = None
) -> CpuServing:
    """Estimate serving a model on a CPU server, ``bits`` a weight."""
    prices = prices or load_prices()
    source = guidance(19, "Which is cheaper: API, rented GPU, own GPU or CPU?")
    efficiency = prices.values("bandwidth_efficiency")
    stored = stored_bits(bits, prices)
    sizes = [weight_bytes(model.active, b) / GB for b in (stored.high, stored.likely, stored.low)]
    limits = Range(*(decode_limit(server.bandwidth_gbs, size) for size in sizes))
    speed = figure(
        "cpu_speed",
        Words("CPU的输出速度（单路）", "Output of the CPU, one stream"),
        limits * efficiency,
        SPEED,
        f"{number(server.bandwidth_gbs)} ÷ {number(sizes[1])} × {number(efficiency.likely)}",
        (source, *server.sources, *model.sources, *prices.sources("bandwidth_efficiency")),
    )
    return CpuServing(server, speed, output_needed(load))


def output_needed(load: Load) -> Figure:
    """Return the output tokens a second a load asks: over the working hours, up to the peak."""
    mean = load.mean_rate * load.output_tokens
    return figure(
        "output_needed",
        Words("业务需要的输出速度", "Output that the load asks"),
        Range(mean, mean, mean * load.peak_factor),
        SPEED,
        f"{number(load.calls)} × {number(load.output_tokens)} ÷ "
        f"({number(load.working_days * load.hours)} × 3600)",
        (guidance(19, "Which is cheaper: API, rented GPU, own GPU or CPU?"),),
    )
