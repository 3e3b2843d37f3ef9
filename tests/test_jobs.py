from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from http_desk import LEAVE, ROOT, Desk, app_of, folders, someone

from assistant import Assistant, Principal, Settings
from assistant.errors import NotFoundError, ServerError
from assistant.ingest.uploads import Uploads
from assistant.surfaces.http.jobs import FileProgress, Jobs
from assistant.surfaces.http.service import Service
from assistant.types import Progress

# -- jobs -------------------------------------------------------------------------------------


def test_jobs_are_their_makers_and_the_admins(desk: Desk) -> None:
    job = desk.done(desk.send(("a.md", LEAVE.encode())))
    assert desk("GET", f"/jobs/{job.id}").json()["state"] == "done"
    assert desk("GET", f"/jobs/{job.id}", "root").json()["by"] == "he"
    assert desk("GET", f"/jobs/{job.id}", "wu").status_code == 404
    assert desk("GET", f"/jobs/{job.id}/events", "wu").status_code == 404
    assert desk("GET", "/jobs", "wu").json() == []
    assert [j["id"] for j in desk("GET", "/jobs", "root").json()] == [job.id]


def test_a_jobs_progress_is_streamed_to_its_end(desk: Desk) -> None:
    files = [(f"{i}.md", f"# 第{i}章\n\n内容。".encode()) for i in range(5)]
    job = desk.send(*files).json()
    lines = desk("GET", f"/jobs/{job['id']}/events").text.splitlines()
    assert "event: job" in lines
    seen = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert seen[-1]["state"] == "done"
    assert {f["state"] for f in seen[-1]["files"]} == {"added"}
    order = [("queued", "running", "done").index(snapshot["state"]) for snapshot in seen]
    assert order == sorted(order)
    assert not any("/" in ((s["progress"] or {}).get("item") or "") for s in seen), "a path"


class _Held(Assistant):
    """An assistant whose ingest waits until it may go on."""

    def hold(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def ingest(self, *sources: Any, **given: Any) -> Any:
        self.begun.set()
        assert self.go.wait(20)
        return super().ingest(*sources, **given)


@pytest.fixture
def held(settings: Settings) -> Iterator[tuple[_Held, Uploads, Jobs]]:
    with _Held(settings) as assistant:
        assistant.hold()
        uploads = Uploads(settings)
        with closing(Jobs(assistant, uploads)) as jobs:
            yield assistant, uploads, jobs
            assistant.go.set()


def keep(uploads: Uploads, name: str) -> Path:
    return uploads.add(io.BytesIO(LEAVE.encode()), name, ["everyone"], "", "he")


def test_jobs_run_in_order_and_closing_drops_the_rest(held: tuple[_Held, Uploads, Jobs]) -> None:
    assistant, uploads, jobs = held
    he = someone("he")
    paths = [keep(uploads, f"{i}.md") for i in range(3)]
    first, second, third = (jobs.take_in("upload", "he", [path]) for path in paths)
    assert assistant.begun.wait(20)
    assert [j.state for j in jobs.list(he)] == ["queued", "queued", "running"]
    closing_thread = threading.Thread(target=jobs.close)
    closing_thread.start()
    *_, dropped = jobs.watch(third.id)
    assert (dropped.state, "stopped before it began" in dropped.error) == ("failed", True)
    with pytest.raises(ServerError):
        jobs.take_in("upload", "he", [])
    assistant.go.set()
    closing_thread.join(20)
    assert jobs.get(first.id, he).state == "done"
    assert uploads.pending() == sorted(paths[1:])
    assert jobs.get(second.id, he).state == "failed"


def test_a_document_being_taken_in_cannot_be_changed(
    held: tuple[_Held, Uploads, Jobs], open_desk: Callable[..., Desk]
) -> None:
    assistant, uploads, jobs = held
    path = keep(uploads, "a.md")
    assistant.go.set()
    *_, done = jobs.watch(jobs.take_in("upload", "he", [path]).id)
    document = done.files[0].document_id
    assistant.hold()
    desk = open_desk()
    service = Service(
        **{**vars(desk.service), "assistant": assistant, "uploads": uploads, "jobs": jobs}
    )
    desk = Desk(service, TestClient(app_of(service)))
    assert desk("POST", f"/documents/{document}/ingest").status_code == 202
    assert assistant.begun.wait(20)
    for answer in (
        desk("PATCH", f"/documents/{document}", json={"groups": ["hr"]}),
        desk("DELETE", f"/documents/{document}"),
        desk("POST", f"/documents/{document}/ingest"),
        desk("PUT", f"/documents/{document}/file", files={"file": ("a.md", b"x")}),
    ):
        assert answer.status_code == 409
        assert "Repeat" in answer.json()["detail"]
    replaced = desk.send(("a.md", b"# x"), existing="replace")
    assert replaced.json()["files"][0]["state"] == "conflict"
    assistant.go.set()


def test_two_threads_of_progress_lose_nothing(held: tuple[_Held, Uploads, Jobs]) -> None:
    assistant, uploads, jobs = held
    paths = [keep(uploads, f"{i}.md") for i in range(40)]
    job = jobs.take_in("upload", "he", paths)
    assert assistant.begun.wait(20)

    def tell(some: list[Path]) -> None:
        for path in some:
            jobs._tell(job.id, Progress("read", 0, 1, str(path)))

    threads = [threading.Thread(target=tell, args=(paths[i::2],)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f.state for f in jobs.get(job.id, someone("he")).files} == {"reading"}


def test_only_the_last_finished_jobs_are_kept(desk: Desk) -> None:
    jobs = [desk.service.jobs.take_in("upload", "he", [], [FileProgress("x")]) for _ in range(205)]
    *_, last = desk.service.jobs.watch(jobs[-1].id)
    assert last.state == "done"
    assert len(desk.service.jobs.list(someone("he"))) == 200
    with pytest.raises(NotFoundError):
        desk.service.jobs.get(jobs[0].id, someone("he"))


def test_a_job_that_fails_says_why_and_the_next_one_runs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*sources: Any, **given: Any) -> Any:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(desk.service.assistant, "ingest", broken)
        job = desk.done(desk.send(("a.md", LEAVE.encode())))
    assert (job.state, "unexpectedly" in job.error) == ("failed", True)
    (waiting,) = desk("GET", "/quarantine").json()
    assert waiting["source"] == "a.md"
    retried = desk.done(desk("POST", f"/quarantine/{waiting['id']}/ingest"))
    assert retried.files[0].state == "added"
    assert desk("GET", "/quarantine").json() == []


# -- the whole index --------------------------------------------------------------------------


def test_reindexing_is_a_job_of_administrators(desk: Desk) -> None:
    desk.upload("a.md", LEAVE)
    job = desk.done(desk("POST", "/reindex", "root"))
    assert (job.kind, job.state) == ("reindex", "done")
    assert job.progress is not None
    assert (job.progress.stage, job.progress.done) == ("reindex", 1)
    assert desk.titles("he") == {"休假制度"}
    assert desk.audit()[-1][:2] == ("root", "reindex")


def test_an_index_of_another_model_is_told_plainly_and_mended(
    open_desk: Callable[..., Desk], settings: Settings
) -> None:
    desk = open_desk()
    desk.upload("a.md", LEAVE)
    desk.service.assistant._open_store().catalog.set_meta("fingerprint", "another")
    for answer in (
        desk("GET", "/documents"),
        desk.send(("b.md", b"# b")),
        desk("GET", "/quarantine"),
    ):
        assert answer.status_code == 503
        assert answer.json()["type"].endswith(":fingerprint")
    assert len(folders(desk)) == 1
    assert desk.done(desk("POST", "/reindex", "root")).state == "done"
    assert desk.titles("he") == {"休假制度"}


# -- after a kill -----------------------------------------------------------------------------


def test_what_a_killed_process_left_is_taken_in_or_forgotten(desk: Desk) -> None:
    uploads, assistant = desk.service.uploads, desk.service.assistant
    deleted = desk.upload("gone.md", "# 旧\n\n旧内容。")
    replaced = desk.upload("r.md", LEAVE)
    spoilt = desk.upload("s.md", "# 好\n\n好内容。")
    path = uploads.find(deleted)
    assert path is not None
    path.unlink()  # killed while deleting
    keep(uploads, "new.md")  # killed before taking in
    (nothing := keep(uploads, "none.md")).unlink()  # killed while receiving
    for document, content in ((replaced, b"# new\n\nnew"), (spoilt, b"\0\1" * 500)):
        target = uploads.find(document)
        assert target is not None
        uploads.replace(target, io.BytesIO(content), "he")  # killed before taking in
    again = Uploads(desk.service.settings)
    with closing(Jobs(assistant, again)) as jobs:
        jobs.resume()
        (job,) = jobs.list(someone("root"))
        *_, job = jobs.watch(job.id)
    assert job.state == "done"
    assert {f.name: f.state for f in job.files} == {
        "new.md": "added",
        "r.md": "updated",
        "s.md": "quarantined",
    }
    sources = {d.source: d.title for d in assistant.documents()}
    assert sources == {"new.md": "休假制度", "r.md": "new", "s.md": "好"}
    assert not nothing.parent.exists()
    assert assistant.quarantined() == []
    assert again.pending() == []
    kept = again.find(spoilt)
    assert kept is not None
    assert kept.read_text("utf-8").startswith("# 好")


CHILD = """
import io, itertools, sys
from assistant import Assistant, Settings
from assistant.ingest.uploads import Uploads
from assistant.surfaces.http.jobs import Jobs
settings = Settings(data_dir=sys.argv[1], embedding_model="hash", engine="extractive")
with Assistant(settings) as assistant:
    assistant.documents()
    uploads = Uploads(settings)
    jobs = Jobs(assistant, uploads)
    jobs.resume()
    print("ready", flush=True)
    for turn in itertools.count(int(sys.argv[2])):
        for name in "ab":
            text = f"# T{turn}{name}\\n\\nfirst {turn}"
            path = uploads.add(io.BytesIO(text.encode()), f"{turn}{name}.md", ["hr"], "", "wei")
            job = jobs.take_in("upload", "wei", [path])
        for job in jobs.watch(job.id):
            pass
        text = f"# T{turn}b\\n\\nsecond {turn}"
        uploads.replace(path, io.BytesIO(text.encode()), "wei")
        for job in jobs.watch(jobs.take_in("replace", "wei", [path]).id):
            pass
        print("turn", flush=True)
"""


def test_killed_at_any_moment_disk_and_index_agree_again(settings: Settings) -> None:
    rng = random.Random(11)
    for turn in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(settings.data_dir), str(turn * 1000)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        ) as child:
            assert child.stdout is not None
            assert [child.stdout.readline() for _ in range(2)] == [b"ready\n", b"turn\n"]
            time.sleep(rng.uniform(0, 1.5))
            os.killpg(child.pid, signal.SIGKILL)
    hr, nobody = Principal("he", ["hr"]), Principal("lin")
    with Assistant(settings) as assistant:
        uploads = Uploads(settings)
        with closing(Jobs(assistant, uploads)) as jobs:
            jobs.resume()
            for job in jobs.list(someone("root")):
                *_, done = jobs.watch(job.id)
                assert done.state == "done", done
        found = assistant.documents(hr)
        assert assistant.documents(nobody) == []
        assert len(found) >= 6, "each round takes in two files at least"
        on_disk = [p for p in (settings.data_dir / "uploads").rglob("*.md")]
        assert sorted(d.source for d in found) == sorted(p.name for p in on_disk)
        assert uploads.pending() == uploads.emptied() == []
        for document in found:
            path = uploads.find(document.id)
            assert path is not None
            (chunk,) = assistant.chunks(document.id, hr)
            assert chunk.text.strip() in path.read_text("utf-8")


def test_killed_between_a_retag_and_the_index_the_new_readers_hold(desk: Desk) -> None:
    document = desk.upload("a.md", LEAVE, groups=["hr"])
    path = desk.service.uploads.find(document)
    assert path is not None
    desk.service.uploads.retag(path, ["finance"], "")
    desk.service.jobs.resume()
    (job, *_) = desk.service.jobs.list(someone("root"))
    assert desk.finished(job.id).files[0].state == "updated"
    assert (desk.titles("he"), desk.titles("wu")) == (set(), {"休假制度"})
