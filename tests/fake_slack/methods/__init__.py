"""The Web API methods a bot may call, by name: https://docs.slack.dev/reference/methods.

A method takes the platform and the arguments and returns what Slack adds to ``{"ok": true}``, or
raises `Refusal`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..platform import Platform
from . import assistant, chat, lookups, streams, views

Method = Callable[[Platform, dict[str, Any]], dict[str, Any]]
METHODS: dict[str, Method] = {
    **chat.METHODS,
    **streams.METHODS,
    **lookups.METHODS,
    **assistant.METHODS,
    **views.METHODS,
}
# One of these scopes is enough: https://docs.slack.dev/reference/scopes.
CHANNEL_READ = ("channels:read", "groups:read", "im:read", "mpim:read")
CHANNEL_HISTORY = ("channels:history", "groups:history", "im:history", "mpim:history")
SCOPES: dict[str, tuple[str, ...]] = {
    **{name: ("chat:write",) for name in METHODS if name.startswith("chat.")},
    "conversations.info": CHANNEL_READ,
    "conversations.members": CHANNEL_READ,
    "conversations.history": CHANNEL_HISTORY,
    "conversations.replies": CHANNEL_HISTORY,
    "conversations.open": ("im:write", "mpim:write", "channels:manage"),
    "users.info": ("users:read",),
    "bots.info": ("users:read",),
    "users.lookupByEmail": ("users:read.email",),
    "team.info": ("team:read",),
    "reactions.add": ("reactions:write",),
    "reactions.remove": ("reactions:write",),
    "assistant.threads.setStatus": ("assistant:write", "chat:write"),
    "assistant.threads.setSuggestedPrompts": ("assistant:write",),
    "assistant.threads.setTitle": ("assistant:write",),
}
