"""API keys: made once, shown once, scoped, revocable."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, get_args

from assistant.accounts.journal import TOUCH_S, digest, moment
from assistant.accounts.names import InvalidError, clean_name
from assistant.accounts.records import ROLE_SCOPES, ApiKey, Identity, Scope, User
from assistant.accounts.users import Users, to_user
from assistant.errors import NotFoundError, UnauthenticatedError

KEY_PREFIX = "sa_"
_SCOPES: tuple[Scope, ...] = get_args(Scope)


class Keys(Users):
    """The keys of programs. A secret is known to its maker alone; its hash is kept."""

    def create_key(
        self,
        user_id: str,
        name: str,
        scopes: Iterable[Scope],
        expires_at: datetime | None = None,
        *,
        actor: str = "",
        address: str = "",
    ) -> tuple[ApiKey, str]:
        """Return a new key and its secret, ``sa_<id>_<secret>``.

        It can do what is in ``scopes`` and in its user's role; the scope ``delegate``, to
        ask in somebody else's name, is in no role: that only an administrator gives it is
        for the caller to see to.

        Raises:
            NotFoundError: there is no such user.
            QuestionError: it has no name or scope, an unknown scope, or is over already.
        """
        shown, wanted = clean_name(name), _known(scopes)
        expires = None if expires_at is None else _seconds(expires_at)
        if not shown:
            raise InvalidError("A key needs a name, to know it by later. Give one.", "key-name")
        if expires is not None and expires <= self._clock():
            raise InvalidError("The key would have expired already. Choose a later time.", "key")
        key_id, secret = secrets.token_hex(5), secrets.token_hex(24)
        with self._change() as db:
            owner = self._existing(user_id)["id"]
            db.execute(
                "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, NULL, 0)",
                (
                    key_id,
                    digest(secret),
                    shown,
                    owner,
                    json.dumps(wanted),
                    self._clock(),
                    expires,
                ),
            )
            detail = f"for {owner}; {', '.join(wanted)}"
            self._note(db, actor, "key-created", key_id, detail, address)
            made = _to_key(self._one("SELECT * FROM keys WHERE id = ?", key_id))
        return made, f"{KEY_PREFIX}{key_id}_{secret}"

    def key(self, secret: str) -> Identity:
        """Return who a program speaks for, and what it may do.

        Raises:
            UnauthenticatedError: the key is unknown, revoked or expired, or its user is
                deactivated.
        """
        key_id, _, rest = secret.removeprefix(KEY_PREFIX).partition("_")
        now = self._clock()
        row = self._one(
            "SELECT u.*, k.id AS key_id, k.digest, k.scopes, k.used_at FROM keys k "
            "JOIN users u ON u.id = k.user_id WHERE k.id = ? AND NOT k.revoked AND u.active "
            "AND (k.expires_at IS NULL OR k.expires_at > ?)",
            key_id,
            now,
        )
        if row is None or not hmac.compare_digest(row["digest"], digest(rest)):
            raise UnauthenticatedError(
                "The key is unknown, revoked or expired. Make a new one under /v1/keys."
            )
        if row["used_at"] is None or now - row["used_at"] >= TOUCH_S:
            self._touch("UPDATE keys SET used_at = ? WHERE id = ?", now, key_id)
        user = to_user(row)
        return Identity(user, _allowed(user, json.loads(row["scopes"])), "key")

    def keys(self, user_id: str | None = None) -> list[ApiKey]:
        """Return a user's keys, or all, the newest first; revoked ones too."""
        if user_id is None:
            rows = self._all("SELECT * FROM keys ORDER BY created_at DESC, id")
        else:
            owner = self._existing(user_id)["id"]
            rows = self._all(
                "SELECT * FROM keys WHERE user_id = ? ORDER BY created_at DESC, id", owner
            )
        return [_to_key(row) for row in rows]

    def revoke_key(
        self, key_id: str, user_id: str | None = None, *, actor: str = "", address: str = ""
    ) -> None:
        """Revoke a key, one of ``user_id``'s where given; a revoked one is fine.

        Raises:
            NotFoundError: there is none, or it is somebody else's.
        """
        with self._change() as db:
            row = self._one("SELECT * FROM keys WHERE id = ?", key_id)
            if row is None or user_id not in (None, row["user_id"]):
                raise NotFoundError("There is no such key. `GET /v1/keys` lists them.")
            if not row["revoked"]:
                db.execute("UPDATE keys SET revoked = 1 WHERE id = ?", (key_id,))
                self._note(db, actor, "key-revoked", key_id, f"of {row['user_id']}", address)


def _allowed(user: User, scopes: list[Scope]) -> frozenset[Scope]:
    return frozenset(scopes) & (ROLE_SCOPES[user.role] | {"delegate"})


def _known(scopes: Iterable[Scope]) -> list[Scope]:
    wanted = set(scopes)
    if not wanted or wanted - set(_SCOPES):
        raise InvalidError(f"Give a key one or more of the scopes {', '.join(_SCOPES)}.", "scope")
    return sorted(wanted)


def _seconds(at: datetime) -> float:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _to_key(row: Any) -> ApiKey:
    return ApiKey(
        id=row["id"],
        name=row["name"],
        user_id=row["user_id"],
        scopes=tuple(json.loads(row["scopes"])),
        created_at=datetime.fromtimestamp(row["created_at"], UTC),
        expires_at=moment(row["expires_at"]),
        last_used=moment(row["used_at"]),
        revoked=bool(row["revoked"]),
    )
