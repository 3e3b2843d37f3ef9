"""Errors as problem documents (RFC 9457), and back: one table for the server and the client."""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from assistant import errors

MEDIA_TYPE = "application/problem+json"
_PREFIX = "urn:assistant:problem:"
BUSY_RETRY_S = 5


@dataclass(frozen=True)
class _Kind:
    error: type[errors.AssistantError]
    slug: str
    status: HTTPStatus


# The most specific class of an error comes first.
_KINDS = (
    _Kind(errors.UnauthenticatedError, "unauthenticated", HTTPStatus.UNAUTHORIZED),
    _Kind(errors.ForbiddenError, "forbidden", HTTPStatus.FORBIDDEN),
    _Kind(errors.RateLimitedError, "rate-limited", HTTPStatus.TOO_MANY_REQUESTS),
    _Kind(errors.NotFoundError, "not-found", HTTPStatus.NOT_FOUND),
    _Kind(errors.ConflictError, "conflict", HTTPStatus.CONFLICT),
    _Kind(errors.QuestionError, "question", HTTPStatus.UNPROCESSABLE_ENTITY),
    _Kind(errors.SourceError, "source", HTTPStatus.UNPROCESSABLE_ENTITY),
    _Kind(errors.EngineBusyError, "busy", HTTPStatus.SERVICE_UNAVAILABLE),
    _Kind(errors.RequestRefusedError, "request-refused", HTTPStatus.UNPROCESSABLE_ENTITY),
    _Kind(errors.EngineError, "engine", HTTPStatus.BAD_GATEWAY),
    _Kind(errors.ModelError, "model", HTTPStatus.SERVICE_UNAVAILABLE),
    _Kind(errors.StorageFullError, "storage-full", HTTPStatus.INSUFFICIENT_STORAGE),
    _Kind(errors.FingerprintError, "fingerprint", HTTPStatus.SERVICE_UNAVAILABLE),
    _Kind(errors.StoreLockedError, "store-locked", HTTPStatus.SERVICE_UNAVAILABLE),
    _Kind(errors.StoreError, "store", HTTPStatus.SERVICE_UNAVAILABLE),
    _Kind(errors.ConfigurationError, "configuration", HTTPStatus.INTERNAL_SERVER_ERROR),
    _Kind(errors.ServerError, "server", HTTPStatus.INTERNAL_SERVER_ERROR),
    _Kind(errors.AssistantError, "error", HTTPStatus.INTERNAL_SERVER_ERROR),
)


def to_problem(error: errors.AssistantError) -> dict[str, Any]:
    """Return an error as a problem document; its ``status`` is the response's."""
    kind = next(kind for kind in _KINDS if isinstance(error, kind.error))
    problem: dict[str, Any] = {
        "type": _PREFIX + kind.slug,
        "title": kind.status.phrase,
        "status": int(kind.status),
        "detail": str(error),
    }
    if isinstance(error, errors.EngineBusyError):
        problem |= {"position": error.position, "retry_after": BUSY_RETRY_S}
    if isinstance(error, errors.RateLimitedError):
        problem["retry_after"] = math.ceil(error.retry_after)
    return problem


def from_problem(problem: dict[str, Any]) -> errors.AssistantError:
    """Return the error that a problem document tells of."""
    slug = str(problem.get("type", "")).removeprefix(_PREFIX)
    detail = str(problem.get("detail") or problem.get("title") or "The server gave no reason.")
    kind = next((kind.error for kind in _KINDS if kind.slug == slug), errors.ServerError)
    if kind is errors.EngineBusyError:
        return errors.EngineBusyError(detail, int(problem.get("position", 0)))
    if kind is errors.RateLimitedError:
        return errors.RateLimitedError(detail, int(problem.get("retry_after", 1)))
    return kind(detail)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of a handler's problems, with those of everybody who asks."""
    return problems(401, 403, 429, *statuses)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of problems with these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }


PROBLEM_SCHEMA = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong and what to do about it (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "position": {"type": "integer", "description": "place in the line, where one is full"},
        "retry_after": {"type": "integer", "description": "seconds to wait"},
    },
}
