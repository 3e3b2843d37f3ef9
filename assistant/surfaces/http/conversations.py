"""Conversations over HTTP: list, read, rename, delete, export."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from assistant.export import export_docx, export_json, export_markdown
from assistant.surfaces.http.depend import Asker, TheService, limited
from assistant.surfaces.http.files import WORD, attachment
from assistant.surfaces.problems import documented
from assistant.text import detect_language
from assistant.types import Conversation

router = APIRouter(
    prefix="/v1/conversations", tags=["conversations"], dependencies=[Depends(limited)]
)

ExportFormat = Literal["markdown", "docx", "json"]


class Title(BaseModel):
    """A conversation's new title."""

    title: str = Field(min_length=1, max_length=200)


@router.get("")
def list_conversations(
    service: TheService, asker: Asker, query: Annotated[str, Query(max_length=200)] = ""
) -> list[Conversation]:
    """Return the asker's conversations, latest first, without their messages."""
    asker.require("ask")
    return service.assistant.conversations(asker.principal, query)


@router.get("/{conversation_id}", responses=documented(404))
def conversation(conversation_id: str, service: TheService, asker: Asker) -> Conversation:
    """Return one of the asker's conversations with its messages and citations."""
    asker.require("ask")
    return service.assistant.conversation(conversation_id, asker.principal)


@router.patch("/{conversation_id}", status_code=204, responses=documented(404))
def rename(conversation_id: str, new: Title, service: TheService, asker: Asker) -> None:
    """Give a conversation another title."""
    asker.require("ask")
    service.assistant.rename_conversation(conversation_id, new.title, asker.principal)


@router.delete("/{conversation_id}", status_code=204, responses=documented(404))
def delete(conversation_id: str, service: TheService, asker: Asker) -> None:
    """Delete a conversation for good."""
    asker.require("ask")
    service.assistant.delete_conversation(conversation_id, asker.principal)


@router.get(
    "/{conversation_id}/export",
    response_class=Response,
    responses={
        200: {"content": {"text/markdown": {}, "application/json": {}, WORD: {}}},
        **documented(404),
    },
)
def export(
    conversation_id: str, service: TheService, asker: Asker, format: ExportFormat = "markdown"
) -> Response:
    """Return a conversation as a file, each answer with its sources."""
    asker.require("ask")
    found = service.assistant.conversation(conversation_id, asker.principal)
    if format == "docx":
        return attachment(
            export_docx(found, detect_language(found.title)), WORD, found.title, "docx"
        )
    if format == "json":
        return attachment(export_json(found), "application/json", found.title, "json")
    return attachment(export_markdown(found), "text/markdown; charset=utf-8", found.title, "md")
