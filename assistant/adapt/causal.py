"""Language models as a writer's training needs them: loaded, adapted, and asked.

A GGUF file is read by transformers and unpacked to plain weights, so that an adapter which is
taught on it fits what llama.cpp computes. PEFT's part is here; it teaches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from assistant.adapt.lora import renamed_quietly
from assistant.adapt.recipe import WriterTraining
from assistant.encoder import no_progress_bar
from assistant.engines.gguf import embedded_gguf
from assistant.errors import ConfigurationError
from assistant.model_files import EMBEDDED, cpu_dtype
from assistant.settings import Settings
from assistant.writer import sha256_of


@dataclass(frozen=True)
class Base:
    """A model below adapters, its tokenizer, and the GGUF file it was read from, if any."""

    name: str
    model: Any
    tokenizer: Any
    file: Path | None = None

    @property
    def sha256(self) -> str:
        """The GGUF file's; empty where there is none."""
        return sha256_of(self.file) if self.file else ""

    def prompt_tokens(self, text: str) -> list[int]:
        """Return a prompt's tokens, in the model's chat template where it has one."""
        if self.tokenizer.chat_template:
            said = [{"role": "user", "content": text}]
            found = self.tokenizer.apply_chat_template(
                said,
                add_generation_prompt=True,
                return_dict=False,
                enable_thinking=False,  # as vLLM is asked; other templates take no notice
            )
            return [int(token) for token in found]
        return [int(token) for token in self.tokenizer(text).input_ids]

    def target_tokens(self, text: str) -> list[int]:
        """Return what follows a prompt: a text's tokens and the end."""
        tokens = self.tokenizer(text, add_special_tokens=False).input_ids
        return [*(int(token) for token in tokens), int(self.tokenizer.eos_token_id)]


def load_base(training: WriterTraining, settings: Settings) -> Base:
    """Return the model of a training, its weights frozen, with its tokenizer.

    Raises:
        ConfigurationError: it cannot be loaded.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    device = training.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = _dtype(training, device, settings)
    file = embedded_gguf(settings) if training.base == EMBEDDED else None
    place = training.base
    options: dict[str, Any] = {}
    if file is not None:
        place = str(file.parent)
        options = {"gguf_file": file.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, **options)
        if file is not None:
            options["quantization_config"] = GgufConfig(dequantize=True)
        with no_progress_bar():
            model = AutoModelForCausalLM.from_pretrained(place, dtype=dtype, **options)
    except (OSError, ValueError, ImportError) as error:
        raise ConfigurationError(
            f"The language model {training.base!r} cannot be loaded ({error}). Set `base` in the "
            "recipe's training to `embedded`, a folder with a Hugging Face model, or its name."
        ) from error
    model.requires_grad_(False)
    if device == "cpu":  # written out, attention trains faster there than the fused kernel
        model.set_attn_implementation("eager")
    placed: Any = model
    return Base(training.base, placed.to(device), tokenizer, file)


def adapted_writer(base: Base, training: WriterTraining) -> Any:
    """Return the base with a LoRA adapter in the layers that the training names.

    Raises:
        ConfigurationError: it has no such layers.
    """
    lora = LoraConfig(
        r=training.rank,
        lora_alpha=training.alpha,
        lora_dropout=training.dropout,
        target_modules=list(training.targets),
        task_type="CAUSAL_LM",
    )
    below: Any = base.model
    try:
        with renamed_quietly():
            model = get_peft_model(below, lora)
    except ValueError as error:
        raise ConfigurationError(
            f"The adapter cannot be put into {base.name!r} ({error}). Correct `targets` in the "
            "recipe's training: they are names of its linear layers."
        ) from error
    if training.gradient_checkpointing:
        model.enable_input_require_grads()
        with renamed_quietly():
            model.gradient_checkpointing_enable({"use_reentrant": False})
    return model


def with_adapter(base: Base, folder: Path) -> Any:
    """Return the base with the adapter of a folder in it, for use."""
    with renamed_quietly():
        return PeftModel.from_pretrained(base.model, str(folder)).eval()


def write_by(model: Any, base: Base, prompt: str, most: int) -> str:
    """Return what a model writes upon a prompt, greedily, up to its end or a line's."""
    tokens = torch.tensor([base.prompt_tokens(prompt)], device=model.device)
    with torch.inference_mode():
        written = model.generate(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=most,
            do_sample=False,
            top_k=None,
            top_p=None,
            temperature=None,
            repetition_penalty=1.0,  # a model's own default would keep it from copying
            pad_token_id=base.tokenizer.eos_token_id,
        )
    text: str = base.tokenizer.decode(written[0, tokens.shape[1] :], skip_special_tokens=True)
    return text.partition("\n")[0].strip()


def linear_head(model: Any, tokens: Sequence[int] | None) -> torch.Tensor:
    """Return the output layer's weights: of ``tokens``, or of all (n, hidden); they are frozen."""
    weight: torch.Tensor = model.get_output_embeddings().weight.detach()
    if tokens is None:
        return weight
    return weight[torch.tensor(list(tokens), device=weight.device)].contiguous()


def _dtype(training: WriterTraining, device: str, settings: Settings) -> torch.dtype:
    if training.dtype != "auto":
        return torch.bfloat16 if training.dtype == "bfloat16" else torch.float32
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if cpu_dtype(settings) == "bfloat16" else torch.float32
