"""The worker process: limits hold, a bad file costs only itself, nothing outlives the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant import Settings
from assistant.errors import SourceError
from assistant.ingest import worker
from assistant.ingest.load import Block, IsolatedParser, Metadata, parse

SLOW = "<p>字</p>" * 1_000_000  # many seconds to parse, and hundreds of megabytes


@pytest.fixture
def parser() -> Iterator[IsolatedParser]:
    with IsolatedParser(Settings()) as opened:
        yield opened


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "笔记.md"
    path.write_text("---\ngroups: [hr]\nlanguage: zh\n---\n# 标题\n\n正文😀。", "utf-8")
    return path


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    path = tmp_path / "slow.html"
    path.write_text(SLOW, "utf-8")
    return path


def process_id(parser: IsolatedParser) -> int:
    assert parser._worker is not None
    return parser._worker._process.pid


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_the_worker_says_what_the_parser_says(parser: IsolatedParser, note: Path) -> None:
    parsed = parser.parse(note)
    assert parsed == parse(note)
    assert parsed.metadata == Metadata("标题", "zh", ("hr",))
    assert parsed.blocks == (Block("正文😀。", ("标题",)),)


def test_one_worker_serves_many_files(parser: IsolatedParser, tmp_path: Path, note: Path) -> None:
    parser.parse(note)
    pid = process_id(parser)
    began = time.monotonic()
    for number in range(100):
        path = tmp_path / f"{number}.txt"
        path.write_text(f"第{number}号通知：自下月起执行。", "utf-8")
        assert parser.parse(path).blocks[0].text.startswith(f"第{number}号")
    assert process_id(parser) == pid
    assert time.monotonic() - began < 10


def test_errors_come_back_with_their_reason(parser: IsolatedParser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"\x89PNG")
    with pytest.raises(SourceError, match="PNG image"):
        parser.parse(bad)
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(SourceError, match="200 MB"):
        parser.parse(large)


def test_a_relative_path_and_a_surrogate_in_a_name(parser: IsolatedParser, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    (tmp_path / name).write_text("text", "utf-8")
    assert parser.parse(Path(name)).blocks == (Block("text"),)  # the tests run in tmp_path


def test_time_runs_out(slow: Path, note: Path) -> None:
    with IsolatedParser(Settings(load_timeout_s=1)) as parser:
        began = time.monotonic()
        with pytest.raises(SourceError, match=r"longer than 1 s.*ASSISTANT_LOAD_TIMEOUT_S"):
            parser.parse(slow)
        assert time.monotonic() - began < 3
        assert parser.parse(note).blocks


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space")
def test_memory_runs_out(slow: Path, note: Path) -> None:
    with IsolatedParser(Settings(load_memory_mb=256)) as parser:
        with pytest.raises(SourceError, match=r"256 MB.*ASSISTANT_LOAD_MEMORY_MB"):
            parser.parse(slow)
        assert parser.parse(note).blocks


@pytest.mark.parametrize("blow", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_costs_one_file(
    blow: signal.Signals, parser: IsolatedParser, slow: Path, note: Path
) -> None:
    parser.parse(note)
    timer = threading.Timer(0.3, os.kill, (process_id(parser), blow))
    timer.start()
    with pytest.raises(SourceError, match=f"crashed on it \\({blow.name}\\).*save it again"):
        parser.parse(slow)
    assert parser.parse(note).blocks


def test_a_worker_that_died_between_files_costs_none(parser: IsolatedParser, note: Path) -> None:
    parser.parse(note)
    first = process_id(parser)
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert parser.parse(note).blocks
    assert process_id(parser) != first


def test_an_interrupted_file_answers_no_later_one(
    parser: IsolatedParser, slow: Path, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser.parse(note)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("assistant.ingest.isolate.receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            parser.parse(slow)
    assert parser.parse(note).metadata.title == "标题"


@pytest.mark.parametrize(
    "reply",
    [
        b"not json",
        b"[]",
        b"{}",
        b'{"metadata": ["", "zh", null, ""], "blocks": [["x", [], 1, "cell"]]}',
        b'{"metadata": ["", "fr", null, ""], "blocks": []}',
        b'{"metadata": ["", null, null, ""], "blocks": [7]}',
    ],
)
def test_a_reply_that_makes_no_sense_is_an_error(
    reply: bytes, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys, time; from assistant.pipes import _LENGTH, receive; "
        f"receive(sys.stdin.buffer); data = {reply!r}; "
        "sys.stdout.buffer.write(_LENGTH.pack(len(data)) + data); sys.stdout.flush(); "
        "sys.stdin.buffer.read()"
    )
    monkeypatch.setattr(
        "assistant.ingest.isolate._WORKER",
        f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); {code}",
    )
    with (
        IsolatedParser(Settings()) as parser,
        pytest.raises(SourceError, match=r"crashed|makes no sense"),
    ):
        parser.parse(note)


def test_a_worker_that_cannot_start_says_why(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.ingest.isolate._WORKER", "import no_such_library")
    with IsolatedParser(Settings()) as parser, pytest.raises(SourceError, match="no_such_library"):
        parser.parse(note)


def test_what_a_library_prints_is_no_reply(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = (
        "import assistant.ingest.load as load; real = load.parse; "
        "load.parse = lambda path: (print('x' * 99, flush=True), real(path))[1]; "
    )
    original = "from assistant.ingest.worker import serve"
    from assistant.ingest import isolate

    monkeypatch.setattr(isolate, "_WORKER", isolate._WORKER.replace(original, noise + original))
    with IsolatedParser(Settings()) as parser:
        assert parser.parse(note).blocks


def test_close_ends_the_worker_and_may_be_repeated(note: Path) -> None:
    parser = IsolatedParser(Settings())
    parser.close()
    parser.parse(note)
    pid = process_id(parser)
    parser.close()
    parser.close()
    assert not is_running(pid)
    assert parser.parse(note).blocks  # starts another
    parser.close()


def test_threads_take_turns(parser: IsolatedParser, tmp_path: Path) -> None:
    answers: dict[int, str] = {}

    def work(number: int) -> None:
        path = tmp_path / f"{number}.txt"
        path.write_text(f"file {number}", "utf-8")
        for _ in range(10):
            answers[number] = parser.parse(path).blocks[0].text

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: f"file {n}" for n in range(6)}


SCRIPT = """
import sys
from pathlib import Path
from assistant import Settings
from assistant.ingest.load import IsolatedParser
parser = IsolatedParser(Settings())
print(parser.parse(Path(sys.argv[1])).blocks[0].text, flush=True)
print(parser._worker._process.pid, flush=True)
parser.parse(Path(sys.argv[2]))
"""


def start_script(*arguments: str | Path) -> subprocess.Popen[str]:
    root = Path(worker.__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-", *map(str, arguments)],  # a script without a main guard, on stdin
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONIOENCODING": "utf-8"},
    )
    assert process.stdin
    process.stdin.write(SCRIPT)
    process.stdin.close()
    return process


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_the_worker_dies_with_its_parent_in_mid_file(slow: Path, note: Path) -> None:
    with start_script(note, slow) as process:
        assert process.stdout
        assert process.stdout.readline() == "正文😀。\n"
        pid = int(process.stdout.readline())
        time.sleep(0.3)  # now it parses the slow file
        assert is_running(pid)
        process.kill()
        process.wait()
    deadline = time.monotonic() + 3
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(pid)


def test_the_worker_is_light(note: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from assistant.ingest.worker import _answer; "
        "_answer(Path(sys.argv[1]), 2048); "
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    root = Path(worker.__file__).parents[2]
    loaded = subprocess.run(
        [sys.executable, "-c", code, str(note)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    heavy = {"torch", "chromadb", "numpy", "transformers", "pydantic", "lxml", "docx", "openpyxl"}
    assert not heavy & set(loaded)
