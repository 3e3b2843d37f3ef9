"""An adapter's folder as `assistant.reader` loads it: weights in half precision, and facts.

It writes; what is in them, others decide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from assistant.reader import FACTS_FILE, WEIGHTS_FILE, Facts


def write_adapter(path: Path, tensors: Mapping[str, torch.Tensor], facts: Facts) -> None:
    """Write an adapter folder; the weights in half precision.

    Args:
        path: an existing folder.
        tensors: as `merge` takes them, and the heads as ``heads.<name>``.
        facts: what it must be used with.
    """
    half = {name: t.detach().to("cpu", torch.float16).contiguous() for name, t in tensors.items()}
    save_file(half, path / WEIGHTS_FILE)
    write_facts(path, facts)


def blend(adapter: Path, start: Path, share: float) -> None:
    """Make an adapter the mean of itself, with a weight of ``share``, and another of its shape.

    Args:
        adapter: the folder that is changed.
        start: the other one's folder.
        share: 0 to 1.
    """
    ours, theirs = load_file(adapter / WEIGHTS_FILE), load_file(start / WEIGHTS_FILE)
    mean = {n: share * t.float() + (1 - share) * theirs[n].float() for n, t in ours.items()}
    save_file({name: tensor.half() for name, tensor in mean.items()}, adapter / WEIGHTS_FILE)


def write_facts(path: Path, facts: Facts) -> None:
    """Write what an adapter must be used with into its folder."""
    content = json.dumps(asdict(facts), indent=2, ensure_ascii=False)
    (path / FACTS_FILE).write_text(content + "\n", "utf-8")
