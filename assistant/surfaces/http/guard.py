"""The guard before everything: who makes a request, and may it come in at all.

A pure ASGI middleware, so that streams pass unbuffered. What one may do once inside,
each handler asks of ``request.state.identity``.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from fastapi import Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.accounts.keys import KEY_PREFIX
from assistant.accounts.names import ANONYMOUS_ID, LOCAL_ID, clean_groups, clean_id
from assistant.accounts.records import ROLE_SCOPES, Identity, User
from assistant.accounts.records import Scope as Right
from assistant.errors import (
    AccessError,
    AssistantError,
    ConfigurationError,
    ForbiddenError,
    NotFoundError,
    QuestionError,
    UnauthenticatedError,
)
from assistant.settings import Settings
from assistant.surfaces.http.door import is_page, refusal
from assistant.surfaces.http.hardened import Hardened
from assistant.surfaces.http.origin import Origins, is_loopback
from assistant.surfaces.problems import MEDIA_TYPE, to_problem

if TYPE_CHECKING:
    from assistant.surfaces.http.service import Service

SESSION_COOKIE = "assistant_session"
USER_HEADER = "X-Assistant-User"
GROUPS_HEADER = "X-Assistant-Groups"

PUBLIC_PATHS = frozenset({"/login", "/logout", "/livez", "/readyz"})
_PUBLIC_FOLDERS = ("/welcome/", "/oidc/", "/static/")
# The page's views are Gradio applications at /<language>/<view>/; their handlers below it.
_VIEW_RIGHTS: dict[str, Right] = {"documents": "documents", "quality": "admin", "settings": "admin"}
_LANGUAGES = frozenset({"zh", "en"})
_UPLOAD = "/gradio_api/upload"


class Guard:
    """Lets in who is known, and puts them into ``scope["state"]["identity"]``.

    On the public paths the identity is None for those who are not signed in.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._settings = service.settings
        self._origins = Origins(service.settings)
        started = datetime.now(UTC)
        groups = clean_groups(service.settings.open_groups)
        self._visitor = User(ANONYMOUS_ID, "", "admin", groups, True, started)
        self._machine = User(LOCAL_ID, "", "admin", groups, True, started)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that may not come in; pass on any other."""
        if scope["type"] == "websocket":  # nothing here speaks it
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        state = {**scope.get("state", {}), "identity": None, "csp_nonce": nonce}
        scope = {**scope, "state": state}
        request = Request(scope)
        answer: ASGIApp = self._app
        try:
            state["identity"] = self._admit(request, scope)
        except AssistantError as error:
            answer = self._refusal(request, error)
        await answer(scope, receive, Hardened(send, scope["path"], nonce))

    def _admit(self, request: Request, scope: Scope) -> Identity | None:
        """Return who makes the request, None for anybody at a public path.

        Raises:
            AssistantError: it may not come in.
        """
        headers, path = request.headers, scope["path"]
        peer = scope["client"][0] if scope.get("client") else ""
        address = self._origins.client(peer, headers)
        if address != peer:
            scope["client"] = (address, 0)
        try:
            identity = self._program(request)
            if identity is None:
                self._check_browser(request)
                identity = self._person(request, peer, address)
        except AccessError as error:
            if isinstance(error, _ForeignError) or not _is_public(path):
                raise
            identity = None
        if identity is None or _is_public(path):
            return identity
        if USER_HEADER in headers or GROUPS_HEADER in headers:
            identity = self._on_behalf(identity, request)
        _check_view(path, identity)
        return identity

    def _check_browser(self, request: Request) -> None:
        """Make sure that no other site sent a request which a browser vouches for.

        Raises:
            _MisdirectedError: it was sent to another name, as in DNS rebinding.
            ForbiddenError: a page of another site sent it.
        """
        if not self._origins.is_ours(request.headers):
            raise _MisdirectedError(
                "This server does not go by that name. Set ASSISTANT_PUBLIC_URL to the address "
                "that people reach it at, or use its own; programs send an API key."
            )
        if not self._origins.is_same_origin(request.method, request.headers):
            raise _ForeignError(
                "Another site sent this request. Use the server's own page, or an API key."
            )

    def _program(self, request: Request) -> Identity | None:
        """Return whose key came with a request, None where none did.

        Raises:
            UnauthenticatedError: the key is not valid.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            token = token.strip()
            if _is_same(token, self._service.local_token):
                return Identity(self._machine, ROLE_SCOPES["admin"] | {"delegate"}, "local")
            # Other tokens are a proxy's, or what a program sends because it must send one.
            if token.startswith(KEY_PREFIX):
                return self._service.accounts.key(token)
        return None

    def _person(self, request: Request, peer: str, address: str) -> Identity:
        """Return who sits at the browser.

        Raises:
            UnauthenticatedError: nobody who is known.
            ForbiddenError: somebody who is deactivated.
        """
        if self._settings.auth == "none":
            return Identity(self._visitor, ROLE_SCOPES["admin"], "open")
        if self._settings.auth == "header":
            return self._vouched_for(request, peer, address)
        if token := request.cookies.get(SESSION_COOKIE, ""):
            return self._service.accounts.session(token)
        raise UnauthenticatedError("Nobody is signed in. Sign in at /login, or send an API key.")

    def _vouched_for(self, request: Request, peer: str, address: str) -> Identity:
        """Return the user whom a trusted proxy names; the header from others says nothing."""
        named = _values(request, self._settings.user_header)
        # Two headers: one may be the visitor's own, which the proxy failed to take away.
        if not self._origins.is_proxy(peer) or len(named) != 1 or not named[0].strip():
            raise UnauthenticatedError(
                f"The proxy names no user in {self._settings.user_header}. Sign in there, or "
                "send an API key."
            )
        lists = _values(request, self._settings.groups_header)
        user = self._service.accounts.provision(
            named[0],
            groups=_listed(",".join(lists)) if lists else None,
            admin=is_admin(self._settings, named[0]),
            address=address,
        )
        return Identity(user, ROLE_SCOPES[user.role], "header")

    def _on_behalf(self, identity: Identity, request: Request) -> Identity:
        """Return the user in whose name a program asks."""
        identity.require("delegate")
        named = unquote(request.headers.get(USER_HEADER, ""))
        if not named:
            raise QuestionError(f"{GROUPS_HEADER} without {USER_HEADER} names nobody. Send both.")
        groups = [unquote(name) for name in _listed(request.headers.get(GROUPS_HEADER, ""))]
        user = self._stranger(clean_id(named), clean_groups(groups))
        rights: set[Right] = {"ask", "documents"} if "documents" in identity.scopes else {"ask"}
        return Identity(user, frozenset(rights), identity.via)

    def _stranger(self, user_id: str, groups: tuple[str, ...]) -> User:
        """Return a user for one request, who need not be known here, but not be shut out."""
        try:
            known = self._service.accounts.user(user_id)
        except NotFoundError:
            return User(user_id, "", "reader", groups, True, self._machine.created_at)
        if not known.active:
            raise ForbiddenError(f"The account {user_id} is deactivated.")
        return User(user_id, known.name, "reader", groups, True, known.created_at)

    def _refusal(self, request: Request, error: AssistantError) -> Response:
        if is_page(request):
            if isinstance(error, UnauthenticatedError):
                return RedirectResponse(_login_path(request), HTTPStatus.SEE_OTHER)
            if isinstance(error, ForbiddenError):
                return refusal(request, self._settings, error)
        problem = to_problem(error)
        if isinstance(error, _MisdirectedError):
            status = HTTPStatus.MISDIRECTED_REQUEST
            slug = "urn:assistant:problem:misdirected"
            problem |= {"type": slug, "title": status.phrase, "status": int(status)}
        response = JSONResponse(problem, problem["status"], media_type=MEDIA_TYPE)
        if isinstance(error, UnauthenticatedError):
            response.headers["WWW-Authenticate"] = 'Bearer realm="assistant"'
        return response


class _ForeignError(ForbiddenError):
    """A page of another site sent the request."""


class _MisdirectedError(AssistantError):
    """The request was sent to a name that is not this server's."""


def check_exposure(settings: Settings) -> None:
    """Make sure that the server is open to nobody by mistake.

    Raises:
        ConfigurationError: it would be, or a setting of the sign-in is missing.
    """
    Origins(settings)
    public = settings.public_url
    if public and not public.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"`public_url` = {public!r} is no address. Write it with https:// or http://."
        )
    for host in (settings.host, urlsplit(public).hostname or "127.0.0.1"):
        if settings.auth == "none" and not is_loopback(host):
            raise ConfigurationError(
                f"Everybody who can reach {host} would be an administrator, because `auth` is "
                "`none`. Set ASSISTANT_AUTH to `password`, `header` or `oidc`, or let only this "
                "machine reach it: ASSISTANT_HOST=127.0.0.1 and no ASSISTANT_PUBLIC_URL."
            )
    if settings.auth == "header" and not settings.trusted_proxies:
        raise ConfigurationError(
            "With `auth` = `header`, nobody can sign in unless a proxy is trusted. Set "
            "ASSISTANT_TRUSTED_PROXIES to its addresses, for example '[\"10.0.0.5\"]'."
        )
    if settings.auth == "oidc" and not (settings.oidc_issuer and settings.oidc_client_id):
        raise ConfigurationError(
            "With `auth` = `oidc`, set ASSISTANT_OIDC_ISSUER to the provider's address and "
            "ASSISTANT_OIDC_CLIENT_ID to this server's name there."
        )


def is_admin(settings: Settings, user_id: str) -> bool:
    """Tell whether the settings make a user an administrator."""
    return clean_id(user_id) in {clean_id(each) for each in settings.admin_users}


def _check_view(path: str, identity: Identity) -> None:
    parts = path.split("/")
    if len(parts) > 2 and parts[1] in _LANGUAGES and parts[2] in _VIEW_RIGHTS:
        identity.require(_VIEW_RIGHTS[parts[2]])
    if _UPLOAD in path and not path.partition(_UPLOAD)[2].startswith("_"):
        identity.require("documents")


def _is_public(path: str) -> bool:
    return path in PUBLIC_PATHS or path.startswith(_PUBLIC_FOLDERS)


def _login_path(request: Request) -> str:
    path = quote(request.scope["path"])
    query = request.scope["query_string"].decode("latin-1")
    target = f"{path}?{query}" if query else path
    return "/login" if target == "/" else f"/login?next={quote(target, safe='/')}"


def _values(request: Request, name: str) -> list[str]:
    """Return the values of a header as UTF-8, which proxies send though HTTP does not say so."""
    try:
        raw = request.headers.getlist(name)
        return [value.encode("latin-1").decode("utf-8") for value in raw]
    except UnicodeDecodeError as error:
        raise UnauthenticatedError(f"{name} is not UTF-8. Mend the proxy.") from error


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _is_same(token: str, expected: str) -> bool:
    return bool(expected) and hmac.compare_digest(token.encode(), expected.encode())
