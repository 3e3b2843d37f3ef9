"""What people do in Slack, and the events that the app gets for it.

https://docs.slack.dev/reference/events. Each action returns a `Sent`: the event id (the
app_mention's where there is one) as a string that also knows the message's timestamp.
"""

from __future__ import annotations

from typing import Any

from .methods.chat import remove
from .platform import Envelope, Platform
from .workspace import BOT_USER, TEAM, TOKENS, Channel, Message, User, rich_text


class Sent(str):
    """An event or envelope id that remembers what it was about."""

    ts: str
    channel: str
    event_ids: tuple[str, ...]

    def __new__(cls, identifier: str, ts: str = "", channel: str = "", *events: str) -> Sent:
        """Name the event."""
        sent = super().__new__(cls, identifier)
        sent.ts, sent.channel, sent.event_ids = ts, channel, events or (identifier,)
        return sent


def escaped(text: str) -> str:
    """Escape as Slack does what somebody typed; ``<@U1>``, ``<#C1>`` and links stay.

    https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    parts = TOKENS.split(text)
    for number in range(0, len(parts), 2):
        plain = parts[number].replace("&", "&amp;")
        parts[number] = plain.replace("<", "&lt;").replace(">", "&gt;")
    return "".join(parts)


class People:
    """The actions of people; `FakeSlack` is made of it."""

    platform: Platform

    def add_user(self, user: str, *, name: str = "", email: str = "", **fields: Any) -> None:
        """Let somebody into the workspace."""
        with self.platform.lock:
            self.platform.workspace.add_user(User(user, name or user.lower(), email, **fields))

    def add_channel(
        self,
        channel: str,
        *,
        name: str = "",
        members: tuple[str, ...] | list[str] = (),
        kind: str = "channel",
        bot: bool = True,
    ) -> None:
        """Open a channel, or a private one with kind ``group``; with the bot unless told not to."""
        everybody = [*members, *([BOT_USER] if bot else [])]
        with self.platform.lock:
            opened = Channel(channel, name or channel.lower(), kind, everybody)
            self.platform.workspace.add_channel(opened)

    def dm_channel(self, user: str) -> str:
        """Return the id of somebody's direct conversation with the bot."""
        with self.platform.lock:
            return self.platform.workspace.dm(user).id

    def say(
        self,
        user: str,
        channel: str,
        text: str,
        *,
        thread_ts: str | None = None,
        mention: bool = True,
        **fields: Any,
    ) -> Sent:
        """Say something; with `mention` the app gets a message event and an app_mention."""
        slack = self.platform
        with slack.lock:
            place = slack.workspace.channels[channel]
            if user not in place.members:
                raise AssertionError(f"{user} is not in {channel}")
            mention = mention and place.kind != "im"
            typed = escaped(f"<@{BOT_USER}> {text}" if mention else text)
            message = slack.workspace.post(
                channel, user, text=typed, blocks=rich_text(typed), thread_ts=thread_ts, **fields
            )
            return self._announce(message, place)

    def _announce(self, message: Message, place: Channel) -> Sent:
        slack = self.platform
        events = [slack.emit_message(message, self._body(message))]
        if f"<@{BOT_USER}>" in message.text and place.kind != "im" and BOT_USER in place.members:
            body = message.as_api() | {"type": "app_mention", "channel": place.id}
            events.append(slack.emit(body | {"event_ts": message.ts}, "app_mention"))
        return Sent(events[-1], message.ts, place.id, *events)

    def _body(self, message: Message) -> dict[str, Any]:
        body = message.as_api()
        if message.thread_ts:
            first = self.platform.workspace.find(message.channel, message.thread_ts, gone=True)
            body["parent_user_id"] = first.user if first else None
            if first and first.subtype == "assistant_app_thread":
                body["assistant_thread"] = {"action_token": self.platform.workspace.new_id("at")}
        return body

    def dm(self, user: str, text: str, *, thread_ts: str | None = None) -> Sent:
        """Write to the bot directly."""
        return self.say(user, self.dm_channel(user), text, thread_ts=thread_ts, mention=False)

    def edit(self, channel: str, ts: str, text: str) -> Sent:
        """Edit a person's message; the app gets message_changed."""
        slack = self.platform
        with slack.lock:
            message = self.message(channel, ts)
            before = message.as_api()
            message.text, message.edited = escaped(text), True
            message.blocks = slack.workspace.with_ids(rich_text(message.text))
            return Sent(slack.emit_change(message, before), ts, channel)

    def unfurl(self, channel: str, ts: str) -> Sent:
        """Let Slack attach a link's preview: message_changed, though nobody edited."""
        slack = self.platform
        with slack.lock:
            message = self.message(channel, ts)
            before = message.as_api()
            message.attachments = [{"id": 1, "title": "Preview", "from_url": "https://example.com"}]
            return Sent(slack.emit_change(message, before), ts, channel)

    def delete(self, channel: str, ts: str) -> Sent:
        """Delete a message; the app gets message_deleted, or a tombstone when it has replies."""
        with self.platform.lock:
            return Sent(remove(self.platform, self.message(channel, ts)), ts, channel)

    def message(self, channel: str, ts: str) -> Message:
        """Return a message that is there."""
        found = self.platform.workspace.find(channel, ts)
        if found is None:
            raise AssertionError(f"no message {ts} in {channel}")
        return found

    def open_assistant_thread(self, user: str, *, channel: str | None = None) -> Sent:
        """Open the assistant's panel, perhaps beside a channel; ``.ts`` is the new thread."""
        slack = self.platform
        with slack.lock:
            place = slack.workspace.dm(user)
            subtype, text = "assistant_app_thread", "New Assistant Thread"
            root = slack.workspace.post(place.id, BOT_USER, text=text, subtype=subtype)
            root.thread_ts = root.ts
            event = self._assistant_event("assistant_thread_started", user, root.ts, channel)
            return Sent(event, root.ts, place.id)

    def change_assistant_context(self, user: str, thread_ts: str, channel: str) -> Sent:
        """Look at another channel while the panel is open."""
        with self.platform.lock:
            name = "assistant_thread_context_changed"
            event = self._assistant_event(name, user, thread_ts, channel)
            return Sent(event, thread_ts, self.platform.workspace.dm(user).id)

    def _assistant_event(self, kind: str, user: str, thread: str, channel: str | None) -> str:
        context: dict[str, Any] = {}
        if channel:
            context = {"channel_id": channel, "team_id": TEAM, "enterprise_id": None}
        thread_body = {"user_id": user, "context": context, "thread_ts": thread}
        thread_body["channel_id"] = self.platform.workspace.dm(user).id
        ts = self.platform.workspace.new_ts()
        event = {"type": kind, "assistant_thread": thread_body, "event_ts": ts}
        return self.platform.emit(event, kind)

    def join(self, channel: str, user: str = BOT_USER) -> None:
        """Let somebody, the bot by default, into a channel; the bot gets the event."""
        with self.platform.lock:
            self.platform.workspace.channels[channel].members.append(user)
            event = {"type": "member_joined_channel", "user": user, "channel": channel}
            event |= {"channel_type": "C", "team": TEAM}
            event["event_ts"] = self.platform.workspace.new_ts()
            self.platform.emit(event, "member_joined_channel")

    def resend(self, event_id: str, retry_num: int = 1, reason: str = "timeout") -> None:
        """Send an event once more, with the same event_id, as Slack's retries do."""
        payload = self.platform.sent_events[str(event_id)]
        envelope = Envelope("events_api", payload, attempt=retry_num, reason=reason)
        self.platform.send(envelope)
