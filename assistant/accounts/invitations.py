"""One-time links: with which a user sets a password, and the first administrator begins."""

from __future__ import annotations

import secrets
import sqlite3

from assistant.accounts.journal import digest
from assistant.accounts.names import clean_id, clean_name
from assistant.accounts.passwords import Passwords, check_password
from assistant.accounts.records import User
from assistant.accounts.users import Users, to_user
from assistant.errors import ForbiddenError, UnauthenticatedError

HOURS = 72


class Invitations(Users):
    """The links under way. A token is known to its receiver alone; its hash is kept."""

    _passwords: Passwords

    def invite(
        self, user_id: str, hours: int = HOURS, *, actor: str = "", address: str = ""
    ) -> str:
        """Return the token of a link with which a user sets a password; earlier ones end.

        Raises:
            ForbiddenError: the user is deactivated.
            NotFoundError: there is no such user.
        """
        with self._change() as db:
            user = to_user(self._existing(user_id))
            if not user.active:
                raise ForbiddenError(f"{user.id} is deactivated. Activate the account first.")
            db.execute("DELETE FROM invitations WHERE user_id = ?", (user.id,))
            token = self._new_link(db, user.id, hours)
            self._note(db, actor, "invited", user.id, f"for {hours} hours", address)
        return token

    def invited(self, token: str) -> User:
        """Return the user whom a link invites.

        Raises:
            UnauthenticatedError: the link is not valid, or not any more.
        """
        row = self._one(
            "SELECT u.* FROM invitations i JOIN users u ON u.id = i.user_id "
            "WHERE i.digest = ? AND i.expires_at > ? AND u.active",
            digest(token),
            self._clock(),
        )
        if row is None:
            raise _invalid_link()
        return to_user(row)

    def accept(self, token: str, password: str, *, address: str = "") -> User:
        """Set the password of the invited user; it ends the link and their sign-ins.

        Raises:
            QuestionError: the password is too short, too long, or the user's name.
            UnauthenticatedError: the link is not valid, or not any more.
        """
        user = self.invited(token)
        check_password(password, user.id)
        kept = self._passwords.hash(password)
        with self._change() as db:
            self._use_link(db, token)
            db.execute("UPDATE users SET password = ? WHERE id = ?", (kept, user.id))
            db.execute("DELETE FROM sessions WHERE user_id = ?", (user.id,))
            self._note(db, user.id, "password-set", user.id, "by invitation", address)
        return self.user(user.id)

    def first_link(self) -> str | None:
        """Return the token with which the first administrator begins, None once there is one.

        Each call makes a new one and voids the last.
        """
        with self._change() as db:
            if not self._is_untouched():
                return None
            db.execute("DELETE FROM invitations WHERE user_id IS NULL")
            return self._new_link(db, None, HOURS)

    def is_first(self, token: str) -> bool:
        """Tell whether a token is that of the first administrator."""
        row = self._one(
            "SELECT 1 FROM invitations WHERE digest = ? AND expires_at > ? AND user_id IS NULL",
            digest(token),
            self._clock(),
        )
        return row is not None and self._is_untouched()

    def accept_first(
        self, token: str, user_id: str, name: str, password: str, *, address: str = ""
    ) -> User:
        """Make the first administrator, with a name and password of their choice.

        Raises:
            ConflictError: a user has that name already.
            QuestionError: the name or the password cannot be one.
            UnauthenticatedError: the link is not valid, or there is an administrator.
        """
        if not self.is_first(token):
            raise _invalid_link()
        user_id = clean_id(user_id)
        check_password(password, user_id)
        kept = self._passwords.hash(password)
        with self._change() as db:
            if not self._is_untouched():
                raise _invalid_link()
            self._use_link(db, token)
            self._insert(db, user_id, clean_name(name), "admin", ())
            db.execute("UPDATE users SET password = ? WHERE id = ?", (kept, user_id))
            self._note(db, user_id, "user-created", user_id, "first administrator", address)
        return self.user(user_id)

    def _is_untouched(self) -> bool:
        row = self._one(
            "SELECT 1 FROM users WHERE password IS NOT NULL OR (role = 'admin' AND active)"
        )
        return row is None

    def _new_link(self, db: sqlite3.Connection, user_id: str | None, hours: int) -> str:
        token = secrets.token_urlsafe(32)
        expires_at = self._clock() + hours * 3600
        db.execute("INSERT INTO invitations VALUES (?, ?, ?)", (digest(token), user_id, expires_at))
        return token

    def _use_link(self, db: sqlite3.Connection, token: str) -> None:
        """End a link; of two who use it at once, one is refused."""
        ended = db.execute(
            "DELETE FROM invitations WHERE digest = ? AND expires_at > ?",
            (digest(token), self._clock()),
        )
        if ended.rowcount != 1:
            raise _invalid_link()


def _invalid_link() -> UnauthenticatedError:
    return UnauthenticatedError(
        "This link was used, has expired, or was replaced by a newer one. Ask an administrator "
        "for a new one."
    )
