"""Understands what somebody says to a field: options by name or number, numbers with their unit.

What is not wholly understood is refused with what would be, never half taken: the one who
speaks is there to be asked again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from assistant.errors import QuestionError
from assistant.strategy.profile import Field, FieldKind, Value

LONGEST = 2000

_UNKNOWN = re.compile(
    r"(?:我|目前|暂时)?(?:不知道|不清楚|不确定|不了解|说不准|未知|没统计过?|跳过|略过)"
    r"|(?:i )?(?:do not|don'?t) know|not sure|not known|unknown|no idea|skip|n/?a|\?|？",
    re.IGNORECASE,
)
_NONE = re.compile(
    r"(?:还|暂)?没有?|暂?无|零|否|不|不行|不能|不可以?|none|no|not yet|0", re.IGNORECASE
)
_YES = re.compile(r"是的?|有的?|对|好|可以|已有|已发布|yes|y|yeah|we do", re.IGNORECASE)
_EXCLUDES = re.compile(r"不|没|除|非(?!洲)|\b(?:no|not|except|without|but)\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"-?(\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)\s*"
    r"(百万|千万|万|亿|千|thousand|million|billion|bn|k(?![a-z])|m(?![a-z])|w(?![a-z]))?",
    re.IGNORECASE,
)
_MAGNITUDE = {
    "千": 1e3, "万": 1e4, "w": 1e4, "百万": 1e6, "千万": 1e7, "亿": 1e8,
    "k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "bn": 1e9, "billion": 1e9,
}  # fmt: skip
_ABOUT = re.compile(r"大约|大概|约|共|近|about|around|approx\.?|some|~|cny|rmb|人民币|¥|￥")
_REST = re.compile(r"左右|余|多|以上|每年|年度")
_GPU = re.compile(
    r"(?P<count>\d+)\s*(?:块|张|片|个|颗|×|x|\*)?\s*(?:nvidia|英伟达|华为)?\s*(?:geforce\s*)?"
    r"(?P<name>(?:rtx\s*|gtx\s*|tesla\s*)?(?:gh|[ahltvb]|mi|rtx|昇腾|ascend)\s*-?\d{1,4}[a-z]{0,3})"
    r"(?![a-z0-9])",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"[,，、;；/和与\s]+|\band\b")
_FILLERS = frozenset(
    {"我们", "我们是", "是", "属于", "主要", "公司", "the", "a", "an", "in", "we", "are", "our"}
)
_ENDINGS = ("行业", "企业", "公司", "业")


def parse(asked: Field, text: str) -> Value:
    """Return what somebody's words mean as a value of a field, None for "I don't know".

    Raises:
        QuestionError: the words do not fit the field, or only in part; the message says what does.
    """
    if len(text) > LONGEST:
        raise QuestionError(f"An answer has {LONGEST} characters at most. Say it in fewer words.")
    said = unicodedata.normalize("NFKC", text).strip().rstrip("。.!").strip()
    if _UNKNOWN.fullmatch(said):
        return None
    if not said:
        raise QuestionError("Nothing was said. Answer, or say that you do not know.")
    return _PARSERS[asked.kind](asked, said)


def parse_number(text: str) -> float | None:
    """Return the first number of a text with its magnitude (1.2万 is 12,000), None for none."""
    match = _NUMBER.search(unicodedata.normalize("NFKC", text))
    return _value(match) if match else None


def _value(match: re.Match[str]) -> float:
    magnitude = _MAGNITUDE.get((match.group(2) or "").lower(), 1.0)
    return float(match.group(1).replace(",", "")) * magnitude


def _parse_number(asked: Field, said: str) -> float:
    """Take one number, its magnitude and a unit of the field; anything left over is refused."""
    bare = _ABOUT.sub("", said.casefold()).strip()
    match = _NUMBER.match(bare)
    value = 0.0 if _NONE.fullmatch(said) else None
    if match and not bare.startswith("-"):
        unit = _REST.sub("", bare[match.end() :]).strip()
        factor = 1.0 if not unit else {k.casefold(): v for k, v in asked.units.items()}.get(unit)
        value = _value(match) * factor if factor else None
    if value is None or not asked.low <= value <= asked.high:
        raise QuestionError(
            f"A number from {asked.low:,.10g} to {asked.high:,.10g} {asked.unit.en} is expected; "
            f"{said[:60]!r} is none. Say one number, or that you do not know."
        )
    return value


def _parse_choice(asked: Field, said: str) -> str:
    chosen = _options(asked, said)
    if len(chosen) != 1:
        raise QuestionError(_not_an_option(asked, said))
    return chosen[0]


def _parse_many(asked: Field, said: str) -> tuple[str, ...]:
    """Take whole names out of the words first, so that none is torn apart, then what is left.

    Words that exclude something are refused: what is meant by "all but" is not guessed.
    """
    if _NONE.fullmatch(said):
        return ()
    rest, chosen = said.casefold(), set[str]()
    for name, option in sorted(_option_names(asked), key=lambda each: -len(each[0])):
        if len(name) > 2 and re.search(_whole(name), rest):
            chosen.add(option)
            rest = re.sub(_whole(name), " , ", rest)
    for part in filter(None, _SEPARATOR.split(rest)):
        found = _options(asked, part)
        if (not found and part not in _FILLERS) or _EXCLUDES.search(part):
            raise QuestionError(_not_an_option(asked, said))
        chosen.update(found)
    return tuple(option for option in asked.options if option in chosen)


def _parse_gpus(asked: Field, said: str) -> tuple[str, ...]:
    found = tuple(
        f"{int(match['count'])} × {' '.join(match['name'].upper().split())}"
        for match in _GPU.finditer(said)
        if int(match["count"])
    )
    if not found and not _NONE.fullmatch(said):
        raise QuestionError(
            f"{said[:60]!r} names no GPU. Say how many of which, such as “4 x L20”, or “none”."
        )
    return found


def _parse_text(asked: Field, said: str) -> str:
    return said


def _options(asked: Field, said: str) -> list[str]:
    """Return the options that somebody means: by number, by name, or by part of one name alone."""
    keys = list(asked.options)
    if said.isdecimal() and said.isascii():
        return [keys[int(said) - 1]] if 1 <= int(said) <= len(keys) else []
    low = said.casefold()
    exact = {option for name, option in _option_names(asked) if low in (name, *_ended(name))}
    if exact:
        return list(exact)
    if "yes" in asked.options and _YES.fullmatch(said):
        return ["yes"]
    for none in ("no", "none"):
        if none in asked.options and _NONE.fullmatch(said):
            return [none]
    long_enough = len(low) > (3 if low.isascii() else 1)
    parts = {option for name, option in _option_names(asked) if long_enough and low in name}
    return list(parts) if len(parts) == 1 and not _EXCLUDES.search(low) else []


def _option_names(asked: Field) -> list[tuple[str, str]]:
    """Return every name of the options with its option: key, both names, and their beginnings.

    "低：先内部、可撤回" is called "低" too.
    """
    return [
        (unicodedata.normalize("NFKC", each).casefold(), key)
        for key, words in asked.options.items()
        for name in (key, words.zh, words.en)
        for each in {name, re.split("[：:]", name)[0]}
    ]


def _ended(name: str) -> tuple[str, ...]:
    """Return a Chinese name as people end it: 制造, 制造业, 制造企业."""
    return () if name.isascii() else tuple(name + ending for ending in _ENDINGS)


def _whole(name: str) -> str:
    """Return a pattern for a name that stands for itself, not within another word."""
    return rf"(?<![a-z0-9_-]){re.escape(name)}(?![a-z0-9_-])" if name.isascii() else re.escape(name)


def _not_an_option(asked: Field, said: str) -> str:
    named = ", ".join(f"{n} {w.zh}/{w.en}" for n, w in enumerate(asked.options.values(), 1))
    return f"{said[:60]!r} is none of the choices: {named}. Say a number or a name."


_PARSERS: dict[FieldKind, Callable[[Field, str], Value]] = {
    "choice": _parse_choice,
    "many": _parse_many,
    "number": _parse_number,
    "gpus": _parse_gpus,
    "text": _parse_text,
}
