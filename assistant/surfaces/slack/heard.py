"""What a Slack message says, as a question for the assistant; and what a thread said before it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from assistant.followup import complete
from assistant.surfaces.slack.mrkdwn import unescape
from assistant.types import Message

# Subtypes of messages that people write; all others tell of joins, topics, bots and the like.
WRITTEN = frozenset({None, "file_share", "thread_broadcast", "me_message"})
_REFERENCE = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
_EARLIER = 10
_UNDERSTOOD_CHARS = 500


def is_from_person(event: dict[str, Any], bot_user: str) -> bool:
    """Tell whether a person wrote it; no bot is ever answered, so that none can talk in circles."""
    user = event.get("user")
    bot = event.get("bot_id") or event.get("bot_profile") or event.get("subtype") not in WRITTEN
    return bool(user) and not bot and user not in (bot_user, "USLACKBOT")


def mentioned(text: str) -> frozenset[str]:
    """Return the users that a message mentions."""
    return frozenset(_MENTION.findall(text))


def question_text(text: str, bot_user: str) -> str:
    """Return what was asked: no mention of the bot, links and names as people see them."""

    def shown(found: re.Match[str]) -> str:
        sign, target, label = found.groups()
        if sign == "@":
            return "" if target == bot_user else f"@{label or target}"
        if sign == "#":
            return f"#{label or target}"
        return "" if sign == "!" else label or target

    return " ".join(unescape(_REFERENCE.sub(shown, text)).split(" ")).strip()


def in_context(text: str, earlier: Iterable[dict[str, Any]], bot_user: str) -> str:
    """Return a question made complete by what people wrote before it, if it needs that."""
    said = [
        Message("user", question_text(str(message.get("text", "")), bot_user), datetime.now(UTC))
        for message in earlier
        if is_from_person(message, bot_user)
    ]
    asked = [message for message in said if message.text][-_EARLIER:]
    return complete(text, asked, _UNDERSTOOD_CHARS)
