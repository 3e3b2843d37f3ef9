"""chat.postMessage, postEphemeral, update and delete: https://docs.slack.dev/reference/methods."""

from __future__ import annotations

from typing import Any

from ..platform import Platform
from ..rules import Refusal
from ..workspace import BOT_USER, TS, Message

TEXT, UPDATED_TEXT, MARKDOWN = 40_000, 4_000, 12_000


def content(slack: Platform, given: dict[str, Any], where: str) -> dict[str, Any]:
    """Check text, blocks and markdown, and return them as fields of a message.

    Raises:
        Refusal: There is nothing to show, or it breaks a limit that Slack enforces.
    """
    text, blocks = given.get("text") or "", given.get("blocks") or []
    markdown = given.get("markdown_text")
    if markdown and (text or blocks):
        detail = f"{where}: markdown_text beside text or blocks"
        raise slack.broken("markdown_conflict", detail, "markdown_text_conflict")
    if not (text or blocks or markdown or given.get("attachments")):
        raise slack.broken("no_text", f"{where}: neither text nor blocks", "no_text")
    if markdown:
        check_markdown(slack, markdown, where)
        return {"text": markdown, "blocks": [{"type": "markdown", "text": markdown}]}
    slack.check_blocks(blocks, "message", where)
    if len(text) > TEXT:
        slack.ledger.record("text_40000", f"{where}: text of {len(text)} characters, cut")
        text = text[:TEXT]
    return {"text": text, "blocks": blocks, "attachments": given.get("attachments") or []}


def check_markdown(slack: Platform, markdown: Any, where: str) -> None:
    """Check the length of a markdown_text.

    Raises:
        Refusal: It has more than 12,000 characters.
    """
    if len(markdown) > MARKDOWN:
        detail = f"{where}: markdown_text of {len(markdown)} characters"
        raise slack.broken("markdown_12000", detail, "msg_too_long")


def parent(slack: Platform, channel: str, thread_ts: Any, where: str) -> str | None:
    """Check the thread that a message wants to join, and return its timestamp.

    "Avoid using a reply's ts value; use its parent's value instead."

    Raises:
        Refusal: It is no timestamp, or of no message.
    """
    if not thread_ts:
        return None
    if not TS.fullmatch(str(thread_ts)):
        detail = f"{where}: {thread_ts!r} is no timestamp"
        raise slack.broken("thread_ts", detail, "invalid_thread_ts")
    message = slack.workspace.find(channel, thread_ts, gone=True)
    if message is None:
        detail = f"{where}: no message {thread_ts} in {channel}"
        raise slack.broken("thread_ts", detail, "thread_not_found")
    if message.deleted and not slack.workspace.replies(channel, thread_ts):
        raise Refusal("thread_not_found")  # gone a moment ago: nobody's fault
    if message.thread_ts and message.thread_ts != message.ts:
        slack.ledger.record("thread_ts", f"{where}: {thread_ts} is a reply, not a parent")
        return message.thread_ts
    return str(thread_ts)


def post_message(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Post, and send the message event back to the app as Slack does."""
    channel = slack.writable(given.get("channel"), "chat.postMessage").id
    thread = parent(slack, channel, given.get("thread_ts"), "chat.postMessage")
    fields = content(slack, given, "chat.postMessage")
    truncated = len(given.get("text") or "") > TEXT
    metadata = given.get("metadata")
    message = slack.workspace.post(channel, BOT_USER, thread_ts=thread, metadata=metadata, **fields)
    clear_status(slack, channel, thread)
    slack.emit_message(message)
    reply = {"channel": channel, "ts": message.ts, "message": message.as_api()}
    return reply | ({"warning": "message_truncated"} if truncated else {})


def post_ephemeral(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Show something to one person in a channel; no event, no way to update it later."""
    channel = slack.writable(given.get("channel"), "chat.postEphemeral")
    user = given.get("user")
    if user not in channel.members:
        detail = f"chat.postEphemeral: {user} is not in {channel.id}"
        raise slack.broken("ephemeral_user", detail, "user_not_in_channel")
    thread = parent(slack, channel.id, given.get("thread_ts"), "chat.postEphemeral")
    fields = content(slack, given, "chat.postEphemeral")
    message = slack.workspace.post(
        channel.id, BOT_USER, thread_ts=thread, ephemeral_to=user, **fields
    )
    return {"message_ts": message.ts}


def update(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Edit one of the bot's own messages; blocks that are not given stay as they are."""
    message = own(slack, given, "chat.update", "cant_update_message")
    if message.stream == "streaming":
        detail = f"chat.update: {message.ts} is streaming"
        raise slack.broken("update_streaming", detail, "streaming_state_conflict")
    text = given.get("text") or ""
    if len(text) > UPDATED_TEXT:
        detail = f"chat.update: text of {len(text)} characters"
        raise slack.broken("update_text_4000", detail, "msg_too_long")
    before = message.as_api()
    bare = given.get("metadata") is not None and not any(
        given.get(name) for name in ("text", "blocks", "markdown_text", "attachments")
    )
    if not bare:
        fields = content(slack, given, "chat.update")
        message.text = fields["text"]
        if given.get("blocks") is not None or given.get("markdown_text"):
            message.blocks = slack.workspace.with_ids(fields["blocks"])
        message.edited = True
    if given.get("metadata") is not None:
        message.metadata = given["metadata"]
    slack.emit_change(message, before)
    body = {"channel": message.channel, "ts": message.ts, "text": message.text}
    return {**body, "message": message.as_api()}


def delete(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Delete one of the bot's own messages."""
    message = own(slack, given, "chat.delete", "cant_delete_message")
    remove(slack, message)
    return {"channel": message.channel, "ts": message.ts}


def remove(slack: Platform, message: Message) -> str:
    """Take a message away and tell the app.

    A parent with replies leaves a tombstone (message_changed), another message message_deleted:
    https://docs.slack.dev/reference/events/message/message_deleted.
    """
    before = message.as_api(slack.workspace.replies(message.channel, message.ts))
    message.deleted = True
    ts = slack.workspace.new_ts()
    event: dict[str, Any]
    if slack.workspace.replies(message.channel, message.ts):
        tombstone: dict[str, Any] = {"type": "message", "subtype": "tombstone"}
        tombstone |= {"user": "USLACKBOT", "text": "This message was deleted.", "hidden": True}
        tombstone |= {"ts": message.ts, "thread_ts": message.ts}
        event = {"subtype": "message_changed", "message": tombstone}
    else:
        event = {"subtype": "message_deleted", "deleted_ts": message.ts}
    event |= {"type": "message", "previous_message": before, "hidden": True}
    return slack.emit_message(message, {**event, "ts": ts, "event_ts": ts})


def own(slack: Platform, given: dict[str, Any], where: str, error: str) -> Message:
    """Return the bot's own message that the arguments name.

    Raises:
        Refusal: There is none, it is ephemeral, or it is somebody else's.
    """
    channel = slack.workspace.channel(str(given.get("channel")))
    message = slack.workspace.find(channel.id, str(given.get("ts")))
    if message is None:
        raise Refusal("message_not_found")
    if message.ephemeral_to:
        detail = f"{where}: {message.ts} is ephemeral"
        raise slack.broken("update_ephemeral", detail, "message_not_found")
    if not message.by_bot:
        raise slack.broken("not_yours", f"{where}: {message.ts} is of {message.user}", error)
    return message


def clear_status(slack: Platform, channel: str, thread: str | None) -> None:
    """Take the status away: it goes when the app replies."""
    shown = [s for c, t, s in slack.workspace.statuses if (c, t) == (channel, thread)]
    if thread and shown and shown[-1]:
        slack.workspace.statuses.append((channel, thread, ""))


METHODS = {
    "chat.postMessage": post_message,
    "chat.postEphemeral": post_ephemeral,
    "chat.update": update,
    "chat.delete": delete,
}
