"""The administration view: users, groups, keys, what answers from which index, and the audit log.

It shows; what is changed, the browser changes through the server's API, where the rights
for it are asked. Links and keys that are shown once never pass through here.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

import gradio as gr

from assistant.accounts.records import ROLE_SCOPES, ApiKey, AuditEntry, Identity, Scope, User
from assistant.errors import AssistantError, NotFoundError
from assistant.surfaces.http.admin import Engine
from assistant.surfaces.http.service import Service
from assistant.surfaces.web.desk import View, admitted, chosen, desk, number, on, region
from assistant.surfaces.web.frame import explain, tell, view
from assistant.surfaces.web.wording import Texts
from assistant.types import EVERYONE_GROUP, Health, Principal

SECTIONS = ("users", "groups", "keys", "system", "audit")
ENGINES: tuple[str, ...] = get_args(Engine)
ACTIONS = (
    "sign-in",
    "sign-in-refused",
    "sign-in-locked",
    "sign-out",
    "sign-out-everywhere",
    "password-set",
    "invited",
    "user-created",
    "user-changed",
    "user-deleted",
    "key-created",
    "key-revoked",
    "upload",
    "replace",
    "retag",
    "delete",
    "discard",
    "ingest",
    "reindex",
    "engine",
)
ROWS = 50
_AUDITED = 1000
_WORDS = ("copied", "lost", "failed_429", "failed_507")


@dataclass(frozen=True)
class Page:
    """Some of a long list: ``found`` of ``total`` match."""

    rows: tuple[Any, ...]
    found: int
    total: int
    page: int
    pages: int


@dataclass(frozen=True)
class Group:
    """A group: how many are in it, and how many documents they may read by it."""

    name: str
    users: int
    documents: int


def build(service: Service, texts: Texts) -> gr.Blocks:
    """Return the administration view in one language."""
    shown = Administration(service, texts)
    with view(service, texts, "settings") as blocks, gr.Column(elem_id="view"):
        board = desk(shown.head())
        notice = region("notice")
        jobs = region("jobs")
        section = region("section", shown.parts.loading())
        detail = region("detail")
        on("settings", board.show, shown.show, [section, jobs])
        on("settings", board.open, shown.open, detail)
        on("settings", board.jobs, shown.jobs, jobs)
        on("settings", board.failed, shown.failed, notice)
    return blocks


class Administration(View):
    """The handlers of one language's view."""

    def __init__(self, service: Service, texts: Texts) -> None:
        super().__init__(service, texts, "settings", "admin", auth=service.settings.auth)

    def head(self) -> str:
        """Return what never changes: the sections, their filters, the script's words."""
        words = {name: self._texts(f"documents.{name}") for name in _WORDS}
        return str(self.parts.desk(json.dumps(words, ensure_ascii=False), SECTIONS, ACTIONS))

    def show(self, event: gr.EventData, request: gr.Request) -> Any:
        """Return the section that is asked for, and the work under way."""
        sections: dict[str, Callable[[gr.EventData, Identity], Any]] = {
            "users": self._users,
            "groups": self._groups,
            "keys": self._keys,
            "system": self._system,
            "audit": self._audit,
        }
        section = chosen(event, "section")
        try:
            identity = admitted(self._service, request, "admin")
            shown = sections.get(section, self._users)(event, identity)
            return str(shown), self._jobs(identity)
        except AssistantError as error:
            tell(error, self._texts)

    def open(self, event: gr.EventData, request: gr.Request) -> str:
        """Return one user in detail; nothing when it is being closed or is gone."""
        user_id = chosen(event, "id")
        if not user_id:
            return ""
        try:
            identity = admitted(self._service, request, "admin")
            user = self._service.accounts.user(user_id)
            groups = sorted({*self._named_groups(identity), *user.groups})
        except NotFoundError:  # deleted meanwhile
            return ""
        except AssistantError as error:
            tell(error, self._texts)
        return str(self.parts.user(user, groups, list(ROLE_SCOPES), user.id == identity.user.id))

    def jobs(self, request: gr.Request) -> str:
        """Return how far the index is being built anew."""
        try:
            return self._jobs(admitted(self._service, request, "admin", counted=False))
        except AssistantError as error:
            tell(error, self._texts)

    # -- the sections -----------------------------------------------------------------------

    def _users(self, event: gr.EventData, identity: Identity) -> Any:
        users = self._service.accounts.users()
        page = paged(users, found_users(users, chosen(event, "query")), number(event, "page", 1))
        return self.parts.users(page, self._named_groups(identity), list(ROLE_SCOPES))

    def _groups(self, event: gr.EventData, identity: Identity) -> Any:
        names = self._service.groups(identity)
        # To be counted only: that takes no right to read them.
        documents = self._service.assistant.documents(Principal(identity.user.id, names))
        return self.parts.groups(
            counted(names, self._service.accounts.users(), [each.groups for each in documents])
        )

    def _keys(self, event: gr.EventData, identity: Identity) -> Any:
        users = [user for user in self._service.accounts.users() if user.active]
        now = datetime.now(UTC)
        listed = self._service.accounts.keys(None)
        keys = [(key, key_state(key, now)) for key in listed]
        return self.parts.keys(keys, users, identity.user.id, get_args(Scope))

    def _system(self, event: gr.EventData, identity: Identity) -> Any:
        health: Health | None = None
        problem = ""
        try:
            health = self._service.assistant.health()
        except AssistantError as error:  # building the index anew may be what helps
            problem = explain(error, self._texts)[1]
        fingerprint = json.loads(health.fingerprint) if health else {}
        chosen_engine = self._service.assistant.engine
        return self.parts.system(health, problem, fingerprint, chosen_engine, ENGINES)

    def _audit(self, event: gr.EventData, identity: Identity) -> Any:
        entries = self._service.accounts.audit_log(_AUDITED)
        found = found_entries(entries, chosen(event, "said"), chosen(event, "action"))
        return self.parts.audit(paged(entries, found, number(event, "page", 1)), _AUDITED)

    # -- inside -----------------------------------------------------------------------------

    def _named_groups(self, identity: Identity) -> list[str]:
        return [name for name in self._service.groups(identity) if name != EVERYONE_GROUP]

    def _jobs(self, identity: Identity) -> str:
        rebuilds = [job for job in self._service.jobs.list(identity) if job.kind == "reindex"]
        return str(self.parts.jobs(rebuilds[:1]))


def paged(every: Sequence[Any], found: Sequence[Any], page: int) -> Page:
    """Return one page of what was found."""
    pages = max(1, math.ceil(len(found) / ROWS))
    page = min(max(1, page), pages)
    return Page(tuple(found[(page - 1) * ROWS : page * ROWS]), len(found), len(every), page, pages)


def found_users(users: Sequence[User], query: str) -> list[User]:
    """Return the users whose names, role or groups hold every word of a query."""
    words = query.casefold().split()
    return [
        user
        for user in users
        if all(w in "\n".join((user.id, user.name, *user.groups)).casefold() for w in words)
    ]


def found_entries(entries: Sequence[AuditEntry], query: str, action: str) -> list[AuditEntry]:
    """Return the entries of an action that hold every word of a query."""
    words = query.casefold().split()
    return [
        each
        for each in entries
        if action in ("", each.action)
        and all(
            w in "\n".join((each.actor, each.target, each.detail, each.address)).casefold()
            for w in words
        )
    ]


def counted(
    names: Sequence[str], users: Sequence[User], readers: Sequence[tuple[str, ...]]
) -> list[Group]:
    """Return the groups with their numbers; everybody is in ``everyone``."""
    members = Counter(group for user in users for group in user.groups)
    members[EVERYONE_GROUP] = len(users)
    documents = Counter(group for groups in readers for group in groups)
    return [Group(name, members[name], documents[name]) for name in names]


def key_state(key: ApiKey, now: datetime) -> str:
    """Return ``active``, ``expired`` or ``revoked``."""
    if key.revoked:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= now else "active"
