"""What the views for documents, quality and administration share: parts, events, templates.

Their parts are HTML made here; the browser sends events of one component, the desk, with
what its reader chose, and changes things through the server's own API. So the server
keeps nothing about an open page, and no right is asked for in two places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import gradio as gr
from markupsafe import Markup

from assistant.accounts.records import Identity, Scope
from assistant.surfaces.http.service import Service
from assistant.surfaces.web.frame import asker
from assistant.surfaces.web.plain import noted, plain
from assistant.surfaces.web.templating import macros
from assistant.surfaces.web.wording import Texts
from assistant.types import EVERYONE_GROUP

# Gradio finds the names of a component's own events in this script.
_SCRIPT = "window.assistantDesk(element, trigger, ['show', 'open', 'jobs', 'failed'])"
_LONGEST = 500


def region(name: str, value: str = "") -> gr.HTML:
    """Return a part of the page that events fill."""
    return gr.HTML(value, elem_id=name, js_on_load=None, apply_default_css=False)


def desk(value: str) -> gr.HTML:
    """Return the component whose events the browser sends; ``value`` is its first content."""
    return gr.HTML(value, elem_id="desk", js_on_load=_SCRIPT, apply_default_css=False)


def on(view: str, event: Any, handler: Callable[..., Any], outputs: Any) -> None:
    """Bind an event: private, with a line of its own, and without Gradio's spinner."""
    event(
        handler,
        None,
        outputs,
        api_visibility="private",
        show_progress="hidden",
        trigger_mode="multiple",
        concurrency_limit=8,
        concurrency_id=f"{view}-{handler.__name__}",
    )


def admitted(
    service: Service, request: gr.Request, scope: Scope, *, counted: bool = True
) -> Identity:
    """Return who asks, if they may and have not asked too often.

    Raises:
        AccessError: they may not.
    """
    identity = asker(request)
    identity.require(scope)
    if counted:
        service.limits.count_request(identity)
    return identity


def chosen(event: gr.EventData, name: str, default: str = "") -> str:
    """Return a text that the browser sent, ``default`` where it sent none."""
    sent = event._data
    value = sent.get(name) if isinstance(sent, dict) else None
    return value[:_LONGEST] if isinstance(value, str) else default


def number(event: gr.EventData, name: str, default: int) -> int:
    """Return a whole number that the browser sent, ``default`` where it sent none."""
    value = chosen(event, name)
    return int(value) if value.isascii() and value.isdigit() and len(value) < 7 else default


def parts(name: str, texts: Texts, **values: object) -> Any:
    """Return the macros of a template, which speak one language."""
    given: Mapping[str, object] = {
        "t": texts,
        "when": _when,
        "plain": lambda message: plain(message, texts),
        "noted": lambda action, detail: noted(action, detail, texts),
        "group": lambda each: texts("documents.everyone") if each == EVERYONE_GROUP else each,
        "known": lambda key: key in texts.keys(),  # noqa: SIM118
        "everyone": EVERYONE_GROUP,
        **values,
    }
    return macros(name, **given)


def _when(at: datetime | None) -> Markup:
    """Return a time as this machine's clock shows it."""
    if at is None:
        return Markup("–")
    local = at.astimezone()
    return Markup('<time datetime="{}">{}</time>').format(
        local.isoformat(timespec="seconds"), f"{local:%Y-%m-%d %H:%M}"
    )
