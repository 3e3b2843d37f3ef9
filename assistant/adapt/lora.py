"""LoRA on an encoder, by PEFT: putting it in, and taking it out again.

PEFT has its home here. It teaches nothing.

Source: E. Hu et al., "LoRA: low-rank adaptation of large language models", 2021.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from assistant.adapt.recipe import Training
from assistant.reader import merge

_LAYER = re.compile(r"(?:^|\.)layers?\.(\d+)\.")


def adapted(encoder: Any, training: Training) -> nn.Module:
    """Return the encoder with a LoRA adapter in its linear layers, or those of its upper layers.

    The weights below are shared with the encoder and frozen. Dropout acts on the hidden
    states. Attention is written out: on a processor that trains a third faster than the fused
    kernel, whose backward pass is slow there.
    """
    base: Any = merge(encoder, {}, 1.0)
    base.set_attn_implementation("eager")
    for name, module in base.named_modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0 if "attention.self" in name else training.dropout
    lora = LoraConfig(
        r=training.rank, lora_alpha=training.alpha, target_modules=_targets(base, training.layers)
    )
    with renamed_quietly():
        model: nn.Module = get_peft_model(base, lora)
    return model


@contextmanager
def renamed_quietly() -> Iterator[None]:
    """Keep quiet that PEFT asks for what transformers has renamed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*gradient_checkpointing", FutureWarning)
        yield


def _targets(encoder: nn.Module, layers: int) -> list[str]:
    """Return the names of the linear layers in the upper ``layers`` (0: in all)."""
    placed = {
        name: int(match[1])
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Linear) and (match := _LAYER.search(name))
    }
    lowest = max(placed.values()) + 1 - layers if layers else 0
    return [name for name, place in placed.items() if place >= lowest]


def lora_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the adapter's weights, which still change with the model, as `merge` names them."""
    named = {}
    for name, parameter in model.named_parameters():
        module, mark, part = name.partition(".lora_")
        if mark:
            plain = module.removeprefix("base_model.model.")
            named[f"{plain}.lora_{part[0]}"] = parameter.detach()
    return named


def autocast(encoder: nn.Module) -> Callable[[], AbstractContextManager[Any]]:
    """Return bfloat16 autocast where the loaded model is in it, else nothing.

    `embed` loads it in bfloat16 where the processor, or the GPU, computes in it.
    """
    parameter = next(encoder.parameters())
    if parameter.dtype != torch.bfloat16:
        return nullcontext
    return lambda: torch.autocast(parameter.device.type, dtype=torch.bfloat16)
