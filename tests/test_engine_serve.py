"""`assistant engine`: the command that starts vLLM, and what a server says of itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import real_servers

from assistant import Settings
from assistant.engines.serve import serve, serve_command, server_status
from assistant.errors import ConfigurationError, EngineError


def test_the_settings_become_vllms_options() -> None:
    command = serve_command(
        Settings(
            vllm_python="/opt/vllm/bin/python",
            vllm_serve_model="Qwen/Qwen3-14B-AWQ",
            vllm_base_url="http://127.0.0.1:9000/v1",
            vllm_tensor_parallel=2,
            vllm_quantization="awq",
            vllm_context=8192,
            vllm_adapters={"ours": "/models/ours"},
            vllm_api_key="s3cret",
        ),
        ["--enforce-eager"],
    )
    line = " ".join(command)
    assert line.startswith("/opt/vllm/bin/python -m vllm.")
    for part in (
        "--model Qwen/Qwen3-14B-AWQ",
        "--port 9000",
        "--tensor-parallel-size 2",
        "--quantization awq",
        "--max-model-len 8192",
        "--enable-lora --lora-modules ours=/models/ours",
        "--enable-prefix-caching",
    ):
        assert part in line
    assert line.endswith("--enforce-eager")
    assert "s3cret" not in line, "a command line is everybody's to read"


def test_what_is_not_set_is_left_to_vllm() -> None:
    line = " ".join(serve_command(Settings(vllm_serve_model="m")))
    assert "--quantization" not in line
    assert "--max-model-len" not in line
    assert "--enable-lora" not in line


def option(name: str, **values: Any) -> str:
    """Return the value of an option of vLLM's command line."""
    command = serve_command(Settings(vllm_serve_model="org/base", **values))
    return command[command.index(f"--{name}") + 1]


def adapter(folder: Path, config: str) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(config, "utf-8")
    return folder


@pytest.mark.parametrize(
    ("asked_for", "name"),
    [("", "org/base"), ("ours", "ours"), ("assistant-writer", "org/base")],
)
def test_the_base_keeps_its_own_name_where_an_adapter_is_asked_for(
    asked_for: str, name: str
) -> None:
    adapters = {"assistant-writer": Path("org/writer")}
    assert option("served-model-name", vllm_model=asked_for, vllm_adapters=adapters) == name
    assert option("served-model-name", vllm_model=asked_for) == (asked_for or "org/base")


@pytest.mark.parametrize(
    ("ranks", "most"),
    [((1,), 1), ((4,), 8), ((16,), 16), ((20,), 32), ((64,), 64), ((8, 300), 320), ((512,), 512)],
)
def test_there_is_room_for_the_greatest_rank_of_the_adapters(
    tmp_path: Path, ranks: tuple[int, ...], most: int
) -> None:
    adapters = {f"a{r}": adapter(tmp_path / str(r), json.dumps({"r": r})) for r in ranks}
    assert option("max-lora-rank", vllm_adapters=adapters) == str(most)


def test_an_adapter_that_vllm_is_to_fetch_is_of_its_default_rank(tmp_path: Path) -> None:
    adapters = {"far": Path("org/adapter"), "near": adapter(tmp_path / "near", '{"r": 4}')}
    assert option("max-lora-rank", vllm_adapters=adapters) == "16"


@pytest.mark.parametrize("config", ["", "{", "[]", "{}", '{"r": null}', '{"r": "many"}'])
def test_a_folder_without_an_adapter_is_named(tmp_path: Path, config: str) -> None:
    folder = adapter(tmp_path / "broken", config)
    with pytest.raises(ConfigurationError, match=r"broken is no LoRA.*ASSISTANT_VLLM_ADAPTERS"):
        option("max-lora-rank", vllm_adapters={"a": folder})
    (folder / "adapter_config.json").unlink()
    with pytest.raises(ConfigurationError, match=r"broken is no LoRA.*ASSISTANT_VLLM_ADAPTERS"):
        option("max-lora-rank", vllm_adapters={"a": folder})


def test_a_rank_that_vllm_does_not_take_is_named(tmp_path: Path) -> None:
    large = adapter(tmp_path / "large", '{"r": 513}')
    with pytest.raises(ConfigurationError, match="rank 513, and vLLM takes at most 512"):
        option("max-lora-rank", vllm_adapters={"a": large})


def test_no_model_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="ASSISTANT_VLLM_SERVE_MODEL"):
        serve_command(Settings())


def test_no_interpreter_names_the_remedy() -> None:
    settings = Settings(vllm_serve_model="m", vllm_python="/nowhere/python")
    with pytest.raises(ConfigurationError, match="pip install vllm"):
        serve(settings, [], print)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_server_that_ends_before_it_is_ready_is_told(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho CUDA out of memory\nexit 3\n", "utf-8")
    fake.chmod(0o755)
    port = real_servers.free_port()
    settings = Settings(
        vllm_serve_model="m", vllm_python=fake, vllm_base_url=f"http://127.0.0.1:{port}/v1"
    )
    lines: list[str] = []
    with pytest.raises(EngineError, match=r"exit code 3.*ASSISTANT_VLLM_CONTEXT"):
        serve(settings, [], lines.append)
    assert lines == ["CUDA out of memory"]


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_server_that_is_not_there_is_a_status() -> None:
    url = f"http://127.0.0.1:{real_servers.free_port()}/v1"
    status = server_status(Settings(vllm_base_url=url))
    assert not status.healthy
    assert "refused" in status.problem


@pytest.mark.servers
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_vllm_is_started_watched_and_stopped(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{real_servers.free_port()}/v1"
    environment = {
        **os.environ,
        "ASSISTANT_VLLM_PYTHON": str(real_servers.VLLM_PYTHON),
        "ASSISTANT_VLLM_SERVE_MODEL": str(real_servers.gemma_folder()),
        "ASSISTANT_VLLM_MODEL": "gemma",
        "ASSISTANT_VLLM_BASE_URL": url,
        "ASSISTANT_VLLM_CONTEXT": "1024",
        "ASSISTANT_VLLM_GPU_MEMORY": "0.1",
        "ASSISTANT_VLLM_API_KEY": "s3cret",
        "VLLM_CPU_KVCACHE_SPACE": "1",
    }
    command = [sys.executable, "-c", "from assistant.surfaces.cli import main; main()"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "engine", "serve", "--dtype", "bfloat16", "--enforce-eager"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + real_servers.START_TIMEOUT_S
        while "ready at" not in (tmp_path / "log").read_text("utf-8"):
            assert server.poll() is None, (tmp_path / "log").read_text("utf-8")[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.5)
        key = {"vllm_base_url": url, "vllm_api_key": "s3cret"}
        status = server_status(Settings(**key))
        assert (status.models, status.running, status.waiting) == (("gemma",), 0, 0)
        assert not server_status(Settings(vllm_base_url=url)).healthy, "the key is asked for"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    assert not server_status(Settings(**key)).healthy
