"""Messages between two processes over a pipe: a length, then JSON. It knows no message's meaning.

What comes back from a process that a hostile file or a native crash may have taken over is
data, never code.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

_LENGTH = struct.Struct(">Q")
_MAX_MESSAGE = 1 << 30


def send(stream: IO[bytes], message: Any) -> None:
    """Write a message: eight bytes of length, then JSON."""
    data = json.dumps(message).encode("ascii")
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Return the next message, None at the end of the stream.

    Raises:
        ValueError: it is no JSON, or longer than any honest one.
    """
    prefix = stream.read(_LENGTH.size)
    if len(prefix) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(prefix)
    if length > _MAX_MESSAGE:
        raise ValueError(f"a message of {length} bytes")
    data = stream.read(length)
    return json.loads(data) if len(data) == length else None
