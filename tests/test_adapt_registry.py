"""The registry: folders appear whole, one is in use, and there is a way back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from assistant.adapt.registry import Registry
from assistant.errors import ConfigurationError, NotFoundError


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "adapter.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "adapters")


def test_adapters_are_numbered_and_keep_their_files(registry: Registry, adapter: Path) -> None:
    first = registry.add("reader", "small", adapter, {"card.md": "# a"})
    second = registry.add("reader", "small", adapter, {"card.md": "# b"})
    other = registry.add("reader", "small-2", adapter, {})
    assert [first.name, second.name, other.name] == ["small-1", "small-2", "small-2-1"]
    assert (first / "adapter.safetensors").read_bytes() == b"weights"
    assert (second / "card.md").read_text("utf-8") == "# b"
    assert registry.current("reader") is None
    assert registry.all("reader") == [first, second, other]
    assert registry.all("writer") == []
    assert registry.folder("reader", "small-2") == second
    with pytest.raises(NotFoundError, match="small-1, small-2"):
        registry.folder("reader", "large-1")


def test_one_is_in_use_and_the_one_before_it_comes_back(registry: Registry, adapter: Path) -> None:
    first = registry.add("reader", "small", adapter, {})
    second = registry.add("reader", "small", adapter, {})
    registry.adopt("reader", first)
    registry.adopt("reader", second)
    assert registry.current("reader") == second
    assert registry.roll_back("reader") == first
    assert registry.current("reader") == first
    assert registry.roll_back("reader") is None
    with pytest.raises(NotFoundError, match="nothing to roll back"):
        registry.roll_back("reader")


def test_those_put_to_use_are_listed_oldest_first_without_those_that_are_gone(
    registry: Registry, adapter: Path
) -> None:
    first, second, third, _ = (registry.add("reader", "small", adapter, {}) for _ in range(4))
    assert registry.adopted("reader") == []
    for folder in (third, first, second):
        registry.adopt("reader", folder)
    assert registry.adopted("reader") == [third, first, second]
    assert registry.adopted("writer") == []
    shutil.rmtree(first)
    assert registry.adopted("reader") == [third, second]


def test_what_is_half_written_is_not_there(
    registry: Registry, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(source: Path, target: Path) -> None:
        target.mkdir()
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(shutil, "copytree", torn)
        with pytest.raises(OSError, match="full"):
            registry.add("reader", "small", adapter, {})
    assert registry.add("reader", "small", adapter, {}).name == "small-1"


def test_a_kill_between_writing_and_renaming_changes_nothing(
    registry: Registry, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = registry.add("reader", "small", adapter, {})
    second = registry.add("reader", "small", adapter, {})
    registry.adopt("reader", first)

    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            registry.adopt("reader", second)
    assert registry.current("reader") == first


def test_only_what_is_registered_is_put_to_use(registry: Registry, adapter: Path) -> None:
    with pytest.raises(NotFoundError, match="Register it first"):
        registry.adopt("reader", adapter)
    folder = registry.add("reader", "small", adapter, {})
    registry.adopt("reader", folder)
    shutil.rmtree(folder)
    with pytest.raises(ConfigurationError, match="roll-back"):
        registry.current("reader")
