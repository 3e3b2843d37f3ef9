"""HTML templates of the page: everything put into them is escaped, and nothing may be missing."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from assistant.surfaces.web.icons import ICONS


def macros(name: str, **values: object) -> Any:
    """Return the macros of a template, with what all of them may use."""
    return _environment().get_template(f"{name}.html").make_module({"icon": icon, **values})


def icon(name: str) -> Markup:
    """Return a drawing; it says nothing by itself."""
    return Markup(
        '<svg viewBox="0 0 20 20" width="18" height="18" fill="none" stroke="currentColor" '
        'stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">'
        '<path d="{}"/></svg>'
    ).format(ICONS[name])


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("assistant.surfaces.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
