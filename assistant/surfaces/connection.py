"""One HTTP connection to an assistant's server: requests out, values and the core's errors back.

It knows the wire: problem documents, server-sent events, whom a request is made for. What
is asked, `Client` knows.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from assistant import __version__
from assistant.errors import AssistantError, ConfigurationError, QuestionError, ServerError
from assistant.surfaces.problems import MEDIA_TYPE, from_problem
from assistant.types import EVERYONE, EVERYONE_GROUP, Principal

_EVENTS = "text/event-stream"
_CONNECT_TIMEOUT_S = 10.0
_NOT_OURS = "What answers there is no assistant, or one of another version. Check the address."


class Connection:
    """A pool of connections, opened on first use; safe to share between threads."""

    def __init__(self, url: str, api_key: str, timeout: float) -> None:
        self.url = url.rstrip("/")
        self._host = _host(self.url)
        if not api_key.isascii() or api_key.split() not in ([], [api_key]):
            raise ConfigurationError("An API key is `sa_…`, without spaces. Copy it again.")
        self._key = api_key
        self._timeout = timeout
        self._http: httpx.Client | None = None
        self._lock = threading.Lock()

    def call(
        self,
        method: str,
        path: str,
        kind: Any,
        *,
        principal: Principal = EVERYONE,
        **request: Any,
    ) -> Any:
        """Return what a request returns, as a value of the type ``kind``.

        Raises:
            AssistantError: what the server says, or that it cannot be reached.
        """
        with self._translated():
            response = self._opened().request(
                method, path, headers=_on_behalf(principal), **request
            )
        if not response.is_success:
            raise self._error(response)
        return None if kind is None else self.decode(kind, response.content)

    def events(
        self, method: str, path: str, *, principal: Principal = EVERYONE, **request: Any
    ) -> Generator[tuple[str, bytes], None, None]:
        """Yield the name and the data of each event; closing this closes the connection.

        Raises:
            AssistantError: what the server says, or that it cannot be reached.
        """
        headers = {"Accept": _EVENTS, **_on_behalf(principal)}
        with (
            self._translated(),
            self._opened().stream(method, path, headers=headers, **request) as response,
        ):
            if not response.is_success:
                response.read()
                raise self._error(response)
            if not response.headers.get("content-type", "").startswith(_EVENTS):
                raise ServerError(f"{self.url}: {_NOT_OURS}")
            for name, data in parse_events(response.iter_bytes()):
                if name == "error":
                    raise from_problem(json.loads(data))
                yield name, data

    def decode(self, kind: Any, data: bytes) -> Any:
        """Return JSON as a value of a type.

        Raises:
            ServerError: it is none.
        """
        try:
            return _adapter(kind).validate_json(data)
        except ValidationError as error:
            raise ServerError(f"{self.url}: {_NOT_OURS}") from error

    def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        with self._lock:
            if self._http is not None:
                self._http.close()
            self._http = None

    def _opened(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                headers = {"User-Agent": f"strategy-assistant/{__version__}"}
                if self._key:
                    headers["Authorization"] = f"Bearer {self._key}"
                self._http = httpx.Client(
                    base_url=self.url,
                    headers=headers,
                    timeout=httpx.Timeout(
                        self._timeout, connect=min(self._timeout, _CONNECT_TIMEOUT_S)
                    ),
                    # Let go of idle connections before the server does, which takes 5 s.
                    limits=httpx.Limits(max_connections=100, keepalive_expiry=2.0),
                    # A company's proxy must not see what this machine tells itself.
                    trust_env=not _is_this_machine(self._host),
                )
            return self._http

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what can go wrong on the way into errors that name the remedy."""
        try:
            yield
        except UnicodeEncodeError as error:
            raise QuestionError("It holds characters that are no text. Write it anew.") from error
        except httpx.ConnectTimeout as error:
            raise ServerError(
                f"{self.url} cannot be reached in time. Check the address and the network."
            ) from error
        except httpx.TimeoutException as error:
            raise ServerError(
                f"{self.url} said nothing for {self._timeout:g} s. Ask again, or give the Client "
                "a longer `timeout`."
            ) from error
        except httpx.ConnectError as error:
            raise ServerError(self._unreachable(error)) from error
        except httpx.HTTPError as error:
            raise ServerError(
                f"The connection to {self.url} broke off ({_said(error)}). Ask again; if it "
                "happens again, the server's log says why."
            ) from error

    def _unreachable(self, error: httpx.ConnectError) -> str:
        if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
            return (
                f"{self.url} is not trusted ({_said(error)}). If your company signs its own "
                "certificates, name the file of its authority in SSL_CERT_FILE."
            )
        return (
            f"No assistant answers at {self.url} ({_said(error)}). Start it with `assistant "
            "serve`, or correct the address."
        )

    def _error(self, response: httpx.Response) -> AssistantError:
        """Return the error that a response tells of, also when something else than we wrote it."""
        if response.headers.get("content-type", "").startswith(MEDIA_TYPE):
            try:
                return from_problem(response.json())
            except (ValueError, AttributeError):
                return ServerError(f"{self.url}: {_NOT_OURS}")
        if response.is_redirect:
            return ServerError(
                f"{self.url} sends on to {response.headers.get('location', 'nowhere')}. Use the "
                "assistant's own address; if that is a sign-in page, let the proxy pass API keys."
            )
        return ServerError(
            f"{self.url} answered {response.status_code} {_phrase(response.status_code)}, and not "
            "in the assistant's words. Check the address and the proxy before it."
        )


def parse_events(chunks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the data of each server-sent event in a stream of bytes.

    Lines end at a line feed alone: JSON may hold the other characters that end one in text.
    """
    name = "message"
    data: list[bytes] = []
    for line in _lines(chunks):
        field, _, value = line.partition(b":")
        if not line and data:
            yield name, b"\n".join(data)
            name, data = "message", []
        elif field == b"event":
            name = value.removeprefix(b" ").decode("utf-8", "replace")
        elif field == b"data":
            data.append(value.removeprefix(b" "))


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    for chunk in chunks:
        first, *rest = chunk.split(b"\n")
        held.append(first)
        for part in rest:
            yield b"".join(held).removesuffix(b"\r")
            held = [part]


def _on_behalf(principal: Principal) -> dict[str, str]:
    """Return the headers that name whom a request is made for.

    Nobody is named for the default: it is then the owner of the key who asks. A principal
    that the caller made is named even when it is equal.
    """
    if principal is EVERYONE:
        return {}
    groups = sorted(principal.groups - {EVERYONE_GROUP})
    return {
        "X-Assistant-User": quote(principal.user_id, safe=""),
        "X-Assistant-Groups": ",".join(quote(group, safe="") for group in groups),
    }


def _host(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigurationError(
            f"{url!r} is no address of a server. Write it like http://127.0.0.1:7860."
        )
    return parsed.host


def _is_this_machine(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    if address.is_loopback:
        return True
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))  # which no other machine's address allows
        except OSError:
            return False
    return True


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in {*HTTPStatus} else ""


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
