"""The Web API over HTTP: reads a call as Slack reads it, counts it, answers it.

https://docs.slack.dev/apis/web-api: form or JSON in, ``{"ok": …}`` out, the token in the header or
among the arguments, a 429 with Retry-After when it is too much.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from .methods import METHODS, SCOPES
from .platform import Platform
from .rules import Refusal

JSON_ARGUMENTS = {
    *("attachments", "blocks", "chunks", "loading_messages", "metadata", "prompts", "view"),
}


@dataclass(frozen=True)
class Call:
    """A call as it was answered: ``error`` is empty when it was ok."""

    method: str
    arguments: dict[str, Any]
    error: str
    at: float


@dataclass
class Fault:
    """An error that a test asked for, instead of the method's answer."""

    method: str
    error: str
    times: float
    status: int


@dataclass
class WebApi:
    """Answers ``POST /api/{method}``."""

    slack: Platform
    bot_token: str
    app_token: str
    open_socket: Callable[[], str]
    latency: float = 0.0
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a call."""
        method = request.match_info["method"]
        if self.latency:
            await asyncio.sleep(self.latency)
        scopes = ",".join(sorted(self.slack.scopes or {s for n in SCOPES.values() for s in n}))
        headers = {"x-oauth-scopes": scopes}
        arguments: dict[str, Any] = {}
        status, error = 200, ""
        with self.slack.lock:
            now = self.slack.clock.now()
        try:
            arguments = await self._arguments(request)
            token = self._token(request, arguments)
            with self.slack.lock:
                fault = self._fault(method)
                if fault and fault.status >= 500:
                    status, error = fault.status, f"HTTP {fault.status}"
                    return web.Response(status=status, text="server error")
                body = {"ok": True, **self._answer(method, token, arguments, fault)}
        except Refusal as refusal:
            body, error = refusal.body(), refusal.error
            if refusal.retry_after is not None:
                status, headers["Retry-After"] = 429, str(refusal.retry_after)
        finally:
            with self.slack.lock:
                self.calls.append(Call(method, arguments, error, now))
                self.slack.lock.notify_all()
        return web.json_response(body, status=status, headers=headers)

    def _answer(
        self, method: str, token: str, arguments: dict[str, Any], fault: Fault | None
    ) -> dict[str, Any]:
        self.slack.rates.check(method, str(arguments.get("channel", "")))
        if fault:
            raise Refusal(fault.error)
        if method == "apps.connections.open":
            if token != self.app_token:
                detail = "apps.connections.open needs the app-level token"
                raise self.slack.broken("token_type", detail, "not_allowed_token_type")
            return {"url": self.open_socket()}
        if token == self.app_token:
            detail = f"{method} needs the bot token"
            raise self.slack.broken("token_type", detail, "not_allowed_token_type")
        if method not in METHODS:
            raise self.slack.broken("unknown_method", method, "unknown_method")
        needed = SCOPES.get(method, ())
        if self.slack.scopes is not None and needed and not self.slack.scopes & set(needed):
            fields = {"needed": needed[0], "provided": ",".join(sorted(self.slack.scopes))}
            detail = f"{method} needs {' or '.join(needed)}"
            raise self.slack.broken("missing_scope", detail, "missing_scope", **fields)
        return METHODS[method](self.slack, arguments)

    def _fault(self, method: str) -> Fault | None:
        for fault in self.faults:
            if fault.method == method and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def _token(self, request: web.Request, arguments: dict[str, Any]) -> str:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = str(arguments.pop("token", "") or "")
        token = given or token
        if not token:
            raise Refusal("not_authed")
        if token not in (self.bot_token, self.app_token):
            raise Refusal("invalid_auth")
        return token

    async def _arguments(self, request: web.Request) -> dict[str, Any]:
        if request.content_type == "application/json":
            try:
                given = json.loads(await request.text() or "{}")
            except ValueError:
                raise Refusal("invalid_json") from None
            if not isinstance(given, dict):
                raise Refusal("json_not_object")
        else:
            given = {**request.query, **{k: v for k, v in (await request.post()).items()}}
        for name in JSON_ARGUMENTS & set(given):
            if isinstance(given[name], str):
                given[name] = self._decoded(name, given[name])
        return given

    def _decoded(self, name: str, text: str) -> Any:
        try:
            return json.loads(text) if text else None
        except ValueError:
            error = "invalid_blocks_format" if name == "blocks" else "invalid_arguments"
            raise self.slack.broken("arguments", f"{name} is not JSON", error) from None
