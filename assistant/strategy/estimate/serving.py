"""Estimates what serving a model takes: memory, speed, streams, cards.

Limits: upper bounds of a server with continuous batching under steady arrivals (`decoding`);
no shared prefixes, speculative decoding, queueing or network, every stream at its full context,
FP16 cache. Weights below 16 bits are taken to compute at the 16-bit peak. A load test has the
last word. The three cases vary bandwidth, utilisation, overhead and bits together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from assistant.strategy.estimate.assumptions import Prices, load_prices
from assistant.strategy.estimate.decoding import Replica, streams_in_flight
from assistant.strategy.estimate.hardware import Gpu
from assistant.strategy.estimate.load import Load
from assistant.strategy.estimate.memory import GIGABYTES, kv_cache, stored_bits, weights
from assistant.strategy.estimate.models import Model
from assistant.strategy.estimate.ranges import (
    Range,
    figure,
    number,
    range_of,
    spanning,
)
from assistant.strategy.guidance import guidance
from assistant.strategy.types import Figure, Source, Words

MOST_CARDS = 16
CARDS = Words("张", "cards")
SPEED = Words("token/秒", "tokens a second")

_KEYS = (
    "bandwidth_efficiency",
    "utilisation_prefill",
    "runtime_overhead",
    "tensor_parallel_efficiency",
)


@dataclass(frozen=True)
class Serving:
    """What serving a load takes on a kind of card.

    ``fits`` tells whether one card holds the model; else it is split over
    ``cards_per_replica``, a power of two. ``meets_speed`` and ``meets_first_token`` compare
    the likely case at the peak with the load's targets.
    """

    model: Model
    bits: float
    gpu: Gpu
    load: Load
    fits: bool
    cards_per_replica: int
    weights: Figure
    kv_per_stream: Figure
    streams_per_gpu: Figure
    tokens_per_second: Figure
    stream_speed: Figure
    first_token: Figure
    peak_streams: Figure
    gpus: Figure

    @property
    def meets_speed(self) -> bool:
        """Tell whether a stream is written as fast as the load wants."""
        return self.stream_speed.likely >= self.load.target_tokens_per_second

    @property
    def meets_first_token(self) -> bool:
        """Tell whether the first token comes in time, queueing apart."""
        return self.first_token.likely <= self.load.first_token_seconds

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Return all figures in the order they are read."""
        return (
            self.weights,
            self.kv_per_stream,
            self.streams_per_gpu,
            self.tokens_per_second,
            self.stream_speed,
            self.first_token,
            self.peak_streams,
            self.gpus,
        )


def serve(model: Model, bits: float, gpu: Gpu, load: Load, prices: Prices | None = None) -> Serving:
    """Estimate serving a model at ``bits`` a weight (16, 8, 4 or a format's own figure).

    Raises:
        ValueError: a call is longer than the model's context, or the model does not fit on
            `MOST_CARDS` cards.
    """
    prices = prices or load_prices()
    if load.call_tokens > model.max_context:
        raise ValueError(
            f"A call of {number(load.call_tokens)} tokens exceeds the {model.max_context} of "
            f"{model.name}: shorten the prompt or choose a model with a longer context."
        )
    slow, likely, fast = _cases(model, bits, gpu, load, prices)
    sources = (_sizing(), *model.sources, *gpu.sources, *prices.sources(*_KEYS))
    return Serving(
        model=model,
        bits=bits,
        gpu=gpu,
        load=load,
        fits=likely.cards == 1,
        cards_per_replica=likely.cards,
        weights=weights(model, bits, prices),
        kv_per_stream=_kv_per_stream(model, load),
        streams_per_gpu=_streams_per_gpu(slow, likely, fast, sources),
        tokens_per_second=_tokens_per_second(slow, likely, fast, sources),
        stream_speed=_stream_speed(slow, likely, fast, sources),
        first_token=_first_token(slow, likely, fast, sources),
        peak_streams=_peak_streams(slow, likely, fast, sources),
        gpus=_gpus(slow, likely, fast, sources),
    )


def serving_memory(weights_gb: float, kv_gb: float, overhead_gb: float = 4) -> float:
    """Return the memory of a service in GB: weights + KV cache + overhead (guidance ch. 16)."""
    return weights_gb + kv_gb + overhead_gb


def _sizing() -> Source:
    return guidance(16, "How large a GPU does an inference service need?")


def _cases(
    model: Model, bits: float, gpu: Gpu, load: Load, prices: Prices
) -> tuple[Replica, Replica, Replica]:
    stored = stored_bits(bits, prices)
    efficiency, utilisation, overhead, parallel = (prices.values(key) for key in _KEYS)

    def case(cards: int, good: str, bad: str) -> Replica:
        return Replica(
            model=model,
            gpu=gpu,
            load=load,
            cards=cards,
            bits=getattr(stored, bad),
            efficiency=getattr(efficiency, good),
            utilisation=getattr(utilisation, good),
            overhead_gb=getattr(overhead, bad),
            parallel=getattr(parallel, good),
        )

    cards = 1
    while not case(cards, "low", "high").held:
        cards *= 2
        if cards > MOST_CARDS:
            raise ValueError(
                f"{model.name} at {number(bits)} bits does not fit on {MOST_CARDS} × {gpu.name}: "
                "choose a smaller model, fewer bits or a card with more memory."
            )
    return case(cards, "low", "high"), case(cards, "likely", "likely"), case(cards, "high", "low")


def _kv_per_stream(model: Model, load: Load) -> Figure:
    cache = kv_cache(model, load.call_tokens)
    return figure(
        "kv_per_stream",
        Words("每路对话的KV缓存", "KV cache of a stream"),
        range_of(cache),
        GIGABYTES,
        cache.formula,
        cache.sources,
    )


def _streams_per_gpu(
    slow: Replica, likely: Replica, fast: Replica, sources: tuple[Source, ...]
) -> Figure:
    cards = likely.cards
    return figure(
        "streams_per_gpu",
        Words("每张卡能同时服务的路数", "Streams a card serves at once"),
        spanning(slow.streams, likely.streams, fast.streams) / cards,
        Words("路", "streams"),
        f"min({likely.held}, {likely.streams}) ÷ {cards}",
        sources,
    )


def _capacity(replica: Replica) -> float:
    return replica.rate(replica.streams)


def _tokens_per_second(
    slow: Replica, likely: Replica, fast: Replica, sources: tuple[Source, ...]
) -> Figure:
    speeds = (_capacity(r) * r.load.output_tokens / r.cards for r in (slow, likely, fast))
    n = likely.streams
    return figure(
        "tokens_per_second",
        Words("每张卡的输出速度", "Output of a card"),
        spanning(*speeds),
        SPEED,
        f"{n} × {number(likely.load.output_tokens)} ÷ ({number(likely.load.output_tokens)} × "
        f"{number(likely.step_seconds(n))} s + {n} × {number(likely.prompt_seconds)} s) "
        f"÷ {likely.cards}",
        sources,
    )


def _replicas(replica: Replica) -> int:
    return math.ceil(replica.load.peak_rate / _capacity(replica))


def _seconds_at_peak(replica: Replica) -> float:
    rate = replica.load.peak_rate / _replicas(replica)
    return replica.call_seconds(replica.streams_for(rate))


def _stream_speed(
    slow: Replica, likely: Replica, fast: Replica, sources: tuple[Source, ...]
) -> Figure:
    tokens = likely.load.output_tokens
    seconds = [_seconds_at_peak(r) for r in (slow, likely, fast)]
    return figure(
        "stream_speed",
        Words("高峰时每路的输出速度", "Speed of a stream at the peak"),
        spanning(*(tokens / each for each in seconds)),
        SPEED,
        f"{number(tokens)} ÷ {number(seconds[1])} s",
        sources,
    )


def _first_token(
    slow: Replica, likely: Replica, fast: Replica, sources: tuple[Source, ...]
) -> Figure:
    return figure(
        "first_token",
        Words("首个token的等待时间（不含排队）", "Time to the first token, without queueing"),
        Range(*(r.prompt_seconds + r.step_seconds(1) for r in (fast, likely, slow))),
        Words("秒", "seconds"),
        f"2 × {number(likely.model.active)} × {number(likely.load.prompt_tokens)} ÷ "
        f"({likely.cards} × {number(likely.gpu.tflops)}×10^12 × {number(likely.utilisation)} × "
        f"{number(likely.split)}) "
        f"+ {number(likely.step_seconds(1))}",
        sources,
    )


def _peak_streams(
    slow: Replica, likely: Replica, fast: Replica, sources: tuple[Source, ...]
) -> Figure:
    rate = likely.load.peak_rate
    streams = (streams_in_flight(rate, _seconds_at_peak(r)) for r in (slow, likely, fast))
    return figure(
        "peak_streams",
        Words("高峰时的并发路数", "Concurrent streams at the peak"),
        spanning(*streams),
        Words("路", "streams"),
        f"{number(rate)} × {number(_seconds_at_peak(likely))} s",
        sources,
    )


def _gpus(slow: Replica, likely: Replica, fast: Replica, sources: tuple[Source, ...]) -> Figure:
    needed = (float(_replicas(r) * r.cards) for r in (fast, likely, slow))
    return figure(
        "gpus",
        Words("需要的GPU张数", "GPUs needed"),
        spanning(*needed),
        CARDS,
        f"⌈{number(likely.load.peak_rate)} ÷ {number(_capacity(likely))}⌉ × {likely.cards}",
        sources,
    )
