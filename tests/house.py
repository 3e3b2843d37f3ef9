"""A server in one mode of sign-in and the browsers that come to it: `make` and `house`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from assistant import Settings
from assistant.accounts.store import Accounts
from assistant.errors import AssistantError
from assistant.surfaces.http import signin
from assistant.surfaces.http.guard import Guard
from assistant.surfaces.problems import to_problem

PASSWORD = "correct horse battery"


HERE = "http://127.0.0.1:7860"


BROWSER = {"accept": "text/html,application/xhtml+xml", "accept-language": "en"}


FORM = BROWSER | {"origin": HERE}


@dataclass
class Service:
    settings: Settings
    accounts: Accounts
    local_token: str = "the local token"


def make_app(service: Service) -> FastAPI:
    app = FastAPI()
    app.state.service = service
    app.include_router(signin.router)

    @app.api_route("/v1/who", methods=["GET", "POST"])
    @app.api_route("/{path:path}", methods=["GET", "POST"])
    def who(request: Request) -> dict[str, Any]:
        identity = request.state.identity
        return {
            "id": identity and identity.user.id,
            "groups": identity and sorted(identity.principal.groups),
            "scopes": identity and sorted(identity.scopes),
            "via": identity and identity.via,
            "address": request.client and request.client.host,
        }

    @app.exception_handler(AssistantError)
    def problem(request: Request, error: AssistantError) -> Any:
        from fastapi.responses import JSONResponse

        return JSONResponse(to_problem(error), to_problem(error)["status"])

    app.add_middleware(Guard, service=service)
    return app


class House:
    """A server in one mode, and the browsers and programs that come to it."""

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        self.accounts = Accounts(data_dir)
        self.service = Service(Settings(data_dir=data_dir, **settings), self.accounts)
        self.app = make_app(self.service)

    def client(self, peer: str = "127.0.0.1", base: str = HERE) -> TestClient:
        return TestClient(self.app, base_url=base, client=(peer, 5000), follow_redirects=False)

    def user(self, user_id: str, role: str = "reader", *groups: str) -> str:
        self.accounts.create_user(user_id, role=role, groups=groups)  # type: ignore[arg-type]
        self.accounts.accept(self.accounts.invite(user_id), PASSWORD)
        return user_id

    def signed_in(self, user_id: str) -> TestClient:
        client = self.client()
        client.cookies.set("assistant_session", self.accounts.start_session(user_id))
        return client

    def key(self, user_id: str, *scopes: str) -> dict[str, str]:
        _, secret = self.accounts.create_key(user_id, "test", scopes)  # type: ignore[arg-type]
        return {"authorization": f"Bearer {secret}"}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    houses: list[House] = []

    def build(**settings: Any) -> House:
        houses.append(House(tmp_path / str(len(houses)), **settings))
        return houses[-1]

    yield build
    for house in houses:
        house.accounts.close()


@pytest.fixture
def house(make: Any) -> House:
    built: House = make(auth="password")
    return built


def raw_status(app: FastAPI, headers: list[tuple[bytes, bytes]]) -> int:
    """Return how a request ends whose headers the test client would not send."""
    scope = {"type": "http", "method": "GET", "path": "/v1/who", "query_string": b""}
    scope |= {"headers": headers, "client": ("127.0.0.1", 1), "scheme": "http"}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    return int(sent[0]["status"])
