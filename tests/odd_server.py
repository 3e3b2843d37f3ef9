"""A model server on loopback that misbehaves as it is told, in place of vLLM and others."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Odd:
    """A server on loopback that answers as it is told, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any], str]] = []
        self.hung_up = threading.Event()
        self.chats = True
        self.models: list[dict[str, Any]] = [{"id": "m"}]
        self.write: Callable[[Any], None] = lambda out: None
        self.status = 200
        odd = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                listed = [{"object": "model", **model} for model in odd.models]
                self.reply(200, {"object": "list", "data": listed})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                odd.asked.append((self.path, body, self.headers["authorization"]))
                if self.path == "/tokenize":  # as behind a gateway that passes the API alone
                    self.reply(404, {"error": {"message": "not found"}})
                elif body.get("max_tokens") == 1:  # the engine tries whether the model can chat
                    self.reply(200 if odd.chats else 400, {"error": {"message": "no template"}})
                elif odd.status != 200:
                    self.reply(odd.status, {"error": {"message": "as it was told"}})
                else:
                    self.send_response(200)
                    self.send_header("content-type", "text/event-stream")
                    self.end_headers()
                    try:
                        odd.write(self.wfile)
                    except OSError:
                        odd.hung_up.set()

            def reply(self, status: int, value: Any) -> None:
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def said(out: Any, text: str, reason: str | None = None) -> None:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    event = {"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    out.write(f"data: {json.dumps(event)}\n\n".encode())
    out.flush()


def done(out: Any) -> None:
    out.write(b"data: [DONE]\n\n")
