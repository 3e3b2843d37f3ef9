"""What every part of the fake shares: the workspace, the book of violations, the way out."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import blockkit
from .rates import Rates
from .rules import Ledger, Refusal
from .workspace import APP, BOT_USER, TEAM, Channel, Clock, Message, Workspace

TRIGGER_S = 3.0


@dataclass
class Envelope:
    """Something for the app: an event, an interaction or a command."""

    kind: str  # events_api, interactive, slash_commands
    payload: dict[str, Any]
    id: str = ""
    accepts_response: bool = False
    answered: Callable[[dict[str, Any] | None], None] | None = None
    failed: Callable[[str], None] | None = None  # what the person sees when no one acknowledges
    attempt: int = 0
    reason: str = ""
    sent_at: float | None = None
    done: bool = False


@dataclass
class Trigger:
    """A trigger_id: good for three seconds, once."""

    user: str
    at: float
    used: bool = False


@dataclass
class Platform:
    """The shared state; whoever changes it holds `lock`."""

    events: frozenset[str]
    scopes: frozenset[str] | None  # None: every scope
    clock: Clock = field(default_factory=Clock)
    ledger: Ledger = field(default_factory=Ledger)
    lock: threading.Condition = field(default_factory=threading.Condition)
    address: str = ""
    send: Callable[[Envelope], None] = lambda envelope: None
    hook: Callable[..., str] = lambda *_, **__: ""  # makes a response_url
    triggers: dict[str, Trigger] = field(default_factory=dict)
    envelopes: dict[str, Envelope] = field(default_factory=dict)
    sent_events: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workspace = Workspace(self.clock)
        self.rates = Rates(self.clock, self.ledger)

    def emit(self, event: dict[str, Any], subscription: str) -> str:
        """Send an event to the app, if it subscribed, and return its id."""
        event_id = self.workspace.new_id("Ev")
        payload = {
            "token": "verification",
            "team_id": TEAM,
            "context_team_id": TEAM,
            "context_enterprise_id": None,
            "api_app_id": APP,
            "event": event,
            "type": "event_callback",
            "event_id": event_id,
            "event_time": int(self.clock.now()),
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": TEAM,
                    "user_id": BOT_USER,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": False,
            "event_context": f"4-{event_id}",
        }
        if subscription in self.events:
            self.sent_events[event_id] = payload
            self.send(Envelope("events_api", payload))
        return event_id

    def emit_message(self, message: Message, event: dict[str, Any] | None = None) -> str:
        """Send the message event of a channel the bot is in; the bot's own messages too."""
        channel = self.workspace.channels[message.channel]
        if BOT_USER not in channel.members or message.ephemeral_to:
            return ""
        body = event or message.as_api()
        body = {**body, "channel": channel.id, "channel_type": channel.kind}
        names = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}
        stamped = {"event_ts": body.get("event_ts") or body["ts"], **body}
        return self.emit(stamped, f"message.{names[channel.kind]}")

    def emit_change(self, message: Message, before: dict[str, Any]) -> str:
        """Send message_changed: https://docs.slack.dev/reference/events/message/message_changed."""
        ts = self.workspace.new_ts()
        replies = self.workspace.replies(message.channel, message.ts)
        after = message.as_api(replies)
        event: dict[str, Any] = {"type": "message", "subtype": "message_changed"}
        event["message"] = after
        event |= {"previous_message": before, "hidden": True, "ts": ts, "event_ts": ts}
        return self.emit_message(message, event)

    def new_trigger(self, user: str) -> str:
        """Return a trigger_id: https://docs.slack.dev/interactivity/handling-user-interaction."""
        identifier = (
            f"{secrets.randbelow(10**10)}.{secrets.randbelow(10**10)}.{secrets.token_hex(16)}"
        )
        self.triggers[identifier] = Trigger(user, self.clock.now())
        return identifier

    def use_trigger(self, identifier: Any) -> str:
        """Return the user of a trigger_id, which is then spent.

        Raises:
            Refusal: It is unknown, older than three seconds, or spent already.
        """
        trigger = self.triggers.get(identifier)
        if trigger is None:
            raise self.broken("arguments", f"trigger_id {identifier!r}", "invalid_trigger_id")
        if trigger.used:
            raise self.broken("trigger_once", "trigger_id used twice", "exchanged_trigger_id")
        age = self.clock.now() - trigger.at
        if age > TRIGGER_S:
            raise self.broken("trigger_3s", f"trigger_id {age:.1f} s old", "expired_trigger_id")
        trigger.used = True
        return trigger.user

    def broken(self, rule: str, detail: str, error: str, **fields: Any) -> Refusal:
        """Write a violation down and return the refusal to raise."""
        self.ledger.record(rule, detail)
        return Refusal(error, fields=fields)

    def check_blocks(self, blocks: Any, surface: str, where: str) -> None:
        """Check blocks as Slack does.

        Raises:
            Refusal: They are not valid.
        """
        found = blockkit.problems(blocks, surface)
        for problem in found:
            self.ledger.record(problem.rule, f"{where}: {problem.message} at {problem.at}")
        if found:
            error = "invalid_blocks" if surface == "message" else "invalid_arguments"
            raise Refusal(error, messages=[str(problem) for problem in found])

    def writable(self, identifier: Any, where: str) -> Channel:
        """Return a channel in which the bot may post.

        Raises:
            Refusal: There is none, it is archived, or the bot is not in it.
        """
        channel = self.workspace.channel(str(identifier))
        if channel.archived:
            raise Refusal("is_archived")
        if BOT_USER not in channel.members:
            error = "not_in_channel" if channel.kind == "channel" else "channel_not_found"
            raise self.broken("not_in_channel", f"{where}: {channel.id}", error)
        return channel
