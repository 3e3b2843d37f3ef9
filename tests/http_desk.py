"""A server's API without a socket, and those who come to it: `desk` and `open_desk`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from httpx import Response

from assistant import Assistant
from assistant.accounts.records import ROLE_SCOPES, Identity, Role, User
from assistant.errors import AssistantError
from assistant.surfaces.http import documents
from assistant.surfaces.http.jobs import Job
from assistant.surfaces.http.limits import BodyLimit
from assistant.surfaces.http.service import Service, opened_service
from assistant.surfaces.problems import MEDIA_TYPE, to_problem

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
