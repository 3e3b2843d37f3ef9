"""Administration over HTTP: who one is, users, groups, keys, the audit log, engine."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, BeforeValidator, Field, StrictBool

from assistant.accounts.records import ApiKey, AuditEntry, Role, Scope, User
from assistant.surfaces.http.depend import Asker, TheAddress, TheService, limited
from assistant.surfaces.http.service import Service
from assistant.surfaces.problems import documented

router = APIRouter(prefix="/v1", tags=["administration"], dependencies=[Depends(limited)])

Engine = Literal["auto", "openai_compatible", "llamacpp", "extractive"]


def _moment(given: object) -> datetime:
    """Return a time written as ISO 8601, in a year that every clock and time zone knows.

    A number would be taken for seconds since 1970 by one client and for a year by another.
    """
    moment = datetime.fromisoformat(given) if isinstance(given, str) else None
    if moment is None or not 1970 <= moment.year <= 9998:
        raise ValueError("write a time like 2026-11-24T09:00:00+08:00")
    return moment


Moment = Annotated[datetime, BeforeValidator(_moment)]


class Me(BaseModel):
    """Who the asker is and what they may do."""

    user: User
    scopes: list[Scope]
    via: str


class NewUser(BaseModel):
    """A user to be made."""

    id: str = Field(min_length=1, max_length=64)
    name: str = Field("", max_length=64)
    role: Role = "reader"
    groups: list[str] = Field(default_factory=list, max_length=100)


class ChangedUser(BaseModel):
    """What changes of a user; fields left out stay."""

    name: str | None = Field(None, max_length=64)
    role: Role | None = None
    groups: list[str] | None = Field(None, max_length=100)
    active: StrictBool | None = None


class Invitation(BaseModel):
    """A link with which a user sets a password, once."""

    user: User
    link: str


class Author(NamedTuple):
    """Who does something, and from where, for the audit log."""

    actor: str
    address: str


def _author(asker: Asker, address: TheAddress) -> Author:
    return Author(asker.user.id, address)


TheAuthor = Annotated[Author, Depends(_author)]


class NewKey(BaseModel):
    """A key to be made; ``user_id`` is the maker unless an administrator names another."""

    name: str = Field(min_length=1, max_length=64)
    scopes: list[Scope] = Field(["ask"], min_length=1)
    expires_at: Moment | None = None
    user_id: str | None = Field(None, max_length=64)


class MadeKey(BaseModel):
    """A new key and its secret, which is shown this once."""

    key: ApiKey
    secret: str


class EngineChoice(BaseModel):
    """The engine that answers from now on."""

    engine: Engine


@router.get("/me", responses=documented())
def me(asker: Asker) -> Me:
    """Say who the asker is."""
    return Me(user=asker.user, scopes=sorted(asker.scopes), via=asker.via)


@router.get("/groups", responses=documented())
def groups(service: TheService, asker: Asker) -> list[str]:
    """Return the groups that the asker may give documents to; all of them for administrators."""
    return service.groups(asker)


@router.get("/users", responses=documented())
def users(service: TheService, asker: Asker) -> list[User]:
    """Return all users."""
    asker.require("admin")
    return service.accounts.users()


@router.post("/users", status_code=201, responses=documented(409, 422))
def create_user(new: NewUser, service: TheService, asker: Asker, author: TheAuthor) -> Invitation:
    """Make a user, and the link with which they set a password."""
    asker.require("admin")
    user = service.accounts.create_user(
        new.id,
        name=new.name,
        role=new.role,
        groups=new.groups,
        actor=author.actor,
        address=author.address,
    )
    return _invitation(user, service, author)


@router.patch("/users/{user_id}", responses=documented(404, 409, 422))
def update_user(
    user_id: str, changed: ChangedUser, service: TheService, asker: Asker, author: TheAuthor
) -> User:
    """Change a user; it holds from their next request on."""
    asker.require("admin")
    return service.accounts.update_user(
        user_id, **changed.model_dump(), actor=author.actor, address=author.address
    )


@router.delete("/users/{user_id}", status_code=204, responses=documented(404, 409))
def delete_user(user_id: str, service: TheService, asker: Asker, author: TheAuthor) -> None:
    """Delete a user with their sign-ins, keys and conversations, for good.

    Who is given the same name later begins with nothing of theirs.
    """
    asker.require("admin")
    known = service.accounts.user(user_id).id
    service.accounts.delete_user(known, actor=author.actor, address=author.address)
    service.assistant.forget(known)


@router.post("/users/{user_id}/invitation", responses=documented(404))
def invite(user_id: str, service: TheService, asker: Asker, author: TheAuthor) -> Invitation:
    """Make a new link with which a user sets a password; earlier links end."""
    asker.require("admin")
    return _invitation(service.accounts.user(user_id), service, author)


@router.get("/keys", responses=documented())
def keys(service: TheService, asker: Asker) -> list[ApiKey]:
    """Return the asker's keys; all keys for administrators."""
    return service.accounts.keys(None if "admin" in asker.scopes else asker.user.id)


@router.post("/keys", status_code=201, responses=documented(404, 422))
def create_key(new: NewKey, service: TheService, asker: Asker, author: TheAuthor) -> MadeKey:
    """Make a key for a program; its secret is shown in this answer and never again."""
    if asker.via == "key":  # else whoever got hold of a key could keep it for ever
        asker.require("admin")
    owner = new.user_id or asker.user.id
    if owner != asker.user.id or "delegate" in new.scopes:
        asker.require("admin")
    for scope in new.scopes:
        if scope != "delegate":
            asker.require(scope)
    key, secret = service.accounts.create_key(
        owner,
        new.name,
        new.scopes,
        expires_at=new.expires_at,
        actor=author.actor,
        address=author.address,
    )
    return MadeKey(key=key, secret=secret)


@router.delete("/keys/{key_id}", status_code=204, responses=documented(404))
def revoke_key(key_id: str, service: TheService, asker: Asker, author: TheAuthor) -> None:
    """Revoke a key; programs that use it are refused from now on."""
    owner = None if "admin" in asker.scopes else asker.user.id
    service.accounts.revoke_key(key_id, owner, actor=author.actor, address=author.address)


@router.get("/audit", responses=documented())
def audit(
    service: TheService,
    asker: Asker,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    before: Moment | None = None,
) -> list[AuditEntry]:
    """Return what was done, latest first: sign-ins, uploads, deletions, changed rights."""
    asker.require("admin")
    return service.accounts.audit_log(limit, before)


@router.post("/engine", status_code=204, responses=documented(502, 503))
def switch_engine(
    choice: EngineChoice, service: TheService, asker: Asker, author: TheAuthor
) -> None:
    """Let another engine answer from now on, until the server starts again."""
    asker.require("admin")
    service.assistant.use_engine(choice.engine)
    service.accounts.audit(author.actor, "engine", choice.engine, "", author.address)


def _invitation(user: User, service: Service, author: Author) -> Invitation:
    token = service.accounts.invite(user.id, actor=author.actor, address=author.address)
    return Invitation(user=user, link=f"{service.address}/welcome/{token}")
