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
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from httpx import Response

from assistant import Assistant, Principal, Settings
from assistant.accounts.records import ROLE_SCOPES, Identity, Role, User
from assistant.errors import AssistantError, NotFoundError, RateLimitedError, ServerError
from assistant.ingest.uploads import Uploads
from assistant.surfaces.http import documents
from assistant.surfaces.http.jobs import FileProgress, Job, Jobs
from assistant.surfaces.http.limits import BodyLimit, Limits
from assistant.surfaces.http.service import Service, opened_service
from assistant.surfaces.problems import MEDIA_TYPE, to_problem
from assistant.types import Progress

ROOT = Path(__file__).parents[1]
LEAVE = "# 休假制度\n\n员工每年享有十五天带薪年假。\n"
PEOPLE: dict[str, tuple[Role, tuple[str, ...]]] = {
    "he": ("editor", ("hr",)),
    "wu": ("editor", ("finance",)),
    "lin": ("reader", ("hr",)),
    "root": ("admin", ()),
}


def someone(name: str, via: str = "session") -> Identity:
    role, groups = PEOPLE[name]
    user = User(name, name, role, groups, True, datetime(2026, 1, 1, tzinfo=UTC))
    return Identity(user, ROLE_SCOPES[role], via)  # type: ignore[arg-type]


class _Signed:
    """Stands where the guard stands: the header says who asks."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            name = dict(scope["headers"]).get(b"x-as", b"he").decode()
            scope = {**scope, "state": {"identity": someone(name)}}
        await self._app(scope, receive, send)


def app_of(service: Service) -> FastAPI:
    app = FastAPI()
    app.state.service = service
    app.include_router(documents.router)

    @app.post("/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    @app.exception_handler(AssistantError)
    def problem(request: Request, error: AssistantError) -> JSONResponse:
        said = to_problem(error)
        return JSONResponse(said, said["status"], media_type=MEDIA_TYPE)

    app.add_middleware(BodyLimit, settings=service.settings)
    app.add_middleware(_Signed)
    return app


@dataclass
class Desk:
    """A server in this process, and somebody at it."""

    service: Service
    client: TestClient

    def __call__(self, method: str, path: str, by: str = "he", **given: Any) -> Response:
        return self.client.request(method, f"/v1{path}", headers={"x-as": by}, **given)

    def send(self, *files: tuple[str, bytes], by: str = "he", **form: Any) -> Response:
        parts = [("files", (name, content)) for name, content in files]
        return self("POST", "/documents", by, files=parts, data=form)

    def done(self, response: Response) -> Job:
        """Return the job that a response promises, when it is finished."""
        assert response.status_code == 202, response.text
        return self.finished(response.json()["id"])

    def finished(self, job_id: str) -> Job:
        *_, last = self.service.jobs.watch(job_id)
        return last

    def upload(self, name: str, text: str, by: str = "he", **form: Any) -> str:
        job = self.done(self.send((name, text.encode()), by=by, **form))
        assert job.files[0].state == "added", job
        return job.files[0].document_id

    def titles(self, by: str) -> set[str]:
        return {document["title"] for document in self("GET", "/documents", by).json()}

    def audit(self) -> list[tuple[str, str, str]]:
        log = self.service.accounts.audit_log()
        return [(e.actor, e.action, e.detail) for e in reversed(log)]


@pytest.fixture
def open_desk(assistant: Assistant, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    def open_one(**changed: Any) -> Desk:
        settings = assistant.settings.model_copy(update={"requests_per_minute": 10_000, **changed})
        service = stack.enter_context(opened_service(assistant, settings, "http://test"))
        return Desk(service, TestClient(app_of(service)))

    with ExitStack() as stack:
        yield open_one


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    return open_desk()


def folders(desk: Desk) -> list[Path]:
    return list((desk.service.settings.data_dir / "uploads").iterdir())


# -- uploads --------------------------------------------------------------------------------


def test_an_upload_is_read_listed_and_found(desk: Desk) -> None:
    document = desk.upload("年假.md", LEAVE)
    (listed,) = desk("GET", "/documents").json()
    assert (listed["id"], listed["title"], listed["source"]) == (document, "休假制度", "年假.md")
    assert listed["groups"] == ["everyone"]
    assert listed["provenance"].startswith("he · ")
    assert desk("GET", f"/documents/{document}").json() == listed
    (chunk,) = desk("GET", f"/documents/{document}/chunks").json()
    assert "十五天" in chunk["text"]
    assert desk.audit() == [("he", "upload", "年假.md → everyone")]


def test_bad_files_among_many_do_not_stop_the_others(desk: Desk) -> None:
    good = [(f"{i:02d}.md", f"# 第{i}章\n\n内容{i}。".encode()) for i in range(28)]
    bad = [("broken.pdf", b"%PDF-1.7 nothing"), ("empty.txt", b"")]
    job = desk.done(desk.send(*good[:14], *bad, *good[14:], groups=["hr"]))
    assert job.state == "done"
    assert [f.name for f in job.files] == [name for name, _ in (*good[:14], *bad, *good[14:])]
    states = {f.name: f.state for f in job.files}
    assert [states.pop(name) for name, _ in bad] == ["quarantined", "quarantined"]
    assert set(states.values()) == {"added"}
    assert all(len(f.reason) > 15 for f in job.files if f.state == "quarantined")
    assert len(desk("GET", "/documents").json()) == 28
    assert desk("GET", "/documents", "wu").json() == []
    assert desk.service.uploads.pending() == []


def test_a_title_names_the_one_file_it_comes_with(desk: Desk) -> None:
    desk.upload("a.md", LEAVE, title="年假\n规定")
    assert desk.titles("he") == {"年假 规定"}
    refused = desk.send(("b.md", b"# b"), ("c.md", b"# c"), title="both")
    assert refused.status_code == 422


def test_no_file_is_told_with_the_remedy(desk: Desk) -> None:
    for response in (desk("POST", "/documents", data={"groups": "hr"}), desk("POST", "/documents")):
        assert response.status_code == 422
        assert "`files`" in response.json()["detail"]


def test_a_file_too_large_is_named_with_the_limit(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(max_file_mb=1)
    large = ("large.txt", b"x" * 1_000_001)
    alone = desk.send(large)
    assert alone.status_code == 413
    assert alone.headers["content-type"] == MEDIA_TYPE
    assert "1 MB" in alone.json()["detail"]
    job = desk.done(desk.send(large, ("small.md", LEAVE.encode())))
    assert [f.state for f in job.files] == ["quarantined", "added"]
    assert "1 MB" in job.files[0].reason
    document = job.files[1].document_id
    put = desk("PUT", f"/documents/{document}/file", files={"file": ("s.md", large[1])})
    assert put.status_code == 413
    assert len(folders(desk)) == 1
    assert not desk.service.jobs.is_claimed(document)


def test_hostile_names_stay_in_their_folder(desk: Desk) -> None:
    names = [
        "../../etc/passwd.md",
        "a\\b.md",
        "长" * 300 + ".md",
        "🚀.md",
        "x\u202efdp.md",
        "CON.md",
    ]
    job = desk.done(desk.send(*((name, f"# {i}".encode()) for i, name in enumerate(names))))
    assert {f.state for f in job.files} == {"added"}
    root = desk.service.settings.data_dir / "uploads"
    found = [path for path in root.rglob("*.md")]
    assert len(found) == len(names)
    assert all(path.parent.parent == root for path in found)
    sources = {d["source"] for d in desk("GET", "/documents").json()}
    assert {"passwd.md", "b.md", "🚀.md", "xfdp.md", "_CON.md"} < sources


# -- names that are taken ---------------------------------------------------------------------


def test_a_taken_name_is_refused_replaced_or_kept_beside(desk: Desk) -> None:
    first = desk.upload("年假.md", LEAVE)
    newer = ("年假.md", LEAVE.replace("十五", "二十").encode())
    refused = desk.done(desk.send(newer)).files[0]
    assert (refused.state, refused.document_id) == ("conflict", first)
    replaced = desk.done(desk.send(newer, existing="replace")).files[0]
    assert (replaced.state, replaced.document_id) == ("updated", first)
    (document,) = desk("GET", "/documents").json()
    assert document["version"] == 2
    kept = desk.done(desk.send(newer, existing="keep")).files[0]
    assert (kept.state, kept.document_id == first) == ("added", False)
    unclear = desk.done(desk.send(newer, existing="replace")).files[0]
    assert unclear.state == "conflict"
    assert "by its id" in unclear.reason


def test_the_same_name_twice_in_one_upload_is_a_conflict(desk: Desk) -> None:
    job = desk.done(desk.send(("a.md", b"# one"), ("A.MD", b"# two")))
    assert [f.state for f in job.files] == ["added", "conflict"]
    assert job.files[1].document_id == job.files[0].document_id


def test_a_name_is_taken_from_the_moment_its_file_is_there(desk: Desk) -> None:
    with ThreadPoolExecutor(6) as pool:
        editors = ["he", "wu"] * 3
        sent = list(pool.map(lambda by: desk.send(("同名.md", LEAVE.encode()), by=by), editors))
    states = [desk.done(each).files[0].state for each in sent]
    assert sorted(states) == ["added", *["conflict"] * 5]
    assert len(desk("GET", "/documents").json()) == 1


def test_names_of_documents_one_may_not_see_are_free(desk: Desk) -> None:
    desk.upload("薪酬.md", "# 薪酬\n\n甲", groups=["hr"])
    job = desk.done(desk.send(("薪酬.md", "# 薪酬\n\n乙".encode()), by="wu", existing="replace"))
    assert job.files[0].state == "added"
    assert [d["version"] for d in desk("GET", "/documents", "he").json()] == [1, 1]


def test_a_replacement_meant_for_fewer_readers_is_refused(desk: Desk) -> None:
    desk.upload("a.md", LEAVE)
    secret = ("a.md", "# 机密\n\n只给人事。".encode())
    job = desk.done(desk.send(secret, existing="replace", groups=["hr"]))
    assert job.files[0].state == "conflict"
    assert "everyone" in job.files[0].reason
    assert desk.titles("wu") == {"休假制度"}


def test_a_document_of_a_folder_is_not_replaced_by_an_upload(desk: Desk, papers: Path) -> None:
    desk.service.assistant.ingest(papers)
    job = desk.done(desk.send(("leave.md", b"# new"), existing="replace"))
    assert job.files[0].state == "conflict"
    put = desk(
        "PUT", f"/documents/{job.files[0].document_id}/file", files={"file": ("leave.md", b"x")}
    )
    assert put.status_code == 422


# -- replacing --------------------------------------------------------------------------------


def test_a_corrupt_replacement_leaves_the_old_one_answering(desk: Desk) -> None:
    document = desk.upload("年假.md", LEAVE)
    path = desk.service.uploads.find(document)
    assert path is not None
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    job = desk.done(
        desk("PUT", f"/documents/{document}/file", files={"file": ("x.md", b"\0\1" * 500)})
    )
    assert (job.kind, job.state, job.files[0].state) == ("replace", "done", "quarantined")
    assert "earlier version stays" in job.files[0].reason
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
    (hit,) = desk.service.assistant.search("带薪年假")
    assert "十五天" in hit.chunk.text
    assert desk("GET", f"/documents/{document}").json()["version"] == 1
    assert desk("GET", "/quarantine").json() == []


def test_a_corrupt_pdf_in_the_place_of_a_good_one(desk: Desk) -> None:
    from reportlab.pdfgen.canvas import Canvas

    page = io.BytesIO()
    canvas = Canvas(page)
    canvas.drawString(72, 700, "The CP-2150B pump delivers 45 cubic metres an hour.")
    canvas.save()
    job = desk.done(desk.send(("pump.pdf", page.getvalue()), title="Pump"))
    document = job.files[0].document_id
    bad = desk.done(desk.send(("pump.pdf", b"%PDF-1.4 broken"), existing="replace"))
    assert bad.files[0].state == "quarantined"
    path = desk.service.uploads.find(document)
    assert path is not None
    assert path.read_bytes() == page.getvalue()
    assert "45 cubic" in desk.service.assistant.search("pump")[0].chunk.text


def test_a_replacement_is_of_the_same_kind(desk: Desk) -> None:
    document = desk.upload("a.md", LEAVE)
    put = desk("PUT", f"/documents/{document}/file", files={"file": ("a.docx", b"PK")})
    assert put.status_code == 422
    assert ".md" in put.json()["detail"]


# -- who may ----------------------------------------------------------------------------------


def test_a_document_one_may_not_see_does_not_exist(desk: Desk) -> None:
    hidden = desk.upload("薪酬.md", "# 薪酬\n\n月薪。", groups=["hr"])
    for by in ("wu", "root"):
        answers = [
            desk("GET", f"/documents/{hidden}", by),
            desk("GET", f"/documents/{hidden}/chunks", by),
            desk("PATCH", f"/documents/{hidden}", by, json={"groups": ["everyone"]}),
            desk("PUT", f"/documents/{hidden}/file", by, files={"file": ("a.md", b"x")}),
            desk("POST", f"/documents/{hidden}/ingest", by),
            desk("DELETE", f"/documents/{hidden}", by),
        ]
        unknown = desk("DELETE", "/documents/0000000000000000", by)
        for answer in answers:
            assert answer.status_code == unknown.status_code == 404
            said = answer.json()["detail"].replace(hidden, "0000000000000000")
            assert said == unknown.json()["detail"]
        assert desk("GET", "/documents", by).json() == []
    assert desk.titles("he") == {"薪酬"}


def test_readers_change_nothing(desk: Desk) -> None:
    document = desk.upload("a.md", LEAVE)
    assert desk.send(("b.md", b"# b"), by="lin").status_code == 403
    for method, path, given in (
        ("PATCH", f"/documents/{document}", {"json": {"title": "x"}}),
        ("PUT", f"/documents/{document}/file", {"files": {"file": ("a.md", b"x")}}),
        ("POST", f"/documents/{document}/ingest", {}),
        ("DELETE", f"/documents/{document}", {}),
        ("GET", "/quarantine", {}),
        ("POST", f"/quarantine/{document}/ingest", {}),
        ("DELETE", f"/quarantine/{document}", {}),
        ("GET", "/jobs", {}),
        ("POST", "/reindex", {}),
    ):
        assert desk(method, path, "lin", **given).status_code == 403, path
    assert desk("POST", "/reindex", "he").status_code == 403
    assert desk("GET", f"/documents/{document}", "lin").json()["title"] == "休假制度"


def test_an_editor_gives_documents_to_their_own_groups_only(desk: Desk) -> None:
    refused = desk.send(("a.md", LEAVE.encode()), groups=["hr", "finance"])
    assert refused.status_code == 403
    assert "finance" in refused.json()["detail"]
    assert not (desk.service.settings.data_dir / "uploads").exists()
    document = desk.upload("a.md", LEAVE, groups=["hr"])
    assert desk("PATCH", f"/documents/{document}", json={"groups": ["board"]}).status_code == 403
    assert desk("PATCH", f"/documents/{document}", json={"groups": []}).status_code == 422
    assert desk("PATCH", f"/documents/{document}", json={"groups": ["a,b"]}).status_code == 422
    given = desk.upload("b.md", "# b\n\n乙。", by="root", groups=["finance", "hr"])
    kept = desk("PATCH", f"/documents/{given}", "wu", json={"groups": ["hr", "finance"]})
    assert kept.json()["groups"] == ["finance", "hr"], "what it has, it may keep"


# -- retagging, deleting ----------------------------------------------------------------------


def test_a_retag_moves_a_document_at_once(desk: Desk) -> None:
    document = desk.upload("a.md", LEAVE)
    assert desk.titles("wu") == {"休假制度"}
    changed = desk("PATCH", f"/documents/{document}", json={"groups": ["hr"], "title": "年假"})
    assert (changed.json()["groups"], changed.json()["title"]) == (["hr"], "年假")
    assert desk.titles("wu") == set()
    assert desk.service.assistant.search("年假", principal=Principal("wu", ["finance"])) == []
    assert desk.titles("lin") == {"年假"}
    assert desk("PATCH", f"/documents/{document}", json={"groups": ["everyone", "hr"]}).json()[
        "groups"
    ] == ["everyone"]
    assert desk.titles("wu") == {"年假"}
    assert desk.audit()[-1] == ("he", "retag", "年假 → everyone")
    again = desk.done(desk("POST", f"/documents/{document}/ingest"))
    assert again.files[0].state == "unchanged"


def test_a_retag_that_the_file_forbids_changes_nothing(desk: Desk) -> None:
    text = "---\ngroups: [hr]\n---\n# 薪酬\n\n月薪。"
    document = desk.upload("a.md", text)
    desk.upload("b.md", "# b\n\n乙。", by="root", groups=["finance"])
    before = desk("GET", f"/documents/{document}").json()
    refused = desk.client.patch(
        f"/v1/documents/{document}", headers={"x-as": "he"}, json={"groups": ["hr"]}
    )
    assert refused.status_code == 200
    PEOPLE["both"] = ("editor", ("hr", "finance"))
    try:
        refused = desk("PATCH", f"/documents/{document}", "both", json={"groups": ["finance"]})
    finally:
        del PEOPLE["both"]
    assert refused.status_code == 422
    assert "nobody could read it" in refused.json()["detail"]
    assert desk("GET", f"/documents/{document}").json()["groups"] == before["groups"]
    assert desk("GET", "/quarantine").json() == []
    assert desk.service.uploads.pending() == []


def test_a_document_of_a_folder_is_retagged_and_deleted(desk: Desk, papers: Path) -> None:
    desk.service.assistant.ingest("papers")
    by_title = {d["title"]: d for d in desk("GET", "/documents").json()}
    document = by_title["休假制度"]["id"]
    changed = desk("PATCH", f"/documents/{document}", json={"groups": ["hr"]})
    assert changed.json()["groups"] == ["hr"]
    assert changed.json()["source"] == "papers/leave.md"
    assert desk("PATCH", f"/documents/{document}", json={"title": "x"}).status_code == 422
    removed = desk("DELETE", f"/documents/{document}").json()
    assert "brings the document back" in removed["detail"]
    assert (papers / "leave.md").exists()
    assert desk.titles("he") == {"Pump catalogue"}
    pumps = by_title["Pump catalogue"]["id"]
    (papers / "pumps.md").unlink()
    for answer in (
        desk("PATCH", f"/documents/{pumps}", json={"groups": ["hr"]}),
        desk("POST", f"/documents/{pumps}/ingest"),
    ):
        assert answer.status_code == 422
        assert "papers/pumps.md" in answer.json()["detail"]


def test_a_deleted_upload_answers_nothing_and_is_off_the_disk(desk: Desk) -> None:
    document = desk.upload("a.md", LEAVE)
    removed = desk("DELETE", f"/documents/{document}")
    assert removed.json()["title"] == "休假制度"
    assert desk("DELETE", f"/documents/{document}").status_code == 404
    assert desk.service.assistant.search("年假") == []
    assert folders(desk) == []
    assert desk.audit()[-1] == ("he", "delete", "休假制度")


# -- quarantine -------------------------------------------------------------------------------


def test_quarantine_is_seen_by_those_it_belongs_to(desk: Desk, papers: Path) -> None:
    (papers / "never.txt").touch()
    desk.service.assistant.ingest(papers)
    job = desk.done(desk.send(("bad.pdf", b"nothing"), groups=["hr"]))
    upload = job.files[0].document_id
    (mine,) = desk("GET", "/quarantine").json()
    assert (mine["source"], mine["id"], mine["groups"]) == ("bad.pdf", upload, ["hr"])
    assert desk("GET", "/quarantine", "wu").json() == []
    (other,) = desk("GET", "/quarantine", "root").json()
    assert (other["source"].endswith("never.txt"), other["id"]) == (True, "")
    assert desk("DELETE", f"/quarantine/{upload}", "wu").status_code == 404
    assert desk("POST", f"/quarantine/{upload}/ingest", "wu").status_code == 404
    again = desk.done(desk("POST", f"/quarantine/{upload}/ingest"))
    assert again.files[0].state == "quarantined"
    assert desk("DELETE", f"/quarantine/{upload}").status_code == 204
    assert desk("GET", "/quarantine").json() == []
    assert folders(desk) == []
    assert len(desk.service.assistant.quarantined()) == 1


def test_a_good_document_is_not_discarded_as_if_in_quarantine(desk: Desk) -> None:
    document = desk.upload("a.md", LEAVE)
    assert desk("DELETE", f"/quarantine/{document}").status_code == 404
    assert desk.titles("he") == {"休假制度"}


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


# -- limits -----------------------------------------------------------------------------------


def test_requests_and_questions_are_counted_for_each_user(settings: Settings) -> None:
    limits = Limits(settings.model_copy(update={"requests_per_minute": 8}))
    he, wu = someone("he"), someone("wu")
    for _ in range(8):
        limits.count_request(he)
    with pytest.raises(RateLimitedError, match="8 requests") as caught:
        limits.count_request(he)
    assert 55 <= caught.value.retry_after <= 60
    limits.count_request(wu)
    for _ in range(2):
        limits.count_question(he)
    with pytest.raises(RateLimitedError, match="2 questions"):
        limits.count_question(he)
    for _ in range(50):
        limits.count_request(someone("he", via="local"))


def test_a_limit_of_one_still_lets_a_question_in(settings: Settings) -> None:
    limits = Limits(settings.model_copy(update={"requests_per_minute": 1}))
    limits.count_question(someone("he"))


def test_too_many_requests_are_told_when_to_come_back(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(requests_per_minute=2)
    answers = [desk("GET", "/documents") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json()["retry_after"] > 50


def test_bodies_are_limited_whether_announced_or_not(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(max_file_mb=1)

    def chunks(size: int) -> Iterator[bytes]:
        for _ in range(size // 1000):
            yield b"x" * 1000

    post = desk.client.post
    assert post("/echo", content=b"x" * (1 << 20)).json() == 1 << 20
    assert post("/echo", content=chunks(1_000_000)).json() == 1_000_000
    for content in (b"x" * ((1 << 20) + 1), chunks(1_100_000)):
        refused = post("/echo", content=content)
        assert refused.status_code == 413
        assert refused.headers["content-type"] == MEDIA_TYPE
        assert "1 MB" in refused.json()["detail"]
    boundary = {"content-type": "multipart/form-data; boundary=b"}
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'

    def form(size: int) -> Iterator[bytes]:
        yield head
        yield from chunks(size)
        yield b"\r\n--b--\r\n"

    refused = post("/v1/documents", content=form(20_100_000), headers=boundary)
    assert (refused.status_code, "20 MB" in refused.text) == (413, True)
    single = post("/v1/documents", content=form(19_000_000), headers=boundary)
    assert (single.status_code, "1 MB" in single.text) == (413, True)
    passed = post("/v1/documents", content=form(900_000), headers=boundary)
    assert passed.status_code == 202


def test_the_schema_names_its_operations_and_problems(desk: Desk) -> None:
    schema = desk.client.get("/openapi.json").json()
    operations = [o for path in schema["paths"].values() for o in path.values()]
    mine = [o for o in operations if "documents" in o.get("tags", [])]
    assert len(mine) == 15
    assert len({o["operationId"] for o in mine}) == 15
    assert all("v1" not in o["operationId"] for o in mine)
    for operation in mine:
        assert MEDIA_TYPE in operation["responses"]["403"]["content"]
