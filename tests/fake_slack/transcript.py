"""A channel as people see it, as one HTML page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .mrkdwn import Names, emoji, escape, markdown, mrkdwn, rich_text
from .workspace import BOT_USER, Message, Workspace

STYLE = Path(__file__).with_name("transcript.css")
COLOURS = ("#4a154b", "#1264a3", "#2b8a5e", "#c0561f", "#7a3db8", "#a31246")


def page(workspace: Workspace, channel: str, viewer: str | None) -> str:
    """Return the page: every thread below its message, modals at the end."""
    place = workspace.channels[channel]
    posts = [
        message
        for message in workspace.posts[channel]
        if not message.deleted and (viewer is None or message.ephemeral_to in (None, viewer))
    ]
    tops = {m.ts for m in posts}
    body = []
    for message in posts:
        if message.thread_ts and message.thread_ts != message.ts and message.thread_ts in tops:
            continue
        body.append(_message(workspace, message))
        replies = [m for m in posts if m.thread_ts == message.ts and m.ts != message.ts]
        inner = [_message(workspace, reply) for reply in replies]
        inner.append(_below(workspace, channel, message.ts))
        if any(inner):
            body.append(f'<div class="thread">{"".join(inner)}</div>')
    views = [v for v in workspace.views.values() if viewer in (None, v["_user"])]
    body += [_modal(workspace, view) for view in views]
    title = f"@{_name(workspace, place.members[0])}" if place.kind == "im" else f"# {place.name}"
    return (
        f'<!doctype html><html lang="zh"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE.read_text('utf-8')}</style><h1>{escape(title)}</h1>"
        f"<main>{''.join(body)}</main></html>"
    )


def _name(workspace: Workspace, identifier: str) -> str:
    if identifier in workspace.users:
        return workspace.users[identifier].real_name
    if identifier in workspace.channels:
        return workspace.channels[identifier].name
    return identifier


def _names(workspace: Workspace) -> Names:
    return lambda identifier: _name(workspace, identifier)


def _message(workspace: Workspace, message: Message) -> str:
    user = workspace.users[message.user]
    colour = COLOURS[sum(map(ord, user.id)) % len(COLOURS)]
    time = datetime.fromtimestamp(float(message.ts), UTC) + timedelta(seconds=user.tz_offset)
    app = '<span class="app">APP</span>' if user.id == BOT_USER else ""
    private = "ephemeral" if message.ephemeral_to else ""
    notice = ""
    if message.ephemeral_to:
        reader = escape(_name(workspace, message.ephemeral_to))
        notice = f'<div class="notice">👁 Only visible to {reader}</div>'
    edited = ' <span class="edited">(edited)</span>' if message.edited else ""
    if message.stream == "streaming":
        edited += ' <span class="streaming">▍</span>'
    reactions = "".join(
        f'<span class="reaction">{emoji(f":{name}:")} {len(users)}</span>'
        for name, users in message.reactions.items()
    )
    return (
        f'<article class="{private}"><div class="avatar" style="background:{colour}">'
        f"{escape(user.real_name[:1].upper())}</div><div class=content>{notice}"
        f"<b>{escape(user.real_name)}</b> {app} <time>{time:%H:%M}</time>"
        f"{_body(workspace, message)}{edited}{reactions}</div></article>"
    )


def _body(workspace: Workspace, message: Message) -> str:
    names = _names(workspace)
    if not message.blocks:
        return f'<div class="text">{mrkdwn(message.text, names)}</div>'
    return "".join(_block(block, names) for block in message.blocks)


def _below(workspace: Workspace, channel: str, ts: str) -> str:
    prompts = workspace.prompts.get((channel, ts), [])
    shown = "".join(f'<span class="prompt">{escape(p["title"])}</span>' for p in prompts)
    statuses = [s for c, t, s in workspace.statuses if (c, t) == (channel, ts)]
    if statuses and statuses[-1]:
        shown += f'<div class="status">✨ {escape(statuses[-1])}</div>'
    return shown


def _modal(workspace: Workspace, view: dict[str, Any]) -> str:
    names = _names(workspace)
    blocks = "".join(_block(block, names) for block in view["blocks"])
    buttons = "".join(
        f'<span class="button">{escape(view[name]["text"])}</span>'
        for name in ("close", "submit")
        if view.get(name)
    )
    reader = escape(names(view["_user"]))
    title = escape(view["title"]["text"])
    return (
        f'<div class="modal"><div class="notice">👁 {reader}</div><h2>{title}</h2>'
        f"{blocks}<footer>{buttons}</footer></div>"
    )


def _text(text: dict[str, Any], names: Names) -> str:
    if text["type"] == "mrkdwn":
        return mrkdwn(text["text"], names)
    return emoji(escape(text["text"])).replace("\n", "<br>")


def _block(block: dict[str, Any], names: Names) -> str:
    render = BLOCKS.get(block["type"])
    if render is None:
        return f'<div class="unknown">[{escape(block["type"])}]</div>'
    return f'<div class="block {block["type"]}">{render(block, names)}</div>'


def _section(block: dict[str, Any], names: Names) -> str:
    text = _text(block["text"], names) if "text" in block else ""
    fields = "".join(f"<div>{_text(f, names)}</div>" for f in block.get("fields", []))
    accessory = _element(block["accessory"], names) if "accessory" in block else ""
    grid = f'<div class="fields">{fields}</div>' if fields else ""
    return f'<div class="grow">{text}{grid}</div>{accessory}'


def _element(element: dict[str, Any], names: Names) -> str:
    kind = element["type"]
    if kind == "button":
        text, style = _text(element["text"], names), element.get("style", "")
        return f'<span class="button {style}">{text}</span>'
    if kind == "feedback_buttons":
        pair = (element["positive_button"], element["negative_button"])
        return "".join(f'<span class="button">{_text(b["text"], names)}</span>' for b in pair)
    if kind == "image":
        return f'<span class="image">🖼 {escape(element["alt_text"])}</span>'
    if kind.endswith("input"):
        initial = element.get("initial_value") or element.get("placeholder", {}).get("text", "")
        return f'<div class="field">{escape(initial)}&nbsp;</div>'
    if "text" in element:
        return f"<span>{_text(element, names)}</span>"
    label = element.get("placeholder", {}).get("text", kind)
    return f'<span class="button">{escape(label)} ▾</span>'


def _elements(block: dict[str, Any], names: Names) -> str:
    return " ".join(_element(element, names) for element in block["elements"])


def _table(block: dict[str, Any], names: Names) -> str:
    rows = []
    for number, row in enumerate(block["rows"]):
        tag = "td" if number else "th"
        cells = "".join(f"<{tag}>{_cell(cell, names)}</{tag}>" for cell in row)
        rows.append(f"<tr>{cells}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _cell(cell: dict[str, Any], names: Names) -> str:
    if cell["type"] == "rich_text":
        return rich_text(cell, names)
    return escape(str(cell.get("text", cell.get("value", ""))))


def _input(block: dict[str, Any], names: Names) -> str:
    return f"<label>{_text(block['label'], names)}</label>{_element(block['element'], names)}"


def _task(block: dict[str, Any], names: Names) -> str:
    mark = {"complete": "✅", "error": "❌"}.get(block.get("status", ""), "⏳")
    return f"{mark} {escape(str(block.get('title', '')))}"


BLOCKS: dict[str, Callable[[dict[str, Any], Names], str]] = {
    "section": _section,
    "header": lambda block, names: _text(block["text"], names),
    "context": _elements,
    "actions": _elements,
    "context_actions": _elements,
    "divider": lambda block, names: "<hr>",
    "markdown": lambda block, names: markdown(block["text"]),
    "rich_text": rich_text,
    "image": lambda block, names: f"🖼 {escape(block.get('alt_text', ''))}",
    "table": _table,
    "input": _input,
    "task_card": _task,
}
