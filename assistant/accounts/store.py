"""The accounts of one server, in one file: users, links, sign-ins, keys and the audit log.

It knows nothing of HTTP. Each of its parts has a module of its own.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

from assistant.accounts.invitations import Invitations
from assistant.accounts.journal import ACCESS_FILE, digest
from assistant.accounts.keys import Keys
from assistant.accounts.passwords import Passwords
from assistant.accounts.sessions import Sessions

__all__ = ["ACCESS_FILE", "Accounts"]


class Accounts(Invitations, Sessions, Keys):
    """Everything about who may use the server; thread-safe.

    ``session_hours`` is how long a sign-in lasts after its last use; ``clock`` gives the
    seconds since 1970.

    Raises:
        StoreError: the data directory cannot be used.
    """

    def __init__(
        self, data_dir: Path, session_hours: float = 12, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(data_dir, clock)
        self._passwords = Passwords()
        self._session_s = session_hours * 3600

    def signing_key(self) -> bytes:
        """Return the key that signs what is handed to browsers for a while."""
        with self._change() as db:
            row = db.execute("SELECT key FROM signing").fetchone()
            if row:
                return bytes(row["key"])
            key = secrets.token_bytes(32)
            db.execute("INSERT INTO signing VALUES (?)", (key,))
            return key

    def spend(self, token: str, seconds: float) -> bool:
        """Tell whether a token that lives so long is used for the first time."""
        now = self._clock()
        with self._change() as db:
            db.execute("DELETE FROM spent WHERE expires_at <= ?", (now,))
            added = db.execute(
                "INSERT OR IGNORE INTO spent VALUES (?, ?)", (digest(token), now + seconds)
            )
            return added.rowcount == 1
