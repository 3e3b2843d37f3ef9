"""`assistant serve`: one process, one address; the API, the page and who may use them.

It binds its address first, opens the data directory, says where it is reached, loads the
models while the first visitors arrive, and ends on SIGINT or SIGTERM.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from assistant.core import Assistant
from assistant.errors import ConfigurationError
from assistant.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

_GRACE_S = 5


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Serve until a signal ends it.

    Raises:
        ConfigurationError: a part is not installed, the address is taken or not this
            machine's, or it is open to others while nobody has to sign in.
        StoreLockedError: another process owns the data directory.
    """
    try:
        import uvicorn

        from assistant.surfaces.http.guard import check_exposure
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The server needs `{error.name}`. Install it: pip install 'strategy-assistant[web]'"
        ) from error
    check_exposure(settings)
    with closing(_bound(settings)) as listener, _application(settings, listener, say) as app:
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            # The guard itself decides which proxies it believes.
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def _application(
    settings: Settings, listener: socket.socket, say: Callable[[str], None]
) -> Iterator[FastAPI]:
    """Open everything that the server needs, and close it again."""
    from assistant.surfaces.http.app import create_app
    from assistant.surfaces.http.service import opened_service
    from assistant.surfaces.web.page import mount_page

    address = settings.public_url.rstrip("/") or _address(listener)
    with Assistant(settings) as assistant:
        assistant.documents()  # takes the data directory, or says who holds it
        token = secrets.token_urlsafe(32)
        with opened_service(assistant, settings, address, token) as service:
            app = create_app(service)
            mount_page(app, service)
            assistant.announce(_address(listener), token)
            service.jobs.resume()
            threading.Thread(target=assistant.warm_up, name="warm-up", daemon=True).start()
            say(f"在浏览器中打开 Open in a browser: {address}")
            if settings.auth == "password" and (first := service.accounts.first_link()):
                say(
                    "首位管理员的一次性链接 One-time link for the first administrator: "
                    f"{address}/welcome/{first}"
                )
            yield app


def _bound(settings: Settings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=256)
    except OSError as error:
        raise ConfigurationError(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror or error}). "
            "Stop what uses it, or choose another with `--port` or ASSISTANT_PORT."
        ) from error


def _address(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
