"""The pages before the door: sign-in, invitations, refusals; how they are shown."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse

from assistant.errors import AssistantError
from assistant.settings import Settings
from assistant.surfaces.http.pages import LANGUAGE_COOKIE, render
from assistant.surfaces.problems import to_problem

_YEAR_S = 365 * 24 * 3600
_NOTHING: dict[str, Any] = {"error": "", "minutes": 0, "next": "/", "user": "", "person": ""}


def show(
    name: str, request: Request, settings: Settings, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Return such a page in the visitor's language, which is remembered where they chose it.

    ``error`` is a slug that the templates have words for, ``here`` the page's own path
    where it is not the request's.
    """
    given = {"here": request.url.path} | _NOTHING | values
    page = render(
        name,
        request,
        settings,
        status=status,
        nonce=request.state.csp_nonce,
        on_brand=_readable_on(settings.brand_colour),
        switch={
            language: _switch(given["here"], language, given["next"]) for language in ("zh", "en")
        },
        **given,
    )
    page.headers["Cache-Control"] = "no-store"
    chosen = request.query_params.get("lang")
    if chosen in ("zh", "en"):
        page.set_cookie(LANGUAGE_COOKIE, chosen, max_age=_YEAR_S, samesite="lax")
    return page


def is_page(request: Request) -> bool:
    """Tell whether a person's browser asks for a page, and not a program or a script for data."""
    wants = "text/html" in request.headers.get("accept", "")
    return wants and request.method == "GET" and not request.scope["path"].startswith("/v1/")


def refusal(request: Request, settings: Settings, error: AssistantError) -> HTMLResponse:
    """Return the page that tells a person why there is none, without what only programs need."""
    status = int(to_problem(error)["status"])
    kind = {HTTPStatus.FORBIDDEN: "forbidden", HTTPStatus.NOT_FOUND: "missing"}.get(
        HTTPStatus(status), "later"
    )
    return show("refused.html", request, settings, status=status, kind=kind)


def local_path(target: str) -> str:
    """Return where to go after signing in: a path of this server, whatever was asked for."""
    # Browsers read // and /\ as the beginning of another server's address.
    is_local = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if is_local and target.isprintable() else "/"


def _switch(here: str, language: str, target: str) -> str:
    query = {"lang": language} | ({"next": target} if target != "/" else {})
    return f"{here}?{urlencode(query)}"


def _readable_on(colour: str) -> str:
    """Return black or white, whichever contrasts more with a colour (WCAG 2, 1.4.3)."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    luminance = sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#ffffff" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "#10151d"
