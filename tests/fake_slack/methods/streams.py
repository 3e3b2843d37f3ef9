"""chat.startStream, appendStream and stopStream.

https://docs.slack.dev/reference/methods/chat.startStream. Slack turns streamed markdown into rich
text; here it stays a markdown block, which holds the same words.
"""

from __future__ import annotations

from typing import Any

from ..platform import Platform
from ..rules import Refusal
from ..workspace import BOT_USER, TEAM, Message
from .chat import check_markdown, clear_status, parent

CHUNKS = {"markdown_text", "task_update", "plan_update", "blocks"}
TASK_STATES = {"pending", "in_progress", "complete", "error"}


def start(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Start a message that grows; "streamed messages should always be replies"."""
    channel = slack.writable(given.get("channel"), "chat.startStream")
    if not given.get("thread_ts"):
        detail = "chat.startStream: no thread_ts"
        raise slack.broken("thread_ts", detail, "invalid_arguments")
    thread = parent(slack, channel.id, given["thread_ts"], "chat.startStream")
    if channel.kind != "im":
        _recipient(slack, given, channel.members)
    chunks = _chunks(slack, given, "chat.startStream")
    message = slack.workspace.post(channel.id, BOT_USER, thread_ts=thread, stream="streaming")
    _grow(slack, message, chunks)
    clear_status(slack, channel.id, thread)
    slack.emit_message(message)
    return {"channel": channel.id, "ts": message.ts}


def append(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Add to a stream that is open."""
    message = _streaming(slack, given, "chat.appendStream")
    chunks = _chunks(slack, given, "chat.appendStream")
    if not chunks:
        raise slack.broken("no_text", "chat.appendStream: nothing to append", "no_text")
    _grow(slack, message, chunks)
    return {"channel": message.channel, "ts": message.ts}


def stop(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """End a stream, with blocks below it where they are given."""
    message = _streaming(slack, given, "chat.stopStream")
    chunks = _chunks(slack, given, "chat.stopStream")
    blocks = given.get("blocks") or []
    slack.check_blocks(blocks, "message", "chat.stopStream")
    if not (message.blocks or chunks or blocks):
        raise slack.broken("no_text", "chat.stopStream: an empty message", "no_text")
    before = message.as_api()
    _grow(slack, message, chunks)
    message.blocks += slack.workspace.with_ids(blocks)
    message.metadata = given.get("metadata") or message.metadata
    message.stream = "stopped"
    slack.emit_change(message, before)
    return {"channel": message.channel, "ts": message.ts, "message": message.as_api()}


def _recipient(slack: Platform, given: dict[str, Any], members: list[str]) -> None:
    user, team = given.get("recipient_user_id"), given.get("recipient_team_id")
    for name, value in (("user", user), ("team", team)):
        if not value:
            detail = f"chat.startStream in a channel without recipient_{name}_id"
            raise slack.broken("stream_recipient", detail, f"missing_recipient_{name}_id")
    if user not in members or team != TEAM:
        detail = f"chat.startStream: recipient {user} of {team} is not in the channel"
        raise slack.broken("stream_recipient", detail, "user_not_found")


def _streaming(slack: Platform, given: dict[str, Any], where: str) -> Message:
    channel = slack.workspace.channel(str(given.get("channel")))
    message = slack.workspace.find(channel.id, str(given.get("ts")))
    if message is None:
        raise Refusal("message_not_found")
    if message.stream in (None, "stopped"):
        detail = f"{where}: {message.ts} is not streaming ({message.stream or 'never was'})"
        raise slack.broken("not_streaming", detail, "message_not_in_streaming_state")
    if message.stream != "streaming":
        raise Refusal(message.stream)  # Slack or the reader ended it: nobody's fault
    return message


def _chunks(slack: Platform, given: dict[str, Any], where: str) -> list[dict[str, Any]]:
    chunks = list(given.get("chunks") or [])
    if given.get("markdown_text"):
        chunks.insert(0, {"type": "markdown_text", "text": given["markdown_text"]})
    for chunk in chunks:
        kind = chunk.get("type") if isinstance(chunk, dict) else None
        if kind not in CHUNKS:
            raise slack.broken("chunk", f"{where}: unknown chunk {kind}", "invalid_chunks")
        if kind == "markdown_text":
            check_markdown(slack, chunk.get("text", ""), where)
        elif kind == "blocks":
            slack.check_blocks(chunk.get("blocks"), "message", where)
        elif kind == "task_update" and chunk.get("status", "pending") not in TASK_STATES:
            detail = f"{where}: unknown status {chunk['status']}"
            raise slack.broken("chunk", detail, "invalid_chunks")
    return chunks


def _grow(slack: Platform, message: Message, chunks: list[dict[str, Any]]) -> None:
    for chunk in chunks:
        if chunk["type"] == "markdown_text":
            message.text += chunk["text"]
            last = message.blocks[-1] if message.blocks else {}
            if last.get("type") == "markdown":
                last["text"] += chunk["text"]
            else:
                block = {"type": "markdown", "text": chunk["text"]}
                message.blocks += slack.workspace.with_ids([block])
        elif chunk["type"] == "blocks":
            message.blocks += slack.workspace.with_ids(chunk["blocks"])
        elif chunk["type"] == "task_update":
            _task(slack, message, chunk)


def _task(slack: Platform, message: Message, chunk: dict[str, Any]) -> None:
    for block in message.blocks:
        if block["type"] == "task_card" and block["task_id"] == chunk.get("id"):
            block |= {name: chunk[name] for name in ("title", "status") if name in chunk}
            return
    card = {"type": "task_card", "task_id": chunk.get("id"), "title": chunk.get("title", "")}
    card["status"] = chunk.get("status", "pending")
    message.blocks += slack.workspace.with_ids([card])


METHODS = {
    "chat.startStream": start,
    "chat.appendStream": append,
    "chat.stopStream": stop,
}
