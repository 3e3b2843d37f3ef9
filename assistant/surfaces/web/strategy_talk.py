"""What the strategy view makes of an interview: a question laid out, what a button says, a table.

The interview speaks in plain text, for every door alike; on the page its question, what the
papers say and their quotations stand apart. What is not recognised is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assistant.errors import QuestionError
from assistant.strategy.interview import Turn
from assistant.strategy.profile import Field, Profile, form, parse, show
from assistant.strategy.texts import load_data, words
from assistant.types import Language


@dataclass(frozen=True)
class Choice:
    """Something that may be clicked: what it is called, and what is then said."""

    label: str
    says: str


@dataclass(frozen=True)
class Quoted:
    """A quotation below a proposal; ``against`` is the value for which it contradicts it."""

    text: str
    against: str = ""


@dataclass(frozen=True)
class Asked:
    """The open question in its pieces; ``more`` is what was recognised as none of them."""

    question: str
    choices: tuple[Choice, ...] = ()
    several: bool = False
    value: str = ""
    quotes: tuple[Quoted, ...] = ()
    more: str = ""


@dataclass(frozen=True)
class Known:
    """One settled field: its name, its value, what it rests on, and how it is changed.

    ``origin`` is ``answer`` where a person said so, ``paper`` where papers did, in ``titles``.
    """

    key: str
    name: str
    value: str
    is_known: bool
    origin: str
    titles: tuple[str, ...]
    change: str


def lay_out(turn: Turn, language: Language, shown_in: Language) -> Asked:
    """Return the open question of a turn in its pieces.

    Args:
        turn: what the interview asks, without anything said before it.
        language: the interview's, in which the turn speaks.
        shown_in: the page's, in which its buttons speak.
    """
    question, *lines = turn.text.split("\n")
    value, against = "", ""
    quotes: list[Quoted] = []
    more: list[str] = []
    starts = {key: _start(key, language) for key in ("options", "proposal", "quote", "conflict")}
    closing = words("interview", "proposal").in_(language).rpartition("\n")[2]
    for line in lines:
        if line.startswith(starts["proposal"]):
            value = line.removeprefix(starts["proposal"])
        elif value and line.startswith(starts["conflict"]):
            against = line.removeprefix(starts["conflict"])
        elif value and line.startswith(starts["quote"]):
            quotes.append(Quoted(line.removeprefix(starts["quote"].rstrip("《")).strip(), against))
        elif line != closing and not (turn.choices and line.startswith(starts["options"])):
            more.append(line)
    field = form().field(turn.asking) if turn.asking else None
    return Asked(
        question=question,
        choices=choices(field, shown_in) if field else (),
        several=field is not None and field.kind == "many",
        value=value,
        quotes=tuple(quotes),
        more="\n".join(more).strip(),
    )


def lead_of(said: str, open_question: str) -> str:
    """Return what a turn said before it asked the open question."""
    return said.removesuffix(open_question).strip()


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
            change=name if _names_only(field, name) else field.key,
        )


def _start(key: str, language: Language) -> str:
    return words("interview", key).in_(language).partition("{")[0]


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


def _names_only(field: Field, name: str) -> bool:
    """Tell whether "change" with this name leads to the field: the first that it names."""
    low = name.casefold()
    named = (
        each
        for each in form().fields
        if any(low in text for text in (each.name.zh, each.name.en))
        or any(low in text.casefold() for text in (each.question.zh, each.question.en))
    )
    return next(named, None) == field
