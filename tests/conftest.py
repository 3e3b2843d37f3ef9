"""Every test gets directories of its own and a clean environment; the network is blocked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant import Assistant, Settings

# Fixtures that several files of tests share.
pytest_plugins = ("account_fixtures", "house", "http_desk", "served_client", "web_service")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("ASSISTANT_") and name != "ASSISTANT_CACHE_DIR":
            monkeypatch.delenv(name)
    monkeypatch.setenv("ASSISTANT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings without any model: the arithmetic embedder and the extractive engine."""
    return Settings(data_dir=tmp_path / "data", embedding_model="hash", engine="extractive")


@pytest.fixture
def assistant(settings: Settings) -> Iterator[Assistant]:
    """An empty assistant without models; every question passes the gate."""
    with Assistant(settings.model_copy(update={"gate_threshold": 0.0})) as opened:
        yield opened


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """A folder of three small documents, one of them for finance only."""
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "leave.md").write_text(
        "# 休假制度\n\n员工每年享有十五天带薪年假。病假需要提交医院证明。\n\n"
        "## 婚假\n\n婚假为十天，应在登记后一年内休完。\n",
        "utf-8",
    )
    (folder / "pumps.md").write_text(
        "# Pump catalogue\n\nThe CP-2150B pump delivers 45 cubic metres an hour. "
        "It weighs 320 kilograms and costs 18,500 yuan.\n",
        "utf-8",
    )
    (folder / "budget.md").write_text(
        "---\ntitle: 预算\ngroups: [finance]\n---\n\n# 预算\n\n"
        "2026年大模型专项预算为三百二十万元。\n",
        "utf-8",
    )
    return folder
