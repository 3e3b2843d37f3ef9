from __future__ import annotations

import errno
import hashlib
import shutil
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from assistant.engines import gguf
from assistant.engines.gguf import embedded_gguf, gguf_file
from assistant.errors import ModelError
from assistant.settings import Settings
from assistant.types import Progress

PIECES = (b"GGUF" + b"a" * 1000, b"b" * 2000, b"c" * 3000)
WHOLE = b"".join(PIECES)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three installed part packages, small, in place of the real four."""
    site = tmp_path / "site"
    parts = {}
    for number, piece in enumerate(PIECES):
        package = f"little_model_part{number}"
        (site / package).mkdir(parents=True)
        (site / package / "__init__.py").write_text("raise AssertionError('imported')\n")
        (site / package / "part").write_bytes(piece)
        parts[package] = "part"
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(gguf, "_PARTS", parts)
    monkeypatch.setattr(gguf, "_BYTES", len(WHOLE))
    monkeypatch.setattr(gguf, "_SHA256", hashlib.sha256(WHOLE).hexdigest())
    return site


def test_the_parts_are_joined_once_and_reported(packages: Path, settings: Settings) -> None:
    told: list[Progress] = []
    path = embedded_gguf(settings, told.append)
    assert path.read_bytes() == WHOLE
    assert path.parent == settings.cache_dir
    assert [(p.stage, p.done, p.total) for p in told] == [("prepare", n, 3) for n in range(4)]
    before = path.stat().st_mtime_ns
    assert gguf_file(settings, told.append) == path
    assert path.stat().st_mtime_ns == before
    assert len(told) == 4


def test_many_at_once_assemble_one_whole_file(packages: Path, settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: embedded_gguf(settings), range(8)))
    assert [path.read_bytes() for path in paths] == [WHOLE]
    assert not list(settings.cache_dir.glob("*.partial"))


@pytest.mark.parametrize("damage", [b"", WHOLE[:-1], b"GGUF" + WHOLE[4:][::-1]])
def test_a_damaged_file_is_put_together_anew(
    packages: Path, settings: Settings, damage: bytes
) -> None:
    path = embedded_gguf(settings)
    path.write_bytes(damage)
    assert embedded_gguf(settings).read_bytes() == WHOLE


def test_what_a_killed_process_left_is_no_obstacle(packages: Path, settings: Settings) -> None:
    path = embedded_gguf(settings)
    path.rename(path.with_suffix(".partial"))
    assert embedded_gguf(settings).read_bytes() == WHOLE
    assert not path.with_suffix(".partial").exists()


def test_a_missing_package_names_the_extra(packages: Path, settings: Settings) -> None:
    shutil.rmtree(packages / "little_model_part1")
    with pytest.raises(ModelError, match=r"little_model_part1 is missing.*\[embedded\]"):
        embedded_gguf(settings)


def test_damaged_packages_leave_nothing_behind(packages: Path, settings: Settings) -> None:
    (packages / "little_model_part2" / "part").write_bytes(b"d" * 3000)
    with pytest.raises(ModelError, match="--force-reinstall"):
        embedded_gguf(settings)
    assert [path.suffix for path in settings.cache_dir.iterdir()] == [".lock"]


def test_a_full_disk_is_said_before_anything_is_written(
    packages: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 100))
    with pytest.raises(ModelError, match=r"disk is full.*ASSISTANT_CACHE_DIR"):
        embedded_gguf(settings)


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_behind(
    packages: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(ModelError, match=r"No space left.*ASSISTANT_CACHE_DIR"):
        embedded_gguf(settings)
    assert [path.suffix for path in settings.cache_dir.iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written_names_the_setting(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match="ASSISTANT_CACHE_DIR"):
        embedded_gguf(Settings(cache_dir=tmp_path / "file" / "cache"))


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(WHOLE)
    assert gguf_file(Settings(llm_model=str(path))) == path


@pytest.mark.parametrize("content", [b"", b"GG", b"PK\x03\x04 a zip", b"ggml old"])
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is not a GGUF file"):
        gguf_file(Settings(llm_model=str(path)))


@pytest.mark.parametrize("name", ["missing.gguf", "no-such-model", "."])
def test_a_path_that_cannot_be_read_lists_the_choices(name: str) -> None:
    with pytest.raises(ModelError, match=r"cannot be read.*ASSISTANT_LLM_MODEL.*embedded"):
        gguf_file(Settings(llm_model=name))


def _cached(cache: Path, *files: str) -> None:
    """Lay out files as the Hugging Face cache keeps a downloaded repository."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = cache / "models--acme--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    for file in files:
        path = repository / "snapshots" / commit / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(WHOLE)


def test_a_cached_hub_model_needs_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    parts = [f"q4/tiny-{part:05d}-of-00002.gguf" for part in (1, 2)]
    _cached(tmp_path / "hub", "tiny.gguf", *parts)
    assert gguf_file(Settings(llm_model="acme/tiny:tiny.gguf")).read_bytes() == WHOLE
    assert gguf_file(Settings(llm_model=f"acme/tiny:{parts[0]}")).name == Path(parts[0]).name


def test_a_hub_model_that_is_neither_here_nor_reachable_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    # The first of two files is cached; that is not the model.
    _cached(tmp_path / "hub", "big-00001-of-00002.gguf")
    for name in ("acme/tiny:tiny.gguf", "acme/tiny:big-00001-of-00002.gguf"):
        with pytest.raises(ModelError, match=r"could not be downloaded.*connection.*embedded"):
            gguf_file(Settings(llm_model=name))
