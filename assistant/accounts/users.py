"""Users: who they are, what they may do, and the groups that decide what they may read."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from assistant.accounts.journal import TOUCH_S, Journal, moment
from assistant.accounts.names import (
    RESERVED_IDS,
    InvalidError,
    clean_groups,
    clean_id,
    clean_name,
    usable_groups,
)
from assistant.accounts.records import ROLE_SCOPES, Role, User
from assistant.errors import ConflictError, ForbiddenError, NotFoundError

logger = logging.getLogger(__name__)


class Users(Journal):
    """The users and their rights; a change holds from the next request on.

    ``actor`` and ``address`` say in the audit log who made a change, from where.
    """

    def users(self) -> list[User]:
        """Return all users, by id."""
        return [to_user(row) for row in self._all("SELECT * FROM users ORDER BY id")]

    def user(self, user_id: str) -> User:
        """Return a user.

        Raises:
            NotFoundError: there is none of that id.
        """
        return to_user(self._existing(user_id))

    def groups(self) -> list[str]:
        """Return the groups that users are in, sorted; documents may be in others."""
        return sorted({group for user in self.users() for group in user.groups})

    def create_user(
        self,
        user_id: str,
        name: str = "",
        role: Role = "reader",
        groups: Iterable[str] = (),
        *,
        actor: str = "",
        address: str = "",
    ) -> User:
        """Make a user, who can sign in once they have set a password by an invitation.

        Raises:
            ConflictError: there is one of that id.
            QuestionError: the id, the role or a group cannot be one.
        """
        user_id, cleaned = clean_id(user_id), clean_groups(groups)
        with self._change() as db:
            self._insert(db, user_id, clean_name(name), _known(role), cleaned)
            detail = f"role {role}; groups {', '.join(cleaned) or '-'}"
            self._note(db, actor, "user-created", user_id, detail, address)
        return self.user(user_id)

    def update_user(
        self,
        user_id: str,
        *,
        name: str | None = None,
        role: Role | None = None,
        groups: Iterable[str] | None = None,
        active: bool | None = None,
        actor: str = "",
        address: str = "",
    ) -> User:
        """Change a user; what is None stays.

        Raises:
            ConflictError: it would leave no active administrator.
            NotFoundError: there is no such user.
            QuestionError: the role or a group cannot be one.
        """
        cleaned = None if groups is None else clean_groups(groups)
        with self._change() as db:
            old = to_user(self._existing(user_id))
            new = User(
                id=old.id,
                name=old.name if name is None else clean_name(name),
                role=old.role if role is None else _known(role),
                groups=old.groups if cleaned is None else cleaned,
                active=old.active if active is None else active,
                created_at=old.created_at,
            )
            if new.role != "admin" or not new.active:
                self._keep_an_admin(old)
            self._write(db, old, new, actor, address)
        return self.user(user_id)

    def delete_user(self, user_id: str, *, actor: str = "", address: str = "") -> None:
        """Delete a user with their sign-ins, invitations and keys.

        Raises:
            ConflictError: it would leave no active administrator.
            NotFoundError: there is no such user.
        """
        with self._change() as db:
            old = to_user(self._existing(user_id))
            self._keep_an_admin(old)
            db.execute("DELETE FROM users WHERE id = ?", (old.id,))
            self._note(db, actor, "user-deleted", old.id, f"role {old.role}", address)

    def provision(
        self,
        user_id: str,
        name: str = "",
        groups: Iterable[str] | None = None,
        admin: bool = False,
        *,
        address: str = "",
    ) -> User:
        """Return the user that a proxy or an OpenID provider vouches for, made if new.

        Its ``groups`` replace those known; None says that it names none, and those given
        here stay. Nothing is written while nothing changes, but the last use once a minute.

        Raises:
            ForbiddenError: the user is deactivated.
            QuestionError: the id cannot be one.
        """
        user_id, shown = clean_id(user_id), clean_name(name)
        wanted = None if groups is None else list(groups)
        row = self._row(user_id)
        if row is None:
            row = self._provision_new(user_id, shown, wanted or [], admin, address)
        old = to_user(row)
        if not old.active:
            raise ForbiddenError(
                f"The account {old.id} is deactivated. Ask an administrator to activate it."
            )
        new = User(
            id=old.id,
            name=shown or old.name,
            role="admin" if admin else old.role,
            groups=old.groups if wanted is None else usable_groups(wanted),
            active=True,
            created_at=old.created_at,
        )
        if (new.name, new.role, new.groups) != (old.name, old.role, old.groups):
            with self._change() as db:
                self._write(db, old, new, old.id, address)
        self._seen(row)
        return self.user(old.id)

    def _provision_new(
        self, user_id: str, name: str, groups: list[str], admin: bool, address: str
    ) -> Any:
        usable = usable_groups(groups)
        role: Role = "admin" if admin else "reader"
        with self._change() as db:
            row = self._row(user_id)  # two first requests may come at once
            if row is None:
                self._insert(db, user_id, name, role, usable)
                detail = f"at the first sign-in; role {role}; groups {', '.join(usable) or '-'}"
                self._note(db, user_id, "user-created", user_id, detail, address)
                row = self._row(user_id)
        if len(usable) < len(set(groups)):
            logger.warning(
                "Some groups that the provider names for %s cannot be used here.", user_id
            )
        return row

    def _insert(
        self, db: sqlite3.Connection, user_id: str, name: str, role: Role, groups: tuple[str, ...]
    ) -> None:
        if user_id in RESERVED_IDS:
            raise InvalidError(f"{user_id!r} is the server's own name. Choose another.", "user-id")
        try:
            db.execute(
                "INSERT INTO users VALUES (?, ?, ?, ?, 1, ?, NULL, NULL)",
                (user_id, name, role, _dumped(groups), self._clock()),
            )
        except sqlite3.IntegrityError as error:
            raise ConflictError(
                f"There is a user {user_id!r} already. Change that one, or choose another name."
            ) from error

    def _write(
        self, db: sqlite3.Connection, old: User, new: User, actor: str, address: str
    ) -> None:
        changes = _changes(old, new)
        if not changes:
            return
        db.execute(
            "UPDATE users SET name = ?, role = ?, groups = ?, active = ? WHERE id = ?",
            (new.name, new.role, _dumped(new.groups), new.active, new.id),
        )
        if not new.active:
            db.execute("DELETE FROM sessions WHERE user_id = ?", (new.id,))
            db.execute("DELETE FROM invitations WHERE user_id = ?", (new.id,))
        if old.role == "admin" and new.role != "admin":
            # A key that may ask in anybody's name must not outlive its owner's office.
            db.execute(
                "UPDATE keys SET revoked = 1 WHERE user_id = ? AND scopes LIKE '%\"delegate\"%'",
                (new.id,),
            )
        self._note(db, actor, "user-changed", new.id, "; ".join(changes), address)

    def _keep_an_admin(self, leaving: User) -> None:
        if leaving.role != "admin" or not leaving.active:
            return
        if not self._one(
            "SELECT 1 FROM users WHERE role = 'admin' AND active AND id != ?", leaving.id
        ):
            raise ConflictError(
                f"{leaving.id} is the last active administrator. Make somebody else one first."
            )

    def _row(self, user_id: str) -> Any:
        return self._one("SELECT * FROM users WHERE id = ?", user_id)

    def _existing(self, user_id: str) -> Any:
        try:
            row = self._row(clean_id(user_id))
        except InvalidError:
            row = None
        if row is None:
            raise NotFoundError("There is no such user. `GET /v1/users` lists them.")
        return row

    def _seen(self, row: Any) -> None:
        now = self._clock()
        if row["seen_at"] is None or now - row["seen_at"] >= TOUCH_S:
            self._touch("UPDATE users SET seen_at = ? WHERE id = ?", now, row["id"])


def to_user(row: Any) -> User:
    """Return a row of the users as a value."""
    return User(
        id=row["id"],
        name=row["name"],
        role=row["role"],
        groups=tuple(json.loads(row["groups"])),
        active=bool(row["active"]),
        created_at=datetime.fromtimestamp(row["created_at"], UTC),
        last_seen=moment(row["seen_at"]),
        has_password=row["password"] is not None,
    )


def _known(role: Role) -> Role:
    if role not in ROLE_SCOPES:
        raise InvalidError(
            f"{str(role)[:20]!r} is no role. Choose one of {', '.join(ROLE_SCOPES)}.", "role"
        )
    return role


def _changes(old: User, new: User) -> list[str]:
    changes = []
    if new.name != old.name:
        changes.append("name")
    if new.role != old.role:
        changes.append(f"role {old.role} -> {new.role}")
    if new.groups != old.groups:
        changes.append(f"groups {', '.join(old.groups) or '-'} -> {', '.join(new.groups) or '-'}")
    if new.active != old.active:
        changes.append("activated" if new.active else "deactivated")
    return changes


def _dumped(groups: tuple[str, ...]) -> str:
    return json.dumps(groups, ensure_ascii=False)
