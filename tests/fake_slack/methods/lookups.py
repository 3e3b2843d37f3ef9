"""Reading: who am I, who are they, what was said; and reactions."""

from __future__ import annotations

import base64
from typing import Any

from ..platform import Platform
from ..rules import Refusal
from ..workspace import APP, BOT, BOT_USER, DOMAIN, TEAM, Channel, Message


def auth_test(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Say who the token is: https://docs.slack.dev/reference/methods/auth.test."""
    return {
        "url": f"https://{DOMAIN}.slack.com/",
        "team": DOMAIN,
        "user": "bot",
        "team_id": TEAM,
        "user_id": BOT_USER,
        "bot_id": BOT,
        "is_enterprise_install": False,
    }


def team_info(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Describe the workspace."""
    return {"team": {"id": TEAM, "name": DOMAIN, "domain": DOMAIN, "email_domain": "example.com"}}


def bots_info(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Describe a bot."""
    if given.get("bot") != BOT:
        raise Refusal("bot_not_found")
    return {"bot": {"id": BOT, "app_id": APP, "user_id": BOT_USER, "name": "bot", "deleted": False}}


def users_info(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Describe somebody; the address only with users:read.email."""
    user = slack.workspace.users.get(str(given.get("user")))
    if user is None:
        raise Refusal("user_not_found")
    return {"user": user.as_api(email=slack.scopes is None or "users:read.email" in slack.scopes)}


def users_lookup_by_email(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Find somebody by address."""
    email = str(given.get("email") or "").lower()
    for user in slack.workspace.users.values():
        if user.email and user.email.lower() == email and not user.deleted:
            return {"user": user.as_api(email=True)}
    raise Refusal("users_not_found")


def conversations_info(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Describe a conversation."""
    return {"channel": _visible(slack, given).as_api()}


def conversations_members(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """List who is in a conversation."""
    members = _visible(slack, given).members
    page, more = _page(members, given, 100)
    return {"members": page, "response_metadata": more}


def conversations_open(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Open the direct conversation with somebody."""
    users = given.get("users") or ""
    names = users if isinstance(users, list) else users.split(",")
    if len(names) != 1 or names[0] not in slack.workspace.users:
        raise Refusal("user_not_found" if len(names) == 1 else "not_supported_by_this_fake")
    return {"channel": {"id": slack.workspace.dm(names[0]).id}}


def conversations_history(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """List the messages of a conversation, the newest first, without the replies."""
    channel = _readable(slack, given)
    posts = [m for m in _public(slack, channel) if m.thread_ts in (None, m.ts)]
    page, more = _page([m for m in reversed(posts) if _within(m, given)], given, 100)
    body = [m.as_api(slack.workspace.replies(channel.id, m.ts)) for m in page]
    return {"messages": body, "has_more": bool(more), "response_metadata": more}


def conversations_replies(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """List a thread: the parent, then the replies, the oldest first."""
    channel = _readable(slack, given)
    ts = str(given.get("ts"))
    asked = slack.workspace.find(channel.id, ts, gone=True)
    root = (asked.thread_ts or ts) if asked else ts
    first = slack.workspace.find(channel.id, root)
    replies = slack.workspace.replies(channel.id, root)
    if asked is None or (first is None and not replies):
        raise Refusal("thread_not_found")
    rest = [m for m in replies if _within(m, given)]
    page, more = _page(([first] if first else []) + rest, given, 1000)
    body = [m.as_api(replies if m is first else None) for m in page]
    if not given.get("include_all_metadata"):
        body = [{key: v for key, v in m.items() if key != "metadata"} for m in body]
    return {"messages": body, "has_more": bool(more), "response_metadata": more}


def reactions_add(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """React to a message."""
    message, name = _reacted(slack, given)
    users = message.reactions.setdefault(name, [])
    if BOT_USER in users:
        raise Refusal("already_reacted")
    users.append(BOT_USER)
    return {}


def reactions_remove(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Take a reaction back."""
    message, name = _reacted(slack, given)
    if BOT_USER not in message.reactions.get(name, []):
        raise Refusal("no_reaction")
    message.reactions[name].remove(BOT_USER)
    if not message.reactions[name]:
        del message.reactions[name]
    return {}


def _reacted(slack: Platform, given: dict[str, Any]) -> tuple[Message, str]:
    channel = _readable(slack, given)
    message = slack.workspace.find(channel.id, str(given.get("timestamp")))
    if message is None:
        raise Refusal("message_not_found")
    return message, str(given.get("name"))


def _visible(slack: Platform, given: dict[str, Any]) -> Channel:
    channel = slack.workspace.channel(str(given.get("channel")))
    if channel.kind != "channel" and BOT_USER not in channel.members:
        raise Refusal("channel_not_found")
    return channel


def _readable(slack: Platform, given: dict[str, Any]) -> Channel:
    channel = _visible(slack, given)
    if BOT_USER not in channel.members:
        raise Refusal("not_in_channel")
    return channel


def _public(slack: Platform, channel: Channel) -> list[Message]:
    posts = slack.workspace.posts[channel.id]
    return [m for m in posts if not m.deleted and m.ephemeral_to is None]


def _within(message: Message, given: dict[str, Any]) -> bool:
    ts, inclusive = float(message.ts), str(given.get("inclusive")).lower() in ("1", "true")
    oldest, latest = float(given.get("oldest") or 0), float(given.get("latest") or "inf")
    return oldest < ts < latest or (inclusive and ts in (oldest, latest))


def _page(items: list[Any], given: dict[str, Any], usual: int) -> tuple[list[Any], dict[str, str]]:
    start = int(base64.b64decode(given["cursor"])) if given.get("cursor") else 0
    end = start + min(int(given.get("limit") or usual), 1000)
    more = {"next_cursor": base64.b64encode(str(end).encode()).decode()}
    return items[start:end], more if end < len(items) else {}


METHODS = {
    "auth.test": auth_test,
    "team.info": team_info,
    "bots.info": bots_info,
    "users.info": users_info,
    "users.lookupByEmail": users_lookup_by_email,
    "conversations.info": conversations_info,
    "conversations.members": conversations_members,
    "conversations.open": conversations_open,
    "conversations.history": conversations_history,
    "conversations.replies": conversations_replies,
    "reactions.add": reactions_add,
    "reactions.remove": reactions_remove,
}
