"""A workspace as Slack keeps it: people, channels, messages, views; no network in it.

Everything here is guarded by the one lock of `Platform`; the functions take it for granted.
"""

from __future__ import annotations

import itertools
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from .rules import Refusal

TEAM, APP, BOT, BOT_USER = "T0FAKE", "A0FAKE", "B0FAKE", "U0BOT"
DOMAIN = "fake"
TS = re.compile(r"\d{9,11}\.\d{6}")
TOKENS = re.compile(r"(<(?:[@#!][^<>]+|https?://[^<>]+|mailto:[^<>]+)>)")


class Clock:
    """The time in the workspace; `advance` lets minutes pass at once."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Return seconds since 1970."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds


@dataclass
class User:
    """A person, or the bot's own user."""

    id: str
    name: str
    email: str = ""
    real_name: str = ""
    tz: str = "Asia/Shanghai"
    tz_offset: int = 28800
    locale: str = "zh-CN"
    is_bot: bool = False
    deleted: bool = False
    restricted: bool = False  # a guest

    def as_api(self, *, email: bool) -> dict[str, Any]:
        """Return the user object; the address needs a scope of its own."""
        profile = {"real_name": self.real_name, "display_name": self.name, "team": TEAM}
        if email and self.email:
            profile["email"] = self.email
        return {
            "id": self.id,
            "team_id": TEAM,
            "name": self.name,
            "deleted": self.deleted,
            "real_name": self.real_name,
            "tz": self.tz,
            "tz_offset": self.tz_offset,
            "locale": self.locale,
            "is_bot": self.is_bot,
            "is_restricted": self.restricted,
            "is_ultra_restricted": False,
            "is_app_user": False,
            "profile": profile,
        }


@dataclass
class Channel:
    """A conversation: ``channel``, ``group`` (private), ``im`` or ``mpim``."""

    id: str
    name: str
    kind: str = "channel"
    members: list[str] = field(default_factory=list)
    archived: bool = False

    def as_api(self) -> dict[str, Any]:
        """Return the conversation object."""
        shared = {
            "id": self.id,
            "created": 1700000000,
            "is_archived": self.archived,
            "is_channel": self.kind == "channel",
            "is_group": self.kind == "group",
            "is_im": self.kind == "im",
            "is_mpim": self.kind == "mpim",
            "is_private": self.kind != "channel",
            "is_ext_shared": False,
        }
        if self.kind == "im":
            other = next(member for member in self.members if member != BOT_USER)
            return {**shared, "user": other, "is_user_deleted": False}
        member = BOT_USER in self.members
        return {**shared, "name": self.name, "is_member": member, "num_members": len(self.members)}


@dataclass
class Message:
    """A message as it stands now; an ephemeral one names the only user who sees it."""

    channel: str
    ts: str
    user: str
    text: str = ""
    blocks: list[dict[str, Any]] = field(default_factory=list)
    thread_ts: str | None = None
    subtype: str | None = None
    ephemeral_to: str | None = None
    edited: bool = False
    deleted: bool = False
    stream: str | None = None  # streaming, stopped, message_not_in_streaming_state, stopped_by_user
    metadata: dict[str, Any] | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    client_msg_id: str | None = None

    @property
    def by_bot(self) -> bool:
        """Whether the app posted it."""
        return self.user == BOT_USER

    @property
    def shown(self) -> str:
        """What a reader sees of it as plain text: the blocks where there are any, else the text."""
        return "\n".join(filter(None, texts_of(self.blocks))) if self.blocks else self.text

    def as_api(self, replies: list[Message] | None = None) -> dict[str, Any]:
        """Return the message object; `replies` makes it the parent of a thread."""
        body: dict[str, Any] = {"type": "message", "user": self.user, "ts": self.ts}
        body |= {"team": TEAM, "text": self.text}
        if self.by_bot:
            profile = {"id": BOT, "app_id": APP, "name": "bot", "team_id": TEAM, "deleted": False}
            body |= {"bot_id": BOT, "app_id": APP, "bot_profile": profile}
        if self.edited:
            body["edited"] = {"user": self.user, "ts": self.ts}
        if self.reactions:
            body["reactions"] = [
                {"name": name, "users": users, "count": len(users)}
                for name, users in self.reactions.items()
            ]
        # Slack makes a rich_text block of a text that came without blocks.
        if self.blocks or self.text:
            body["blocks"] = self.blocks or rich_text(self.text)
        optional = ("subtype", "metadata", "attachments", "client_msg_id", "thread_ts")
        body |= {name: getattr(self, name) for name in optional if getattr(self, name)}
        if replies:
            body |= {"thread_ts": self.ts, "reply_count": len(replies), "is_locked": False}
            body |= {"latest_reply": replies[-1].ts, "reply_users": [r.user for r in replies]}
        return body


def rich_text(text: str) -> list[dict[str, Any]]:
    """Return the block that Slack's editor makes of a typed text."""
    elements: list[dict[str, Any]] = []
    for part in TOKENS.split(text):
        if part.startswith("<@"):
            elements.append({"type": "user", "user_id": part[2:-1]})
        elif part:
            elements.append({"type": "text", "text": part})
    section = {"type": "rich_text_section", "elements": elements}
    return [{"type": "rich_text", "elements": [section]}]


def texts_of(blocks: Any) -> list[str]:
    """Return every text in blocks, in reading order."""
    if isinstance(blocks, list):
        return [text for part in blocks for text in texts_of(part)]
    found: list[str] = []
    for key, part in blocks.items() if isinstance(blocks, dict) else ():
        if key == "text" and isinstance(part, str):
            found.append(part)
        elif isinstance(part, dict | list):
            found += texts_of(part)
    return found


class Workspace:
    """Who and what there is."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.posts: dict[str, list[Message]] = {}
        self.views: dict[str, dict[str, Any]] = {}
        self.homes: dict[str, dict[str, Any]] = {}
        self.statuses: list[tuple[str, str, str]] = []  # (channel, thread_ts, status), oldest first
        self.prompts: dict[tuple[str, str], list[dict[str, str]]] = {}
        self.titles: dict[tuple[str, str], str] = {}
        self._numbers = itertools.count(1)
        self._last_ts = 0
        self.add_user(User(BOT_USER, "bot", real_name="Bot", is_bot=True))
        self.add_user(User("USLACKBOT", "slackbot", real_name="Slackbot"))

    def add_user(self, user: User) -> None:
        """Let somebody in."""
        user.real_name = user.real_name or user.name
        self.users[user.id] = user

    def add_channel(self, channel: Channel) -> None:
        """Open a conversation."""
        self.channels[channel.id] = channel
        self.posts.setdefault(channel.id, [])

    def dm(self, user: str) -> Channel:
        """Return the conversation between the bot and somebody, opened when it is new."""
        identifier = f"D{user}"
        if identifier not in self.channels:
            self.add_channel(Channel(identifier, identifier, "im", [user, BOT_USER]))
        return self.channels[identifier]

    def new_id(self, prefix: str) -> str:
        """Return an identifier that nothing else has."""
        return f"{prefix}{next(self._numbers):08d}"

    def new_ts(self) -> str:
        """Return a timestamp later than every other."""
        self._last_ts = max(self._last_ts + 1, int(self.clock.now() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def post(self, channel: str, user: str, **fields: Any) -> Message:
        """Add a message."""
        message = Message(channel, self.new_ts(), user, **fields)
        if not message.by_bot and message.subtype is None:
            message.client_msg_id = str(uuid.uuid4())
        message.blocks = self.with_ids(message.blocks)
        self.posts[channel].append(message)
        return message

    def with_ids(self, blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Give every block and every interactive element the id that Slack makes up for it."""
        done = []
        for block in blocks:
            block = {"block_id": self.new_id("b"), **block}
            if block["type"] in ("actions", "context_actions"):
                block["elements"] = [
                    {"action_id": self.new_id("a"), **element} for element in block["elements"]
                ]
            done.append(block)
        return done

    def channel(self, identifier: str) -> Channel:
        """Return a conversation.

        Raises:
            Refusal: There is none by that name.
        """
        if identifier in self.users and identifier.startswith("U"):
            return self.dm(identifier)
        if identifier not in self.channels:
            raise Refusal("channel_not_found")
        return self.channels[identifier]

    def find(self, channel: str, ts: str, *, gone: bool = False) -> Message | None:
        """Return a message; a deleted one only when `gone`."""
        for message in self.posts.get(channel, []):
            if message.ts == ts and (gone or not message.deleted):
                return message
        return None

    def replies(self, channel: str, ts: str) -> list[Message]:
        """Return what everybody sees below a message."""
        return [
            m
            for m in self.posts[channel]
            if m.thread_ts == ts and m.ts != ts and not m.deleted and m.ephemeral_to is None
        ]
