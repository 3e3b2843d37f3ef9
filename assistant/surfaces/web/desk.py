"""What the views share: parts, events, templates.

Their parts are HTML made here; the browser sends events of one component, the desk, with
what its reader chose. Those for documents, quality, strategies and administration change things
through the server's own API, so that no right is asked for in two places. The server keeps nothing
about an open page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic_ns
from typing import Any

import gradio as gr
from markupsafe import Markup

from assistant.accounts.records import Identity, Scope
from assistant.errors import AssistantError
from assistant.surfaces.http.service import Service
from assistant.surfaces.web.frame import asker, tell
from assistant.surfaces.web.plain import noted, plain
from assistant.surfaces.web.templating import macros
from assistant.surfaces.web.wording import Texts
from assistant.types import EVERYONE_GROUP

# Gradio finds the names of a component's own events in this script.
_SCRIPT = "window.{name}(element, trigger, ['show', 'open', 'jobs', 'failed'])"
_LONGEST = 500
# Handlers of one event that may run at the same time.
_AT_ONCE = 8


def region(name: str | None = None, value: str = "") -> gr.HTML:
    """Return a part of the page that events fill."""
    return gr.HTML(value, elem_id=name, js_on_load=None, apply_default_css=False)


def desk(value: str, script: str = "assistantDesk") -> gr.HTML:
    """Return the component whose events the browser sends.

    ``value`` is its first content, ``script`` the browser's function that works it.
    """
    begin = _SCRIPT.format(name=script)
    return gr.HTML(value, elem_id="desk", js_on_load=begin, apply_default_css=False)


def on(
    view: str,
    event: Any,
    handler: Callable[..., Any],
    outputs: Any,
    limit: int | None = _AT_ONCE,
) -> Any:
    """Bind an event: private, with a line of its own, and without Gradio's spinner."""
    return event(
        handler,
        None,
        outputs,
        api_visibility="private",
        show_progress="hidden",
        trigger_mode="multiple",
        concurrency_limit=limit,
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


def sent(event: gr.EventData, name: str, default: str = "") -> str:
    """Return a text that the browser sent, ``default`` where it sent none."""
    values = event._data
    value = values.get(name) if isinstance(values, dict) else None
    return value if isinstance(value, str) else default


def chosen(event: gr.EventData, name: str, default: str = "") -> str:
    """Return a short text that the browser sent."""
    return sent(event, name, default)[:_LONGEST]


class View:
    """The handlers of one language's view; it holds nothing of those who use it.

    ``name`` is that of its template, ``scope`` what its readers must be allowed to do.
    """

    def __init__(
        self, service: Service, texts: Texts, name: str, scope: Scope, **values: object
    ) -> None:
        self._service = service
        self._texts = texts
        self._scope: Scope = scope
        self.parts = parts(name, texts, **values)

    def failed(self, event: gr.EventData, request: gr.Request) -> str:
        """Return a refusal of the server's API in the reader's language."""
        try:
            admitted(self._service, request, self._scope, counted=False)
        except AssistantError as error:
            tell(error, self._texts)
        told = self.parts.notice(plain(chosen(event, "detail"), self._texts))
        # Gradio shows a part only when it differs: what was closed could not come again.
        return f'{told}<i hidden data-at="{monotonic_ns()}"></i>'


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
