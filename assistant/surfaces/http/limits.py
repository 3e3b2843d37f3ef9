"""How much one may ask of the server: requests a minute for each user, bytes for each request."""

from __future__ import annotations

import json
import math
import time
from http import HTTPStatus

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.accounts.records import Identity
from assistant.errors import RateLimitedError, SourceError
from assistant.settings import Settings
from assistant.surfaces.problems import MEDIA_TYPE, to_problem

MAX_BODY = 1 << 20
FILES_A_REQUEST = 20
_QUESTION_SHARE = 4
_MEGABYTE = 1_000_000


class Limits:
    """Counts what each user asked for in the last minute; thread-safe.

    The machine itself is not counted: who may read the data directory needs no server.
    """

    def __init__(self, settings: Settings) -> None:
        self._counter = MovingWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(settings.requests_per_minute)
        self._questions = RateLimitItemPerMinute(
            max(1, settings.requests_per_minute // _QUESTION_SHARE)
        )

    def count_request(self, asker: Identity) -> None:
        """Count a request.

        Raises:
            RateLimitedError: it is one too many.
        """
        self._count(self._requests, "requests", asker)

    def count_question(self, asker: Identity) -> None:
        """Count a question, which costs far more than another request.

        Raises:
            RateLimitedError: it is one too many.
        """
        self._count(self._questions, "questions", asker)

    def _count(self, limit: RateLimitItemPerMinute, what: str, asker: Identity) -> None:
        who = asker.user.id
        if asker.via == "local" or self._counter.hit(limit, what, who):
            return
        free_at = self._counter.get_window_stats(limit, what, who).reset_time
        wait = max(1, math.ceil(free_at - time.time()))
        raise RateLimitedError(
            f"More than {limit.amount} {what} in a minute. Repeat in {wait} s, or ask an "
            "administrator to raise ASSISTANT_REQUESTS_PER_MINUTE.",
            wait,
        )


class BodyLimit:
    """Refuses bodies that are too large, whether they say so at once or turn out to be.

    Uploads may hold ``FILES_A_REQUEST`` of the largest files; anything else, ``MAX_BODY``.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._upload = settings.max_file_mb * _MEGABYTE * FILES_A_REQUEST

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._upload if _is_upload(scope) else MAX_BODY
        refusal = too_large(
            f"The request is larger than {limit / _MEGABYTE:,.0f} MB, the limit. "
            + ("Send fewer files at once." if limit == self._upload else "Shorten it.")
        )
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            await refusal(scope, receive, send)
            return
        counted = _Counted(scope, receive, send, limit, refusal)
        try:
            await self._app(scope, counted.receive, counted.send)
        except _TooLargeError:
            if not counted.answered:
                raise


def too_large(detail: str) -> Response:
    """Return the problem response for a body or a file that is too large."""
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    problem = {**to_problem(SourceError(detail)), "title": status.phrase, "status": int(status)}
    headers = {"Connection": "close"}  # what is still on its way is not wanted
    return Response(json.dumps(problem), status, headers, MEDIA_TYPE)


class _TooLargeError(HTTPException):
    """Ends the reading of a body; what reads it passes an HTTPException on."""


class _Counted:
    """One request whose body is counted, and whose answer gives way to the refusal."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, limit: int, refusal: Response
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._left = limit
        self._refusal = refusal
        self._started = False
        self.answered = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                if not self._started and not self.answered:
                    self.answered = True
                    await self._refusal(self._scope, self._receive, self._send)
                raise _TooLargeError(413)
        return message

    async def send(self, message: Message) -> None:
        if not self.answered:
            self._started = True
            await self._send(message)


def _is_upload(scope: Scope) -> bool:
    path: str = scope["path"]
    if scope["method"] == "POST":
        # The page sends the files of its documents view there.
        return path == "/v1/documents" or path.endswith("/documents/gradio_api/upload")
    return bool(scope["method"] == "PUT" and path.startswith("/v1/documents/"))
