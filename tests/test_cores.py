from __future__ import annotations

import os
from pathlib import Path

import pytest

from assistant.engines import cores
from assistant.engines.cores import physical_cores


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight processors on four cores, of which this process may use six."""
    for number in range(8):
        topology = tmp_path / f"cpu{number}" / "topology"
        topology.mkdir(parents=True)
        first = number - number % 2
        (topology / "thread_siblings_list").write_text(f"{first}-{first + 1}\n")
    monkeypatch.setattr(cores, "_TOPOLOGY", tmp_path)
    monkeypatch.setattr(cores, "_CONTAINER", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    return tmp_path


def test_two_threads_of_a_core_count_once(machine: Path) -> None:
    assert physical_cores() == 3


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 3), ("200000 100000", 2), ("50000 100000", 1), ("900000 100000", 3), ("", 3)],
)
def test_a_containers_share_is_kept(machine: Path, quota: str, expected: int) -> None:
    (machine / "cpu.max").write_text(quota)
    assert physical_cores() == expected


def test_hidden_topology_counts_each_processor(machine: Path) -> None:
    (machine / "cpu3" / "topology" / "thread_siblings_list").unlink()
    assert physical_cores() == 6


def test_elsewhere_than_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    assert physical_cores() == 10
