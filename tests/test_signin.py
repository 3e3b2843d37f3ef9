"""Who gets in over HTTP, in each mode, and who does not: the guard and the sign-in pages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from assistant import Settings
from assistant.accounts.store import Accounts
from assistant.errors import AssistantError, ConfigurationError
from assistant.surfaces.http import signin
from assistant.surfaces.http.door import local_path
from assistant.surfaces.http.guard import Guard, check_exposure
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


class TestOpen:
    def test_the_visitor_is_an_admin_with_the_open_groups(self, make: Any) -> None:
        client = make(auth="none", open_groups=("hr",)).client()
        assert client.get("/v1/who").json() == {
            "id": "anonymous",
            "groups": ["everyone", "hr"],
            "scopes": ["admin", "ask", "documents"],
            "via": "open",
            "address": "127.0.0.1",
        }
        assert client.post("/v1/who").status_code == 200, "curl says no origin and has no cookie"
        assert client.get("/login", headers=BROWSER).headers["location"] == "/"

    def test_a_key_is_heeded_and_what_programs_must_send_is_not(self, make: Any) -> None:
        house = make(auth="none")
        client = house.client()
        house.accounts.create_user("bot")
        assert client.get("/v1/who", headers=house.key("bot", "ask")).json()["id"] == "bot"
        refused = client.get("/v1/who", headers={"authorization": "Bearer sa_0_0"})
        assert refused.status_code == 401
        dummy = client.get("/v1/who", headers={"authorization": "Bearer EMPTY"})
        assert dummy.json()["id"] == "anonymous"


class TestPassword:
    def test_nobody_is_let_in_unknown(self, house: House) -> None:
        client = house.client()
        for method in ("GET", "POST"):
            answer = client.request(method, "/v1/who")
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["type"] == "urn:assistant:problem:unauthenticated"
        assert client.get("/v1/who", headers=BROWSER).status_code == 401
        assert client.get("/zh/gradio_api/info").status_code == 401

    def test_a_browser_is_sent_to_the_login_and_back(self, house: House) -> None:
        house.user("wang")
        client = house.client()
        sent = client.get("/zh/文档/?a=1&b=//x", headers=BROWSER)
        assert sent.status_code == 303
        page = client.get(sent.headers["location"], headers=BROWSER)
        target = re.search(r'name="next" value="([^"]*)"', page.text)
        assert target
        form = {"user": "Wang", "password": PASSWORD, "next": target[1].replace("&amp;", "&")}
        back = client.post("/login", data=form, headers=FORM)
        assert back.status_code == 303
        assert back.headers["location"] == "/zh/%E6%96%87%E6%A1%A3/?a=1&b=//x"
        cookie = back.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie
        assert client.get("/v1/who").json()["id"] == "wang"
        assert client.get("/login", headers=BROWSER).headers["location"] == "/"
        assert client.post("/logout", headers=FORM).headers["location"] == "/login"
        assert client.get("/v1/who").status_code == 401

    def test_the_cookie_is_secure_behind_https(self, make: Any) -> None:
        house = make(auth="password", public_url="https://ask.example")
        house.user("wang")
        client = house.client(base="http://ask.example")
        form = {"user": "wang", "password": PASSWORD}
        origin = {"origin": "https://ask.example"}
        assert (
            "secure"
            in client.post("/login", data=form, headers=origin).headers["set-cookie"].lower()
        )

    def test_signing_out_ends_the_session_itself(self, house: House) -> None:
        house.user("wang")
        thief, owner = house.client(), house.signed_in("wang")
        thief.cookies.update(owner.cookies)
        owner.post("/logout", headers=FORM)
        assert thief.get("/v1/who").status_code == 401

    def test_a_new_sign_in_ends_the_earlier_one(self, house: House) -> None:
        house.user("wang")
        client = house.signed_in("wang")
        earlier = client.cookies["assistant_session"]
        client.post("/login", data={"user": "wang", "password": PASSWORD}, headers=FORM)
        other = house.client()
        other.cookies.set("assistant_session", earlier)
        assert other.get("/v1/who").status_code == 401

    def test_a_changed_right_holds_at_the_next_request(self, house: House) -> None:
        house.user("wang")
        client = house.signed_in("wang")
        assert client.get("/v1/who").json()["scopes"] == ["ask"]
        house.accounts.update_user("wang", role="editor", groups=["hr"])
        assert client.get("/v1/who").json()["groups"] == ["everyone", "hr"]
        house.accounts.update_user("wang", active=False)
        assert client.get("/v1/who").status_code == 401

    def test_a_wrong_password_and_a_wrong_name_look_alike(self, house: House) -> None:
        house.user("wang")
        pages = []
        for name in ("wang", "nobody"):
            form = {"user": name, "password": "a wrong password"}
            answer = house.client().post("/login", data=form, headers=FORM)
            assert answer.status_code == 401 and "set-cookie" not in answer.headers
            assert 'role="alert"' in answer.text and "wrong" in answer.text
            assert "a wrong password" not in answer.text
            pages.append(re.sub(r'nonce="[^"]*"', "", answer.text).replace(name, "NAME"))
        assert pages[0] == pages[1]

    def test_guessing_is_stopped(self, house: House) -> None:
        house.user("wang")
        form = {"user": "wang", "password": "a wrong password"}
        ends = [
            house.client(peer="192.0.2.9").post("/login", data=form, headers=FORM) for _ in range(6)
        ]
        assert [end.status_code for end in ends] == [401] * 5 + [429]
        assert 0 < int(ends[-1].headers["retry-after"]) <= 900
        assert "15 minutes" in ends[-1].text
        good = {"user": "wang", "password": PASSWORD}
        assert house.client(peer="192.0.2.9").post("/login", data=good).status_code == 429
        assert house.client(peer="192.0.2.10").post("/login", data=good).status_code == 303

    def test_a_key_comes_in_without_an_origin(self, house: House) -> None:
        house.user("wang", "editor", "hr")
        client = house.client()
        answer = client.post("/v1/who", headers=house.key("wang", "ask", "documents"))
        assert answer.json()["via"] == "key" and answer.json()["scopes"] == ["ask", "documents"]
        for wrong in ("Bearer sa_0_0", "Bearer x", "Basic d2FuZzp4", "Bearer", "sa_0_0"):
            assert client.get("/v1/who", headers={"authorization": wrong}).status_code == 401

    def test_a_header_names_nobody_in_this_mode(self, house: House) -> None:
        house.user("boss", "admin")
        answer = house.client().get("/v1/who", headers={"x-forwarded-user": "boss"})
        assert answer.status_code == 401

    @pytest.mark.parametrize("path", ["/livez", "/readyz", "/static/x.css", "/login"])
    def test_public_paths(self, house: House, path: str) -> None:
        client = house.client()
        client.cookies.set("assistant_session", "has ended")
        assert client.get(path).status_code == 200

    @pytest.mark.parametrize(
        "path",
        ["/login/", "/LOGIN", "/livez/x", "/statical", "/welcome", "//login"],
    )
    def test_paths_that_only_look_public(self, house: House, path: str) -> None:
        assert house.client().get(f"{HERE}{path}").status_code == 401

    def test_no_websocket(self, house: House) -> None:
        with pytest.raises(WebSocketDisconnect), house.client().websocket_connect("/zh/ws"):
            pass


class TestNext:
    @pytest.mark.parametrize(
        "target",
        [
            "https://evil.example",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "\n//evil.example",
            "javascript:alert(1)",
            "http:evil.example",
            "evil.example",
            " //evil.example",
            "/ok\r\nset-cookie: a=b",
            "//[x/evil.example",
            "",
        ],
    )
    def test_other_servers_are_not_gone_to(self, house: House, target: str) -> None:
        house.user("wang")
        assert local_path(target) == "/"
        form = {"user": "wang", "password": PASSWORD, "next": target}
        assert house.client().post("/login", data=form, headers=FORM).headers["location"] == "/"
        seen = house.signed_in("wang").get(f"/login?next={quote(target)}")
        assert seen.headers["location"] == "/"

    @pytest.mark.parametrize("target", ["/", "/zh/", "/source/a/1?x=https://b", "/a?b=//c#d"])
    def test_paths_of_our_own_are(self, target: str) -> None:
        assert local_path(target) == target


class TestWelcome:
    def test_the_first_administrator(self, house: House) -> None:
        link = f"/welcome/{house.accounts.first_link()}"
        client = house.client()
        page = client.get(link, headers=BROWSER)
        assert page.status_code == 200 and 'autocomplete="new-password"' in page.text
        form = {"user": "Boss", "name": "老板", "password": PASSWORD, "again": "another one!!"}
        refused = client.post(link, data=form, headers=FORM)
        assert refused.status_code == 422 and "not the same" in refused.text
        assert 'value="Boss"' in refused.text and PASSWORD not in refused.text
        made = client.post(link, data=form | {"again": PASSWORD}, headers=FORM)
        assert made.status_code == 303 and made.headers["location"] == "/"
        assert client.get("/v1/who").json()["scopes"] == ["admin", "ask", "documents"]
        for method in ("GET", "POST"):
            again = house.client().request(method, link, data=form, headers=FORM)
            assert again.status_code == 410

    def test_an_invitation(self, house: House) -> None:
        house.accounts.create_user("wang", "王芳")
        link = f"/welcome/{house.accounts.invite('wang')}"
        client = house.client()
        page = client.get(link, headers=BROWSER | {"accept-language": "zh-CN,zh;q=0.9"})
        assert "王芳，您好" in page.text and 'value="wang"' in page.text and "readonly" in page.text
        for password, said in (("short", "too short"), ("x" * 300, "too long")):
            form = {"password": password, "again": password}
            refused = client.post(link, data=form, headers=FORM)
            assert refused.status_code == 422 and said in refused.text
        form = {"user": "boss", "password": PASSWORD, "again": PASSWORD}
        assert client.post(link, data=form, headers=FORM).status_code == 303
        assert client.get("/v1/who").json()["id"] == "wang", "the link says who, not the form"

    def test_no_link(self, house: House) -> None:
        for token in ("x", "%00", "a" * 5000):
            assert house.client().get(f"/welcome/{token}", headers=BROWSER).status_code == 410

    def test_where_passwords_are_not_used(self, make: Any) -> None:
        house = make(auth="header")
        house.accounts.create_user("wang")
        link = f"/welcome/{house.accounts.invite('wang')}"
        client = house.client()
        form = {"user": "wang", "password": PASSWORD, "again": PASSWORD}
        assert client.get(link).status_code == 404
        assert client.post(link, data=form).status_code == 404
        assert client.post("/login", data=form).status_code == 404
        assert client.get("/oidc/login").status_code == 404
        assert client.get("/oidc/callback").status_code == 404


class TestPages:
    def test_language_by_browser_by_choice_and_remembered(self, house: House) -> None:
        client = house.client()
        zh = BROWSER | {"accept-language": "zh-CN,zh;q=0.9"}
        assert '<html lang="zh-CN">' in client.get("/login", headers=zh).text
        assert '<html lang="en">' in client.get("/login", headers=BROWSER).text
        switched = client.get("/login?lang=en&next=/zh/", headers=zh)
        assert '<html lang="en">' in switched.text
        assert "lang=zh&amp;next=%2Fzh%2F" in switched.text
        assert '<html lang="en">' in client.get("/login", headers=zh).text

    def test_what_is_typed_is_never_markup(self, make: Any) -> None:
        house = make(auth="password", company_name="<b>Co</b>")
        evil = '"><script>alert(1)</script>'
        form = {"user": evil, "password": "x", "next": "/" + evil}
        page = house.client().post("/login", data=form, headers=FORM).text
        assert "<script" not in page and "<b>Co" not in page

    def test_labels_and_errors_are_tied_to_inputs(self, house: House) -> None:
        page = house.client().post("/login", data={"user": "x", "password": "y"}).text
        inputs = set(re.findall(r'<input id="([^"]+)"', page))
        assert inputs == set(re.findall(r'<label for="([^"]+)"', page)) == {"user", "password"}
        assert page.count('aria-describedby="error"') == 2 and 'id="error" role="alert"' in page

    def test_the_policy_lets_in_our_style_alone(self, house: House) -> None:
        page = house.client().get("/login", headers=BROWSER)
        policy = page.headers["content-security-policy"]
        nonce = re.search(r'<style nonce="([^"]+)"', page.text)
        assert nonce and f"'nonce-{nonce[1]}'" in policy
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert not re.search(r'(src|href)="(https?:)?//', page.text) and "style=" not in page.text
        assert page.headers["cache-control"] == "no-store"

    def test_every_response_is_hardened(self, house: House) -> None:
        client = house.client()
        for path in ("/v1/who", "/login", "/livez", "/zh/"):
            headers = client.get(path, headers=BROWSER).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            assert headers["x-frame-options"] == "SAMEORIGIN"

    def test_the_mode_decides_what_is_shown(self, make: Any) -> None:
        oidc = make(auth="oidc", oidc_issuer="http://127.0.0.1:1", oidc_client_id="a")
        page = oidc.client().get("/login?next=/zh/", headers=BROWSER).text
        assert 'href="/oidc/login?next=/zh/"' in page and "<input" not in page
        header = make(auth="header").client().get("/login", headers=BROWSER).text
        assert "gateway" in header and "<input" not in header


class TestHeader:
    @pytest.fixture
    def proxied(self, make: Any) -> House:
        built: House = make(
            auth="header",
            trusted_proxies=("10.0.0.0/8", "127.0.0.1"),
            admin_users=("Boss",),
            public_url="https://ask.example",
        )
        return built

    def test_a_trusted_proxy_names_the_user(self, proxied: House) -> None:
        headers = {
            "x-forwarded-user": "Li",
            "x-forwarded-groups": "hr, 财务,",
            "host": "ask.example",
        }
        raw = {name: value.encode() for name, value in headers.items()}
        who = proxied.client("10.1.2.3").get("/v1/who", headers=raw).json()  # type: ignore[arg-type]
        assert who["id"] == "li" and who["groups"] == ["everyone", "hr", "财务"]
        assert who["via"] == "header" and who["scopes"] == ["ask"]
        mapped = proxied.client("::ffff:10.1.2.3").get(
            "/v1/who", headers={"x-forwarded-user": "li"}
        )
        assert mapped.json()["groups"] == ["everyone", "hr", "财务"], "no list: those known stay"
        emptied = {"x-forwarded-user": "li", "x-forwarded-groups": ""}
        assert proxied.client("10.1.2.3").get("/v1/who", headers=emptied).json()["groups"] == [
            "everyone"
        ]

    @pytest.mark.parametrize("peer", ["192.0.2.1", "11.0.0.1", "::2", "", "testclient"])
    def test_nobody_else_does(self, proxied: House, peer: str) -> None:
        headers = {"x-forwarded-user": "boss", "x-forwarded-for": "127.0.0.1"}
        assert proxied.client(peer).get("/v1/who", headers=headers).status_code == 401
        assert proxied.accounts.users() == []

    def test_two_names_are_none(self, proxied: House) -> None:
        client = proxied.client("10.0.0.1")
        two = [("x-forwarded-user", "boss"), ("x-forwarded-user", "li")]
        assert client.get("/v1/who", headers=two).status_code == 401
        assert client.get("/v1/who", headers={"x-forwarded-user": " "}).status_code == 401

    def test_a_name_in_another_encoding_is_none(self, proxied: House) -> None:
        named = [(b"host", b"localhost"), (b"x-forwarded-user", "王".encode("gbk"))]
        assert raw_status(proxied.app, named) == 401
        named = [(b"host", b"localhost"), (b"x-forwarded-user", "王".encode())]
        assert raw_status(proxied.app, named) == 200
        assert proxied.accounts.user("王")

    def test_admins_by_setting_and_the_deactivated(self, proxied: House) -> None:
        client = proxied.client("10.0.0.1")
        boss = client.get("/v1/who", headers={"x-forwarded-user": "BOSS"}).json()
        assert boss["scopes"] == ["admin", "ask", "documents"]
        client.get("/v1/who", headers={"x-forwarded-user": "li"})
        proxied.accounts.update_user("li", active=False)
        assert client.get("/v1/who", headers={"x-forwarded-user": "li"}).status_code == 403
        shown = client.get("/zh/", headers=BROWSER | {"x-forwarded-user": "li"})
        assert shown.status_code == 403 and "deactivated" in shown.text

    def test_a_session_cookie_of_another_mode_is_not_taken(self, proxied: House) -> None:
        proxied.user("wang")
        assert proxied.signed_in("wang").get("/v1/who").status_code == 401

    def test_the_first_machine_that_a_proxy_tells_of(self, proxied: House) -> None:
        def address(peer: str, forwarded: str) -> str:
            headers = {"x-forwarded-for": forwarded} | proxied_key
            said: str = proxied.client(peer).get("/v1/who", headers=headers).json()["address"]
            return said

        proxied.accounts.create_user("bot")
        proxied_key = proxied.key("bot", "ask")
        assert address("10.0.0.1", "192.0.2.5") == "192.0.2.5"
        assert address("10.0.0.1", "1.2.3.4, 192.0.2.5, 10.0.0.9") == "192.0.2.5"
        assert address("192.0.2.1", "1.2.3.4") == "192.0.2.1", "not a proxy: made up"
        assert address("10.0.0.1", "1.2.3.4, nonsense") == "10.0.0.1"


class TestDelegation:
    def test_a_program_asks_in_anothers_name(self, house: House) -> None:
        house.user("bot", "editor", "secret")
        key = house.key("bot", "ask", "documents", "delegate")
        named = {"x-assistant-user": quote("王芳"), "x-assistant-groups": f"hr,{quote('财务')}"}
        who = house.client().post("/v1/who", headers=key | named).json()
        assert who["id"] == "王芳" and who["groups"] == ["everyone", "hr", "财务"]
        assert who["scopes"] == ["ask", "documents"] and who["via"] == "key"
        plain = house.key("bot", "delegate")
        assert house.client().get("/v1/who", headers=plain | named).json()["scopes"] == ["ask"]

    def test_an_admin_gives_no_admin_away(self, house: House) -> None:
        house.user("boss", "admin", "secret")
        key = house.key("boss", "ask", "admin", "delegate")
        who = house.client().get("/v1/who", headers=key | {"x-assistant-user": "Boss"}).json()
        assert who["scopes"] == ["ask"] and who["groups"] == ["everyone"]

    def test_others_may_not(self, house: House) -> None:
        house.user("boss", "admin")
        key = house.key("boss", "ask", "documents", "admin")
        for named in ({"x-assistant-user": "li"}, {"x-assistant-groups": "hr"}):
            assert house.client().get("/v1/who", headers=key | named).status_code == 403
            assert house.signed_in("boss").get("/v1/who", headers=named).status_code == 403
            assert house.client().get("/v1/who", headers=named).status_code == 401

    def test_not_even_the_visitor_of_an_open_server(self, make: Any) -> None:
        answer = make(auth="none").client().get("/v1/who", headers={"x-assistant-user": "li"})
        assert answer.status_code == 403

    def test_names_that_cannot_be_and_people_shut_out(self, house: House) -> None:
        house.user("bot")
        house.user("li")
        house.accounts.update_user("li", active=False)
        key = house.key("bot", "delegate")
        for named, status in (
            ({"x-assistant-groups": "hr"}, 422),
            ({"x-assistant-user": "a%00b"}, 422),
            ({"x-assistant-user": "a", "x-assistant-groups": "b%2Cc"}, 422),
            ({"x-assistant-user": "LI"}, 403),
        ):
            assert house.client().get("/v1/who", headers=key | named).status_code == status

    def test_a_process_of_this_machine(self, house: House) -> None:
        local = {"authorization": "Bearer the local token"}
        who = house.client().post("/v1/who", headers=local).json()
        assert who["id"] == "local" and "delegate" in who["scopes"] and who["via"] == "local"
        who = house.client().get("/v1/who", headers=local | {"x-assistant-user": "li"}).json()
        assert who["id"] == "li" and who["scopes"] == ["ask", "documents"]
        house.service.local_token = ""
        for wrong in ("Bearer ", "Bearer the local token"):
            assert (
                house.client().get("/v1/who", headers={"authorization": wrong}).status_code == 401
            )


class TestRebinding:
    @pytest.mark.parametrize(
        "host",
        ["localhost", "127.0.0.1:7860", "LOCALHOST:1", "[::1]:7860", "localhost.", "10.0.0.5"],
    )
    def test_our_names(self, make: Any, host: str) -> None:
        client = make(auth="none", host="10.0.0.5").client()
        assert client.get("/v1/who", headers={"host": host}).status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.1",
            "",
            "localhost@evil.example:80",
            "[::1",
            "evil.example#localhost",
        ],
    )
    def test_other_names(self, make: Any, host: str) -> None:
        client = make(auth="none").client()
        for path in ("/v1/who", "/login", "/livez"):
            answer = client.get(path, headers={"host": host} | BROWSER)
            assert answer.status_code == 421
            assert answer.json()["status"] == 421

    def test_a_server_on_every_address(self, make: Any) -> None:
        client = make(
            auth="password", host="0.0.0.0", public_url="https://ask.example:8443"
        ).client()
        for host, status in (
            ("192.0.2.1:7860", 200),
            ("[2001:db8::1]", 200),
            ("ask.example:8443", 200),
            ("Ask.Example", 200),
            ("evil.example", 421),
            ("", 421),
        ):
            assert client.get("/login", headers={"host": host}).status_code == status, host


class TestCrossOrigin:
    FOREIGN = (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://[x"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": HERE},
        {"sec-fetch-site": "none"},
    )
    OWN = ({"origin": HERE}, {"sec-fetch-site": "same-origin"})

    @pytest.mark.parametrize("headers", FOREIGN)
    def test_others_pages_change_nothing(self, make: Any, headers: dict[str, str]) -> None:
        password, none, proxy = make(auth="password"), make(auth="none"), make(auth="header")
        password.user("wang")
        named = {"x-forwarded-user": "li"}
        assert password.signed_in("wang").post("/v1/who", headers=headers).status_code == 403
        assert password.client().post("/login", data={}, headers=headers).status_code == 403
        assert password.signed_in("wang").post("/logout", headers=headers).status_code == 403
        assert none.client().post("/v1/who", headers=headers).status_code == 403
        assert proxy.client().post("/v1/who", headers=headers | named).status_code == 403
        key = password.key("wang", "ask")
        assert password.client().post("/v1/who", headers=headers | key).status_code == 200

    @pytest.mark.parametrize("headers", OWN)
    def test_our_own_do(self, make: Any, headers: dict[str, str]) -> None:
        house = make(auth="password")
        house.user("wang")
        assert house.signed_in("wang").post("/v1/who", headers=headers).status_code == 200
        assert make(auth="none").client().post("/v1/who", headers=headers).status_code == 200

    def test_a_cookie_must_come_with_an_origin(self, house: House) -> None:
        house.user("wang")
        assert house.signed_in("wang").post("/v1/who").status_code == 403
        assert house.signed_in("wang").get("/v1/who").status_code == 200

    def test_the_public_address_behind_a_proxy_that_renames(self, make: Any) -> None:
        house = make(auth="password", public_url="https://ask.example")
        house.user("wang")
        client = house.signed_in("wang")
        assert client.post("/v1/who", headers={"origin": "https://ask.example"}).status_code == 200
        assert (
            client.post("/v1/who", headers={"origin": "https://ask.example:1"}).status_code == 403
        )


class TestViews:
    RIGHTS = (
        ("/zh/", "reader"),
        ("/en/gradio_api/queue/join", "reader"),
        ("/zh/documents", "editor"),
        ("/zh/documents/", "editor"),
        ("/en/documents/gradio_api/queue/join", "editor"),
        ("/zh/gradio_api/upload", "editor"),
        ("/gradio_api/upload", "editor"),
        ("/zh/gradio_api/upload_progress", "reader"),
        ("/zh/quality/", "admin"),
        ("/en/settings/gradio_api/config", "admin"),
    )

    @pytest.mark.parametrize(("path", "least"), RIGHTS)
    def test_by_role(self, house: House, path: str, least: str) -> None:
        roles = ("reader", "editor", "admin")
        for role in roles:
            house.accounts.create_user(role, role=role)  # type: ignore[arg-type]
            allowed = roles.index(role) >= roles.index(least)
            client = house.signed_in(role)
            assert client.get(path).status_code == (200 if allowed else 403)
            shown = client.get(path, headers=BROWSER)
            assert shown.status_code == (200 if allowed else 403)
            assert allowed or "may not open" in shown.text


class TestExposure:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
    def test_open_on_this_machine(self, host: str) -> None:
        check_exposure(Settings(host=host))

    @pytest.mark.parametrize(
        ("settings", "remedy"),
        [
            ({"host": "0.0.0.0"}, "ASSISTANT_AUTH"),
            ({"host": "::"}, "ASSISTANT_AUTH"),
            ({"host": "10.0.0.5"}, "ASSISTANT_AUTH"),
            ({"host": "my-machine"}, "ASSISTANT_AUTH"),
            ({"public_url": "https://ask.example"}, "ASSISTANT_AUTH"),
            ({"auth": "oidc"}, "ASSISTANT_OIDC_ISSUER"),
            ({"auth": "oidc", "oidc_issuer": "https://id.example"}, "ASSISTANT_OIDC_CLIENT_ID"),
            ({"auth": "header", "trusted_proxies": ()}, "ASSISTANT_TRUSTED_PROXIES"),
            ({"auth": "header", "trusted_proxies": ("proxy",)}, "10.0.0.0/24"),
            ({"auth": "password", "public_url": "ask.example"}, "https://"),
        ],
    )
    def test_refused_with_the_remedy(self, settings: dict[str, Any], remedy: str) -> None:
        with pytest.raises(ConfigurationError, match=re.escape(remedy)):
            check_exposure(Settings(**settings))

    @pytest.mark.parametrize(
        "settings",
        [
            {"auth": "password"},
            {"auth": "header"},
            {"auth": "oidc", "oidc_issuer": "https://id.example", "oidc_client_id": "a"},
        ],
    )
    def test_open_to_others_with_a_sign_in(self, settings: dict[str, Any]) -> None:
        check_exposure(Settings(host="0.0.0.0", **settings))
