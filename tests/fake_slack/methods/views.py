"""views.open, push, update and publish: https://docs.slack.dev/reference/views."""

from __future__ import annotations

import json
from typing import Any

from ..platform import Platform
from ..rules import Refusal
from ..workspace import APP, BOT, TEAM

TEXTS = {"title": 24, "submit": 24, "close": 24}
STRINGS = {"private_metadata": 3000, "callback_id": 255, "external_id": 255}
KEYS = {
    *("type", "title", "blocks", "close", "submit", "private_metadata", "callback_id"),
    *("clear_on_close", "notify_on_close", "external_id", "submit_disabled"),
}
BYTES = 250_000


def checked(slack: Platform, view: Any, where: str) -> dict[str, Any]:
    """Check a view as Slack does.

    Raises:
        Refusal: It is not valid.
    """
    if not isinstance(view, dict) or view.get("type") not in ("modal", "home"):
        raise slack.broken("view", f"{where}: neither modal nor home", "invalid_arguments")
    if len(json.dumps(view, ensure_ascii=False).encode()) > BYTES:
        raise slack.broken("view", f"{where}: larger than 250 kB", "view_too_large")
    found = [f"unknown key {key}" for key in sorted(set(view) - KEYS)]
    for name, most in TEXTS.items():
        text = view.get(name)
        if text is None and (name != "title" or view["type"] == "home"):
            continue
        length = len(text.get("text", "")) if isinstance(text, dict) else 0
        kind = text.get("type") if isinstance(text, dict) else None
        if not 1 <= length <= most or kind != "plain_text":
            found.append(f"{name} must be plain text of 1 to {most} characters, not {length}")
    for name, most in STRINGS.items():
        if len(view.get(name) or "") > most:
            found.append(f"{name} is longer than {most} characters")
    inputs = any(isinstance(b, dict) and b.get("type") == "input" for b in view.get("blocks", []))
    if view["type"] == "modal" and inputs and "submit" not in view:
        found.append("a modal with an input needs submit")
    if not view.get("blocks"):
        found.append("a view needs 1 to 100 blocks")
    for problem in found:
        slack.ledger.record("view", f"{where}: {problem}")
    if found:
        raise Refusal("invalid_arguments", messages=[f"[ERROR] {p}" for p in found])
    slack.check_blocks(view["blocks"], view["type"], where)
    return view


def show(slack: Platform, view: dict[str, Any], user: str, root: str = "") -> dict[str, Any]:
    """Put a checked view before somebody, and return it as Slack describes it."""
    identifier = slack.workspace.new_id("V")
    shown = {
        "private_metadata": "",
        "callback_id": "",
        "external_id": "",
        "submit": None,
        "close": None,
        "clear_on_close": False,
        "notify_on_close": False,
        **view,
        "id": identifier,
        "team_id": TEAM,
        "app_id": APP,
        "bot_id": BOT,
        "root_view_id": root or identifier,
        "hash": f"{slack.clock.now():.6f}",
        "state": {"values": {}},
        "blocks": slack.workspace.with_ids(view["blocks"]),
        "app_installed_team_id": TEAM,
        "previous_view_id": None,
        "_user": user,
    }
    slack.workspace.views[identifier] = shown
    return shown


def public(view: dict[str, Any]) -> dict[str, Any]:
    """Return a view without what only the fake knows."""
    return {key: value for key, value in view.items() if not key.startswith("_")}


def open_(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Open a modal."""
    user = slack.use_trigger(given.get("trigger_id"))
    view = checked(slack, given.get("view"), "views.open")
    return {"view": public(show(slack, view, user))}


def push(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Put a modal on top of the one that is open."""
    user = slack.use_trigger(given.get("trigger_id"))
    view = checked(slack, given.get("view"), "views.push")
    below = [v for v in slack.workspace.views.values() if v["_user"] == user]
    if len(below) >= 3:
        raise slack.broken("view", "more than three views on a stack", "push_limit_reached")
    root = below[0]["root_view_id"] if below else ""
    return {"view": public(show(slack, view, user, root))}


def update(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Replace a modal that is open."""
    views = slack.workspace.views
    old = views.get(str(given.get("view_id"))) or next(
        (v for v in views.values() if v["external_id"] == (given.get("external_id") or object())),
        None,
    )
    if old is None:
        raise Refusal("not_found")
    if given.get("hash") and given["hash"] != old["hash"]:
        raise Refusal("hash_conflict")
    view = checked(slack, given.get("view"), "views.update")
    shown = show(slack, view, old["_user"], old["root_view_id"])
    del views[shown["id"]]
    views[old["id"]] = {**shown, "id": old["id"]}
    return {"view": public(views[old["id"]])}


def publish(slack: Platform, given: dict[str, Any]) -> dict[str, Any]:
    """Set somebody's Home tab."""
    user = str(given.get("user_id"))
    if user not in slack.workspace.users:
        raise slack.broken("arguments", f"views.publish for {user}", "invalid_arguments")
    view = checked(slack, given.get("view"), "views.publish")
    shown = show(slack, view, user)
    del slack.workspace.views[shown["id"]]
    slack.workspace.homes[user] = shown
    return {"view": public(shown)}


METHODS = {
    "views.open": open_,
    "views.push": push,
    "views.update": update,
    "views.publish": publish,
}
