"""The values of accounts: users, API keys, who asks a request, and audit entries.

A role says what a user may do; groups alone say what they may read, also for administrators.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from assistant.errors import ForbiddenError
from assistant.types import Principal

Role = Literal["reader", "editor", "admin"]
Scope = Literal["ask", "documents", "admin", "delegate"]
Via = Literal["open", "session", "key", "header", "local"]

ROLE_SCOPES: dict[Role, frozenset[Scope]] = {
    "reader": frozenset({"ask"}),
    "editor": frozenset({"ask", "documents"}),
    "admin": frozenset({"ask", "documents", "admin"}),
}


@dataclass(frozen=True)
class User:
    """A person, by the name they sign in with; ``name`` is what others see."""

    id: str
    name: str
    role: Role
    groups: tuple[str, ...]
    active: bool
    created_at: datetime
    last_seen: datetime | None = None
    has_password: bool = False


@dataclass(frozen=True)
class ApiKey:
    """A program's key, without its secret, which only its maker ever saw."""

    id: str
    name: str
    user_id: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    last_used: datetime | None = None
    revoked: bool = False


@dataclass(frozen=True)
class AuditEntry:
    """One thing that somebody did: a sign-in, an upload, a deletion, a changed right."""

    at: datetime
    actor: str
    action: str
    target: str
    detail: str
    address: str


@dataclass(frozen=True)
class Identity:
    """Who makes a request, what they may do, and how that is known."""

    user: User
    scopes: frozenset[Scope]
    via: Via

    @property
    def principal(self) -> Principal:
        """The one that the assistant is asked for."""
        return Principal(self.user.id, self.user.groups)

    def require(self, scope: Scope) -> None:
        """Make sure that the asker may do something.

        Raises:
            ForbiddenError: they may not.
        """
        if scope not in self.scopes:
            raise ForbiddenError(_MISSING[scope])


_MISSING: dict[Scope, str] = {
    "ask": "This key may not ask questions. Ask an administrator for one with the scope `ask`.",
    "documents": "Only editors may change documents. Ask an administrator for the role `editor`.",
    "admin": "Only administrators may do this. Ask one of them.",
    "delegate": "Only a key with the scope `delegate` may ask for somebody else.",
}
