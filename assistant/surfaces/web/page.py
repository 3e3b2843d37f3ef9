"""The views mounted in the server: ``/zh/…`` and ``/en/…``, and the way to the right one."""

from __future__ import annotations

import re
from collections.abc import Callable

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.errors import NotFoundError
from assistant.surfaces.http.door import is_page
from assistant.surfaces.http.pages import language_of
from assistant.surfaces.http.service import Service
from assistant.surfaces.web import administration, chat, documents, quality, strategy
from assistant.surfaces.web.frame import head, header, mounting
from assistant.surfaces.web.wording import Texts, lang, load_texts
from assistant.types import Language

LANGUAGES: tuple[Language, ...] = ("zh", "en")
BUILDERS: dict[str, Callable[[Service, Texts], gr.Blocks]] = {
    "strategy": strategy.build,
    "documents": documents.build,
    "quality": quality.build,
    "settings": administration.build,
    "chat": chat.build,  # last: its path holds the others'
}
# What Gradio says about itself and its makers' pictures, and a manifest that is not there.
_FOREIGN = re.compile(
    r'<meta\s+(?:property="og:|name="twitter:)[^>]*>|<link rel="manifest"[^>]*>', re.DOTALL
)


_CHARSET = '<meta charset="utf-8" />'


def mount_page(app: FastAPI, service: Service) -> None:
    """Mount every view in both languages."""

    @app.get("/", include_in_schema=False)
    def home(request: Request) -> RedirectResponse:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/{language_of(request, service.settings)}/{query}", 303)

    for language in LANGUAGES:
        for name, build in BUILDERS.items():
            mount_view(app, service, load_texts(language), name, build)


def mount_view(
    app: FastAPI,
    service: Service,
    texts: Texts,
    name: str,
    build: Callable[[Service, Texts], gr.Blocks],
) -> None:
    """Mount one view, in the frame that all share."""
    path = f"/{texts.language}" if name == "chat" else f"/{texts.language}/{name}"
    gr.mount_gradio_app(app, build(service, texts), path, **mounting(service.settings))
    mounted = app.router.routes[-1]
    mounted.app = _Framed(mounted.app, service, texts, name)  # type: ignore[attr-defined]

    @app.get(path, include_in_schema=False)
    def without_slash(request: Request) -> RedirectResponse:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{path}/{query}", 307)


class _Framed:
    """Puts a view's page into our frame: its language, our head and our header.

    So they are there before any script runs, and no handler has to bring them.
    """

    def __init__(self, app: ASGIApp, service: Service, texts: Texts, name: str) -> None:
        self._app = app
        self._service = service
        self._texts = texts
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inside = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or inside not in ("", "/"):
            if scope["type"] == "http" and is_page(Request(scope)):
                raise NotFoundError("There is nothing here.")
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def held(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            is_page = start["status"] == 200 and body.lstrip().lower().startswith(b"<!doctype")
            content = self._frame(body.decode("utf-8"), scope).encode() if is_page else body
            headers = MutableHeaders(scope=start)
            headers["Content-Length"] = str(len(content))
            headers["Cache-Control"] = "no-store"
            await send(start)
            await send({"type": "http.response.body", "body": content})

        # A compressed page could not be framed.
        plain = [each for each in scope["headers"] if each[0] != b"accept-encoding"]
        await self._app({**scope, "headers": plain}, receive, held)

    def _frame(self, page: str, scope: Scope) -> str:
        settings, identity = self._service.settings, scope["state"]["identity"]
        bar = header(settings, self._texts, self._name, identity)
        page = _FOREIGN.sub("", page)
        page = page.replace('lang="en"', f'lang="{lang(self._texts.language)}"', 1)
        page = page.replace(_CHARSET, _CHARSET + head(settings, self._texts), 1)
        return page.replace("<gradio-app", f'{bar}<gradio-app id="main" tabindex="-1"', 1)
