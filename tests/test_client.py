from __future__ import annotations

import inspect
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from loopback import PacedEngine, Served, serving_here
from served_client import AT_HOME, BUDGET, LEAVE, LIN, WU

from assistant import Answer, Assistant, Client, Message, Principal, Settings
from assistant.engines.extractive import ExtractiveEngine
from assistant.engines.failover import Engines
from assistant.errors import (
    AssistantError,
    EngineBusyError,
    EngineError,
    ForbiddenError,
    NotFoundError,
    QuestionError,
    SourceError,
    UnauthenticatedError,
)
from assistant.types import IngestReport, Progress

pytestmark = pytest.mark.enable_socket

# -- the same contract --------------------------------------------------------------------------


def test_both_have_the_same_methods_with_the_same_arguments() -> None:
    def methods(door: type) -> dict[str, str]:
        found = inspect.getmembers(door, inspect.isfunction)
        return {
            name: str(inspect.signature(each))
            for name, each in found
            if not name.startswith("_") and name not in AT_HOME
        }

    here, there = methods(Assistant), methods(Client)
    # Each gives its own kind of strategies, which have a contract of their own.
    assert here.pop("strategies").split(" ->")[0] == there.pop("strategies").split(" ->")[0]
    assert there == here


def journey(door: Assistant | Client, papers: Path) -> dict[str, Any]:
    """Do everything once; return what came of it, without ids, times and durations."""
    seen: dict[str, Any] = {}
    steps: list[Progress] = []
    seen["ingested"] = outcome(door.ingest(papers, progress=steps.append))
    assert steps[-1] == Progress("done", 3, 3)
    seen["again"] = outcome(door.ingest(papers))
    (papers / "pumps.md").write_text("# Pump catalogue\n\nThe CP-9 pump weighs 10 kilograms.\n")
    (papers / "empty.txt").touch()
    seen["changed"] = outcome(door.ingest(papers / "pumps.md", str(papers / "empty.txt")))
    seen["quarantined"] = [Path(bad.source).name for bad in door.quarantined()]
    for who in (LIN, WU):
        listed = {document.title: document for document in door.documents(who)}
        seen[f"documents of {who.user_id}"] = {
            title: (d.groups, d.version, d.chunks, d.language) for title, d in listed.items()
        }
    leave = listed["休假制度"]
    assert door.document(leave.id, WU) == leave
    chunks = door.chunks(leave.id, WU)
    seen["chunks"] = [(c.text, c.heading, c.start, c.end) for c in chunks]
    seen["passage"] = door.passage(chunks[0].id, WU).document.title
    seen["hits"] = [
        (hit.chunk.text, hit.document.title, hit.score, hit.dense_score, hit.lexical_score)
        for hit in door.search("年假", k=2, principal=WU)
    ]
    seen["retrieved"] = [
        found.page_content for found in door.retriever(k=1, principal=WU).invoke("pump")
    ]
    events = list(door.stream(LEAVE, principal=LIN))
    seen["events"] = [(event.kind, event.text, len(event.hits)) for event in events]
    answer = events[-1].answer
    assert answer is not None
    seen["answer"] = plain(answer)
    go_on = {"conversation_id": answer.conversation_id, "principal": LIN}
    seen["follow-up"] = plain(door.ask("那婚假呢？", **go_on))  # type: ignore[arg-type]
    before = [Message("user", "员工的婚假有几天？", datetime.now(UTC))]
    seen["with history"] = plain(door.ask("那应在多久之内休完它？", history=before, principal=WU))
    seen["suggestions"] = door.suggestions(answer.answer_id, LIN)
    door.feedback(answer.answer_id, "down", "太短", LIN)
    door.rename_conversation(answer.conversation_id, "假期", LIN)
    (conversation,) = door.conversations(LIN)
    seen["conversation"] = (conversation.title, conversation.user_id, conversation.messages)
    seen["messages"] = [
        (m.role, m.text, m.refused, len(m.citations))
        for m in door.conversation(conversation.id, LIN).messages
    ]
    seen["searched"] = [len(door.conversations(LIN, "婚假")), len(door.conversations(LIN, "飞机"))]
    seen["others'"] = len(door.conversations(WU))
    assert refusal(door.conversation, conversation.id, WU)[0] is NotFoundError
    door.delete_conversation(conversation.id, LIN)
    seen["deleted"] = door.conversations(LIN)
    door.reindex(steps.append)
    assert steps[-1].stage == "reindex"
    door.remove(leave.id)
    seen["removed"] = sorted(document.title for document in door.documents(WU))
    door.warm_up()
    health = door.health()
    seen["health"] = (health.ok, health.engine, health.documents, health.chunks, health.problems)
    return seen


def test_a_journey_is_the_same_in_process_and_over_http(
    client: Client, settings: Settings, papers: Path, tmp_path: Path
) -> None:
    here = settings.model_copy(update={"data_dir": tmp_path / "here", "gate_threshold": 0.0})
    with Assistant(here) as assistant:
        expected = journey(assistant, papers)
    (papers / "empty.txt").unlink()
    (papers / "pumps.md").write_text(
        "# Pump catalogue\n\nThe CP-2150B pump delivers 45 cubic metres an hour. "
        "It weighs 320 kilograms and costs 18,500 yuan.\n",
        "utf-8",
    )
    seen = journey(client, papers)
    assert seen == expected
    assert seen["ingested"]["added"] == ("budget.md", "leave.md", "pumps.md")
    assert seen["again"]["unchanged"] == ("budget.md", "leave.md", "pumps.md")
    assert "十五天" in seen["answer"]["text"]


def outcome(report: IngestReport) -> dict[str, Any]:
    lists = ("added", "updated", "unchanged", "removed")
    seen: dict[str, Any] = {n: tuple(Path(s).name for s in getattr(report, n)) for n in lists}
    seen["quarantined"] = [(Path(bad.source).name, bad.reason) for bad in report.quarantined]
    return {**seen, "chunks": report.chunks}


def plain(answer: Answer) -> dict[str, Any]:
    cited = [(c.marker, c.title, c.heading, c.quote) for c in answer.citations]
    return {
        "text": answer.text,
        "cited": cited,
        "timed": answer.timings.keys(),
        "rest": (answer.refused, answer.confidence, answer.engine, answer.usage, answer.notice),
    }


def refusal(call: Callable[..., Any], *given: Any, **named: Any) -> tuple[type, str]:
    with pytest.raises(AssistantError) as caught:
        call(*given, **named)
    return type(caught.value), str(caught.value)


def test_the_values_are_the_very_same(filled: Client, served: Served) -> None:
    assistant = served.service.assistant
    (hit, *_) = assistant.search("预算", principal=WU)
    asked = assistant.ask(LEAVE, principal=WU)
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("documents", (WU,), {}),
        ("document", (hit.document.id, WU), {}),
        ("chunks", (hit.document.id, WU), {}),
        ("passage", (hit.chunk.id, WU), {"neighbours": 2}),
        ("search", ("预算",), {"k": 3, "principal": WU}),
        ("suggestions", (asked.answer_id, WU), {}),
        ("conversations", (WU,), {}),
        ("conversation", (asked.conversation_id, WU), {}),
        ("health", (), {}),
    ]
    for name, given, named in calls:
        assert getattr(filled, name)(*given, **named) == getattr(assistant, name)(*given, **named)


MISTAKES: list[tuple[str, tuple[Any, ...], dict[str, Any], type[AssistantError]]] = [
    ("ask", ("",), {}, QuestionError),
    ("ask", ("？！",), {}, QuestionError),
    ("ask", ("长" * 10_000,), {}, QuestionError),
    ("ask", (LEAVE,), {"conversation_id": "nobody's"}, NotFoundError),
    ("search", ("",), {}, QuestionError),
    ("document", ("no such？",), {}, NotFoundError),
    ("chunks", ("none",), {}, NotFoundError),
    ("passage", ("none",), {}, NotFoundError),
    ("remove", ("none",), {}, NotFoundError),
    ("suggestions", ("none",), {}, NotFoundError),
    ("feedback", ("none", "up"), {}, NotFoundError),
    ("conversation", ("none",), {}, NotFoundError),
    ("rename_conversation", ("none", "x"), {}, NotFoundError),
    ("delete_conversation", ("none",), {}, NotFoundError),
    ("ingest", ("nowhere.md",), {}, SourceError),
    ("ingest", (".",), {"groups": "finance"}, SourceError),
    ("ingest", (".",), {"groups": []}, SourceError),
]


def test_the_errors_are_the_same(filled: Client, served: Served) -> None:
    for name, given, named, kind in MISTAKES:
        told = refusal(getattr(filled, name), *given, **named)
        assert told == refusal(getattr(served.service.assistant, name), *given, **named)
        assert told[0] is kind
    assert refusal(filled.feedback, "none", "sideways")[0] is QuestionError
    assert refusal(filled.ask, "长" * 100_000)[0] is QuestionError
    assert refusal(filled.ask, "\ud800")[0] is QuestionError
    assert refusal(filled.search, "\ud800")[0] is QuestionError


def test_a_full_queue_tells_the_place(settings: Settings, papers: Path) -> None:
    with playing(settings, papers, EngineBusyError("Nine are waiting.", 9)) as (client, _):
        with pytest.raises(EngineBusyError, match="Nine") as caught:
            client.ask(LEAVE)
        assert caught.value.position == 9


# -- who asks -----------------------------------------------------------------------------------


def test_a_program_asks_for_the_one_it_names(filled: Client) -> None:
    assert "三百二十万" in filled.ask(BUDGET, principal=WU).text
    assert "三百二十万" not in filled.ask(BUDGET, principal=LIN).text
    assert "三百二十万" in filled.ask(BUDGET).text  # the key's owner may read it


def test_a_name_travels_whole(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# 工资\n\n工资每月五日发。\n", "utf-8")
    client.ingest(tmp_path / "a.md", groups=["人事部"])
    person = Principal("张伟", ["人事部", "a%2Cb & c"])
    answer = client.ask("工资几日发？", principal=person)
    assert "五日" in answer.text
    (conversation,) = client.conversations(person)
    assert conversation.user_id == "张伟"


def test_what_a_key_may_not(settings: Settings, papers: Path) -> None:
    closed = settings.model_copy(update={"auth": "password", "gate_threshold": 0.0})
    with Assistant(closed) as assistant, serving_here(assistant) as served:
        for key in ("", "sa_0_0"):
            with Client(served.url, key) as stranger, pytest.raises(UnauthenticatedError):
                stranger.ask(LEAVE)
        with Client(served.url, served.key("ask")) as reader:
            for call in (
                lambda: reader.ask(LEAVE, principal=WU),
                lambda: reader.ingest(papers),
                lambda: reader.remove("x"),
                reader.reindex,
                reader.quarantined,
            ):
                with pytest.raises(ForbiddenError):
                    call()


# -- streams ------------------------------------------------------------------------------------


@contextmanager
def playing(
    settings: Settings, papers: Path, *steps: Any, standby: bool = False
) -> Iterator[tuple[Client, PacedEngine]]:
    engine = PacedEngine(steps=steps)
    loose = settings.model_copy(update={"gate_threshold": 0.0})
    with Assistant(loose, engine=engine) as assistant:
        if standby:
            assistant._engines = Engines([engine, ExtractiveEngine()])
        assistant.ingest(papers)
        with serving_here(assistant) as served, Client(served.url) as client:
            yield client, engine


def test_every_event_arrives(settings: Settings, papers: Path) -> None:
    steps = (2, "员工每年享有十五天带薪年假[1]。婚假为十天。", EngineError("It broke."))
    with playing(settings, papers, *steps, standby=True) as (client, _):
        events = list(client.stream(LEAVE))
    kinds = [event.kind for event in events]
    assert kinds[:3] == ["sources", "waiting", "token"]
    assert kinds[-1] == "answer"
    assert events[1].ahead == 2
    assert next(e.text for e in events if e.kind == "restart") == "It broke."
    assert events[0].hits[0].document.ingested_at.tzinfo is not None


def test_leaving_a_stream_frees_the_engine(settings: Settings, papers: Path) -> None:
    gate = threading.Event()
    more = ["员工每年享有十五天带薪年假[1]。\n"] * 50
    with playing(settings, papers, 1, *more[:2], gate, *more) as (client, engine):
        events = client.stream(LEAVE)
        assert next(events).kind == "sources"
        events.close()  # type: ignore[attr-defined]
        gate.set()
        assert engine.left.wait(5)


def test_an_engine_that_fails_in_the_middle_is_no_answer(settings: Settings, papers: Path) -> None:
    steps = ("员工每年享有十五天带薪年假[1]。病假需要提交医院证明[1]。婚", EngineError("It broke."))
    with playing(settings, papers, *steps) as (client, _):
        events = client.stream(LEAVE)
        with pytest.raises(EngineError, match="It broke"):
            list(events)


def test_many_threads_share_a_client(filled: Client) -> None:
    questions = [LEAVE, "员工的婚假有几天？"] * 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda question: filled.ask(question).text, questions))
    assert all(("十五天" if i % 2 == 0 else "婚假为十天") in a for i, a in enumerate(answers))


def test_a_closed_client_opens_again(filled: Client) -> None:
    filled.close()
    assert filled.health().ok
    filled.close()
    filled.close()


# -- a light environment ------------------------------------------------------------------------


def test_a_program_that_only_asks_loads_little() -> None:
    heavy = ("fastapi", "gradio", "langchain_core", "numpy", "starlette", "torch", "yaml")
    script = (
        f"from assistant import Client; import sys; print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
