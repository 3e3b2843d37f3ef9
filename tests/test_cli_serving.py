"""The command line beside a running server, which holds the data directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import Server, serving

from assistant import Assistant, Settings

pytestmark = pytest.mark.enable_socket

LEAVE = "员工每年的年假有几天？"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    settings = {"data_dir": str(tmp_path / "data"), "embedding_model": "hash"}
    settings |= {"engine": "extractive", "gate_threshold": "0"}
    environment = os.environ | {f"ASSISTANT_{k.upper()}": v for k, v in settings.items()}

    def call(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "assistant.surfaces.cli", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )

    return call


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data") as running:
        yield running


def test_every_command_works_beside_a_server(server: Server, run: Run, papers: Path) -> None:
    took = run("ingest", "papers")
    assert took.returncode == 0, took.stderr
    assert "3 added" in took.stdout
    assert took.stderr.strip() == (
        f"Asking the server at {server.address}, which holds {server.data_dir}."
    )
    assert "3 unchanged" in run("ingest", "papers").stdout
    asked = run("ask", LEAVE, "-u", "lin")
    assert asked.returncode == 0, asked.stderr
    assert "十五天" in asked.stdout
    assert "[1] 《休假制度》" in asked.stdout
    budget = "2026年大模型专项预算是多少？"
    assert "三百二十万" not in run("ask", budget).stdout
    assert "三百二十万" in run("ask", "-g", "finance", budget).stdout
    assert "休假制度" in run("search", "年假").stdout
    chatted = run("chat", "-u", "wang", stdin="员工的婚假有几天？\n多久之内休完？\n")
    assert "一年内" in chatted.stdout, chatted.stderr
    (conversation,) = json.loads(run("conversations", "-u", "lin", "--json").stdout)
    assert run("conversations", conversation["id"], "-u", "lin").stdout.startswith(f"# {LEAVE}")
    assert run("conversations", conversation["id"], "-u", "wu").returncode == 8
    assert run("conversations", conversation["id"], "-u", "lin", "--delete").returncode == 0
    (papers / "empty.txt").touch()
    assert run("ingest", "papers").returncode == 4
    assert "empty.txt" in run("documents", "--quarantined").stdout
    assert run("reindex").returncode == 0
    listed = json.loads(run("documents", "-g", "finance", "--json").stdout)
    assert {d["source"] for d in listed} == {str(p) for p in papers.glob("*.md")}
    secret = next(d["id"] for d in listed if d["title"] == "预算")
    assert run("remove", secret).returncode == 0
    assert run("remove", secret).returncode == 8
    assert run("ask", "").returncode == 2


def test_what_was_done_beside_a_server_is_there_without_it(
    server: Server, run: Run, papers: Path
) -> None:
    assert "3 added" in run("ingest", "papers").stdout
    run("ask", LEAVE)
    server.kill()  # its card stays behind
    asked = run("ask", LEAVE)
    assert asked.returncode == 0, asked.stderr
    assert asked.stderr == ""
    assert "3 unchanged" in run("ingest", "papers").stdout
    assert len(json.loads(run("conversations", "--json").stdout)) == 2


def test_a_holder_that_serves_nobody_is_named(settings: Settings, run: Run) -> None:
    with Assistant(settings) as assistant:
        assistant.documents()
        asked = run("documents")
    assert asked.returncode == 5
    assert f"process {os.getpid()}" in asked.stderr
