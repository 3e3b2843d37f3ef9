"""Block Kit as its reference describes it: https://docs.slack.dev/reference/block-kit.

`problems` names everything in a list of blocks that Slack would refuse. It knows each block's and
each element's keys, types and lengths. Not checked deeply: rich text, video, card, carousel,
container, alert and auth blocks (only that they are well placed).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .elements import Pointer, Problem, check_element, check_text, length, strangers

MESSAGE_BLOCKS, VIEW_BLOCKS = 50, 100
IN_MESSAGES = {
    *("actions", "alert", "auth_provider", "card", "carousel", "container", "context"),
    *("context_actions", "data_table", "divider", "file", "header", "image", "input", "markdown"),
    *("plan", "rich_text", "section", "table", "task_card", "video"),
}
IN_VIEWS = {
    *("actions", "alert", "context", "divider", "header", "image", "input", "rich_text"),
    *("section", "video"),
}
KEYS = {
    "section": {"text", "fields", "accessory", "expand"},
    "header": {"text", "level"},
    "context": {"elements"},
    "actions": {"elements"},
    "context_actions": {"elements"},
    "divider": set(),
    "markdown": {"text"},
    "image": {"image_url", "alt_text", "title", "slack_file"},
    "input": {"label", "element", "dispatch_action", "hint", "optional"},
    "table": {"rows", "column_settings"},
}


def problems(blocks: Any, surface: str = "message") -> list[Problem]:
    """Return what is wrong with the blocks of a ``message``, a ``modal`` or a ``home``."""
    if not isinstance(blocks, list):
        return [Problem("block", "blocks must be an array", "/blocks")]
    found = list(_together(blocks, surface))
    for number, block in enumerate(blocks):
        found += _block(block, Pointer(f"/blocks/{number}"), surface)
    return found


def _together(blocks: list[Any], surface: str) -> Iterator[Problem]:
    most = MESSAGE_BLOCKS if surface == "message" else VIEW_BLOCKS
    if len(blocks) > most:
        rule = "blocks_50" if surface == "message" else "view_blocks_100"
        yield Problem(rule, f"no more than {most} items allowed, not {len(blocks)}", "/blocks")
    dicts = [block for block in blocks if isinstance(block, dict)]
    names = [block["block_id"] for block in dicts if "block_id" in block]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem("block_id", f'block_id "{name}" already exists', "/blocks")
    markdown = sum(len(b.get("text", "")) for b in dicts if b.get("type") == "markdown")
    if markdown > 12000:
        yield Problem("markdown_12000", f"markdown blocks hold {markdown} characters", "/blocks")


def _block(block: Any, at: Pointer, surface: str) -> Iterator[Problem]:
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        yield Problem("block", "missing required field: type", str(at))
        return
    kind = block["type"]
    if kind not in (IN_MESSAGES if surface == "message" else IN_VIEWS):
        yield Problem("block_type", f"unsupported type in a {surface}: {kind}", f"{at}/type")
        return
    yield from length("block_id", block.get("block_id"), 255, at)
    if kind in KEYS:
        yield from strangers(block, KEYS[kind] | {"type", "block_id"}, at)
    if kind in CHECKS:
        yield from CHECKS[kind](block, at)


def _section(block: dict[str, Any], at: Pointer) -> Iterator[Problem]:
    if "text" not in block and "fields" not in block:
        yield Problem("block", "a section needs text or fields", str(at))
    if "text" in block:
        yield from check_text(block["text"], at / "text", 3000)
    if "fields" in block:
        yield from _count("block", block["fields"], 1, 10, at / "fields")
        for number, field in enumerate(block["fields"]):
            yield from check_text(field, at / "fields" / number, 2000)
    if "accessory" in block:
        yield from check_element(block["accessory"], at / "accessory", "section")


def _header(block: dict[str, Any], at: Pointer) -> Iterator[Problem]:
    yield from check_text(block.get("text"), at / "text", 150, plain=True)


def _context(block: dict[str, Any], at: Pointer) -> Iterator[Problem]:
    elements = block.get("elements")
    yield from _count("block", elements, 1, 10, at / "elements")
    for number, element in enumerate(elements or []):
        if isinstance(element, dict) and element.get("type") == "image":
            yield from check_element(element, at / "elements" / number, "context")
        else:
            yield from check_text(element, at / "elements" / number, 3000)


@dataclass(frozen=True)
class _Row:
    """A block that holds a row of interactive elements."""

    kind: str
    most: int

    def __call__(self, block: dict[str, Any], at: Pointer) -> Iterator[Problem]:
        elements = block.get("elements")
        yield from _count("block", elements, 1, self.most, at / "elements")
        names = [e.get("action_id") for e in elements or [] if isinstance(e, dict)]
        for name in {name for name in names if name and names.count(name) > 1}:
            yield Problem("action_id", f'action_id "{name}" already exists', str(at))
        for number, element in enumerate(elements or []):
            yield from check_element(element, at / "elements" / number, self.kind)


def _markdown(block: dict[str, Any], at: Pointer) -> Iterator[Problem]:
    yield from length("block", block.get("text"), 12000, at / "text", least=1)


def _image(block: dict[str, Any], at: Pointer) -> Iterator[Problem]:
    if ("image_url" in block) == ("slack_file" in block):
        yield Problem("block", "an image needs image_url or slack_file", str(at))
    yield from length("block", block.get("image_url"), 3000, at / "image_url")
    yield from length("block", block.get("alt_text"), 2000, at / "alt_text", least=1)
    if "title" in block:
        yield from check_text(block["title"], at / "title", 2000, plain=True)


def _input(block: dict[str, Any], at: Pointer) -> Iterator[Problem]:
    yield from check_text(block.get("label"), at / "label", 2000, plain=True)
    if "hint" in block:
        yield from check_text(block["hint"], at / "hint", 2000, plain=True)
    yield from check_element(block.get("element"), at / "element", "input")


def _table(block: dict[str, Any], at: Pointer) -> Iterator[Problem]:
    rows = block.get("rows")
    yield from _count("block", rows, 1, 100, at / "rows")
    for number, row in enumerate(rows or []):
        yield from _count("block", row, 1, 20, at / "rows" / number)
        for column, cell in enumerate(row if isinstance(row, list) else []):
            kind = cell.get("type") if isinstance(cell, dict) else None
            if kind not in ("raw_text", "raw_number", "rich_text"):
                where = str(at / "rows" / number / column)
                yield Problem("block", f"unsupported type of cell: {kind}", where)
            elif kind == "raw_text":
                yield from length("block", cell.get("text"), None, at / number / column, least=1)
    yield from _count("block", block.get("column_settings", []), 0, 20, at / "column_settings")


def _count(rule: str, items: Any, least: int, most: int, at: Pointer) -> Iterator[Problem]:
    if not isinstance(items, list):
        yield Problem(rule, "must be an array", str(at))
    elif len(items) < least:
        yield Problem(rule, f"no fewer than {least} items allowed", str(at))
    elif len(items) > most:
        yield Problem(rule, f"no more than {most} items allowed, not {len(items)}", str(at))


CHECKS: dict[str, Callable[[dict[str, Any], Pointer], Iterator[Problem]]] = {
    "section": _section,
    "header": _header,
    "context": _context,
    "actions": _Row("actions", 25),
    "context_actions": _Row("context_actions", 5),
    "markdown": _markdown,
    "image": _image,
    "input": _input,
    "table": _table,
}
