"""The company profile: its fields, what is known of each, and versions compared.

The fields stand in ``data/profile.yaml``, where editors can read them.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    units: dict[str, float] = {}
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
            f"“{name.zh}”尚未回答，评分按最低级计。",
            f"“{name.en}” was not answered and scores lowest.",
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


def _none(language: Language) -> str:
    return "没有" if language == "zh" else "none"


@lru_cache(maxsize=1)
def form() -> Form:
    """Return the fields of the profile; see `texts.checked`."""
    return checked("profile", Form)
