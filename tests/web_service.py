"""A server's parts for the views, and what browsers send: `service` and `open_service`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from fastapi import Request

from assistant import Assistant
from assistant.accounts.records import ROLE_SCOPES, Identity, Role, User
from assistant.surfaces.http.editing import Editor
from assistant.surfaces.http.receiving import File
from assistant.surfaces.http.records import Job
from assistant.surfaces.http.service import Service, opened_service
from assistant.surfaces.web.documents_table import Row
from assistant.types import Document

HOSTILE = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>"


NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


PACKAGE = Path(__file__).resolve().parents[1] / "assistant"


Open = Callable[..., Service]


@pytest.fixture
def open_service(assistant: Assistant) -> Iterator[Open]:
    def open_one(**changed: Any) -> Service:
        settings = assistant.settings.model_copy(update={"auth": "password", **changed})
        return stack.enter_context(opened_service(assistant, settings, "http://test"))

    with ExitStack() as stack:
        yield open_one


@pytest.fixture
def service(open_service: Open) -> Service:
    return open_service()


def somebody(role: Role = "admin", *groups: str, name: str = "li") -> Identity:
    return Identity(User(name, "", role, groups, True, NOW), ROLE_SCOPES[role], "session")


def request(identity: Identity) -> gr.Request:
    return gr.Request(Request({"type": "http", "headers": [], "state": {"identity": identity}}))


def event(**sent: Any) -> gr.EventData:
    return gr.EventData(None, sent)


def upload(service: Service, asker: Identity, text: str, name: str, *groups: str) -> Job:
    job = Editor(service, asker, "").upload([File(name, BytesIO(text.encode()))], groups)
    *_, done = service.jobs.watch(job.id)
    return done


def document(n: int = 0, **changed: Any) -> Document:
    known = Document(f"d{n}", f"第{n:04d}号制度", f"/papers/{n}.md", 1, "zh", chunks=n)
    return replace(known, ingested_at=NOW + timedelta(minutes=n), **changed)


def rows(*found: Document) -> list[Row]:
    return [Row(each, Path(each.source).name, "ready") for each in found]


def assert_inert(html: str) -> None:
    """Make sure that what a person or a file said stands in the page as text."""
    assert "&lt;img" in html
    assert "<img" not in html
    assert "<script" not in html
