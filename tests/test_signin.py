from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from house import BROWSER, FORM, HERE, PASSWORD, House
from starlette.websockets import WebSocketDisconnect

from assistant.surfaces.http.door import local_path


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
