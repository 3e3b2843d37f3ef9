"""Sign-in by OpenID Connect, end to end against a provider that listens on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from test_signin import BROWSER, HERE, House

pytestmark = pytest.mark.enable_socket

CLIENT_ID, CLIENT_SECRET = "assistant", "a secret of some length, thirty-two"


@dataclass
class Provider:
    """A small but honest provider; a test bends the one thing that it is about."""

    issuer: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    signed_with: Any = None
    algorithm: str = "RS256"
    claims: dict[str, Any] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    described: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] | None = None
    no_id_token: bool = False
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def description(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
            "scopes_supported": ["openid", "profile", "email", "groups"],
            **({"userinfo_endpoint": f"{self.issuer}/userinfo"} if self.more is not None else {}),
            **self.described,
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Return where the browser goes after its user consented."""
        assert query["response_type"] == "code" and query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256" and query["nonce"]
        assert set(query["scope"].split()) == {"openid", "profile", "email", "groups"}
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        query = self.codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if authorization != f"Basic {basic}" or query is None:
            return 400, {"error": "invalid_grant"}
        if query["code_challenge"] != challenge or query["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        answer = {"access_token": "opaque", "token_type": "Bearer", "expires_in": 60}
        return 200, answer if self.no_id_token else answer | {"id_token": self.id_token(query)}

    def id_token(self, query: dict[str, str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "4711",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 60,
            "nonce": query["nonce"],
            "preferred_username": "Wang.Fang",
            "name": "王芳",
            "groups": ["hr", "财务"],
        } | self.claims
        header = {"alg": self.algorithm, "kid": "one"}
        kept = {name: value for name, value in claims.items() if name not in self.left_out}
        if self.algorithm == "none":
            parts = (json.dumps(part).encode() for part in (header, kept))
            return ".".join(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in parts) + "."
        return jwt.encode(header, kept, self.signed_with or self.key, algorithms=[self.algorithm])


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        provider, parts = self.provider, urlsplit(self.path)
        provider.asked.append(parts.path)
        if parts.path == "/authorize":
            self.send_response(302)
            self.send_header("Location", provider.authorize(dict(parse_qsl(parts.query))))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif parts.path == "/jwks":
            self._json(200, {"keys": [provider.key.as_dict(private=False)]})
        elif parts.path == "/userinfo" and self.headers["Authorization"] == "Bearer opaque":
            self._json(200, provider.more or {})
        elif parts.path == "/.well-known/openid-configuration":
            self._json(200, provider.description())
        else:
            self._json(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        authorization = self.headers.get("Authorization", "")
        self._json(*self.provider.token(dict(parse_qsl(body)), authorization))

    def _json(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    handler = type("Handler", (_Handler,), {"provider": made})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        made.issuer = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield made
        server.shutdown()


@pytest.fixture
def house(provider: Provider, tmp_path: Path) -> Iterator[House]:
    built = House(
        tmp_path,
        auth="oidc",
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=CLIENT_SECRET,
        admin_users=("boss",),
    )
    yield built
    built.accounts.close()


def begun(client: TestClient, target: str = "/zh/") -> str:
    """Begin a sign-in; return the provider's address that the browser is sent to."""
    sent = client.get(f"/oidc/login?next={target}", headers=BROWSER)
    assert sent.status_code == 302, sent.text
    cookie = sent.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "max-age=600" in cookie
    return sent.headers["location"]


def consented(provider: Provider, address: str) -> str:
    """Return the way back that the provider sends the browser on."""
    back = provider.authorize(dict(parse_qsl(urlsplit(address).query)))
    assert back.startswith(f"{HERE}/oidc/callback?")
    return back


def came_back(provider: Provider, client: TestClient, target: str = "/zh/") -> Any:
    # As a browser does that a page of another site sends here.
    headers = BROWSER | {"sec-fetch-site": "cross-site"}
    return client.get(consented(provider, begun(client, target)), headers=headers)


def is_in(client: TestClient) -> bool:
    return client.get("/v1/who").status_code == 200


class TestSignIn:
    def test_from_the_button_to_the_page(self, house: House, provider: Provider) -> None:
        client = house.client()
        done = came_back(provider, client, "/zh/documents/?a=1")
        assert done.status_code == 303 and done.headers["location"] == "/zh/documents/?a=1"
        who = client.get("/v1/who").json()
        assert who["id"] == "wang.fang" and who["groups"] == ["everyone", "hr", "财务"]
        assert who["scopes"] == ["ask"] and who["via"] == "session"
        assert house.accounts.user("wang.fang").name == "王芳"
        assert "assistant_oidc" not in client.cookies
        signed = [e for e in house.accounts.audit_log() if e.action == "sign-in"]
        assert [(e.actor, e.detail) for e in signed] == [("wang.fang", "OpenID")]

    def test_the_admin_of_the_settings(self, house: House, provider: Provider) -> None:
        provider.claims = {"preferred_username": "Boss"}
        client = house.client()
        came_back(provider, client)
        assert client.get("/v1/who").json()["scopes"] == ["admin", "ask", "documents"]

    def test_groups_follow_the_provider(self, house: House, provider: Provider) -> None:
        for claimed, known in ((["a", "b"], ("a", "b")), ([], ()), ("c,d", ("c", "d"))):
            provider.claims = {"groups": claimed}
            came_back(provider, house.client())
            assert house.accounts.user("wang.fang").groups == known
        house.accounts.update_user("wang.fang", groups=["by hand"])
        provider.left_out = {"groups"}
        came_back(provider, house.client())
        assert house.accounts.user("wang.fang").groups == ("by hand",)

    def test_claims_that_only_the_user_information_has(
        self, house: House, provider: Provider
    ) -> None:
        provider.left_out = {"preferred_username", "groups"}
        provider.more = {"sub": "4711", "preferred_username": "li", "groups": ["it"]}
        client = house.client()
        came_back(provider, client)
        assert client.get("/v1/who").json()["groups"] == ["everyone", "it"]
        provider.more = {"sub": "somebody else", "preferred_username": "boss"}
        assert came_back(provider, house.client()).status_code == 401

    def test_another_kind_of_key_and_a_new_one(self, house: House, provider: Provider) -> None:
        provider.key = ECKey.generate_key("P-256", {"kid": "one"})  # type: ignore[assignment]
        provider.algorithm = "ES256"
        assert came_back(provider, house.client()).status_code == 303

    def test_open_redirects(self, house: House, provider: Provider) -> None:
        done = came_back(provider, house.client(), "//evil.example")
        assert done.headers["location"] == "/"

    def test_the_public_address_is_where_one_comes_back(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        house = House(
            tmp_path / "public",
            auth="oidc",
            oidc_issuer=provider.issuer + "/",
            oidc_client_id=CLIENT_ID,
            public_url="https://ask.example/",
        )
        sent = house.client(base="http://ask.example").get("/oidc/login")
        query = parse_qs(urlsplit(sent.headers["location"]).query)
        assert query["redirect_uri"] == ["https://ask.example/oidc/callback"]
        assert "secure" in sent.headers["set-cookie"].lower()
        house.accounts.close()


class TestRefusal:
    @pytest.mark.parametrize(
        "claims",
        [
            {"nonce": "another"},
            {"aud": "another"},
            {"aud": ["another"], "azp": CLIENT_ID},
            {"aud": [CLIENT_ID, "another"], "azp": "another"},
            {"iss": "https://evil.example"},
            {"exp": int(time.time()) - 300},
            {"iat": int(time.time()) + 3600},
            {"preferred_username": ""},
            {"preferred_username": "a\u0000b"},
            {"preferred_username": ["boss"]},
            {"preferred_username": "anonymous"},
        ],
    )
    def test_a_claim(self, house: House, provider: Provider, claims: dict[str, Any]) -> None:
        provider.claims = claims
        client = house.client()
        refused = came_back(provider, client)
        assert refused.status_code == 401 and 'role="alert"' in refused.text
        assert "did not confirm" in refused.text
        assert not is_in(client) and house.accounts.users() == []

    @pytest.mark.parametrize("name", ["nonce", "aud", "iss", "exp", "sub", "preferred_username"])
    def test_a_claim_that_is_missing(self, house: House, provider: Provider, name: str) -> None:
        provider.left_out = {name}
        client = house.client()
        assert came_back(provider, client).status_code == 401 and not is_in(client)

    def test_signed_by_somebody_else(self, house: House, provider: Provider) -> None:
        provider.signed_with = RSAKey.generate_key(2048, {"kid": "one"})
        assert came_back(provider, house.client()).status_code == 401

    def test_not_signed(self, house: House, provider: Provider) -> None:
        provider.algorithm = "none"
        assert came_back(provider, house.client()).status_code == 401

    def test_signed_with_a_secret_that_others_may_know(
        self, house: House, provider: Provider
    ) -> None:
        provider.algorithm = "HS256"
        provider.signed_with = OctKey.import_key(CLIENT_SECRET)
        assert came_back(provider, house.client()).status_code == 401

    def test_no_id_token(self, house: House, provider: Provider) -> None:
        provider.no_id_token = True
        assert came_back(provider, house.client()).status_code == 401

    def test_a_wrong_state(self, house: House, provider: Provider) -> None:
        client = house.client()
        back = consented(provider, begun(client))
        wrong = back.rsplit("state=", 1)[0] + "state=wrong"
        assert client.get(wrong, headers=BROWSER).status_code == 401
        assert not is_in(client)

    def test_without_the_cookie_of_the_browser_that_began(
        self, house: House, provider: Provider
    ) -> None:
        attacker, victim = house.client(), house.client()
        back = consented(provider, begun(attacker))
        assert victim.get(back, headers=BROWSER).status_code == 400
        begun(victim)
        assert victim.get(back, headers=BROWSER).status_code == 401
        assert not is_in(victim)

    def test_a_forged_cookie(self, house: House, provider: Provider) -> None:
        client = house.client()
        back = consented(provider, begun(client))
        value = client.cookies["assistant_oidc"]
        client.cookies.clear()
        client.cookies.set("assistant_oidc", value[:-2] + "xx", path="/oidc")
        assert client.get(back, headers=BROWSER).status_code == 400

    def test_a_replayed_state(self, house: House, provider: Provider) -> None:
        client, replayer = house.client(), house.client()
        address = begun(client)
        replayer.cookies.update(client.cookies)
        assert client.get(consented(provider, address), headers=BROWSER).status_code == 303
        # The provider would take this new code; the flow that it belongs to is over.
        replayed = replayer.get(consented(provider, address), headers=BROWSER)
        assert replayed.status_code == 400 and "expired" in replayed.text
        assert not is_in(replayer)

    def test_a_code_of_another_flow(self, house: House, provider: Provider) -> None:
        attacker, victim = house.client(), house.client()
        stolen = parse_qs(urlsplit(consented(provider, begun(attacker))).query)["code"][0]
        state = parse_qs(urlsplit(begun(victim)).query)["state"][0]
        query = urlencode({"code": stolen, "state": state})
        assert victim.get(f"/oidc/callback?{query}", headers=BROWSER).status_code == 401

    def test_the_user_declines(self, house: House, provider: Provider) -> None:
        client = house.client()
        state = parse_qs(urlsplit(begun(client)).query)["state"][0]
        answer = client.get(f"/oidc/callback?error=access_denied&state={state}", headers=BROWSER)
        assert answer.status_code == 401 and "/oidc/login?next=/zh/" in answer.text

    def test_a_deactivated_user(self, house: House, provider: Provider) -> None:
        came_back(provider, house.client())
        house.accounts.update_user("wang.fang", active=False)
        refused = came_back(provider, house.client())
        assert refused.status_code == 403 and "deactivated" in refused.text

    @pytest.mark.parametrize(
        "described",
        [{"issuer": "https://evil.example"}, {"jwks_uri": None}, {"token_endpoint": ""}],
    )
    def test_a_provider_that_describes_itself_badly(
        self, house: House, provider: Provider, described: dict[str, Any]
    ) -> None:
        provider.described = described
        assert house.client().get("/oidc/login", headers=BROWSER).status_code == 502

    def test_no_provider(self, house: House, provider: Provider) -> None:
        client = house.client()
        back = consented(provider, begun(client))
        settings = house.service.settings.model_copy(update={"oidc_issuer": "http://127.0.0.1:9"})
        house.service.settings = settings
        assert client.get(back, headers=BROWSER).status_code == 502
        answer = house.client().get("/oidc/login", headers=BROWSER)
        assert answer.status_code == 502 and "cannot be reached" in answer.text

    def test_a_provider_that_is_something_else(self, house: House, provider: Provider) -> None:
        settings = house.service.settings
        house.service.settings = settings.model_copy(
            update={"oidc_issuer": provider.issuer + "/jwks/x"}
        )
        assert house.client().get("/oidc/login", headers=BROWSER).status_code == 502
