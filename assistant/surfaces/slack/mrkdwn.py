"""Markdown as Slack's own markup: what Slack cannot show degrades to something readable.

Every character that Slack would read as markup is escaped, so that no document can mention a
user, call a channel or plant a link. Tables become aligned text, since columns matter more than
their lines.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

_MARKER = re.compile(r"\[(\d+)\](?=\()")
_WEB = ("http://", "https://", "mailto:")


def escape(text: str) -> str:
    """Escape the three characters that Slack reads as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescape(text: str) -> str:
    """Return what a user wrote: Slack escapes those three in what it delivers."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def to_mrkdwn(markdown: str) -> str:
    """Return Markdown as Slack's mrkdwn."""
    # A marker before a bracket is a marker still, not a link.
    return "\n\n".join(_blocks(_parser().parse(_MARKER.sub(r"\\[\1\\]", markdown)))).strip()


def has_layout(markdown: str) -> bool:
    """Tell whether a text has a table, which a stream cannot show while it grows."""
    return any(token.type == "table_open" for token in _parser().parse(markdown))


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    return parser.disable(["reference", "html_block", "html_inline"])


def _blocks(tokens: Sequence[Token]) -> list[str]:
    """Return the blocks of a document, each as one text."""
    blocks: list[str] = []
    position = 0
    while position < len(tokens):
        end = _end(tokens, position)
        blocks.append(_block(tokens[position : end + 1]))
        position = end + 1
    return [block for block in blocks if block]


def _end(tokens: Sequence[Token], start: int) -> int:
    """Return where the block that opens at ``start`` closes."""
    depth = 0
    for position in range(start, len(tokens)):
        depth += tokens[position].nesting
        if depth == 0:
            return position
    return len(tokens) - 1


def _block(tokens: Sequence[Token]) -> str:
    opening, inner = tokens[0], tokens[1:-1]
    match opening.type:
        case "heading_open":
            return f"*{_plain(inner)}*"
        case "bullet_list_open" | "ordered_list_open":
            return _list(opening, inner)
        case "blockquote_open":
            quoted = "\n".join(_blocks(inner))
            return "\n".join("> " + line for line in quoted.splitlines())
        case "fence" | "code_block":
            return _code(opening.content)
        case "table_open":
            return _table(inner)
        case "hr":
            return "———"
        case "paragraph_open" | "inline":
            return _inline(inner or tokens)
    return escape(opening.content)


def _list(opening: Token, inner: Sequence[Token]) -> str:
    lines: list[str] = []
    number = int(opening.attrGet("start") or 1)
    position = 0
    while position < len(inner):
        end = _end(inner, position)
        sign = "•" if opening.type == "bullet_list_open" else f"{number}."
        first, *rest = "\n".join(_blocks(inner[position + 1 : end])).splitlines() or [""]
        lines += [f"{sign} {first}", *("    " + line for line in rest)]
        number += 1
        position = end + 1
    return "\n".join(lines)


def _code(text: str) -> str:
    # A fence inside a fence would end it: a zero-width space keeps the look.
    return "```\n" + escape(text.rstrip("\n")).replace("```", "`\u200b``") + "\n```"


def _table(tokens: Sequence[Token]) -> str:
    rows: list[list[str]] = []
    for position, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(_plain(tokens[position : position + 1], escaped=False))
    widths = [max(_width(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["  ".join(_padded(c, w) for c, w in zip(r, widths, strict=True)) for r in rows]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return _code("\n".join(line.rstrip() for line in lines))


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    """Return the columns that a text takes in a fixed-width font."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _inline(tokens: Sequence[Token]) -> str:
    return "".join(_run(token.children or []) for token in tokens if token.type == "inline")


def _plain(tokens: Sequence[Token], *, escaped: bool = True) -> str:
    """Return the words of a line without their dress."""
    words = "".join(
        " " if child.type in ("softbreak", "hardbreak") else child.content
        for token in tokens
        for child in token.children or []
    )
    return escape(words) if escaped else words


def _run(children: Sequence[Token]) -> str:
    parts: list[str] = []
    links: list[str] = []
    for child in children:
        match child.type:
            case "strong_open" | "strong_close":
                parts.append("*")
            case "em_open" | "em_close":
                parts.append("_")
            case "s_open" | "s_close":
                parts.append("~")
            case "code_inline":
                parts.append("`" + escape(child.content) + "`")
            case "softbreak" | "hardbreak":
                parts.append("\n")
            case "link_open":
                links.append(str(child.attrGet("href") or ""))
                parts.append(_link_start(links[-1]))
            case "link_close":
                parts.append(">" if links.pop().startswith(_WEB) else "")
            case "image":
                parts.append(escape(child.content))
            case _:
                parts.append(escape(child.content))
    return "".join(parts)


def _link_start(address: str) -> str:
    if not address.startswith(_WEB):
        return ""
    return "<" + escape(address).replace("|", "%7C") + "|"
