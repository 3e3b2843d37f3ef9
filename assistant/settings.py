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
    reranker: Literal["late", "cross", "off"] = Field(
        "late",
        description="what orders the best candidates anew: `late` (the embedding model's token "
        "vectors), `cross` (the cross-encoder `reranker_model`), or `off`",
    )
    reranker_model: str = Field(
        "", description="the cross-encoder: a folder or a sentence-transformers name"
    )
    reranked: int = Field(50, ge=1, le=200, description="candidates that are ordered anew")
    reader: Literal["auto", "off"] = Field(
        "auto",
        description="`auto`: the best passages are read for the answer's words by the reader that "
        "`assistant adapt` put to use, else by the one that ships; `off`: search alone decides",
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
    writer: Literal["auto", "off"] = Field(
        "auto",
        description="`auto`: `llm_model` writes with the adapter that `assistant adapt` put to use "
        "for it, else with the one that ships; `off`: as it is",
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

    host: str = Field("127.0.0.1", description="the address that `assistant serve` listens on")
    port: int = Field(7860, ge=0, le=65535, description="its port; 0: a free one")
    public_url: str = Field(
        "", description="where people reach it behind a proxy, for example `https://ask.example`"
    )
    auth: Literal["none", "password", "header", "oidc"] = Field(
        "none",
        description="who may use it: `none` (only on this machine), `password`, `header` (a proxy "
        "names the user), `oidc` (OpenID Connect)",
    )
    open_groups: tuple[str, ...] = Field(
        (), description="groups of the visitor while `auth` is `none`"
    )
    admin_users: tuple[str, ...] = Field(
        (), description="users that are administrators from their first sign-in by proxy or OpenID"
    )
    session_hours: int = Field(12, ge=1, le=24 * 90, description="how long a sign-in lasts")
    user_header: str = Field("X-Forwarded-User", description="the header that names the user")
    groups_header: str = Field(
        "X-Forwarded-Groups", description="the header that lists their groups, by commas"
    )
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"), description="addresses and networks that may set those headers"
    )
    oidc_issuer: str = Field("", description="the OpenID Connect provider's address")
    oidc_client_id: str = Field("", description="the client's name there")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="the client's secret there")
    oidc_user_claim: str = Field(
        "preferred_username", description="the claim that names the user; it must never change"
    )
    oidc_groups_claim: str = Field("groups", description="the claim that lists their groups")
    requests_per_minute: int = Field(
        120, ge=1, description="requests a user may make in a minute; questions are a quarter of it"
    )
    company_name: str = Field("", max_length=40, description="shown on the page")
    company_logo: Path | None = Field(None, description="an SVG or PNG file shown on the page")
    brand_colour: str = Field(
        "#2457d6", pattern="^#[0-9a-fA-F]{6}$", description="the page's main colour"
    )
    page_language: Literal["auto", "zh", "en"] = Field(
        "auto", description="the page's language at first sight; `auto`: the browser's"
    )

    slack_mode: Literal["socket", "http"] = Field(
        "socket",
        description="how Slack reaches the bot: `socket` (it calls out, no open port) or `http` "
        "(Slack posts to `/slack/events`, signed)",
    )
    slack_bot_token: SecretStr = Field(SecretStr(""), description="the bot's token, `xoxb-…`")
    slack_bot_token_file: Path | None = Field(None, description="a file that holds it instead")
    slack_app_token: SecretStr = Field(
        SecretStr(""), description="the app-level token for Socket Mode, `xapp-…`"
    )
    slack_app_token_file: Path | None = Field(None, description="a file that holds it instead")
    slack_signing_secret: SecretStr = Field(
        SecretStr(""), description="what Slack signs its requests with, for `http`"
    )
    slack_signing_secret_file: Path | None = Field(None, description="a file that holds it instead")
    slack_config: Path | None = Field(
        None, description="a YAML file: who Slack's users are, and how channels are answered"
    )
    slack_workers: int = Field(8, ge=1, le=64, description="questions from Slack answered at once")
    slack_host: str = Field("127.0.0.1", description="the address listened on, for `http`")
    slack_port: int = Field(3000, ge=0, le=65535, description="its port")
    slack_api_url: str = Field(
        "https://slack.com/api/", description="where Slack's Web API is; GovSlack has another"
    )

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
