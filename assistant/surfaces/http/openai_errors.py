"""Errors in OpenAI's shape, for the paths of its API and for no other.

`ErrorShape` stands before everything, so that also what the guard, the limits or the
router refuse is told in the shape that these clients read.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.surfaces.problems import MEDIA_TYPE

_PATHS = ("/v1/chat/completions", "/v1/models")
_CODES = {
    "unauthenticated": "invalid_api_key",
    "rate-limited": "rate_limit_exceeded",
    "not-found": "model_not_found",
}
_TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}
_NAMED_FIELD = re.compile(r"`([\w.]+)`: ")


class Error(BaseModel):
    """What went wrong."""

    message: str
    type: str
    code: str | None
    param: str | None


class ErrorBody(BaseModel):
    """An error as OpenAI's clients read it."""

    error: Error


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of the errors a handler may answer with."""
    return {status: {"model": ErrorBody} for status in statuses}


def openai_error(problem: dict[str, Any]) -> dict[str, Any]:
    """Return a problem document as an error in OpenAI's shape."""
    slug = str(problem["type"]).rpartition(":")[2]
    status = _status(problem)
    field = _NAMED_FIELD.search(str(problem["detail"]))
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": problem["detail"],
            "type": _TYPES.get(HTTPStatus(status), kind),
            "code": _CODES.get(slug, slug.replace("-", "_")),
            "param": "model" if slug == "not-found" else field and field.group(1),
        }
    }


def _status(problem: dict[str, Any]) -> int:
    """Return the status; what cannot be processed is a bad request in OpenAI's API."""
    status = int(problem["status"])
    return HTTPStatus.BAD_REQUEST if status == HTTPStatus.UNPROCESSABLE_ENTITY else status


class ErrorShape:
    """Turns the problem documents of OpenAI's paths into its errors; the outermost middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its response as it is to be."""
        ours = scope["type"] == "http" and scope["path"].startswith(_PATHS)
        await self._app(scope, receive, _Reshaped(send) if ours else send)


class _Reshaped:
    """Holds a problem document back until it is whole; sends anything else on at once."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if headers.get("content-type", "").startswith(MEDIA_TYPE):
                self._start = message
                return
        if self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body"):
            await self._finish(self._start, json.loads(self._body))

    async def _finish(self, start: Message, problem: dict[str, Any]) -> None:
        body = json.dumps(openai_error(problem), ensure_ascii=False).encode()
        headers = MutableHeaders(scope=start)
        headers["content-type"] = "application/json"
        headers["content-length"] = str(len(body))
        await self._send({**start, "status": int(_status(problem))})
        await self._send({"type": "http.response.body", "body": body})
