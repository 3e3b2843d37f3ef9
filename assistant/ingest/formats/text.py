"""Plain text: which encoding, which lines belong together, which of them are headings.

The rules are modest: a line is a heading only when it is numbered like one and
stands alone. It knows no markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from assistant.errors import SourceError
from assistant.ingest.parsed import Metadata, Outline, Parsed
from assistant.text import is_cjk

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_SAMPLE = 200_000
_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")
# Scripts and punctuation that are set without spaces between them.
WIDE = "[\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]"
WIDE_CHARACTER = re.compile(WIDE)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_NUMERAL = "[一二三四五六七八九十百零〇\\d]"
_HEADINGS = (
    (1, re.compile(rf"第{_NUMERAL}{{1,5}}[章编篇部]|附[录件]|chapter\s+\w+|appendix\b", re.I)),
    (2, re.compile(rf"第{_NUMERAL}{{1,5}}节|[一二三四五六七八九十]{{1,3}}、|section\s+\d", re.I)),
    (3, re.compile(r"[（(][一二三四五六七八九十]{1,3}[）)]|【[^】]*】$")),
)
_QUESTION = re.compile(r"(?:问题?|Q)\s*\d{0,3}\s*[:：.、]\s*\S.*[?？]$")
_QUESTION_LENGTH = 100
_DECIMAL = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,3})[.、．]?\s+\S")
_HEADING_LENGTH = 40
_RUNNING_LENGTH = 200
_CLOSED = re.compile(r"[。！？；;!?.,，：:…]$")
_ITEM = re.compile(
    rf"(?:[•·●○■□▪◆]|[-*–—]\s|\d{{1,3}}(?:[、．)）]|\.(?!\d))|[(（][一二三四五六七八九十\d]{{1,3}}[)）]"
    rf"|[一二三四五六七八九十]{{1,3}}、|[a-zA-Z][.)]\s|[答问QA][:：]|第{_NUMERAL}{{1,5}}[条款章节])"
)
_MARKER = re.compile(
    r"[•·●○■□▪◆*–—-]|[(（]?\w{1,3}[.、．)）]|第\w{1,5}[条款章节]"
    r"|(?:附?表|图|Table|Figure|Fig\.?)\s?\w{1,3}(?:[-.]\d{1,2})?[.:：]?"
)


def parse_text(path: Path) -> Parsed:
    """Return the paragraphs of a text file under the headings that are numbered as such."""
    outline = Outline()
    title = ""
    for number, (paragraph, alone) in enumerate(_paragraphs(read_text(path))):
        level = heading_level(paragraph)
        if level and (alone or not paragraph[0].isdigit()):
            outline.heading(level, paragraph)
        elif number == 0 and _is_title(paragraph):
            title = paragraph
            outline.heading(0, title)
        else:
            outline.add(paragraph)
    return Parsed(Metadata(title=title), outline.blocks())


def read_text(path: Path) -> str:
    """Return a file's text, its line ends unified.

    Raises:
        SourceError: the bytes are not text in any encoding known here.
    """
    return re.sub(r"\r\n?", "\n", decode(path.read_bytes()))


def decode(data: bytes) -> str:
    """Return bytes as text: by byte-order mark, else UTF-8, GB18030, UTF-16, else by statistics.

    Raises:
        SourceError: the bytes are not text in any encoding known here.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    text = _try(data, "utf-8")
    if text is None and b"\0" not in data:
        text = _chinese(data) or _damaged_utf8(data) or _western(data) or _by_statistics(data)
    elif text is None or "\0" in text:
        text = _utf16_without_mark(data) or text
    if text is None or _is_binary(text[:_SAMPLE]):
        raise SourceError("Its content is not text. Give it the suffix of what it really is.")
    return text


def _is_binary(sample: str) -> bool:
    """Tell data from text in which a few control characters went astray."""
    return len(_CONTROL.findall(sample)) > max(8, 0.05 * len(sample))


def heading_level(line: str) -> int | None:
    """Return the level of a line numbered like a heading ("第二章 …", "3.1 …"), or a question.

    The questions of a FAQ are headings: each answer then stands under its own.
    """
    if len(line) <= _QUESTION_LENGTH and _QUESTION.match(line):
        return 3
    if "\n" in line or len(line) > _HEADING_LENGTH or not _is_open(line):
        return None
    for level, pattern in _HEADINGS:
        if pattern.match(line):
            return level
    decimal = _DECIMAL.match(line)
    return 1 + decimal[1].count(".") if decimal else None


def _is_title(line: str) -> bool:
    short = len(line) <= _HEADING_LENGTH
    return short and _is_open(line) and not starts_item(line) and "：" not in line


def _is_open(line: str) -> bool:
    return not _CLOSED.search(line)


def join_lines(lines: Sequence[str]) -> str:
    """Join the lines of one paragraph: Chinese without a space, English hyphenation mended."""
    text = ""
    for line in (line.strip() for line in lines):
        text = text + line if not text or not line else join_pair(text, line)
    return text


def join_pair(text: str, line: str) -> str:
    """Return two pieces of one sentence as one."""
    last, first = text[-1:], line[:1]
    if last in "\u00ad\x02\ufffe" and len(text) > 1:  # a hyphen that only a line end put there
        return text[:-1] + line
    if last == "-" and text[-2:-1].isalpha() and first.islower():
        return text[:-1] + line
    return glue(text, line)


def glue(text: str, line: str) -> str:
    """Join two lines with a space, or without one where Chinese writing has none."""
    wide = is_wide(text[-1:]) or is_wide(line[:1])
    return text + line if wide else f"{text} {line}"


def starts_item(line: str) -> bool:
    """Tell whether a line begins a list item or a numbered clause."""
    return bool(_ITEM.match(line))


def is_marker(text: str) -> bool:
    """Tell whether a text is nothing but the number or bullet of an item, or of a caption."""
    return bool(_MARKER.fullmatch(text))


def running_keys(text: str, page: int) -> set[str]:
    """Return the forms under which a line that runs through the pages is the same on each.

    The text itself, and the text with one number replaced by its distance from the
    page's number: a line that counts the pages then stays equal, a row of figures not.
    """
    line = " ".join(text.split())
    if not line or len(line) > _RUNNING_LENGTH:
        return set()
    keys = {line}
    for match in islice(re.finditer(r"\d{1,4}", line), 4):
        offset = f"#{int(match[0]) - page}"
        keys.add(line[: match.start()] + offset + line[match.end() :])
    return keys


def is_wide(character: str) -> bool:
    """Tell whether a character is of a script that is set without spaces."""
    return bool(WIDE_CHARACTER.match(character))


def _paragraphs(text: str) -> Iterator[tuple[str, bool]]:
    """Yield paragraphs, and whether blank lines stand around them; wrapped lines are joined."""
    width = _wrap_width(text)
    for part in _BLANK_LINES.split(text):
        paragraphs: list[list[str]] = []
        for line in (raw.strip() for raw in part.split("\n")):
            last = paragraphs[-1][-1] if paragraphs else ""
            if width and _display_width(last) >= 0.85 * width and not starts_item(line):
                paragraphs[-1].append(line)
            elif line:
                paragraphs.append([line])
        for lines in paragraphs:
            yield join_lines(lines), len(paragraphs) == 1


def _wrap_width(text: str) -> int:
    """Return the column at which lines were wrapped by hand, 0 when they were not."""
    widths = sorted(_display_width(line) for line in text[:_SAMPLE].split("\n") if line.strip())
    if len(widths) < 4:
        return 0
    widest = widths[-1]
    near = sum(width >= 0.85 * widest for width in widths)
    return widest if 40 <= widest <= 130 and near >= 0.3 * len(widths) else 0


def _display_width(line: str) -> int:
    return sum(2 if is_wide(character) else 1 for character in line.strip())


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _chinese(data: bytes) -> str | None:
    """Decode GB18030 when the result reads like Chinese: mostly the 3,755 commonest characters."""
    text = _try(data, "gb18030")
    if text is None:
        return None
    han = [c for c in text[:_SAMPLE] if is_cjk(c)]
    common = sum(b"\xb0" <= c.encode("gb2312", "ignore")[:1] <= b"\xd7" for c in han)
    return text if han and common >= 0.8 * len(han) else None


def _damaged_utf8(data: bytes) -> str | None:
    """Decode UTF-8 with a few broken bytes, as a file cut off in mid-character has."""
    text = data.decode("utf-8", errors="replace")
    kept = sum(ord(c) > 0x7F for c in text) - (broken := text.count("\ufffd"))
    return text if kept > 20 * broken else None


def _western(data: bytes) -> str | None:
    """Decode Windows-1252 when nearly all of it is ASCII: English with typographic quotes."""
    high = sum(byte > 0x7F for byte in data[:_SAMPLE])
    return _try(data, "cp1252") if high < 0.15 * min(len(data), _SAMPLE) else None


def _by_statistics(data: bytes) -> str | None:
    from charset_normalizer import from_bytes

    best = from_bytes(data[:_SAMPLE]).best()
    return data.decode(best.encoding, errors="replace") if best else None


def _utf16_without_mark(data: bytes) -> str | None:
    for encoding in ("utf-16-le", "utf-16-be"):
        text = _try(data[: len(data) // 2 * 2], encoding)
        sample = (text or "")[:_SAMPLE]
        plain = sum(c in "\n\r\t" or " " <= c <= "~" or is_wide(c) for c in sample)
        if sample and plain > 0.95 * len(sample):
            return text
    return None
