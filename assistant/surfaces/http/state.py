"""How the server is: alive, ready, health in full, and metrics for Prometheus."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from assistant.surfaces.http.depend import Asker, TheService
from assistant.surfaces.problems import documented
from assistant.types import Health

router = APIRouter(tags=["state"])


class Ready(BaseModel):
    """Whether questions would be answered now."""

    ready: bool


@router.get("/livez", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def alive() -> Response:
    """Say that the process answers."""
    return Response("ok\n", media_type="text/plain")


@router.get("/readyz", responses={503: {"model": Ready}})
def ready(service: TheService, response: Response) -> Ready:
    """Say whether questions would be answered; why not is told to those who are signed in."""
    if service.assistant.health().ok:
        return Ready(ready=True)
    response.status_code = 503
    return Ready(ready=False)


@router.get("/v1/health", responses=documented())
def health(service: TheService, asker: Asker) -> Health:
    """Say what would answer, how much is indexed, and what stands in the way."""
    asker.require("ask")
    return service.assistant.health()


@router.get("/metrics", response_class=Response, responses=documented())
def metrics(service: TheService, asker: Asker) -> Any:
    """Return the counters in Prometheus' text format; it names no user and no question."""
    asker.require("admin")
    return Response(service.metrics.render(), media_type=CONTENT_TYPE_LATEST)
