"""`Client` against `Assistant`: the same calls, the same values, the same errors."""

from __future__ import annotations

import inspect
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from loopback import LOCAL_TOKEN, PacedEngine, Served, serving_here

from assistant import Answer, Assistant, Client, Message, Principal, Settings
from assistant.accounts.records import Identity
from assistant.engines.extractive import ExtractiveEngine
from assistant.engines.failover import Engines
from assistant.errors import (
    AssistantError,
    ConfigurationError,
    EngineBusyError,
    EngineError,
    ForbiddenError,
    NotFoundError,
    QuestionError,
    RateLimitedError,
    ServerError,
    SourceError,
    UnauthenticatedError,
)
from assistant.ingest.sources import found_in
from assistant.surfaces import sending
from assistant.surfaces.connection import parse_events
from assistant.surfaces.finding import find_files
from assistant.types import IngestReport, Progress

pytestmark = pytest.mark.enable_socket

LIN = Principal("lin", ["人事部", "hr north"])
WU = Principal("wu", ["finance"])
LEAVE = "员工每年的年假有几天？"
BUDGET = "2026年大模型专项预算是多少？"
# What concerns the server's own process alone.
AT_HOME = {"announce", "citation", "forget", "groups", "reviewable", "usage", "use_engine"}


@pytest.fixture
def served(assistant: Assistant) -> Iterator[Served]:
    with serving_here(assistant) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    """A program with every right, for everybody's documents in these tests."""
    key = served.key("ask", "documents", "admin", "delegate", groups=["finance", "人事部"])
    with Client(served.url, key) as opened:
        yield opened


@pytest.fixture
def filled(client: Client, served: Served, papers: Path) -> Client:
    served.service.assistant.ingest(papers)
    return client


# -- the same contract --------------------------------------------------------------------------


def test_both_have_the_same_methods_with_the_same_arguments() -> None:
    def methods(door: type) -> dict[str, str]:
        found = inspect.getmembers(door, inspect.isfunction)
        return {
            name: str(inspect.signature(each))
            for name, each in found
            if not name.startswith("_") and name not in AT_HOME
        }

    assert methods(Client) == methods(Assistant)


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


# -- documents on their way ---------------------------------------------------------------------


def test_files_are_found_as_the_pipeline_finds_them(tmp_path: Path) -> None:
    for name in ("b.md", "a/x.md", "a/.hidden.md", ".git/c.md", "~$lock.docx", "a/报告　终稿.md"):
        (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / name).write_text("text")
    (tmp_path / "f" / "manifest.yaml").write_text("files: {}\n")
    files, bad = find_files([tmp_path / "f"], None)
    assert [f.source for f in files] == [f.source for f in found_in(tmp_path / "f", [])]
    assert [f.name for f in files] == ["b.md", "a - x.md", "a - 报告　终稿.md"]
    assert bad == []


def test_files_of_one_name_are_not_mixed_up(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    for year, days in (("2024", "十"), ("2025", "十五")):
        (folder / year / "制度").mkdir(parents=True)
        (folder / year / "制度" / "休假.md").write_text(f"# 休假\n\n年假{days}天。\n", "utf-8")
    report = client.ingest(folder / "2024", folder / "2025")
    assert report.added == (str(folder / "2024" / "制度" / "休假.md"),)
    assert "same name" in report.quarantined[0].reason
    report = client.ingest(folder)
    assert len(report.added) == 2
    assert [d.source for d in client.documents()] == [
        "2024 - 制度 - 休假.md",
        "2025 - 制度 - 休假.md",
        "制度 - 休假.md",
    ]
    assert len(client.ingest(folder).unchanged) == 2


def test_a_manifest_is_heeded(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "plan.md").write_text("# 计划\n\n二零二六年上线。\n", "utf-8")
    (folder / "menu.md").write_text("# 菜单\n\n周五吃面。\n", "utf-8")
    manifest = "files:\n  plan.md:\n    title: 绝密计划\n    groups: [finance]\n"
    (folder / "manifest.yaml").write_text(manifest, "utf-8")
    assert len(client.ingest(folder).added) == 2
    assert [document.title for document in client.documents(LIN)] == ["菜单"]
    assert {document.title for document in client.documents(WU)} == {"菜单", "绝密计划"}
    assert len(client.ingest(folder).unchanged) == 2
    report = client.ingest(folder / "plan.md", groups=["人事部"])
    assert "nobody could read it" in report.quarantined[0].reason


def test_the_readers_of_a_known_document_change_with_the_groups_given(
    client: Client, papers: Path
) -> None:
    def readers() -> tuple[str, ...]:
        return next(d.groups for d in client.documents() if d.title == "休假制度")

    source = papers / "leave.md"
    client.ingest(source)
    assert readers() == ("everyone",)
    assert client.ingest(source, groups=["finance"]).updated == (str(source),)
    assert readers() == ("finance",)
    assert client.ingest(source).unchanged == (str(source),)
    assert client.ingest(source, groups=["finance"]).unchanged == (str(source),)
    assert client.ingest(source, groups=["finance", "人事部"]).updated == (str(source),)
    assert set(readers()) == {"finance", "人事部"}
    assert client.ingest(source, groups=["everyone"]).updated == (str(source),)
    assert readers() == ("everyone",)


def test_more_files_than_one_request_takes(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(45):
        (folder / f"{number:02}.md").write_text(f"# Paper {number}\n\nIt is number {number}.\n")
    (folder / "07.md").write_bytes(b"")
    steps: list[Progress] = []
    report = client.ingest(folder, progress=steps.append)
    assert len(report.added) == 44
    assert report.chunks == 44
    assert [Path(bad.source).name for bad in report.quarantined] == ["07.md"]
    assert [s.done for s in steps if s.stage == "send"] == [0, 20, 40]
    assert {"read", "embed"} <= {step.stage for step in steps}
    client.ingest(folder)
    assert [bad.source for bad in client.quarantined()] == ["07.md"]  # and not twice


def test_files_that_the_server_refuses_whole(settings: Settings, tmp_path: Path) -> None:
    small = settings.model_copy(update={"max_file_mb": 1})
    (tmp_path / "big.txt").write_bytes(b"x" * 1_500_000)
    (tmp_path / "bigger.txt").write_bytes(b"x" * 2_500_000)
    (tmp_path / "fine.txt").write_text("All is well here.")
    with Assistant(small) as assistant, serving_here(assistant) as served:
        client = Client(served.url, served.key("ask", "documents"))
        files = [tmp_path / name for name in ("big.txt", "bigger.txt", "fine.txt")]
        report = client.ingest(*files)
        assert report.added == (str(tmp_path / "fine.txt"),)
        assert all("larger than 1 MB" in bad.reason for bad in report.quarantined)
        alone = client.ingest(*files[:2])
        client.close()
    assert len(alone.quarantined) == 2


def test_what_is_not_uploaded_is_not_replaced(filled: Client, papers: Path) -> None:
    report = filled.ingest(papers / "leave.md")
    assert "from a folder of the server" in report.quarantined[0].reason


def test_a_limit_is_waited_for(
    settings: Settings, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    served: list[Served] = []

    def wait(seconds: float) -> None:
        """Let a minute go by."""
        waits.append(seconds)
        served[0].service.limits._counter.storage.reset()

    monkeypatch.setattr(sending, "_sleep", wait)
    few = settings.model_copy(update={"requests_per_minute": 4})
    with Assistant(few) as assistant, serving_here(assistant) as running:
        served.append(running)
        key = running.key("ask", "documents", groups=["finance"])
        with Client(running.url, key) as client:
            assert len(client.ingest(papers).added) == 3
            assert waits
            with pytest.raises(RateLimitedError) as caught:
                for _ in range(10):
                    client.documents()
    assert caught.value.retry_after > 0


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


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_events_are_parsed_whatever_the_pieces(size: int) -> None:
    raw = (
        ': ping\n\nevent: a\r\ndata: {"t":"一\u2028二\x85\x0c"}\r\n\r\ndata: x\ndata: y\n\ndata: z'
    )
    data = raw.encode()
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    assert list(parse_events(pieces)) == [
        ("a", '{"t":"一\u2028二\x85\x0c"}'.encode()),
        ("message", b"x\ny"),
    ]


# -- what can go wrong on the way ---------------------------------------------------------------


def read_request(peer: socket.socket) -> None:
    """Read a request to its end: hanging up before it would reset the connection."""
    with peer.makefile("rb") as stream:
        length = 0
        while line := stream.readline().strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        stream.read(length)


@contextmanager
def saying(response: bytes, *, wait: bool = False) -> Iterator[str]:
    """Serve the same bytes to whoever comes, then hang up."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        def serve() -> None:
            while not done.is_set():
                try:
                    peer, _ = listener.accept()
                except TimeoutError:
                    continue
                with peer:
                    read_request(peer)
                    peer.sendall(response)
                    if wait:
                        done.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            thread.join()


def http(status: str, kind: str, body: str, *headers: str, length: int | None = None) -> bytes:
    size = len(body.encode()) if length is None else length
    # It hangs up after each answer, and says so: else the next call may come too late.
    own = ("Connection: close", f"Content-Type: {kind}", f"Content-Length: {size}")
    lines = (f"HTTP/1.1 {status}", *own, *headers)
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


EVENT = 'event: token\ndata: {"kind":"token","text":"员工每年"}\n\n'
PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (http("502 Bad Gateway", "text/html", "<h1>nginx</h1>"), "502 Bad Gateway.*proxy"),
        (http("302 Found", "text/html", "", "Location: https://sso.example/"), "sso.example"),
        (http("200 OK", "text/html", "<h1>Sign in</h1>"), "no assistant"),
        (http("200 OK", "application/json", '{"a": 1}'), "no assistant"),
        (http("500 Error", PROBLEM, "<html>"), "no assistant"),
        (http("500 Error", PROBLEM, "[]"), "no assistant"),
        (http("500 Error", PROBLEM, '{"detail": "A disk died."}'), "A disk died"),
        (http("200 OK", "text/event-stream", EVENT), "no assistant|middle of the answer"),
        (http("200 OK", "text/event-stream", EVENT, length=9999), "no assistant|broke off"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "broke off"),
        (b"", "broke off"),
    ],
)
def test_what_answers_is_no_assistant(response: bytes, said: str) -> None:
    with saying(response) as url, Client(url) as client:
        for call in (client.health, lambda: client.ask(LEAVE)):
            with pytest.raises(ServerError, match=said) as caught:
                call()
            assert url in str(caught.value) or "died" in said or "middle" in said


def test_half_an_answer_is_none() -> None:
    with saying(http("200 OK", "text/event-stream", EVENT)) as url, Client(url) as client:
        events = client.stream(LEAVE)
        assert next(events).text == "员工每年"
        with pytest.raises(ServerError, match="middle of the answer"):
            next(events)
        with pytest.raises(ServerError, match="middle of the answer"):
            client.ask(LEAVE)


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with Client(url) as client, pytest.raises(ServerError, match="assistant serve"):
        client.ask(LEAVE)


def test_nobody_says_a_word() -> None:
    with (
        saying(b"", wait=True) as url,
        Client(url, timeout=0.3) as client,
        pytest.raises(ServerError, match=r"0\.3 s.*timeout"),
    ):
        client.health()


def test_a_certificate_that_is_none(served: Served) -> None:
    with (
        Client(served.url.replace("http://", "https://")) as client,
        pytest.raises(ServerError, match="SSL_CERT_FILE"),
    ):
        client.health()


@pytest.mark.parametrize("url", ["", "localhost:7860", "ftp://x", "http://", "http://[::1", "x y"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no address"):
        Client(url)


@pytest.mark.parametrize("key", ["sa_ü", "sa_1 2", "sa_1\nX-Evil: 1"])
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(ConfigurationError, match="API key"):
        Client(api_key=key)


def test_this_machine_is_not_asked_through_a_proxy(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Client(served.url) as client:
        assert client.documents() == []


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


# -- files in their place -----------------------------------------------------------------------


def test_the_machine_itself_takes_files_in_where_they_are(
    served: Served, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(papers.parent)
    steps: list[Progress] = []
    with Client(served.url, LOCAL_TOKEN) as client:
        report = client.ingest("papers", progress=steps.append)
        assert report.added == ("papers/budget.md", "papers/leave.md", "papers/pumps.md")
        assert steps[-1] == Progress("done", 3, 3)
        (papers / "pumps.md").unlink()
        (papers / "twin.md").write_bytes((papers / "leave.md").read_bytes())
        again = client.ingest("papers")
        assert again.removed == ("papers/pumps.md",)
        assert again.duplicates[0].source == "papers/twin.md"
        with pytest.raises(SourceError, match="nowhere does not exist"):
            client.ingest("nowhere")
        # Who holds the directory may take away what only others may read.
        secret = next(d.id for d in client.documents(WU) if d.title == "预算")
        client.remove(secret)
        assert all(d.title != "预算" for d in client.documents(WU))


def test_nobody_else_names_files_of_the_server(client: Client, served: Served) -> None:
    for key in ("", served.key("documents", "admin", name="other")):
        door = Client(served.url, key)._connection
        with pytest.raises(ForbiddenError, match="command line"):
            list(door.events("POST", "/v1/ingest", json={"sources": ["/etc/passwd"]}))
        door.close()
    local = Client(served.url, LOCAL_TOKEN)._connection
    with pytest.raises(ForbiddenError):
        list(local.events("POST", "/v1/ingest", principal=WU, json={"sources": ["/etc"]}))
    local.close()


def test_who_takes_a_deleted_users_name_finds_nothing_of_theirs(served: Served) -> None:
    served.service.accounts.create_user("lin")
    with Client(served.url, LOCAL_TOKEN) as client:
        client.ask(LEAVE, principal=LIN)
        assert len(client.conversations(LIN)) == 1
        accounts, jobs = served.service.accounts, served.service.jobs
        job = jobs.take_in("upload", "lin", [])
        before = Identity(accounts.user("lin"), frozenset({"ask", "documents"}), "session")
        assert jobs.list(before) == [jobs.get(job.id, before)]
        with httpx.Client(base_url=served.url) as http:
            headers = {"Authorization": f"Bearer {LOCAL_TOKEN}"}
            assert http.delete("/v1/users/lin", headers=headers).status_code == 204
            assert http.post("/v1/users", json={"id": "lin"}, headers=headers).status_code == 201
        assert client.conversations(LIN) == []
        after = Identity(accounts.user("lin"), before.scopes, "session")
        assert jobs.list(after) == []


@pytest.mark.parametrize("name", [".", ".."])
def test_a_user_whose_address_would_lead_elsewhere_is_not_made(served: Served, name: str) -> None:
    with pytest.raises(QuestionError, match=r"not `\.` or"):
        served.service.accounts.create_user(name)


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", 5])
def test_a_time_beyond_all_clocks_is_refused_and_breaks_no_list(
    served: Served, moment: object
) -> None:
    headers = {"Authorization": f"Bearer {served.key('ask', 'admin')}"}
    with httpx.Client(base_url=served.url, headers=headers) as http:
        made = http.post("/v1/keys", json={"name": "k", "expires_at": moment})
        assert made.status_code in (403, 422)
        assert http.get("/v1/audit", params={"before": str(moment)}).status_code == 422
        assert http.get("/v1/keys").status_code == 200


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/source/nope/1", 404),
        ("/source/nope/one", 404),
        ("/passage/nope", 404),
        ("/nope", 404),
        ("/evaluation", 403),
    ],
)
def test_a_person_is_told_by_a_page_and_a_program_by_a_problem(
    served: Served, path: str, status: int, language: str
) -> None:
    served.service.accounts.create_user("wu")
    key = served.service.accounts.create_key("wu", "browser", ["ask"])[1]
    with httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {key}"}) as http:
        page = http.get(path, headers={"Accept": "text/html", "Accept-Language": language})
        assert (page.status_code, page.headers["content-type"][:9]) == (status, "text/html")
        assert ("返回首页" if language == "zh" else "Back to the start") in page.text
        assert "urn:" not in page.text and "/v1" not in page.text
        problem = http.get(path)
        assert problem.headers["content-type"] == PROBLEM
