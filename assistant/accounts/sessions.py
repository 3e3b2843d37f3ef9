"""Sign-ins: by password, with a brake on guessing, and by somebody else's word for it."""

from __future__ import annotations

import math
import secrets
import sqlite3
from typing import Any

from assistant.accounts.journal import TOUCH_S, digest, stamp
from assistant.accounts.names import InvalidError, clean_id
from assistant.accounts.passwords import Passwords
from assistant.accounts.records import ROLE_SCOPES, Identity
from assistant.accounts.users import Users, to_user
from assistant.errors import ForbiddenError, RateLimitedError, UnauthenticatedError

WINDOW_S = 15 * 60
# Failed tries within the window after which the next is declined: for a name from one address;
# for a name from anywhere, so that many machines do not help; from an address for any names.
_LIMITS = (("user = :user AND address = :address", 5), ("user = :user", 30))
_LIMITS_OF_ADDRESS = (("address = :address", 100),)


class Sessions(Users):
    """Who is signed in. A token is known to its browser alone; its hash is kept."""

    _passwords: Passwords
    _session_s: float

    def sign_in(self, user_id: str, password: str, address: str = "") -> str:
        """Return the token of a new session.

        A wrong name and a wrong password look alike, and take the same time.

        Raises:
            RateLimitedError: too many tries failed in the last minutes.
            UnauthenticatedError: the name or the password is wrong.
        """
        row = self._candidate(user_id)
        known = row["id"] if row else ""
        name = known or _folded(user_id)
        self._begin_attempt(name, known, address)
        kept = row["password"] if row and row["active"] else None
        matches = self._passwords.verify(kept, password)
        if kept is None or not matches:
            # What was typed is not written down: it may be a password in the wrong field.
            detail = "wrong password" if known else "unknown user"
            self.audit(known, "sign-in-refused", known, detail, address)
            raise _wrong()
        renewed = self._passwords.hash(password) if self._passwords.is_outdated(kept) else kept
        with self._change() as db:
            # Deactivated, or given another password, while this one was being checked?
            current = self._row(known)
            if current is None or not current["active"] or current["password"] != kept:
                raise _wrong()
            db.execute("UPDATE users SET password = ? WHERE id = ?", (renewed, known))
            db.execute("DELETE FROM attempts WHERE user = ? AND address = ?", (name, address))
            return self._open(db, known, "password", address)

    def start_session(self, user_id: str, *, how: str = "OpenID", address: str = "") -> str:
        """Return the token of a new session for a user whose identity is proven otherwise.

        Raises:
            ForbiddenError: the user is deactivated.
            NotFoundError: there is no such user.
        """
        with self._change() as db:
            user = to_user(self._existing(user_id))
            if not user.active:
                raise ForbiddenError(f"The account {user.id} is deactivated.")
            return self._open(db, user.id, how, address)

    def session(self, token: str) -> Identity:
        """Return who holds a session, which lasts on while it is used.

        Raises:
            UnauthenticatedError: it has ended, or never was.
        """
        now = self._clock()
        row = self._one(
            "SELECT u.*, s.digest, s.used_at FROM sessions s JOIN users u ON u.id = s.user_id "
            "WHERE s.digest = ? AND s.expires_at > ? AND u.active",
            digest(token),
            now,
        )
        if row is None:
            raise UnauthenticatedError("The sign-in has ended. Sign in again.")
        if now - row["used_at"] >= TOUCH_S:
            self._touch(
                "UPDATE sessions SET used_at = ?, expires_at = ? WHERE digest = ?",
                now,
                now + self._session_s,
                row["digest"],
            )
            self._seen(row)
        user = to_user(row)
        return Identity(user, ROLE_SCOPES[user.role], "session")

    def sign_out(self, token: str, address: str = "") -> None:
        """End a session; one that has ended already is fine."""
        with self._change() as db:
            ended = db.execute(
                "DELETE FROM sessions WHERE digest = ? RETURNING user_id", (digest(token),)
            ).fetchone()
            if ended:
                self._note(db, ended["user_id"], "sign-out", ended["user_id"], "", address)

    def sign_out_everywhere(self, user_id: str, *, actor: str = "", address: str = "") -> None:
        """End all sessions of a user.

        Raises:
            NotFoundError: there is no such user.
        """
        with self._change() as db:
            known = self._existing(user_id)["id"]
            ended = db.execute("DELETE FROM sessions WHERE user_id = ?", (known,)).rowcount
            self._note(db, actor, "sign-out-everywhere", known, f"{ended} sessions", address)

    def _candidate(self, user_id: str) -> Any:
        try:
            return self._row(clean_id(user_id))
        except InvalidError:
            return None

    def _open(self, db: sqlite3.Connection, user_id: str, how: str, address: str) -> str:
        token, now = secrets.token_urlsafe(32), self._clock()
        db.execute("DELETE FROM sessions WHERE expires_at <= ?", (now,))
        db.execute(
            "INSERT INTO sessions VALUES (?, ?, ?, ?)",
            (digest(token), user_id, now + self._session_s, now),
        )
        db.execute("UPDATE users SET seen_at = ? WHERE id = ?", (now, user_id))
        self._note(db, user_id, "sign-in", user_id, how, address)
        return token

    def _begin_attempt(self, name: str, known: str, address: str) -> None:
        """Count a try as failed before it is made, so that trying at once does not help."""
        now = self._clock()
        with self._change() as db:
            db.execute("DELETE FROM attempts WHERE at <= ?", (now - WINDOW_S,))
            wait = self._wait(db, name, address, now)
            if not wait:
                db.execute("INSERT INTO attempts VALUES (?, ?, ?)", (name, address, now))
                return
        self._note_lock(known, address, now)
        minutes = math.ceil(wait / 60)
        raise RateLimitedError(
            f"Too many sign-ins failed. Wait {minutes} minutes, or ask an administrator for a "
            "new link.",
            wait,
        )

    def _wait(self, db: sqlite3.Connection, name: str, address: str, now: float) -> int:
        """Return the seconds until the next try is let through, 0 for now."""
        # Without an address (the machine itself) there is nothing to tell crowds apart by.
        limits = (*_LIMITS, *_LIMITS_OF_ADDRESS) if address else _LIMITS
        wait = 0.0
        for where, most in limits:
            row = db.execute(
                f"SELECT at FROM attempts WHERE {where} ORDER BY at DESC LIMIT 1 OFFSET :skip",
                {"user": name, "address": address, "skip": most - 1},
            ).fetchone()
            if row:
                wait = max(wait, row["at"] + WINDOW_S - now)
        return math.ceil(wait)

    def _note_lock(self, known: str, address: str, now: float) -> None:
        """Write a lock down once, however often somebody knocks meanwhile."""
        since = stamp(now - WINDOW_S)
        with self._change() as db:
            if not self._one(
                "SELECT 1 FROM audit WHERE at > ? AND action = 'sign-in-locked' AND target = ? "
                "AND address = ?",
                since,
                known,
                address,
            ):
                self._note(db, known, "sign-in-locked", known, "", address)


def _folded(user_id: str) -> str:
    """Return what is kept of a name that is nobody's, while tries with it are counted."""
    return digest(user_id.casefold())


def _wrong() -> UnauthenticatedError:
    return UnauthenticatedError("The user name or the password is wrong. Try again.")
