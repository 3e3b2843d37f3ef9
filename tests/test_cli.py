from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assistant.adapt.registry import Registry, registry_folder

HEAVY = ("torch", "chromadb", "llama_cpp", "sentence_transformers", "gradio", "langchain_core")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "ASSISTANT_DATA_DIR": str(tmp_path / "data"),
        "ASSISTANT_EMBEDDING_MODEL": "hash",
        "ASSISTANT_ENGINE": "extractive",
        "ASSISTANT_GATE_THRESHOLD": "0",
    }


@pytest.fixture
def run(environment: dict[str, str]) -> Any:
    def call(*arguments: str, stdin: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from assistant.surfaces.cli import main; main()", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env={**environment, **extra},
            check=False,
        )

    return call


def test_help_loads_no_heavy_library() -> None:
    script = (
        "import sys; sys.argv = ['assistant', '--help']\n"
        "from assistant.surfaces.cli import app\n"
        "try: app()\n"
        f"finally: print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
    for command in ("ask", "chat", "search", "ingest", "documents", "remove", "reindex", "doctor"):
        assert command in done.stdout


def test_a_taught_reader_is_listed_used_and_rolled_back(run: Any, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    registry = Registry(registry_folder(tmp_path / "data"))
    first, second = (registry.add("reader", "small", made, {}) for _ in range(2))
    registry.adopt("reader", first)
    listed = run("adapt", "list").stdout
    assert "* small-1" in listed and "  small-2" in listed
    assert "small-2 is in use" in run("adapt", "use", "small-2").stdout
    assert registry.current("reader") == second
    assert "small-1 is in use" in run("adapt", "roll-back").stdout
    assert "No reader is in use" in run("adapt", "roll-back").stdout
    refused = run("adapt", "roll-back")
    assert refused.returncode and "nothing to roll back" in refused.stderr
    unknown = run("adapt", "run", "no-such-recipe")
    assert unknown.returncode and "reader-small" in unknown.stderr


def test_a_first_session_from_ingest_to_answer(run: Any, papers: Path) -> None:
    done = run("ingest", str(papers))
    assert done.returncode == 0, done.stderr
    assert "3 added" in done.stdout
    asked = run("ask", "员工每年的年假有几天？")
    assert asked.returncode == 0, asked.stderr
    assert "十五天" in asked.stdout
    assert "[1] 《休假制度》" in asked.stdout
    listed = json.loads(run("documents", "--json").stdout)
    assert {document["title"] for document in listed} == {"休假制度", "Pump catalogue"}
    removed = run("remove", listed[0]["id"])
    assert removed.returncode == 0
    assert len(json.loads(run("documents", "--json").stdout)) == 1


def test_search_shows_the_score_of_each_leg(run: Any, papers: Path) -> None:
    run("ingest", str(papers))
    hits = json.loads(run("search", "年假", "--json").stdout)
    assert hits[0]["document"]["title"] == "休假制度"
    assert {"score", "dense_score", "lexical_score"} <= hits[0].keys()
    assert "lexical" in run("search", "年假").stdout


def test_groups_decide_what_is_seen(run: Any, papers: Path) -> None:
    run("ingest", str(papers))
    question = "2026年大模型专项预算是多少？"
    assert "三百二十万" not in run("ask", question).stdout
    assert "三百二十万" in run("ask", "-g", "finance", question).stdout


def test_questions_are_read_from_stdin(run: Any, papers: Path) -> None:
    run("ingest", str(papers))
    done = run("ask", "-", stdin="员工每年的年假有几天？\n\n婚假有几天？\n")
    assert "十五天" in done.stdout
    assert "婚假为十天" in done.stdout


def test_a_chat_in_the_terminal_is_a_conversation(run: Any, papers: Path) -> None:
    run("ingest", str(papers))
    done = run("chat", "-u", "lin", stdin="员工的婚假有几天？\n多久之内休完？\n")
    assert done.returncode == 0, done.stderr
    assert "一年内" in done.stdout
    (conversation,) = json.loads(run("conversations", "-u", "lin", "--json").stdout)
    exported = run("conversations", conversation["id"], "-u", "lin").stdout
    assert exported.startswith("# 员工的婚假有几天？")
    assert json.loads(run("conversations", "-u", "wu", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("ask", ""), 2, "empty"),
        (("ingest", "nowhere"), 4, "does not exist"),
        (("remove", "no-such-id"), 8, "assistant documents"),
        (("conversations", "no-such-id"), 8, "no conversation"),
        (("ask", "年假？", "-c", "no-such-id"), 8, "no conversation"),
        (("frobnicate",), 2, "No such command"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(
    run: Any, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = run(*arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_refusal_has_its_own_exit_code(run: Any, papers: Path) -> None:
    run("ingest", str(papers))
    done = run("ask", "公司的CEO生日是哪天？", ASSISTANT_GATE_THRESHOLD="1")
    assert done.returncode == 3
    assert "没有找到" in done.stdout


def test_bad_files_are_reported_and_change_the_exit_code(run: Any, papers: Path) -> None:
    (papers / "empty.txt").touch()
    done = run("ingest", str(papers))
    assert done.returncode == 4
    assert "empty.txt" in done.stderr
    assert "3 added" in done.stdout
    assert "empty.txt" in run("documents", "--quarantined").stdout


def test_an_unknown_engine_lists_the_choices(run: Any, papers: Path) -> None:
    run("ingest", str(papers))
    done = run("ask", "年假有几天？", ASSISTANT_ENGINE="gpt")
    assert done.returncode == 2
    assert "extractive, llamacpp" in done.stderr


def test_config_lists_every_setting(run: Any) -> None:
    from assistant import Settings

    shown = run("config").stdout
    assert all(f"ASSISTANT_{name.upper()}" in shown for name in Settings.model_fields)
    assert json.loads(run("config", "--json").stdout)["engine"] == "extractive"


def test_doctor_names_the_remedy(run: Any, papers: Path) -> None:
    empty = run("doctor")
    assert empty.returncode == 1
    assert "assistant ingest" in empty.stdout
    run("ingest", str(papers))
    whole = run("doctor")
    assert whole.returncode == 0
    told = " ".join(whole.stdout.split())
    assert "known by a few patterns alone" in told and "not sorted by topic" in told
    assert "settings" in run("doctor", ASSISTANT_TOP_K="0").stdout


def test_reindex_after_the_model_changed(run: Any, papers: Path) -> None:
    run("ingest", str(papers))
    done = run("reindex")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(run("documents", "--json").stdout)) == 2
