"""What every response says to browsers, so that they are not used against their user."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

# Pages of our own, which need nothing but our own styles; Gradio's bring scripts inline.
_OWN_PAGES = ("/login", "/welcome/", "/oidc/", "/source/", "/passage/")


class Hardened:
    """A response's way out; headers that it has already are kept."""

    def __init__(self, send: Send, path: str, nonce: str) -> None:
        self._send = send
        self._policy = _policy(nonce) if path.startswith(_OWN_PAGES) else ""

    async def __call__(self, message: Message) -> None:
        """Send a message on, the first one with the headers it lacks."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("Referrer-Policy", "same-origin")
            headers.setdefault("X-Frame-Options", "SAMEORIGIN")
            if self._policy:
                headers.setdefault("Content-Security-Policy", self._policy)
        await self._send(message)


def _policy(nonce: str) -> str:
    return (
        "default-src 'none'; img-src 'self' data:; font-src 'self'; "
        f"style-src 'self' 'nonce-{nonce}'; script-src 'self'; form-action 'self'; "
        "frame-ancestors 'self'; base-uri 'none'"
    )
