"""Server-rendered pages: their templates, their language, and what keeps foreign code out."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from assistant.settings import Settings
from assistant.types import Language

LANGUAGE_COOKIE = "assistant_lang"


@lru_cache(maxsize=2)
def templates(package: str) -> Environment:
    """Return a package's templates: all put into them is escaped, and nothing may be missing."""
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(
    name: str, request: Request, settings: Settings, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Return a page in the visitor's language, with the company's name and colour."""
    language = language_of(request, settings)
    html = (
        templates("assistant.surfaces.http")
        .get_template(name)
        .render(
            language=language,
            zh=language == "zh",
            company=settings.company_name,
            logo=settings.company_logo is not None,
            colour=settings.brand_colour,
            **values,
        )
    )
    return HTMLResponse(html, status)


def language_of(request: Request, settings: Settings) -> Language:
    """Return the language asked for, of the address, chosen before, set, or the browser's."""
    folder = request.url.path.strip("/").split("/")[0]
    cookie = request.cookies.get(LANGUAGE_COOKIE)
    for wanted in (request.query_params.get("lang"), folder, cookie):
        if wanted in ("zh", "en"):
            return wanted  # type: ignore[return-value]
    if settings.page_language != "auto":
        return settings.page_language
    first = request.headers.get("accept-language", "zh").split(",")[0].strip().lower()
    return "zh" if first.startswith(("zh", "*")) or not first else "en"
