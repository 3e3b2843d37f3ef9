from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from loopback import Served
from served_client import LEAVE

from assistant import Client
from assistant.errors import (
    ConfigurationError,
    ServerError,
)
from assistant.surfaces.connection import parse_events

pytestmark = pytest.mark.enable_socket


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_events_are_parsed_whatever_the_pieces(size: int) -> None:
    raw = (
        ': ping\n\nevent: a\r\ndata: {"t":"一\u2028二\x85\x0c"}\r\n\r\ndata: x\ndata: y\n\ndata: z'
    )
    data = raw.encode()
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    assert list(parse_events(pieces)) == [
        ("a", '{"t":"一\u2028二\x85\x0c"}'.encode()),
        ("message", b"x\ny"),
    ]


# -- what can go wrong on the way ---------------------------------------------------------------


def read_request(peer: socket.socket) -> None:
    """Read a request to its end: hanging up before it would reset the connection."""
    with peer.makefile("rb") as stream:
        length = 0
        while line := stream.readline().strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        stream.read(length)


@contextmanager
def saying(response: bytes, *, wait: bool = False) -> Iterator[str]:
    """Serve the same bytes to whoever comes, then hang up."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        def serve() -> None:
            while not done.is_set():
                try:
                    peer, _ = listener.accept()
                except TimeoutError:
                    continue
                with peer:
                    read_request(peer)
                    peer.sendall(response)
                    if wait:
                        done.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            thread.join()


def http(status: str, kind: str, body: str, *headers: str, length: int | None = None) -> bytes:
    size = len(body.encode()) if length is None else length
    # It hangs up after each answer, and says so: else the next call may come too late.
    own = ("Connection: close", f"Content-Type: {kind}", f"Content-Length: {size}")
    lines = (f"HTTP/1.1 {status}", *own, *headers)
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


EVENT = 'event: token\ndata: {"kind":"token","text":"员工每年"}\n\n'


PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (http("502 Bad Gateway", "text/html", "<h1>nginx</h1>"), "502 Bad Gateway.*proxy"),
        (http("302 Found", "text/html", "", "Location: https://sso.example/"), "sso.example"),
        (http("200 OK", "text/html", "<h1>Sign in</h1>"), "no assistant"),
        (http("200 OK", "application/json", '{"a": 1}'), "no assistant"),
        (http("500 Error", PROBLEM, "<html>"), "no assistant"),
        (http("500 Error", PROBLEM, "[]"), "no assistant"),
        (http("500 Error", PROBLEM, '{"detail": "A disk died."}'), "A disk died"),
        (http("200 OK", "text/event-stream", EVENT), "no assistant|middle of the answer"),
        (http("200 OK", "text/event-stream", EVENT, length=9999), "no assistant|broke off"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "broke off"),
        (b"", "broke off"),
    ],
)
def test_what_answers_is_no_assistant(response: bytes, said: str) -> None:
    with saying(response) as url, Client(url) as client:
        for call in (client.health, lambda: client.ask(LEAVE)):
            with pytest.raises(ServerError, match=said) as caught:
                call()
            assert url in str(caught.value) or "died" in said or "middle" in said


def test_half_an_answer_is_none() -> None:
    with saying(http("200 OK", "text/event-stream", EVENT)) as url, Client(url) as client:
        events = client.stream(LEAVE)
        assert next(events).text == "员工每年"
        with pytest.raises(ServerError, match="middle of the answer"):
            next(events)
        with pytest.raises(ServerError, match="middle of the answer"):
            client.ask(LEAVE)


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with Client(url) as client, pytest.raises(ServerError, match="assistant serve"):
        client.ask(LEAVE)


def test_nobody_says_a_word() -> None:
    with (
        saying(b"", wait=True) as url,
        Client(url, timeout=0.3) as client,
        pytest.raises(ServerError, match=r"0\.3 s.*timeout"),
    ):
        client.health()


def test_a_certificate_that_is_none(served: Served) -> None:
    with (
        Client(served.url.replace("http://", "https://")) as client,
        pytest.raises(ServerError, match="SSL_CERT_FILE"),
    ):
        client.health()


@pytest.mark.parametrize("url", ["", "localhost:7860", "ftp://x", "http://", "http://[::1", "x y"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no address"):
        Client(url)


@pytest.mark.parametrize("key", ["sa_ü", "sa_1 2", "sa_1\nX-Evil: 1"])
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(ConfigurationError, match="API key"):
        Client(api_key=key)


def test_this_machine_is_not_asked_through_a_proxy(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Client(served.url) as client:
        assert client.documents() == []
