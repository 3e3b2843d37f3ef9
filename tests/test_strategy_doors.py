"""The strategy through every door: Python, HTTP, the client, the command line."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from loopback import Served

from assistant import Assistant, Client, Principal
from assistant.errors import NotFoundError, QuestionError
from assistant.strategy import Strategies, Weights, form
from assistant.surfaces.strategies import RemoteStrategies

pytestmark = pytest.mark.enable_socket

WU = Principal("wu", ["finance"])
FIELDS = len(form().fields)


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "staff.md").write_text(
        "# 员工手册\n\n江城阀门主要生产工业阀门。公司在册员工418人。\n\n"
        "## 数据\n\n公司数据分为四级。客户数据只能在公司自有服务器上处理。\n",
        "utf-8",
    )
    (folder / "money.md").write_text(
        "---\ntitle: 预算\ngroups: [finance]\n---\n\n# 预算\n\n2026年大模型专项预算为150万元。\n",
        "utf-8",
    )
    return folder


def journey(strategies: Strategies | RemoteStrategies) -> dict[str, Any]:
    """Lead a strategy from the first question to the brief, and return what was seen."""
    turn = strategies.begin("江城阀门")
    seen: dict[str, Any] = {"first": turn.text, "asking": turn.asking}
    seen["accepted"] = strategies.say(turn.strategy_id, "全部确认").text
    seen["again"] = strategies.ask(turn.strategy_id).asking
    strategies.answer(turn.strategy_id, "users", "60")
    seen["done"] = strategies.say(turn.strategy_id, "完成").done
    known = strategies.profile(turn.strategy_id)
    seen["known"] = {key: given.value for key, given in known.answers.items()}
    seen["quotes"] = [source.quote.zh for source in known.sources("employees")]
    seen["changes"] = strategies.compare(turn.strategy_id, 0, known.version)
    seen["earlier"] = len(strategies.profile(turn.strategy_id, 1).answers)
    seen["listed"] = [(s.company, s.version) for s in strategies.all()]
    seen["proposals"] = strategies.read_papers(turn.strategy_id)
    seen["brief"] = strategies.brief(turn.strategy_id)
    seen["weighed"] = strategies.brief(turn.strategy_id, language="en", weights=Weights(1, 1, 1, 1))
    strategies.delete(turn.strategy_id)
    with pytest.raises(NotFoundError):
        strategies.get(turn.strategy_id)
    with pytest.raises(NotFoundError):
        strategies.ask("../../nothing")
    with pytest.raises(QuestionError):
        strategies.begin("  ")
    return seen


def test_both_kinds_of_strategies_have_the_same_methods() -> None:
    def methods(door: type) -> dict[str, str]:
        found = inspect.getmembers(door, inspect.isfunction)
        return {name: str(inspect.signature(each)) for name, each in found if name[0] != "_"}

    here = methods(Strategies)
    here.pop("plan")  # computed where the papers are
    assert methods(RemoteStrategies) == here


def test_the_same_journey_in_process_and_over_http(
    assistant: Assistant, client: Client, handbook: Path
) -> None:
    assistant.ingest(handbook)
    here, there = journey(assistant.strategies(WU)), journey(client.strategies(WU))
    assert there == here
    assert here["known"]["employees"] == 418.0 and here["known"]["budget"] == 1_500_000.0
    assert here["quotes"] == ["公司在册员工418人。"]
    assert here["done"] and here["earlier"] == 1
    assert here["known"]["users"] == 60.0 and here["known"]["regions"] is None
    assert here["brief"].subtitle == "江城阀门" and here["weighed"].language == "en"


def test_papers_of_a_group_are_read_for_its_members_alone(
    assistant: Assistant, handbook: Path
) -> None:
    assistant.ingest(handbook)
    outsider = assistant.strategies(Principal("he"))
    turn = outsider.begin("江城阀门")
    outsider.say(turn.strategy_id, "全部确认")
    known = outsider.profile(turn.strategy_id)
    assert known.known("employees") and not known.known("budget")
    outsider.say(turn.strategy_id, "完成")
    shown = repr(outsider.brief(turn.strategy_id))
    assert "150万" not in shown and "1,500,000" not in shown
    mine = assistant.strategies(WU).begin("江城阀门").strategy_id
    for stranger in (Principal("he"), Principal("wu")):  # another user; the same, who lost a group
        with pytest.raises(NotFoundError):
            assistant.strategies(stranger).profile(mine)


def test_a_paper_withdrawn_later_is_quoted_no_more(assistant: Assistant, handbook: Path) -> None:
    assistant.ingest(handbook)
    strategies = assistant.strategies(Principal("he"))
    turn = strategies.begin("江城阀门")
    strategies.say(turn.strategy_id, "全部确认")
    assert "公司在册员工418人" in repr(strategies.profile(turn.strategy_id))
    assistant.ingest(handbook, groups=["finance"])
    known = strategies.profile(turn.strategy_id)
    assert known.number("employees") == 418.0  # what its owner confirmed
    assert "公司在册员工418人" not in repr(known)
    assert "公司在册员工418人" not in repr(strategies.brief(turn.strategy_id))


def test_a_forgotten_user_leaves_no_strategy(assistant: Assistant) -> None:
    assistant.strategies(WU).begin("江城阀门")
    assistant.forget("wu")
    assert assistant.strategies(WU).all() == []


@pytest.mark.parametrize(
    ("format", "begins", "media_type"),
    [
        ("pdf", b"%PDF", "application/pdf"),
        ("docx", b"PK", "application/vnd.openxmlformats"),
        ("markdown", "# 大模型战略报告".encode(), "text/markdown"),
        ("json", b"{", "application/json"),
    ],
)
def test_the_brief_is_downloaded_as_a_file(
    served: Served, format: str, begins: bytes, media_type: str
) -> None:
    key = served.key("ask")
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=served.url, headers=headers, timeout=60) as http:
        turn = http.post("/v1/strategies", json={"company": '江城 "阀门"'}).json()
        path = f"/v1/strategies/{turn['strategy_id']}"
        got = http.get(f"{path}/brief", params={"format": format, "value": 50})
        assert got.status_code == 200 and got.content.startswith(begins)
        assert got.headers["content-type"].startswith(media_type)
        assert http.get(f"{path}/brief", params={"value": -1}).status_code == 422
        zero = dict.fromkeys(("value", "feasibility", "data", "risk"), 0)
        assert http.get(f"{path}/brief", params=zero).status_code == 422
        assert http.put(f"{path}/answers/colour", json={"text": "red"}).status_code == 422
        assert http.get(f"{path}/profile", params={"version": 9}).status_code == 404


def assistant_command(folder: Path, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from assistant.surfaces.cli import main; main()", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "ASSISTANT_DATA_DIR": str(folder / "cli-data"),
            "ASSISTANT_EMBEDDING_MODEL": "hash",
            "ASSISTANT_ENGINE": "extractive",
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_interview_is_led_in_the_terminal_left_twice_and_ends_in_a_brief(
    tmp_path: Path, handbook: Path
) -> None:
    assistant_command(tmp_path, "ingest", str(handbook))
    told = assistant_command(tmp_path, "strategy", "start", "江城阀门", stdin="对\n对\n")
    strategy = told.split()[-1]
    assert "418" in told and "resume" in told
    told = assistant_command(
        tmp_path, "strategy", "resume", strategy, stdin="中国\n为什么\n降低成本\n"
    )
    assert "5/" in told and "resume" in told
    rest = "全部确认\n" + "不知道\n" * FIELDS
    told = assistant_command(tmp_path, "strategy", "resume", strategy, stdin=rest)
    assert "问完了" in told and f"strategy brief {strategy}" in told
    assert strategy in assistant_command(tmp_path, "strategy", "list")
    assert "418人" in assistant_command(tmp_path, "strategy", "profile", strategy)
    changed = assistant_command(tmp_path, "strategy", "profile", strategy, "--against", "0")
    assert "employees" in changed
    out = tmp_path / "brief"
    written = assistant_command(tmp_path, "strategy", "brief", strategy, "--out", str(out))
    files = {
        f"brief.{language}.{form}" for language in ("zh", "en") for form in ("md", "docx", "pdf")
    }
    assert {Path(line).name for line in written.split()} == files
    assert "中国" in (out / "brief.zh.md").read_text("utf-8")
    again = tmp_path / "again"
    assistant_command(tmp_path, "strategy", "brief", strategy, "--out", str(again))
    for name in files:
        assert (out / name).read_bytes() == (again / name).read_bytes(), name


def test_the_demo_writes_a_brief_and_keeps_nothing_else(tmp_path: Path, handbook: Path) -> None:
    out = tmp_path / "demo"
    arguments = ("--company", str(handbook), "--out", str(out), "--language", "zh")
    told = assistant_command(tmp_path, "strategy", "demo", *arguments)
    assert "brief.zh.pdf" in told
    text = (out / "brief.zh.md").read_text("utf-8")
    assert "handbook" in text and "418" in text and "1,500,000" in text
    assert not (tmp_path / "cli-data").exists()
