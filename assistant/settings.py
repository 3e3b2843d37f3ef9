"""One frozen Settings: environment ``ASSISTANT_*``, then ``assistant.toml``, then defaults.

It reads values and checks their ranges; it creates no directory and loads no model.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_cache_path, user_data_path
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from assistant.errors import ConfigurationError

APP_NAME = "strategy-assistant"
CONFIG_VARIABLE = "ASSISTANT_CONFIG"


class Settings(BaseSettings):
    """Everything that can be set, with its default.

    Raises:
        ConfigurationError: a value is unknown, of the wrong type or out of range.
    """

    model_config = SettingsConfigDict(env_prefix="ASSISTANT_", frozen=True, extra="forbid")

    data_dir: Path = Field(
        default_factory=lambda: user_data_path(APP_NAME),
        description="where the index and the conversations are kept",
    )
    cache_dir: Path = Field(
        default_factory=lambda: user_cache_path(APP_NAME),
        description="where embedded models are unpacked; can be deleted at any time",
    )

    embedding_model: str = Field(
        "embedded",
        description="`embedded` (multilingual-e5-small), a folder, or a sentence-transformers name",
    )
    embedding_device: str = Field("auto", description="`auto`, `cpu`, `cuda`, `mps`")
    embedding_dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="`auto`: bfloat16 where the processor has it, else float32"
    )
    embedding_batch: int = Field(
        0, ge=0, le=1024, description="texts embedded at once; 0: 8 on a processor, 64 on a GPU"
    )
    query_prefix: str | None = Field(
        None, description="overrides the model's own prefix for questions"
    )
    passage_prefix: str | None = Field(
        None, description="overrides the model's own prefix for passages"
    )

    chroma_url: str = Field("", description="a Chroma server; empty: Chroma in the data directory")

    chunk_tokens: int = Field(320, ge=32, le=8192, description="longest chunk, in tokens")
    max_file_mb: int = Field(100, ge=1, description="larger files are quarantined")
    load_timeout_s: int = Field(120, ge=1, description="a file that parses longer is quarantined")
    load_memory_mb: int = Field(
        2048, ge=256, description="a file that needs more memory to parse is quarantined"
    )
    allowed_folders: tuple[Path, ...] = Field(
        (), description="only files below these folders are taken in; empty: any"
    )

    top_k: int = Field(8, ge=1, le=100, description="hits considered for an answer")
    candidates: int = Field(50, ge=1, le=1000, description="candidates taken from each leg")
    dense_weight: float = Field(
        0.7, ge=0.0, le=1.0, description="share of the dense leg in the fused score"
    )
    gate_threshold: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="least probability of evidence to answer; unset: the calibrated one",
    )

    engine: str = Field(
        "auto",
        description="`auto`: the first that works of the server at `vllm_base_url`, llama.cpp with "
        "`llm_model` (each if set), and quoting; or `openai_compatible`, `llamacpp`, `extractive`",
    )
    llm_model: str = Field(
        "embedded",
        description="`embedded` (Gemma 3 270M), a GGUF file, or `owner/repo:file.gguf` on a hub",
    )
    llm_form: Literal["auto", "chat", "completion"] = Field(
        "auto", description="`auto`: chat when the model carries a chat template"
    )
    llm_context: int = Field(4096, ge=512, description="context window, in tokens")
    llm_threads: int = Field(0, ge=0, description="0: all cores")
    llm_gpu_layers: int = Field(0, ge=-1, description="layers on the GPU; -1: all")
    queue_size: int = Field(8, ge=1, description="questions that may wait; more are told `busy`")
    max_passages: int = Field(4, ge=1, le=50, description="passages put before the engine")
    max_answer_tokens: int = Field(256, ge=16, description="longest answer, in tokens")
    temperature: float = Field(0.0, ge=0.0, le=2.0, description="0: the likeliest answer")
    vllm_base_url: str = Field(
        "", description="an OpenAI-compatible server, e.g. vLLM at `http://127.0.0.1:8000/v1`"
    )
    vllm_api_key: SecretStr = Field(SecretStr(""), description="its key, where it asks for one")
    vllm_model: str = Field(
        "", description="the model or LoRA adapter to ask for; empty: the first it offers"
    )
    vllm_form: Literal["auto", "chat", "completion"] = Field(
        "auto", description="`auto`: chat when its model has a chat template"
    )
    vllm_timeout_s: float = Field(
        60.0, gt=0, description="longest wait for its next piece of an answer"
    )
    vllm_retries: int = Field(
        1, ge=0, description="further tries, with pauses, before the first piece"
    )
    vllm_python: Path = Field(
        Path("python3"),
        description="the interpreter that has vLLM installed, for `assistant engine serve`",
    )
    vllm_serve_model: str = Field(
        "", description="the model that `assistant engine serve` loads: a folder or a hub name"
    )
    vllm_tensor_parallel: int = Field(1, ge=1, description="GPUs that one model is spread over")
    vllm_quantization: str = Field(
        "", description="e.g. `awq`, `fp8`; empty: as the model's own files say"
    )
    vllm_context: int = Field(
        0, ge=0, description="its context window, in tokens; 0: the model's own"
    )
    vllm_gpu_memory: float = Field(
        0.9, gt=0.0, le=1.0, description="share of the GPU's memory that it may take"
    )
    vllm_adapters: dict[str, Path] = Field(
        default_factory=dict, description="LoRA adapters to serve: names and folders"
    )

    max_question_chars: int = Field(4000, ge=1, description="longer questions are declined")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigurationError(_explain(error)) from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(
                f"{config_file()} is not valid TOML ({error}). Correct it, or remove it."
            ) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the environment before ``assistant.toml`` before the defaults."""
        toml = TomlConfigSettingsSource(settings_cls, config_file())
        return init_settings, env_settings, toml


def config_file() -> Path:
    """Return the configuration file: ``$ASSISTANT_CONFIG``, else ``./assistant.toml``."""
    return Path(os.environ.get(CONFIG_VARIABLE) or "assistant.toml")


def data_folder(name: str) -> Path:
    """Return the folder ``prompts`` or ``knowledge``: in the installed package or the checkout."""
    here = Path(__file__).resolve().parent
    packaged = here / "_data" / name
    return packaged if packaged.is_dir() else here.parent / name


def _explain(error: ValidationError) -> str:
    """One line a problem: the setting, what is wrong with it, and where to set it."""
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"`{name}` is not a setting; `assistant config` lists them.")
        else:
            lines.append(
                f"`{name}` = {problem['input']!r}: {problem['msg']}. "
                f"Set ASSISTANT_{name.upper()} or `{name}` in {config_file()}."
            )
    return "\n".join(lines)
