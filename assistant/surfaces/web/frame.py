"""What all views share: header, navigation by role, language, colours, and who is asking.

A view is a Gradio application of its own at ``/<language>/<view>``. So its handlers can
only be reached by those who may open it (the guard checks the path), its texts never
change under the reader, and one view's queue cannot hold up another's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import gradio as gr

from assistant.accounts.records import Identity, Scope
from assistant.errors import AssistantError, EngineBusyError, RateLimitedError
from assistant.settings import Settings
from assistant.surfaces.http.service import Service
from assistant.surfaces.problems import to_problem
from assistant.surfaces.web.templating import macros
from assistant.surfaces.web.wording import Texts, lang

VIEWS: dict[str, Scope] = {
    "chat": "ask",
    "strategy": "ask",
    "documents": "documents",
    "quality": "admin",
    "settings": "admin",
}
_FONTS = ("system-ui", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif")
# Handlers of one view that may run at the same time; what is scarce limits itself.
_AT_ONCE = 128
# Seconds between two looks into a queue; Gradio's own millisecond keeps a core busy.
_QUEUE_PAUSE_S = 0.01


@contextmanager
def view(service: Service, texts: Texts, name: str) -> Iterator[gr.Blocks]:
    """Open a view's layout; the header above it is the page's own, see `dressing`."""
    company = service.settings.company_name or texts("frame.product")
    with gr.Blocks(
        title=f"{texts(f'frame.{name}')} · {company}",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(3600, 3600),
    ) as blocks:
        yield blocks
    blocks.max_threads = _AT_ONCE
    blocks.queue(default_concurrency_limit=None)
    blocks._queue.sleep_when_free = _QUEUE_PAUSE_S
    blocks._queue.progress_update_sleep_when_free = 10 * _QUEUE_PAUSE_S


def asker(request: gr.Request) -> Identity:
    """Return who makes the request, as the guard found out for this very request."""
    assert request.request is not None
    identity: Identity = request.request.state.identity
    return identity


def explain(error: AssistantError, texts: Texts) -> tuple[str, str]:
    """Return an error's kind, and what it means for the one at the page, in their language."""
    kind = str(to_problem(error)["type"]).rpartition(":")[2]
    values: dict[str, object] = {}
    if isinstance(error, EngineBusyError):
        values["position"] = error.position
    if isinstance(error, RateLimitedError):
        values["seconds"] = error.retry_after
    key = f"frame.error.{kind}"
    return kind, texts(key, **values) if key in texts.keys() else str(error)  # noqa: SIM118


def tell(error: AssistantError, texts: Texts | None = None) -> NoReturn:
    """Show an error raised on purpose as a notice on the page."""
    said = explain(error, texts)[1] if texts else str(error)
    title = texts("frame.error.title") if texts else "Error"
    raise gr.Error(said, duration=None, print_exception=False, title=title) from error


def theme(settings: Settings) -> gr.themes.Base:
    """Return the look: the company's colour, and fonts that every machine has."""
    fonts = [gr.themes.Font(name) for name in _FONTS]
    mono = [gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")]
    return gr.themes.Base(
        primary_hue=_hue(settings.brand_colour), neutral_hue="slate", font=fonts, font_mono=mono
    )


def head(settings: Settings, texts: Texts) -> str:
    """Return what stands first in a view's <head>: where it may load from, styles, script."""
    return _part("head", settings, texts)


def header(settings: Settings, texts: Texts, current: str, identity: Identity) -> str:
    """Return the bar above every view."""
    views = [name for name, scope in VIEWS.items() if scope in identity.scopes]
    return _part("header", settings, texts, current=current, views=views, identity=identity)


def mounting(settings: Settings) -> dict[str, Any]:
    """Return how a view is mounted: nothing from outside, nothing of Gradio's own chrome."""
    return {
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "show_error": False,
        "theme": theme(settings),
        "max_file_size": f"{settings.max_file_mb}mb",
        "mcp_server": False,
        "pwa": False,
        "enable_monitoring": False,
    }


def _part(name: str, settings: Settings, texts: Texts, **values: Any) -> str:
    module = macros(
        "frame",
        t=texts,
        lang=lang,
        colour=settings.brand_colour,
        logo=settings.company_logo is not None,
        company=settings.company_name or texts("frame.product"),
    )
    return str(getattr(module, name)(**values))


def _hue(colour: str) -> gr.themes.Color:
    """Return a scale of eleven steps from white over the colour to black."""
    channels = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    steps = (0.95, 0.9, 0.78, 0.6, 0.35, 0.0, -0.12, -0.28, -0.45, -0.6, -0.75)
    shades = [_shade(channels, step) for step in steps]
    return gr.themes.Color(*shades)


def _shade(channels: list[int], step: float) -> str:
    """Mix a colour with white (step > 0) or black (step < 0)."""
    goal = 255 if step > 0 else 0
    mixed = [round(each + (goal - each) * abs(step)) for each in channels]
    return "#" + "".join(f"{each:02x}" for each in mixed)
