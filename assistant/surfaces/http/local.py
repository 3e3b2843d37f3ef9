"""Files of this very machine, taken in from where they are, for its own command line.

A process that can read the data directory holds the server's local token and could have
taken them in itself, had the server not held the directory. Nobody else may name files.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field, TypeAdapter

from assistant.errors import AssistantError, ForbiddenError, ServerError
from assistant.surfaces.http.depend import Asker, TheService
from assistant.surfaces.http.service import Service
from assistant.surfaces.problems import to_problem
from assistant.types import IngestReport, Progress

router = APIRouter(prefix="/v1", include_in_schema=False)

logger = logging.getLogger(__name__)

_progress: TypeAdapter[Progress] = TypeAdapter(Progress)
_report: TypeAdapter[IngestReport] = TypeAdapter(IngestReport)


class Sources(BaseModel):
    """What to take in: absolute paths of files and folders, and for whom."""

    sources: list[str] = Field(min_length=1)
    groups: list[str] | None = None


def _begun(wanted: Sources, service: TheService, asker: Asker) -> queue.SimpleQueue[Any]:
    """Begin in a thread of its own; what it tells lands in a queue."""
    asker.require("admin")
    if asker.via != "local":
        raise ForbiddenError(
            "Only this machine's own command line may name files here. Send them to "
            "POST /v1/documents."
        )
    for source in wanted.sources:
        service.accounts.audit(asker.user.id, "ingest", source, "", "")
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_run, args=(wanted, service, told), name="ingest", daemon=True).start()
    return told


@router.post("/ingest", response_class=EventSourceResponse)
def ingest(told: Annotated[Any, Depends(_begun)]) -> Iterator[ServerSentEvent]:
    """Tell the `progress` and at last the `report`, or an `error`; it goes on when nobody listens.

    The events' data are a Progress, an IngestReport, a problem.
    """
    kind = "progress"
    while kind == "progress":
        kind, data = told.get()
        yield ServerSentEvent(event=kind, raw_data=data)


def _run(wanted: Sources, service: Service, told: queue.SimpleQueue[Any]) -> None:
    try:
        report = service.assistant.ingest(
            *wanted.sources,
            groups=wanted.groups,
            progress=lambda step: told.put(("progress", _progress.dump_json(step).decode())),
        )
        told.put(("report", _report.dump_json(report).decode()))
    except AssistantError as error:
        told.put(("error", _problem(error)))
    except Exception:
        logger.exception("taking in %s failed", wanted.sources)
        told.put(("error", _problem(ServerError("The server failed. Its log says why."))))


def _problem(error: AssistantError) -> str:
    return TypeAdapter(dict[str, Any]).dump_json(to_problem(error)).decode()
