from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from house import BROWSER, HERE, House, raw_status

from assistant import Settings
from assistant.errors import ConfigurationError
from assistant.surfaces.http.guard import check_exposure


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
        assert shown.status_code == 403 and "停用" in shown.text

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
        ("/zh/strategy/", "reader"),
        ("/en/strategy/gradio_api/queue/join", "reader"),
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
            told = "不能打开" if path.startswith("/zh/") else "may not open"
            assert allowed or told in shown.text


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
