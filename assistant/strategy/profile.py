"""The company profile: its fields, what counts as an answer to each, and versions compared.

The fields stand in ``data/profile.yaml``, where editors can read them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict

from assistant.errors import QuestionError
from assistant.strategy.texts import checked
from assistant.strategy.types import Source, Words, same
from assistant.types import Language

FieldKind = Literal["choice", "many", "number", "gpus", "text"]
Value = str | float | tuple[str, ...] | None

_UNKNOWN = re.compile(
    r"(?:我|目前|暂时)?(?:不知道|不清楚|不确定|不了解|说不准|未知|没统计过?|跳过|略过)"
    r"|(?:i )?(?:do not|don'?t) know|not sure|unknown|no idea|skip|n/?a|\?|？",
    re.IGNORECASE,
)
_NONE = re.compile(r"没有|无|零|none|no|0", re.IGNORECASE)
_YES = re.compile(r"是的?|有的?|对|好|已有|已发布|yes|y|yeah|we do", re.IGNORECASE)
_NUMBER = re.compile(
    r"((?<!\d)-?\d+(?:,\d{3})+(?:\.\d+)?|(?<!\d)-?\d+(?:\.\d+)?)\s*"
    r"(百万|千万|万|亿|千|thousand|million|billion|k(?![a-z])|m(?![a-z]))?",
    re.IGNORECASE,
)
_MAGNITUDE = {
    "千": 1e3, "万": 1e4, "百万": 1e6, "千万": 1e7, "亿": 1e8,
    "k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "billion": 1e9,
}  # fmt: skip
_GPU = re.compile(
    r"(?P<count>\d+)\s*(?:块|张|片|个|颗|×|x|\*)?\s*(?:nvidia|英伟达|华为)?\s*(?:geforce\s*)?"
    r"(?P<name>(?:rtx\s*|gtx\s*|tesla\s*)?(?:gh|[ahltvb]|mi|rtx|昇腾|ascend)\s*-?\d{1,4}\s?[a-z]*)",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"[,，、;；/和与\s]+|\band\b")


class Find(BaseModel):
    """How the company's papers are read for a field; see ``data/profile.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queries: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    signs: dict[str, tuple[str, ...]] = {}
    titles: dict[str, tuple[str, ...]] = {}


class Field(BaseModel):
    """One thing to know about the company: the question, why it is asked, what may be said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    name: Words
    part: str
    kind: FieldKind
    question: Words
    why: Words
    unit: Words = same("")
    options: dict[str, Words] = {}
    low: float = 0.0
    high: float = 0.0
    find: Find | None = None


class Form(BaseModel):
    """All fields in the order in which they are asked, and the names of their parts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parts: dict[str, Words]
    fields: tuple[Field, ...]

    def field(self, key: str) -> Field:
        """Return a field.

        Raises:
            QuestionError: there is none of that name.
        """
        for each in self.fields:
            if each.key == key:
                return each
        raise QuestionError(
            f"The profile has no field {key!r}. It has: {', '.join(f.key for f in self.fields)}."
        )


@dataclass(frozen=True)
class Given:
    """What is known of one field: its value (None when nobody knows) and what that rests on."""

    value: Value
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Profile:
    """What is known of a company at one version; a field that was never settled is absent.

    ``date`` is the day of the version (ISO), so that what is computed from a profile does not
    depend on the day it is computed.
    """

    company: str = ""
    version: int = 0
    date: str = ""
    answers: Mapping[str, Given] = field(default_factory=dict)

    def one(self, key: str) -> str | None:
        """Return the chosen option of a field, None when unknown."""
        value = self._value(key)
        return value if isinstance(value, str) else None

    def many(self, key: str) -> tuple[str, ...]:
        """Return the chosen options of a field, none when unknown."""
        value = self._value(key)
        return value if isinstance(value, tuple) else ()

    def number(self, key: str) -> float | None:
        """Return the number of a field, None when unknown."""
        value = self._value(key)
        return value if isinstance(value, float) else None

    def known(self, key: str) -> bool:
        """Tell whether a field has a value; "nobody knows" is none."""
        return self._value(key) is not None

    def sources(self, key: str) -> tuple[Source, ...]:
        """Return what a field's value rests on; where it is unknown, that this is assumed."""
        given = self.answers.get(key)
        return given.sources if given and given.value is not None else (unknown(key),)

    def source(self, key: str) -> Source:
        """Return the first source of a field; see `sources`."""
        return self.sources(key)[0]

    def with_answer(self, key: str, given: Given) -> Profile:
        """Return the profile with one answer more, or another one."""
        return replace(self, answers={**self.answers, key: given})

    def _value(self, key: str) -> Value:
        given = self.answers.get(key)
        return given.value if given else None


@dataclass(frozen=True)
class Change:
    """A field that differs between two versions, as a person reads it."""

    key: str
    before: str
    after: str


def unknown(key: str) -> Source:
    """Return the assumption that stands for a field which nobody could answer."""
    name = form().field(key).name
    return Source(
        kind="assumption",
        title=Words(
            f"“{name.zh}”尚未回答，按较差的情况估计。",
            f"“{name.en}” was not answered; the worse case is assumed.",
        ),
        reference=key,
    )


def answered(key: str, said: Words) -> Source:
    """Return what somebody said in the interview as a source."""
    asked = form().field(key).question
    return Source(kind="answer", title=asked, quote=said, reference=key)


def compare(before: Profile, after: Profile, language: Language) -> list[Change]:
    """Return the fields whose value differs between two versions, in the form's order."""
    return [
        Change(each.key, *shown)
        for each in form().fields
        if (shown := tuple(show(each, p.answers.get(each.key), language) for p in (before, after)))
        and shown[0] != shown[1]
    ]


def show(asked: Field, given: Given | None, language: Language) -> str:
    """Return a value as a person reads it: options by name, numbers with their unit."""
    if given is None:
        return ""
    if given.value is None:
        return "不清楚" if language == "zh" else "not known"
    if isinstance(given.value, float):
        number = f"{given.value:,.10g}"
        return f"{number}{asked.unit.zh}" if language == "zh" else f"{number} {asked.unit.en}"
    if isinstance(given.value, str):
        return asked.options[given.value].in_(language) if asked.options else given.value
    names = [asked.options[v].in_(language) if asked.options else v for v in given.value]
    return ("、" if language == "zh" else ", ").join(names) or _none(language)


def parse(asked: Field, text: str) -> Value:
    """Return what somebody's words mean as a value of a field, None for "I don't know".

    Raises:
        QuestionError: the words do not fit the field; the message says what does.
    """
    said = unicodedata.normalize("NFKC", text).strip().rstrip("。.!").strip()
    if _UNKNOWN.fullmatch(said):
        return None
    if not said:
        raise QuestionError("Nothing was said. Answer, or say that you do not know.")
    return _PARSERS[asked.kind](asked, said)


def parse_number(text: str) -> float | None:
    """Return the first number of a text with its magnitude (1.2万 is 12,000), None for none."""
    match = _NUMBER.search(unicodedata.normalize("NFKC", text))
    if not match:
        return 0.0 if _NONE.fullmatch(text.strip()) else None
    return float(match.group(1).replace(",", "")) * _MAGNITUDE.get(
        (match.group(2) or "").lower(), 1
    )


def _parse_number(asked: Field, said: str) -> float:
    value = parse_number(said)
    if value is None or not asked.low <= value <= asked.high:
        raise QuestionError(
            f"A number from {asked.low:,.10g} to {asked.high:,.10g} {asked.unit.en} is expected; "
            f"{said!r} is none. Say a number, or that you do not know."
        )
    return value


def _parse_choice(asked: Field, said: str) -> str:
    chosen = _options(asked, said)
    if len(chosen) != 1:
        raise QuestionError(_not_an_option(asked, said))
    return chosen[0]


def _parse_many(asked: Field, said: str) -> tuple[str, ...]:
    """Take whole names out of the words first, so that none is torn apart, then what is left."""
    if _NONE.fullmatch(said):
        return ()
    rest, chosen = said.casefold(), set[str]()
    for name, option in sorted(_option_names(asked), key=lambda each: -len(each[0])):
        if re.search(_whole(name), rest):
            chosen.add(option)
            rest = re.sub(_whole(name), " , ", rest)
    for part in filter(None, _SEPARATOR.split(rest)):
        chosen.update(_options(asked, part))
    if not chosen:
        raise QuestionError(_not_an_option(asked, said))
    return tuple(option for option in asked.options if option in chosen)


def _option_names(asked: Field) -> list[tuple[str, str]]:
    """Return every name of the options with its option: the key and both languages' names."""
    return [
        (unicodedata.normalize("NFKC", name).casefold(), key)
        for key, words in asked.options.items()
        for name in (key, words.zh, words.en)
    ]


def _whole(name: str) -> str:
    """Return a pattern for a name that stands for itself, not within another word."""
    return rf"(?<![a-z0-9_-]){re.escape(name)}(?![a-z0-9_-])" if name.isascii() else re.escape(name)


def _parse_gpus(asked: Field, said: str) -> tuple[str, ...]:
    found = tuple(
        f"{int(match['count'])} × {' '.join(match['name'].upper().split())}"
        for match in _GPU.finditer(said)
    )
    if not found and not _NONE.fullmatch(said):
        raise QuestionError(
            f"{said!r} names no GPU. Say how many of which, such as “4 x L20”, or “none”."
        )
    return found


def _parse_text(asked: Field, said: str) -> str:
    return said


def _options(asked: Field, said: str) -> list[str]:
    """Return the options that somebody may mean: by number, by name, or by part of one name."""
    keys = list(asked.options)
    if said.isdecimal() and said.isascii():
        return [keys[int(said) - 1]] if 1 <= int(said) <= len(keys) else []
    low = said.casefold()
    exact = {option for name, option in _option_names(asked) if name == low}
    if exact:
        return list(exact)
    if "yes" in asked.options and _YES.fullmatch(said):
        return ["yes"]
    for none in ("no", "none"):
        if none in asked.options and _NONE.fullmatch(said):
            return [none]
    names = [(name, option) for name, option in _option_names(asked) if not name.isascii()]
    within = {option for name, option in names if name in low}
    parts = {option for name, option in _option_names(asked) if len(low) > 1 and low in name}
    return list(within or (parts if len(parts) == 1 else ()))


def _not_an_option(asked: Field, said: str) -> str:
    named = ", ".join(
        f"{n} {name.zh}/{name.en}" for n, name in enumerate(asked.options.values(), 1)
    )
    return f"{said!r} is none of the choices: {named}. Say a number or a name."


def _none(language: Language) -> str:
    return "没有" if language == "zh" else "none"


_PARSERS: dict[FieldKind, Callable[[Field, str], Value]] = {
    "choice": _parse_choice,
    "many": _parse_many,
    "number": _parse_number,
    "gpus": _parse_gpus,
    "text": _parse_text,
}


@lru_cache(maxsize=1)
def form() -> Form:
    """Return the fields of the profile; see `texts.checked`."""
    return checked("profile", Form)
