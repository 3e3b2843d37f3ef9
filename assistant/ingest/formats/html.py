"""HTML: the text of a page without its navigation, forms and hidden parts, through lxml.

It fetches nothing and runs nothing: style sheets, scripts, frames and images that
a page names are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assistant.errors import SourceError
from assistant.ingest.formats.tables import Row, describe
from assistant.ingest.formats.text import WIDE, decode, is_wide
from assistant.ingest.parsed import Metadata, Outline, Parsed, group_items, language_of

_DROPPED = re.compile(
    "script|style|noscript|template|nav|footer|aside|button|select|textarea|input|label|svg|"
    "iframe|object|embed|canvas|audio|video|map|dialog|menu|head"
)
_HEADING = re.compile("h[1-6]")
_BLOCK = re.compile(
    "h[1-6]|address|article|blockquote|body|center|dd|details|div|dl|dt|fieldset|figcaption|"
    "figure|form|header|hgroup|hr|html|legend|li|main|ol|p|pre|section|summary|table|tbody|td|"
    "tfoot|th|thead|tr|ul"
)
_CONTENT = "descendant::h1 | descendant::h2 | descendant::article | descendant::main"
_BOILERPLATE_ROLES = re.compile("navigation|banner|contentinfo|complementary|search|menu")
_BOILERPLATE_NAMES = re.compile(
    r"(?:^|[\s_-])(?:nav|navbar|navigation|menu|breadcrumbs?|sidebar|footer|cookies?|pagination)"
    r"(?:$|[\s_-])",
    re.IGNORECASE,
)
_INVISIBLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])")
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
_CHINESE_CHARSETS = frozenset({"gb2312", "gbk", "gb18030", "x-gbk"})
_BLANKS = re.compile(r"\s+")
_WRAPPED = re.compile(rf"(?<={WIDE})\n(?={WIDE})")
_LINK_SEPARATOR = re.compile(r"[|｜>›»·•/\\→]")
_BREAK = "\x01"
_MAX_SPAN = 200
_MAX_INDENT = 8


def parse_html(path: Path) -> Parsed:
    """Return the blocks of a page's content, its title and its language.

    Raises:
        SourceError: the page is nested too deeply to be a page.
    """
    root = _tree(_decode(path.read_bytes()))
    if root is None:
        return Parsed(Metadata(), ())
    metadata = Metadata(title=_title(root), language=language_of(root.get("lang", "")))
    return Parsed(metadata, _read(_main(root)))


def _title(root: Any) -> str:
    """Return the page's title, without the name of the site where the heading tells it apart."""
    title = " ".join((root.findtext(".//title") or "").split())
    headings = [" ".join(h.text_content().split()) for h in root.iter("h1")]
    heading = headings[0] if len(headings) == 1 else ""
    return heading if heading and heading in title else title or heading


def fragment_text(html: str) -> str:
    """Return the visible text of a piece of HTML, one line a block."""
    root = _tree(html)
    return "" if root is None else "\n".join(block.text for block in _read(root))


def _decode(data: bytes) -> str:
    declared = _CHARSET.search(data[:4096])
    name = declared[1].decode("ascii", "ignore").lower() if declared else ""
    try:
        return data.decode("gb18030" if name in _CHINESE_CHARSETS else name or "utf-8")
    except (UnicodeDecodeError, LookupError):
        return decode(data)  # the page is wrong about itself


def _tree(html: str) -> Any:
    """Return the root element, None for a page without any."""
    from lxml import etree  # type: ignore[import-untyped]
    from lxml import html as lxml_html

    parser = lxml_html.HTMLParser(
        encoding="utf-8", huge_tree=True, no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        root = lxml_html.document_fromstring(html.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:
        return None
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise SourceError(
            "Its elements are nested more than 2,000 deep. Save the page's text as .txt or .md."
        )
    return root


def _main(root: Any) -> Any:
    """Return the element that holds the content: ``<main>`` if most of the text is there."""
    found = root.xpath('//main | //*[@role="main"]')
    if len(found) != 1:
        return root
    texts = "descendant::text()[not(parent::script or parent::style)]"
    inside, all_text = (sum(map(len, node.xpath(texts))) for node in (found[0], root))
    return found[0] if 2 * inside > all_text else root


def _read(root: Any) -> tuple[Any, ...]:
    from lxml import etree

    reader = _Reader()
    walker = etree.iterwalk(root, events=("start", "end"))
    skipped = None
    for event, element in walker:
        if event == "start":
            if reader.start(element):
                skipped = element
                walker.skip_subtree()
            continue
        if element is not skipped:
            reader.end(element)
        if element is not root:
            reader.text.append(element.tail or "")
    reader.flush()
    reader.close_list()
    return reader.outline.blocks()


class _Reader:
    """Follows a walk over the tree and turns it into blocks."""

    def __init__(self) -> None:
        self.outline = Outline()
        self.text: list[str] = []
        self._lists: list[list[int]] = []  # open lists: 0 for bullets, else the next number
        self._items: list[str] = []
        self._marker = ""
        self._term = ""
        self._in_pre = False

    def start(self, element: Any) -> bool:
        """Take in an element's beginning; return whether its inside is to be skipped."""
        tag = element.tag
        if not isinstance(tag, str) or _is_dropped(element):
            return True
        if _BLOCK.fullmatch(tag):
            self.flush()
        if tag == "table" and _is_data(element):
            self.close_list()
            self._add_table(element)
            return True
        if tag in {"ul", "ol"}:
            self._lists.append([1 if tag == "ol" else 0])
        elif tag == "li":
            self._marker = self._next_marker()
        elif tag == "br":
            self.text.append(_BREAK)
        elif tag == "pre":
            self._in_pre = True
        self.text.append(element.text or "")
        return False

    def end(self, element: Any) -> None:
        """Take in an element's end."""
        tag = element.tag
        if _HEADING.fullmatch(tag) and not self._lists:
            level, title = int(tag[1]), self._take().replace("\n", " ")
            self.outline.heading(level, title)
        elif tag == "dt":
            self._term = self._take()
        elif _BLOCK.fullmatch(tag):
            self.flush()
        if tag == "pre":
            self._in_pre = False
        elif tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
            if not self._lists:
                self.close_list()

    def flush(self) -> None:
        """End the current paragraph, or the current line of a list."""
        text = self._take()
        if not text:
            return
        if self._term:
            colon = "：" if is_wide(self._term[-1:]) else ": "
            text, self._term = f"{self._term.rstrip(':：')}{colon}{text}", ""
        if not self._lists:
            self.outline.add(text)
            return
        indent = "  " * min(len(self._lists) - 1, _MAX_INDENT)
        line = indent + (self._marker or "  ") + text
        if self._items and (indent or not self._marker):
            self._items[-1] += "\n" + line
        else:
            self._items.append(line)
        self._marker = ""

    def close_list(self) -> None:
        """Hand on the items collected so far."""
        for group in group_items(self._items):
            self.outline.add(group)
        self._items = []

    def _take(self) -> str:
        text, self.text = "".join(self.text), []
        if self._in_pre:
            return text.replace(_BREAK, "\n").strip("\n")
        text = _BLANKS.sub(lambda blanks: "\n" if "\n" in blanks[0] else " ", text)
        text = _WRAPPED.sub("", text).replace("\n", " ")
        return re.sub(f" ?{_BREAK} ?", "\n", text).strip()

    def _next_marker(self) -> str:
        if not self._lists or not self._lists[-1][0]:
            return "- "
        number = self._lists[-1][0]
        self._lists[-1][0] += 1
        return f"{number}. "

    def _add_table(self, element: Any) -> None:
        table = describe(_rows(element))
        for text in (*table.captions, *(line for _, line in table.lines)):
            self.outline.add(text)


def _is_dropped(element: Any) -> bool:
    tag = element.tag
    if "hidden" in element.attrib or element.get("aria-hidden") == "true":
        return True
    if _INVISIBLE.search(element.get("style", "")) or _DROPPED.fullmatch(tag):
        return True
    if _is_trail(element):
        return True
    names = f"{element.get('class', '')} {element.get('id', '')}"
    named = tag in {"div", "ul", "ol", "section", "p"} and _BOILERPLATE_NAMES.search(names)
    by_role = _BOILERPLATE_ROLES.fullmatch(element.get("role", ""))
    doubtful = tag in {"header", "form"} or by_role or named
    # A page's heading may stand in its <header>, and some servers wrap all in one <form>.
    content = f"{_CONTENT} | descendant::table" if tag == "form" else _CONTENT
    return bool(doubtful) and not element.xpath(content)


def _is_trail(element: Any) -> bool:
    """Tell a row of links ("Home > Policies > …", "Print | Share") from a sentence with links."""
    links = element.findall("a")
    return len(links) > 1 and all(
        _LINK_SEPARATOR.fullmatch((link.tail or "").strip()) for link in links[:-1]
    )


def _is_data(table: Any) -> bool:
    """Tell a table of data from one that only lays out the page."""
    if table.xpath("descendant::table | descendant::h1 | descendant::h2 | descendant::h3"):
        return False
    return any(len(row) > 1 for row in table.iter("tr"))


def _rows(table: Any) -> Iterator[Row]:
    """Yield a table's rows; a spanning cell's text stands in each cell it covers."""
    for caption in table.iter("caption"):
        yield Row(0, [_cell(caption)])
    below: dict[int, tuple[int, str]] = {}  # column -> rows still covered, text
    for number, row in enumerate(table.iter("tr"), 1):
        cells: list[str] = []
        sources = [cell for cell in row if cell.tag in {"td", "th"}]
        while sources or len(cells) in below:
            column = len(cells)
            if column in below:
                left, text = below.pop(column)
                width = 1
            else:
                cell = sources.pop(0)
                text, left, width = _cell(cell), _span(cell, "rowspan"), _span(cell, "colspan")
            for covered in range(column, column + width):
                cells.append(text)
                if left > 1:
                    below[covered] = (left - 1, text)
        yield Row(number, cells)


def _cell(cell: Any) -> str:
    return " ".join(block.text for block in _read(cell))


def _span(cell: Any, name: str) -> int:
    value = cell.get(name, "1").strip()
    return min(int(value), _MAX_SPAN) if value.isdecimal() and int(value) else 1
