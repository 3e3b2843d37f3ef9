"""Sign-in, invitations and sign-out: pages that work without a script.

They tell nobody whether a user exists. Handlers that check a password are plain
functions: argon2 would hold up the event loop.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from assistant.accounts.names import InvalidError
from assistant.accounts.records import User
from assistant.errors import (
    ConflictError,
    NotFoundError,
    RateLimitedError,
    UnauthenticatedError,
)
from assistant.settings import Settings
from assistant.surfaces.http import oidc
from assistant.surfaces.http.depend import TheService, address_of
from assistant.surfaces.http.door import local_path, show
from assistant.surfaces.http.guard import SESSION_COOKIE
from assistant.surfaces.http.service import Service

router = APIRouter(include_in_schema=False)
router.include_router(oidc.router)

Field = Annotated[str, Form()]


@router.get("/login")
def login_page(request: Request, service: TheService) -> Response:
    """Ask who somebody is, in the way that this server knows people by."""
    target = local_path(request.query_params.get("next", "/"))
    if request.state.identity is not None:
        return RedirectResponse(target, HTTPStatus.SEE_OTHER)
    return show("login.html", request, service.settings, mode=service.settings.auth, next=target)


@router.post("/login")
def login(
    request: Request,
    service: TheService,
    user: Field = "",
    password: Field = "",
    next: Field = "/",
) -> Response:
    """Sign in by name and password."""
    _only_with_passwords(service.settings)
    target = local_path(next)
    again = {"mode": "password", "next": target, "user": user}
    try:
        token = service.accounts.sign_in(user, password, address_of(request))
    except RateLimitedError as error:
        minutes = -(-error.retry_after // 60)
        page = show(
            "login.html",
            request,
            service.settings,
            status=HTTPStatus.TOO_MANY_REQUESTS,
            error="locked",
            minutes=minutes,
            **again,
        )
        page.headers["Retry-After"] = str(error.retry_after)
        return page
    except UnauthenticatedError:
        status = HTTPStatus.UNAUTHORIZED
        return show("login.html", request, service.settings, status=status, error="wrong", **again)
    return _signed_in(request, service, token, target)


@router.get("/welcome/{token}")
def welcome_page(token: str, request: Request, service: TheService) -> Response:
    """Ask for a password, and of the first administrator also for a name."""
    _only_with_passwords(service.settings)
    try:
        invited = _invited(service, token)
    except UnauthenticatedError:
        return _ended_link(request, service)
    return _welcome(request, service, invited)


@router.post("/welcome/{token}")
def welcome(
    token: str,
    request: Request,
    service: TheService,
    user: Field = "",
    name: Field = "",
    password: Field = "",
    again: Field = "",
) -> Response:
    """Set the password, and sign its owner in."""
    _only_with_passwords(service.settings)
    accounts, address = service.accounts, address_of(request)
    try:
        invited = _invited(service, token)
        if password != again:
            return _welcome(request, service, invited, "again", user, name)
        try:
            if invited is None:
                made = accounts.accept_first(token, user, name, password, address=address)
            else:
                made = accounts.accept(token, password, address=address)
        except InvalidError as error:
            return _welcome(request, service, invited, error.reason, user, name)
        except ConflictError:
            return _welcome(request, service, invited, "taken", user, name)
    except UnauthenticatedError:
        return _ended_link(request, service)
    session = accounts.start_session(made.id, how="link", address=address)
    return _signed_in(request, service, session, "/")


@router.post("/logout")
def logout(request: Request, service: TheService) -> Response:
    """End the session of this browser."""
    if token := request.cookies.get(SESSION_COOKIE):
        service.accounts.sign_out(token, address_of(request))
    response = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    response.delete_cookie(SESSION_COOKIE)
    return response


def _invited(service: Service, token: str) -> User | None:
    """Return whom a link invites, None for the first administrator.

    Raises:
        UnauthenticatedError: it invites nobody.
    """
    return None if service.accounts.is_first(token) else service.accounts.invited(token)


def _welcome(
    request: Request,
    service: Service,
    invited: User | None,
    error: str = "",
    user: str = "",
    name: str = "",
) -> Response:
    return show(
        "welcome.html",
        request,
        service.settings,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK,
        first=invited is None,
        error=error,
        user=invited.id if invited else user,
        person=invited.name if invited else name,
    )


def _ended_link(request: Request, service: Service) -> Response:
    return show("ended.html", request, service.settings, status=HTTPStatus.GONE)


def _signed_in(request: Request, service: Service, token: str, target: str) -> Response:
    response = RedirectResponse(target, HTTPStatus.SEE_OTHER)
    oidc.keep_session(response, request, service, token)
    return response


def _only_with_passwords(settings: Settings) -> None:
    if settings.auth != "password":
        raise NotFoundError("Passwords are not used here. Sign in at /login.")
