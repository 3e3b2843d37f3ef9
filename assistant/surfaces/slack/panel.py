"""Slack's side panel: what it suggests to ask when somebody opens it."""

from __future__ import annotations

from typing import Any

from assistant.surfaces.slack.api import SlackApi
from assistant.surfaces.slack.identity import Directory
from assistant.surfaces.slack.store import SlackStore
from assistant.surfaces.slack.wording import texts

_PROMPTS = 4


class Panel:
    """Serves the panel, in both of Slack's forms of it (assistant view and agent view)."""

    def __init__(self, api: SlackApi, store: SlackStore, directory: Directory) -> None:
        self._api = api
        self._store = store
        self._directory = directory

    def opened(self, body: dict[str, Any]) -> None:
        """Note a thread of the panel: what is said there needs no thread of its own."""
        thread = body["event"]["assistant_thread"]
        self._store.join(thread["channel_id"], thread["thread_ts"])

    def suggest(self, body: dict[str, Any]) -> None:
        """Suggest questions in a thread of the panel."""
        thread = body["event"]["assistant_thread"]
        self._suggest(thread["user_id"], thread["channel_id"], thread_ts=thread["thread_ts"])

    def suggest_at_home(self, body: dict[str, Any]) -> None:
        """Suggest questions where the panel is the bot's own conversation."""
        event = body["event"]
        if event.get("tab") == "messages":
            self._suggest(event["user"], event["channel"])

    def _suggest(self, user: str, channel: str, **thread: str) -> None:
        words = texts(self._directory.person(user).language or "zh")
        prompts = [
            {"title": words(f"prompt_{n}"), "message": words(f"prompt_{n}_message")}
            for n in range(1, _PROMPTS + 1)
        ]
        self._api.try_call(
            "assistant.threads.setSuggestedPrompts",
            patience_s=10.0,
            channel_id=channel,
            title=words("panel_title"),
            prompts=prompts,
            **thread,
        )
