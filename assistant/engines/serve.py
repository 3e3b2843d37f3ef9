"""A vLLM server of one's own: started with the settings' model, watched, and stopped cleanly.

vLLM lives in an environment of its own (``vllm_python``), since it pins other versions of torch
than this product; it is a child process, spoken to over HTTP like any other server.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from assistant.engines.base import without_password
from assistant.errors import ConfigurationError, EngineError
from assistant.settings import Settings

DEFAULT_URL = "http://127.0.0.1:8000/v1"
_LOOK_EVERY_S = 1.0
_LOOK_TIMEOUT_S = 3.0
_STOP_TIMEOUT_S = 30.0
# The ranks that vLLM makes room for, and what it does without being told.
_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
_DEFAULT_RANK = 16
_MODULE = "vllm.entrypoints.openai.api_server"


@dataclass(frozen=True)
class ServerStatus:
    """How a model server is: what it offers, and how many requests it works on and has waiting.

    ``running`` and ``waiting`` are None where the server does not tell.
    """

    url: str
    healthy: bool
    models: tuple[str, ...] = ()
    running: int | None = None
    waiting: int | None = None
    problem: str = ""


def serve_command(settings: Settings, extra: Sequence[str] = ()) -> list[str]:
    """Return the command that starts vLLM as the settings say; ``extra`` goes to vLLM as it is.

    Raises:
        ConfigurationError: no model is set.
    """
    if not settings.vllm_serve_model:
        raise ConfigurationError(
            "No model to serve is set. Set ASSISTANT_VLLM_SERVE_MODEL to a folder or to a name "
            "on the hub, such as Qwen/Qwen3-8B-AWQ; the README lists some by GPU memory."
        )
    address = urlsplit(settings.vllm_base_url or DEFAULT_URL)
    options: dict[str, object] = {
        "model": settings.vllm_serve_model,
        "served-model-name": _base_name(settings),
        "host": address.hostname or "127.0.0.1",
        "port": address.port or 8000,
        "tensor-parallel-size": settings.vllm_tensor_parallel,
        "gpu-memory-utilization": settings.vllm_gpu_memory,
        "quantization": settings.vllm_quantization,
        "max-model-len": settings.vllm_context,
    }
    command = [str(settings.vllm_python), "-m", _MODULE, "--enable-prefix-caching"]
    command += [
        part for name, value in options.items() if value for part in (f"--{name}", f"{value}")
    ]
    if settings.vllm_adapters:
        adapters = [f"{name}={folder}" for name, folder in settings.vllm_adapters.items()]
        command += ["--enable-lora", "--lora-modules", *adapters]
        rank = max(map(_rank, settings.vllm_adapters.values()))
        command += ["--max-lora-rank", str(next(r for r in _LORA_RANKS if r >= rank))]
    return [*command, *extra]


def _base_name(settings: Settings) -> str:
    """Return the name that the model itself is served by; ``vllm_model`` may be an adapter's."""
    own = settings.vllm_model not in settings.vllm_adapters
    return (own and settings.vllm_model) or settings.vllm_serve_model


def _rank(folder: Path) -> int:
    """Return the rank of the adapter in a folder; vLLM's default for one that it is to fetch.

    Raises:
        ConfigurationError: the folder holds none that vLLM can take.
    """
    if not folder.is_dir():
        return _DEFAULT_RANK
    try:
        rank = int(json.loads((folder / "adapter_config.json").read_text("utf-8"))["r"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{folder} is no LoRA adapter that vLLM can load ({error}). Correct "
            "ASSISTANT_VLLM_ADAPTERS: it names folders with an adapter_config.json."
        ) from None
    if rank > _LORA_RANKS[-1]:
        raise ConfigurationError(
            f"{folder} has rank {rank}, and vLLM takes at most {_LORA_RANKS[-1]}. Teach one of a "
            "lower rank."
        )
    return rank


def serve(settings: Settings, extra: Sequence[str], log: Callable[[str], None]) -> int:
    """Run vLLM until it ends or this process is told to stop; return its exit code.

    Args:
        settings: the ``vllm_*`` ones count.
        extra: further options for vLLM.
        log: is given each line that vLLM prints, and one when it is ready.

    Raises:
        ConfigurationError: no model is set, or the interpreter is not there.
    """
    command = serve_command(settings, extra)
    # The key goes by the environment: a command line is everybody's to read.
    environment = {**os.environ, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if key := settings.vllm_api_key.get_secret_value():
        environment["VLLM_API_KEY"] = key
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is ours to pass on, once
        )
    except OSError as error:
        raise ConfigurationError(
            f"{settings.vllm_python} cannot be run ({error}). Set ASSISTANT_VLLM_PYTHON to the "
            "interpreter of an environment with vLLM: python -m venv vllm && vllm/bin/pip install "
            "vllm."
        ) from error
    assert process.stdout
    reader = threading.Thread(target=_pass_on, args=(process.stdout, log), daemon=True)
    reader.start()
    try:
        _announce(process, settings, log)
        return process.wait()
    finally:
        _stop(process)
        reader.join(_LOOK_TIMEOUT_S)


def server_status(settings: Settings) -> ServerStatus:
    """Ask a model server how it is; a server that does not answer is a status too."""
    url = (settings.vllm_base_url or DEFAULT_URL).rstrip("/")
    root, shown = url.removesuffix("/v1"), without_password(url)
    try:
        listed = json.loads(_get(f"{url}/models", settings))["data"]
        models = tuple(str(model["id"]) for model in listed)
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        return ServerStatus(shown, False, problem=str(error) or type(error).__name__)
    try:
        metrics = _get(f"{root}/metrics", settings)
    except (OSError, HTTPException):  # not vLLM
        metrics = ""
    return ServerStatus(
        shown,
        True,
        models,
        _gauge(metrics, "vllm:num_requests_running"),
        _gauge(metrics, "vllm:num_requests_waiting"),
    )


def _announce(
    process: subprocess.Popen[str], settings: Settings, log: Callable[[str], None]
) -> None:
    """Wait until the server answers, and say so."""
    while process.poll() is None:
        status = server_status(settings)
        if status.healthy:
            log(f"ready at {status.url}: {', '.join(status.models)}")
            return
        time.sleep(_LOOK_EVERY_S)
    raise EngineError(
        f"vLLM ended with exit code {process.returncode} before it was ready; the lines above say "
        "why. Often the model is larger than the GPU: lower ASSISTANT_VLLM_CONTEXT, choose a "
        "quantised model, or raise ASSISTANT_VLLM_TENSOR_PARALLEL."
    )


def _stop(process: subprocess.Popen[str]) -> None:
    """Ask the server to end, as Ctrl-C would; insist after a while, and sweep its helpers."""
    try:
        for how, patience in ((signal.SIGINT, _STOP_TIMEOUT_S), (signal.SIGTERM, _LOOK_TIMEOUT_S)):
            if process.poll() is None:
                process.send_signal(how)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(patience)
    finally:  # a second Ctrl-C must not leave it alone with the GPU
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _pass_on(lines: IO[str], log: Callable[[str], None]) -> None:
    """Pass each line on; when nobody reads them any more, let the server go on all the same."""
    with lines:
        for line in lines:
            with suppress(OSError):
                log(line.rstrip("\n"))


def _get(url: str, settings: Settings) -> str:
    request = urllib.request.Request(url)
    if key := settings.vllm_api_key.get_secret_value():
        request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=_LOOK_TIMEOUT_S) as reply:
        return str(reply.read().decode("utf-8", "replace"))


def _gauge(metrics: str, name: str) -> int | None:
    """Return a gauge's sum over its labels, None where it is not told."""
    found = [line for line in metrics.splitlines() if line.startswith(f"{name}{{")]
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in found)) if found else None
