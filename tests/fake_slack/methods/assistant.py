"""The assistant's thread: status, suggested prompts, title.

https://docs.slack.dev/reference/methods/assistant.threads.setStatus
"""

from __future__ import annotations

from typing import Any

from ..platform import Platform
from ..rules import Refusal

LOADING_MESSAGES, PROMPTS = 10, 4


def set_status(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Show what the bot is doing; an empty status shows nothing."""
    key = _thread(slack, given, "assistant.threads.setStatus")
    if not isinstance(given.get("status"), str):
        raise slack.broken("arguments", "setStatus without status", "invalid_arguments")
    loading = given.get("loading_messages") or []
    if len(loading) > LOADING_MESSAGES:
        detail = f"{len(loading)} loading messages"
        raise slack.broken("loading_messages_10", detail, "invalid_arguments")
    slack.workspace.statuses.append((*key, given["status"]))
    return {}


def set_suggested_prompts(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Offer up to four questions."""
    key = _thread(slack, given, "assistant.threads.setSuggestedPrompts")
    prompts = given.get("prompts")
    if not isinstance(prompts, list) or not all(map(_is_prompt, prompts)):
        detail = "setSuggestedPrompts: each prompt needs a title and a message"
        raise slack.broken("arguments", detail, "invalid_arguments")
    if len(prompts) > PROMPTS:
        raise slack.broken("prompts_4", f"{len(prompts)} prompts", "invalid_arguments")
    slack.workspace.prompts[key] = prompts
    return {}


def set_title(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Name the thread."""
    key = _thread(slack, given, "assistant.threads.setTitle")
    slack.workspace.titles[key] = str(given.get("title", ""))
    return {}


def _is_prompt(prompt: Any) -> bool:
    return isinstance(prompt, dict) and bool(prompt.get("title") and prompt.get("message"))


def _thread(slack: Platform, given: dict[str, Any], where: str) -> tuple[str, str]:
    channel = slack.workspace.channel(str(given.get("channel_id")))
    thread_ts = str(given.get("thread_ts"))
    message = slack.workspace.find(channel.id, thread_ts, gone=True)
    if message is None:
        detail = f"{where}: no thread {thread_ts} in {channel.id}"
        raise slack.broken("status_thread", detail, "invalid_thread_ts")
    if message.deleted:
        raise Refusal("invalid_thread_ts")
    return channel.id, thread_ts


METHODS = {
    "assistant.threads.setStatus": set_status,
    "assistant.threads.setSuggestedPrompts": set_suggested_prompts,
    "assistant.threads.setTitle": set_title,
}
