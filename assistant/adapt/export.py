"""A taught writer's folder: PEFT's two files for vLLM, and a GGUF adapter for llama.cpp.

It writes what a model holds; it teaches nothing. llama.cpp's names for the tensors are those of
its own converter, by the package gguf.

Source of the adapter's layout: convert_lora_to_gguf.py of llama.cpp.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

from assistant.writer import ADAPTER_FILE, FACTS_FILE, WriterFacts, sha256_of

# Architectures whose weights llama.cpp keeps in the order of Hugging Face's.
_ARCHITECTURES = {
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}
_LORA = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<part>[AB])\.(?:\w+\.)?weight")


def write_writer(folder: Path, model: Any, facts: WriterFacts) -> None:
    """Write an adapter into an existing folder.

    Of an architecture that llama.cpp keeps in another order, only what vLLM needs.

    Args:
        folder: where to.
        model: the PEFT model.
        facts: what the adapter must be used with.
    """
    lora = model.peft_config[model.active_adapter]
    lora.base_model_name_or_path = facts.base  # not the place of its file on this machine
    half = {n: p.detach().half() for n, p in model.state_dict().items() if "lora_" in n}
    model.save_pretrained(str(folder), state_dict=half, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty card; ours is written later
    if model.config.model_type in _ARCHITECTURES:
        write_gguf(folder / ADAPTER_FILE, model, facts)
        facts = replace(facts, adapter_sha256=sha256_of(folder / ADAPTER_FILE))
    content = json.dumps(asdict(facts), indent=2, ensure_ascii=False)
    (folder / FACTS_FILE).write_text(content + "\n", "utf-8")


def write_gguf(file: Path, model: Any, facts: WriterFacts) -> None:
    """Write an adapter as GGUF, in half precision."""
    architecture = _ARCHITECTURES[model.config.model_type]
    writer = gguf.GGUFWriter(file, gguf.MODEL_ARCH_NAMES[architecture])
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(facts.alpha))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    for name, tensor in _gguf_tensors(model, architecture):
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_tensors(
    model: Any, architecture: gguf.MODEL_ARCH
) -> Iterator[tuple[str, np.ndarray[Any, np.dtype[np.float16]]]]:
    """Yield each tensor by llama.cpp's name: ``lora_a`` (rank, in), ``lora_b`` (out, rank)."""
    names = gguf.get_tensor_name_map(architecture, model.config.num_hidden_layers)
    for name, parameter in model.named_parameters():
        found = _LORA.fullmatch(name)
        if found:
            plain = names.get_name(found["module"] + ".weight", try_suffixes=(".weight",))
            assert plain, name
            half = parameter.detach().to("cpu", torch.float16).numpy()
            yield f"{plain}.lora_{found['part'].lower()}", half
