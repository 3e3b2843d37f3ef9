"""Markdown: headings, paragraphs, lists, tables, code and formulas through markdown-it.

Link targets and emphasis are dropped, formulas and code kept as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.errors import SourceError
from assistant.ingest.formats.html import fragment_text
from assistant.ingest.formats.tables import Row, describe
from assistant.ingest.formats.text import glue, read_text
from assistant.ingest.parsed import Metadata, Outline, Parsed, group_items, metadata_from

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.tree import SyntaxTreeNode

_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)
# Pandoc's rule: no blank inside the dollars, no digit after them, so "$5 and $10" is prose.
_INLINE_MATH = re.compile(r"\$\$.+?\$\$|\$(?!\s)(?:\\.|[^$\\])*?(?<!\s)\$(?!\d)", re.DOTALL)
_BREAK_TAG = re.compile(r"<br\b", re.IGNORECASE)
_SOFT_BREAK = "\0"


def parse_markdown(path: Path) -> Parsed:
    """Return the blocks of a Markdown file and what its front matter states.

    Raises:
        SourceError: the front matter is not valid YAML or states something unusable.
    """
    from markdown_it.tree import SyntaxTreeNode

    values, body = _front_matter(read_text(path))
    metadata = metadata_from(values, "The front matter")
    tree = SyntaxTreeNode(_parser().parse(body))
    outline = Outline()
    for node in tree.children:
        _add(outline, node)
    if not metadata.title:
        tops = [node for node in tree.children if node.type == "heading" and node.tag == "h1"]
        title = _inline(tops[0].children[0]) if len(tops) == 1 else ""
        metadata = Metadata(title, metadata.language, metadata.groups, metadata.provenance)
    return Parsed(metadata, outline.blocks())


def _front_matter(text: str) -> tuple[dict[Any, Any], str]:
    import yaml

    match = _FRONT_MATTER.match(text)
    if not match:
        return {}, text
    try:
        values = yaml.safe_load(match[1] or "")
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 2
        raise SourceError(
            f"Its front matter is not valid YAML (near line {line}). Put values that hold "
            "a colon or quotes into quotes."
        ) from error
    if values is None or isinstance(values, dict):
        return values or {}, text[match.end() :]
    return {}, text  # two rules with prose between them


def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block.fence import make_fence_rule

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    formula = make_fence_rule(
        markers=("$",), token_type="math_block", min_markers=2, disallow_marker_in_info=("$",)
    )
    parser.block.ruler.before(
        "fence", "math_block", formula, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    parser.inline.ruler.before("escape", "math_inline", _math_inline)
    return parser


def _math_inline(state: StateInline, silent: bool) -> bool:
    """Keep a formula from being read as emphasis and escapes."""
    if state.src[state.pos] != "$":
        return False
    match = _INLINE_MATH.match(state.src, state.pos, min(state.posMax, state.pos + 2_000))
    if not match:
        return False
    if not silent:
        token = state.push("math_inline", "", 0)
        token.content = match[0]
    state.pos = match.end()
    return True


def _add(outline: Outline, node: SyntaxTreeNode) -> None:
    if node.type == "heading":
        outline.heading(int(node.tag[1]), _inline(node.children[0]).replace("\n", " "))
    elif node.type == "paragraph":
        outline.add(_inline(node.children[0]))
    elif node.type in {"bullet_list", "ordered_list"}:
        for group in group_items(["\n".join(lines) for lines in _items(node)]):
            outline.add(group)
    elif node.type == "table":
        table = describe(_rows(node))
        for text in (*table.captions, *(line for _, line in table.lines)):
            outline.add(text)
    elif node.type == "html_block":
        outline.add(fragment_text(node.content))
    elif node.type == "math_block":
        outline.add(f"$$\n{node.content.strip()}\n$$")
    elif node.type in {"fence", "code_block"}:
        outline.add(node.content.strip("\n"))
    else:  # a block quote or another container
        for child in node.children:
            _add(outline, child)


def _items(node: SyntaxTreeNode) -> Iterator[list[str]]:
    """Yield each item of a list as lines: its marker and text, then what is nested in it."""
    start = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else 0
    for index, item in enumerate(node.children):
        marker = f"{start + index}. " if node.type == "ordered_list" else "- "
        part = Outline()
        lines: list[str] = []
        for child in item.children:
            if child.type in {"bullet_list", "ordered_list"}:
                lines += [f"  {line}" for nested in _items(child) for line in nested]
            else:
                _add(part, child)
                lines += [line for block in part.blocks() for line in block.text.split("\n")]
                part = Outline()
        yield [marker + (lines[0] if lines else ""), *lines[1:]]


def _rows(node: SyntaxTreeNode) -> Iterator[Row]:
    rows = [row for section in node.children for row in section.children]
    for number, row in enumerate(rows, 1):
        yield Row(number, [_inline(cell.children[0]) for cell in row.children])


def _inline(node: SyntaxTreeNode) -> str:
    """Return the text that a reader sees; lines that only the source breaks are joined."""
    parts = "".join(_visible(child) for child in node.children).split(_SOFT_BREAK)
    text = ""
    for part in parts:
        text = glue(text, part) if text else part
    return text


def _visible(node: SyntaxTreeNode) -> str:
    if node.type in {"text", "code_inline", "math_inline"}:
        return node.content
    if node.type == "softbreak":
        return _SOFT_BREAK
    if node.type == "hardbreak" or (node.type == "html_inline" and _BREAK_TAG.match(node.content)):
        return "\n"
    return "".join(_visible(child) for child in node.children)
