"""The page's templates as functions, with the drawings that all of them may use."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from assistant.surfaces.http.pages import templates
from assistant.surfaces.web.icons import ICONS


def macros(name: str, **values: object) -> Any:
    """Return the macros of a template, with what all of them may use."""
    return (
        templates("assistant.surfaces.web")
        .get_template(f"{name}.html")
        .make_module({"icon": icon, **values})
    )


def icon(name: str) -> Markup:
    """Return a drawing; it says nothing by itself."""
    return Markup(
        '<svg viewBox="0 0 20 20" width="18" height="18" fill="none" stroke="currentColor" '
        'stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">'
        '<path d="{}"/></svg>'
    ).format(ICONS[name])
