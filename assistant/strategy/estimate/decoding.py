"""Computes the speed of one replica of a served model, one set of parameters at a time.

A step of decoding reads the weights and every stream's KV cache once: it lasts
(weight bytes + batch · context · KV bytes) ÷ (bandwidth · efficiency), or 2N · batch ÷ (peak ·
utilisation) where computing is slower (Pope et al. 2022, arXiv:2211.05102; guidance ch. 16).
Reading a prompt is bound by computing: 2N a token. Each call's prompt stops the others'
decoding for that time, so a call in a batch of B lasts output · step + B · prompt seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from assistant.strategy.estimate.hardware import Gpu
from assistant.strategy.estimate.load import Load
from assistant.strategy.estimate.memory import GB, kv_bytes_per_token, weight_bytes
from assistant.strategy.estimate.models import Model
from assistant.strategy.estimate.ranges import positive

# vLLM's long-standing default of max_num_seqs.
MOST_STREAMS = 256


def streams_in_flight(rate: float, seconds: float) -> float:
    """Return the streams at once: arrivals a second × seconds each (Little's law, ch. 16)."""
    return positive("Rate", rate) * positive("Seconds", seconds)


def decode_limit(bandwidth_gbs: float, weights_gb: float) -> float:
    """Return the most tokens a second of one stream: bandwidth ÷ weights (ch. 16 and 19)."""
    return positive("Bandwidth", bandwidth_gbs) / positive("Weights", weights_gb)


@dataclass(frozen=True)
class Replica:
    """One copy of a model on ``cards`` cards, under one set of parameters.

    ``bits`` a weight as stored; ``efficiency`` of memory bandwidth, ``utilisation`` of the peak
    in reading prompts, ``overhead_gb`` a card, ``parallel`` the efficiency of splitting.
    """

    model: Model
    gpu: Gpu
    load: Load
    cards: int
    bits: float
    efficiency: float
    utilisation: float
    overhead_gb: float
    parallel: float

    @property
    def prompt_seconds(self) -> float:
        """Return the seconds a prompt takes to be read."""
        return 2 * self.model.active * self.load.prompt_tokens / self._operations

    @property
    def _operations(self) -> float:
        return self.cards * self.gpu.tflops * 1e12 * self.utilisation * self.split

    @property
    def _bandwidth(self) -> float:
        return self.cards * self.gpu.bandwidth_gbs * GB * self.efficiency * self.split

    @property
    def split(self) -> float:
        """Return the efficiency of splitting, 1 on one card."""
        return self.parallel if self.cards > 1 else 1.0

    def step_seconds(self, streams: int) -> float:
        """Return the seconds of a decoding step; of experts at most all, at least one call's."""
        touched = min(self.model.parameters, streams * self.model.active)
        cache = streams * self.load.call_tokens * kv_bytes_per_token(self.model)
        moving = (weight_bytes(touched, self.bits) + cache) / self._bandwidth
        return max(moving, 2 * self.model.active * streams / self._operations)

    def call_seconds(self, streams: int) -> float:
        """Return the seconds a call lasts among that many streams."""
        return self.load.output_tokens * self.step_seconds(streams) + streams * self.prompt_seconds

    def rate(self, streams: int) -> float:
        """Return the calls a second with that many streams."""
        return streams / self.call_seconds(streams)

    @property
    def held(self) -> int:
        """Return the streams whose full KV cache fits beside the weights, 0 where none does."""
        free = self.cards * (self.gpu.memory_gb - self.overhead_gb) * GB
        free -= weight_bytes(self.model.parameters, self.bits)
        stream = self.load.call_tokens * kv_bytes_per_token(self.model)
        return max(0, min(MOST_STREAMS, int(free // stream)))

    @property
    def streams(self) -> int:
        """Return the most streams that fit and still read at the target speed, at least one."""
        wanted = self.load.output_tokens / self.load.target_tokens_per_second
        fast = [n for n in range(1, self.held + 1) if self.call_seconds(n) <= wanted]
        return max(fast, default=1)

    def streams_for(self, rate: float) -> int:
        """Return the fewest streams that bear that many calls a second, `streams` at most."""
        most = self.streams
        return next((n for n in range(1, most) if self.rate(n) >= rate), most)
