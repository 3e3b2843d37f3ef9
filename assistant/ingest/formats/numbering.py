"""The numbers that Word computes for paragraphs: "第三条", "（二）", "1.2", "iv)".

It counts the paragraphs it is shown; which paragraphs those are is the reader's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_DIGITS = "〇一二三四五六七八九"
_BULLET = "-"
_ROMAN = dict(m=1000, cm=900, d=500, cd=400, c=100, xc=90, l=50, xl=40, x=10, ix=9, v=5, iv=4, i=1)


@dataclass(frozen=True)
class _Level:
    format: str
    template: str  # "第%1条": %n is the number of level n, from 1
    start: int


class Numbering:
    """The state of all lists of one document; ``root`` is its ``w:numbering``, or None."""

    def __init__(self, root: Any) -> None:
        self._levels: dict[str, dict[int, _Level]] = {}
        self._lists: dict[str, str] = {}  # list id -> its definition's id
        self._restarted: set[str] = set()
        self._counts: dict[str, dict[int, int]] = {}
        if root is None:
            return
        for definition in root.iter(f"{_W}abstractNum"):
            levels = {int(e.get(f"{_W}ilvl", 0)): _level(e) for e in definition.iter(f"{_W}lvl")}
            self._levels[definition.get(f"{_W}abstractNumId", "")] = levels
        for entry in root.iter(f"{_W}num"):
            identity = entry.get(f"{_W}numId", "")
            self._lists[identity] = _value(entry, "abstractNumId")
            if next(entry.iter(f"{_W}startOverride"), None) is not None:
                self._restarted.add(identity)

    def label(self, list_id: str, level: int) -> str:
        """Count the next paragraph of a list's level (from 0) and return its number."""
        definition = self._lists.get(list_id, "")
        levels = self._levels.get(definition, {})
        if level not in levels:
            return _BULLET if definition else ""
        # Lists of one definition go on counting, unless one says that it starts anew.
        key = f"list {list_id}" if list_id in self._restarted else definition
        counts = self._counts.setdefault(key, {})
        counts[level] = counts.get(level, levels[level].start - 1) + 1
        for deeper in [other for other in counts if other > level]:
            del counts[deeper]
        if levels[level].format in {"bullet", "none"}:
            return _BULLET if levels[level].format == "bullet" else ""

        def number(match: re.Match[str]) -> str:
            index = int(match[1]) - 1
            there = levels.get(index, levels[level])
            return _FORMATS.get(there.format, str)(counts.get(index, there.start))

        return re.sub(r"%([1-9])", number, levels[level].template).strip()


def _level(element: Any) -> _Level:
    start = _value(element, "start")
    return _Level(
        format=_value(element, "numFmt") or "decimal",
        template=_value(element, "lvlText"),
        start=int(start) if start.isdecimal() else 1,
    )


def _chinese(number: int) -> str:
    """Write 1 to 999 as Chinese clauses are numbered: 十, 二十一, 一百零五."""
    if not 0 < number < 1000:
        return str(number)
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    text = f"{_DIGITS[hundreds]}百" if hundreds else ""
    if tens:
        text += ("" if tens == 1 and not hundreds else _DIGITS[tens]) + "十"
    elif hundreds and ones:
        text += "零"
    return text + (_DIGITS[ones] if ones else "")


def _letter(number: int) -> str:
    if not 0 < number <= 26 * 9:
        return str(number)
    return chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)


def _roman(number: int) -> str:
    if not 0 < number < 4000:
        return str(number)
    text = ""
    for sign, value in _ROMAN.items():
        text += sign * (number // value)
        number %= value
    return text


def _enclosed(number: int) -> str:
    return chr(0x2460 + number - 1) if 1 <= number <= 20 else str(number)


_FORMATS: dict[str, Callable[[int], str]] = {
    "chineseCounting": _chinese,
    "chineseCountingThousand": _chinese,
    "chineseLegalSimplified": _chinese,
    "japaneseCounting": _chinese,
    "taiwaneseCounting": _chinese,
    "taiwaneseCountingThousand": _chinese,
    "decimalEnclosedCircle": _enclosed,
    "decimalEnclosedCircleChinese": _enclosed,
    "decimalZero": lambda number: f"{number:02d}",
    "lowerLetter": _letter,
    "upperLetter": lambda number: _letter(number).upper(),
    "lowerRoman": _roman,
    "upperRoman": lambda number: _roman(number).upper(),
}


def _value(parent: Any, name: str) -> str:
    child = parent.find(f"{_W}{name}")
    return "" if child is None else str(child.get(f"{_W}val", ""))
