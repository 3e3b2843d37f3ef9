"""The elements and text objects inside blocks, checked against their reference.

https://docs.slack.dev/reference/block-kit/block-elements and …/composition-objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """Something Slack refuses, where it is, and the rule of `RULES` that it breaks."""

    rule: str
    message: str
    at: str

    def __str__(self) -> str:
        return f"[ERROR] {self.message} [json-pointer:{self.at}]"


class Pointer(str):
    """A JSON pointer that grows with ``/``."""

    def __truediv__(self, part: str | int) -> Pointer:
        return Pointer(f"{self}/{part}")


SELECTS = {
    f"{many}{what}_select"
    for many in ("", "multi_")
    for what in ("static", "external", "users", "conversations", "channels")
}
PICKERS = {"datepicker", "timepicker", "datetimepicker", "checkboxes", "radio_buttons"}
INPUTS = {
    *("plain_text_input", "email_text_input", "url_text_input", "number_input", "file_input"),
    "rich_text_input",
}
PLACES = {
    "section": {"button", "image", "overflow", "workflow_button"} | SELECTS | PICKERS,
    "actions": {"button", "overflow", "workflow_button", "rich_text_input"}
    | {name for name in SELECTS if not name.startswith("multi_")}
    | PICKERS,
    "context": {"image"},
    "context_actions": {"feedback_buttons", "icon_button"},
    "input": INPUTS | SELECTS | PICKERS,
}
KEYS = {
    "button": {
        *("text", "action_id", "url", "value", "style", "confirm", "accessibility_label"),
        "agent_prompt",
    },
    "feedback_buttons": {"action_id", "positive_button", "negative_button"},
    "icon_button": {
        *("icon", "text", "action_id", "value", "confirm", "accessibility_label"),
        "visible_to_user_ids",
    },
    "image": {"image_url", "slack_file", "alt_text"},
}
OPTIONS = {"overflow": 5, "checkboxes": 10, "radio_buttons": 10}


def length(
    rule: str, text: Any, most: int | None, at: Pointer, *, least: int = 0
) -> Iterator[Problem]:
    """Check that a text, where there is one, is neither too short nor too long."""
    if text is None and least == 0:
        return
    if not isinstance(text, str):
        yield Problem(rule, "missing required field" if text is None else "must be a string", at)
    elif len(text) < least:
        yield Problem(rule, f"must be more than {least - 1} characters", at)
    elif most is not None and len(text) > most:
        yield Problem(rule, f"must be less than {most + 1} characters, not {len(text)}", at)


def strangers(thing: dict[str, Any], known: set[str], at: Pointer) -> Iterator[Problem]:
    """Name the keys that Slack's schema does not have."""
    for key in sorted(set(thing) - known):
        yield Problem("block", f"invalid additional property: {key}", at)


def check_text(text: Any, at: Pointer, most: int, *, plain: bool = False) -> Iterator[Problem]:
    """Check a text object."""
    if not isinstance(text, dict):
        yield Problem("block", "missing required field: a text object", at)
        return
    kind = text.get("type")
    if kind not in ({"plain_text"} if plain else {"plain_text", "mrkdwn"}):
        yield Problem("block", f"unsupported type: {kind}", at / "type")
        return
    keys = {"type", "text", "emoji"} if kind == "plain_text" else {"type", "text", "verbatim"}
    yield from strangers(text, keys, at)
    yield from length("block", text.get("text"), most, at / "text", least=1)


def check_element(element: Any, at: Pointer, place: str) -> Iterator[Problem]:
    """Check an element of a block."""
    kind = element.get("type") if isinstance(element, dict) else None
    if kind not in PLACES[place]:
        yield Problem("element_type", f"unsupported type in {place}: {kind}", at / "type")
        return
    if kind in KEYS:
        yield from strangers(element, KEYS[kind] | {"type"}, at)
    yield from length("action_id", element.get("action_id"), 255, at / "action_id", least=0)
    if kind == "button":
        yield from _button(element, at)
    elif kind == "feedback_buttons":
        for name in ("positive_button", "negative_button"):
            yield from _feedback(element.get(name), at / name)
    elif kind == "image":
        yield from length("element", element.get("alt_text"), 2000, at / "alt_text", least=1)
        yield from length("element", element.get("image_url"), 3000, at / "image_url")
    elif kind in OPTIONS or kind.endswith("static_select"):
        yield from _options(element, at, OPTIONS.get(kind, 100))
    if "placeholder" in element:
        yield from check_text(element["placeholder"], at / "placeholder", 150, plain=True)
    if "confirm" in element:
        yield from _confirm(element["confirm"], at / "confirm")
    if kind == "plain_text_input" and element.get("max_length", 1) > 3000:
        yield Problem("element", "max_length is at most 3000", at / "max_length")


def _button(element: dict[str, Any], at: Pointer) -> Iterator[Problem]:
    yield from check_text(element.get("text"), at / "text", 75, plain=True)
    yield from length("element", element.get("value"), 2000, at / "value")
    yield from length("element", element.get("url"), 3000, at / "url")
    yield from length("element", element.get("accessibility_label"), 75, at)
    if element.get("style", "primary") not in ("primary", "danger"):
        yield Problem("element", f"unknown style: {element['style']}", at / "style")


def _feedback(button: Any, at: Pointer) -> Iterator[Problem]:
    if not isinstance(button, dict):
        yield Problem("element", "missing required field", at)
        return
    yield from check_text(button.get("text"), at / "text", 75, plain=True)
    yield from length("element", button.get("value"), 2000, at / "value", least=1)
    yield from length("element", button.get("accessibility_label"), 75, at)


def _options(element: dict[str, Any], at: Pointer, most: int) -> Iterator[Problem]:
    groups = element.get("option_groups") or [{"options": element.get("options", [])}]
    for group in groups:
        options = group.get("options", [])
        if not 1 <= len(options) <= most:
            yield Problem("element", f"between 1 and {most} options, not {len(options)}", at)
        for number, option in enumerate(options):
            here = at / "options" / number
            yield from check_text(option.get("text"), here / "text", 75)
            yield from length("element", option.get("value"), 150, here / "value", least=1)


def _confirm(confirm: Any, at: Pointer) -> Iterator[Problem]:
    if not isinstance(confirm, dict):
        yield Problem("element", "must be a confirmation object", at)
        return
    for name, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
        yield from check_text(confirm.get(name), at / name, most, plain=name != "text")
