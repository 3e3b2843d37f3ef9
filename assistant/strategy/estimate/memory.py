"""Computes memory: weights, KV cache, what training holds, checkpoints.

1 GB is 10⁹ bytes. Sources: the guidance's chapters 12 and 13 (Rajbhandari et al. 2020 for the
16 bytes a parameter, Dettmers et al. 2023 for QLoRA).
"""

from __future__ import annotations

import math
from typing import Literal

from assistant.strategy.estimate.assumptions import Prices, load_prices
from assistant.strategy.estimate.hardware import Gpu
from assistant.strategy.estimate.models import Model
from assistant.strategy.estimate.ranges import (
    Range,
    exactly,
    figure,
    number,
    positive,
)
from assistant.strategy.guidance import guidance
from assistant.strategy.types import Figure, Words, same

Mode = Literal["full", "lora", "qlora"]

GB = 1e9
GIGABYTES = same("GB")

# Bytes a frozen or trained parameter takes, before the adapter's 16 bytes a trainable one.
_STATE_BYTES: dict[Mode, float] = {"full": 16.0, "lora": 2.0, "qlora": 0.5}
_TRAINABLE_BYTES = 16.0


def weight_bytes(parameters: float, bits: float) -> float:
    """Return the bytes of the weights: parameters × bits ÷ 8 (guidance ch. 13)."""
    return positive("Parameters", parameters) * positive("Bits", bits) / 8


def kv_bytes_per_token(model: Model, number_bytes: float = 2.0) -> float:
    """Return the KV cache's bytes a token: 2 · layers · KV heads · head dimension · bytes.

    ``number_bytes`` is 2 for FP16, 1 for an 8-bit cache (guidance ch. 13).
    """
    heads = model.layers * model.kv_heads * model.head_dim
    return 2 * heads * positive("Bytes per number", number_bytes)


def training_state_bytes(parameters: float, mode: Mode = "full", trainable: float = 4e7) -> float:
    """Return the bytes of the model states in training (guidance ch. 12).

    Full: 16 a parameter. LoRA: 2 a parameter and 16 a trainable one. QLoRA: 0.5 and 16. Without
    activations, quantisation scales and framework overhead.

    Raises:
        ValueError: a count is not positive, or the mode is unknown.
    """
    frozen = positive("Parameters", parameters) * _known(mode)
    return (
        frozen if mode == "full" else frozen + _TRAINABLE_BYTES * positive("Trainable", trainable)
    )


def checkpoint_bytes(parameters: float, trainable: float | None = None) -> float:
    """Return a checkpoint's bytes: 14 a parameter, or 2 a trainable one of an adapter (ch. 12)."""
    if trainable is not None:
        return 2 * positive("Trainable", trainable)
    return 14 * positive("Parameters", parameters)


def stored_bits(bits: float, prices: Prices) -> Range:
    """Return the bits a weight really takes: 4 and 8 stand for formats that also store scales."""
    key = {4: "bits_4", 8: "bits_8"}.get(int(bits)) if bits == int(bits) else None
    return prices.values(key) if key else exactly(positive("Bits", bits))


def weights(model: Model, bits: float, prices: Prices | None = None) -> Figure:
    """Return the memory of a model's weights in GB; for 4 and 8 bits with the formats' scales."""
    prices = prices or load_prices()
    stored = stored_bits(bits, prices)
    return figure(
        "weights",
        Words("模型权重显存", "Memory of the weights"),
        stored.each(lambda each: weight_bytes(model.parameters, each) / GB),
        GIGABYTES,
        f"{number(model.parameters)} × {number(stored.likely)} bit ÷ 8",
        (guidance(13, "How much memory does quantisation save?"), *model.sources),
    )


def kv_cache(model: Model, tokens: float) -> Figure:
    """Return the KV cache of that many tokens in GB: from an 8-bit cache (low) to FP16.

    ``tokens`` counts all streams together.
    """
    positive("Tokens", tokens)
    each = kv_bytes_per_token(model)
    return figure(
        "kv_cache",
        Words("KV缓存", "KV cache"),
        Range(each / 2, each, each) * (tokens / GB),
        GIGABYTES,
        f"2 × {model.layers} × {model.kv_heads} × {model.head_dim} × 2 B × {number(tokens)}",
        (guidance(13, "How much memory does the KV cache take?"), *model.sources),
    )


def training_memory(
    parameters: float, mode: Mode = "full", trainable: float = 4e7, prices: Prices | None = None
) -> Figure:
    """Return the memory training takes in GB: the model states times 1.3–2 (guidance ch. 12)."""
    prices = prices or load_prices()
    states = training_state_bytes(parameters, mode, trainable) / GB
    allowance = prices.values("activation_allowance")
    return figure(
        "training_memory",
        Words("训练所需显存", "Memory for training"),
        allowance * states,
        GIGABYTES,
        f"{_states_formula(parameters, mode, trainable)} = {number(states)} GB; "
        f"× {number(allowance.likely)}",
        (
            guidance(12, "How much GPU memory does training take?"),
            *prices.sources("activation_allowance"),
        ),
    )


def cards_to_hold(memory: Figure, gpu: Gpu) -> Figure:
    """Return the cards over which training must be sharded for its memory to fit.

    Sharding as ZeRO stage 3 or FSDP spreads states and activations evenly; plain data
    parallelism does not lower what each card needs (guidance ch. 13).
    """
    needed = Range(memory.low, memory.likely, memory.high)
    return figure(
        "cards_to_hold",
        Words("放得下训练所需的卡数", "Cards that hold the training"),
        needed.each(lambda each: float(math.ceil(each / gpu.memory_gb))),
        Words("张", "cards"),
        f"⌈{number(memory.likely)} ÷ {number(gpu.memory_gb)}⌉",
        (
            guidance(13, "Do distributed training and data parallelism save money?"),
            *memory.sources,
            *gpu.sources,
        ),
    )


def _known(mode: Mode) -> float:
    if mode not in _STATE_BYTES:
        raise ValueError(f"Unknown mode {mode!r}: choose one of {', '.join(_STATE_BYTES)}.")
    return _STATE_BYTES[mode]


def _states_formula(parameters: float, mode: Mode, trainable: float) -> str:
    adapter = "" if mode == "full" else f" + 16 B × {number(trainable)}"
    return f"{number(_STATE_BYTES[mode])} B × {number(parameters)}{adapter}"
