"""Slack's mrkdwn, markdown and rich text to HTML, for the transcript.

https://docs.slack.dev/messaging/formatting-message-text. Good enough to look at, no more.
As in Slack a style needs a border: in ``很*重要*的`` without spaces the asterisks stay.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

from markdown_it import MarkdownIt

EMOJI = {
    "thumbsup": "👍",
    "+1": "👍",
    "thumbsdown": "👎",
    "-1": "👎",
    "mag": "🔍",
    "lock": "🔒",
    "warning": "⚠️",
    "white_check_mark": "✅",
    "x": "❌",
    "hourglass": "⌛",
    "eyes": "👀",
    "hourglass_flowing_sand": "⏳",
    "page_facing_up": "📄",
    "books": "📚",
    "bulb": "💡",
    "information_source": "ℹ️",
    "speech_balloon": "💬",
    "arrow_right": "➡️",
    "zap": "⚡",
}
CODE = re.compile(r"```\n?(.*?)\n?```|`([^`\n]+)`", re.S)
LINK = re.compile(r"<((?:[@#!]|https?://|mailto:)[^<>|]+)(?:\|([^<>]*))?>")
STYLES = [
    (re.compile(r"(?<![\w*])\*(?!\s)([^*\n]+?)(?<!\s)\*(?![\w*])"), r"<b>\1</b>"),
    (re.compile(r"(?<![\w_])_(?!\s)([^_\n]+?)(?<!\s)_(?![\w_])"), r"<i>\1</i>"),
    (re.compile(r"(?<![\w~])~(?!\s)([^~\n]+?)(?<!\s)~(?![\w~])"), r"<s>\1</s>"),
]
Names = Callable[[str], str]


def escape(text: str) -> str:
    """Escape what Slack left unescaped; its own entities stay."""
    return html.escape(html.unescape(text), quote=True)


def emoji(text: str) -> str:
    """Replace ``:name:`` where the name is known."""
    return re.sub(r":([a-z0-9_+-]+):", lambda m: EMOJI.get(m[1], m[0]), text)


def mrkdwn(text: str, names: Names) -> str:
    """Return HTML for a mrkdwn text."""
    kept: list[str] = []

    def keep(fragment: str) -> str:
        kept.append(fragment)
        return f"\x00{len(kept) - 1}\x00"

    def code(match: re.Match[str]) -> str:
        if match[2] is not None:
            return keep(f"<code>{escape(match[2])}</code>")
        return keep(f"<pre>{escape(match[1])}</pre>")

    def link(match: re.Match[str]) -> str:
        target, label = match[1], match[2]
        if target.startswith(("@", "#")):
            return keep(f'<span class="mention">{target[0]}{escape(names(target[1:]))}</span>')
        if target.startswith("!"):
            return keep(f'<span class="mention">@{escape(label or target[1:])}</span>')
        shown = escape(label or target)
        return keep(f'<a href="{escape(target)}">{shown}</a>')

    text = LINK.sub(link, CODE.sub(code, text))
    text = emoji(escape(text))
    for pattern, replacement in STYLES:
        text = pattern.sub(replacement, text)
    text = _quotes(text).replace("\n", "<br>")
    return re.sub(r"\x00(\d+)\x00", lambda m: kept[int(m[1])], text)


def _quotes(text: str) -> str:
    lines, done, quoted = text.split("\n"), [], []
    for line in [*lines, None]:
        if line is not None and line.startswith("&gt;"):
            quoted.append(line.removeprefix("&gt;").strip())
            continue
        if quoted:
            done.append(f"<blockquote>{'<br>'.join(quoted)}</blockquote>")
            quoted = []
        if line is not None:
            done.append(line)
    return "\n".join(done).replace("</blockquote>\n", "</blockquote>")


def markdown(text: str) -> str:
    """Return HTML for standard markdown, as markdown blocks and streams have it."""
    return emoji(str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text)))


def rich_text(block: dict[str, Any], names: Names) -> str:
    """Return HTML for a rich_text block."""
    return "".join(_rich(element, names) for element in block.get("elements", []))


def _rich(element: dict[str, Any], names: Names) -> str:
    kind = element["type"]
    if kind == "text":
        shown = escape(element["text"]).replace("\n", "<br>")
        for name, tag in (("bold", "b"), ("italic", "i"), ("strike", "s"), ("code", "code")):
            if element.get("style", {}).get(name):
                shown = f"<{tag}>{shown}</{tag}>"
        return shown
    if kind == "link":
        shown = escape(element.get("text") or element["url"])
        return f'<a href="{escape(element["url"])}">{shown}</a>'
    if kind == "user":
        return f'<span class="mention">@{escape(names(element["user_id"]))}</span>'
    if kind == "emoji":
        return emoji(f":{element['name']}:")
    inner = "".join(_rich(part, names) for part in element.get("elements", []))
    if kind == "rich_text_list":
        tag = "ol" if element.get("style") == "ordered" else "ul"
        items = "".join(f"<li>{_rich(part, names)}</li>" for part in element["elements"])
        return f"<{tag}>{items}</{tag}>"
    wrapped = {"rich_text_preformatted": "pre", "rich_text_quote": "blockquote"}
    tag = wrapped.get(kind, "div")
    return f"<{tag}>{inner}</{tag}>"
