"""What the strategy view makes of an interview: what a button says, and what is known so far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assistant.errors import QuestionError
from assistant.strategy.parse import parse
from assistant.strategy.profile import Field, Profile, form, show
from assistant.strategy.texts import load_data
from assistant.types import Language


@dataclass(frozen=True)
class Choice:
    """Something that may be clicked: what it is called, and what is then said."""

    label: str
    says: str


@dataclass(frozen=True)
class Known:
    """One settled field: its name, its value, and what it rests on.

    ``origin`` is ``answer`` where a person said so, ``paper`` where papers did, in ``titles``.
    """

    key: str
    name: str
    value: str
    is_known: bool
    origin: str
    titles: tuple[str, ...]


def choices(field: Field, language: Language) -> tuple[Choice, ...]:
    """Return the options of a field by name, each with words that mean it and nothing else."""
    return tuple(
        Choice(name.in_(language), _says(field, key, language))
        for key, name in field.options.items()
    )


def known(profile: Profile, language: Language) -> list[tuple[str, list[Known]]]:
    """Return the settled fields in the form's order, under the names of its parts."""
    return [
        (name.in_(language), rows)
        for part, name in form().parts.items()
        if (rows := list(_rows(profile, part, language)))
    ]


def _rows(profile: Profile, part: str, language: Language) -> Iterator[Known]:
    for field in form().fields:
        given = profile.answers.get(field.key)
        if field.part != part or given is None:
            continue
        papers = [each.title.in_(language) for each in given.sources if each.kind == "company"]
        name = field.name.in_(language)
        yield Known(
            key=field.key,
            name=name,
            value=show(field, given, language),
            is_known=given.value is not None,
            origin="paper" if papers else "answer",
            titles=tuple(dict.fromkeys(papers)),
        )


def _says(field: Field, key: str, language: Language) -> str:
    """Return an option's name, or where that may be misread its key or its number."""
    number = str(list(field.options).index(key) + 1)
    candidates = (field.options[key].in_(language), key)
    return next((each for each in candidates if _means(field, each, key)), number)


def _means(field: Field, said: str, key: str) -> bool:
    """Tell whether words mean this option alone, and are not taken for a command."""
    try:
        meant = parse(field, said)
    except QuestionError:
        return False
    return meant == ((key,) if field.kind == "many" else key) and not _is_command(said)


def _is_command(said: str) -> bool:
    low = said.casefold()
    commands: dict[str, list[str]] = load_data("interview")["commands"]
    return any(
        low == each or (command == "change" and low.startswith(each))
        for command, forms in commands.items()
        for each in forms
    )
