"""Rows of other people's files, checked against their layout.

Whatever is wrong with a file becomes one error that names the file, the line and the
remedy. It knows no set and no score.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from assistant.errors import ConfigurationError


class Row(BaseModel):
    """A row's layout; fields that are not named are passed over."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)


RowT = TypeVar("RowT", bound=Row)


def read_rows(row: type[RowT], file: Path) -> Iterator[RowT]:
    """Yield the rows of a file of JSON lines.

    Raises:
        ConfigurationError: the file cannot be read, or a line does not fit.
    """
    for number, line in read_lines(file):
        yield _parsed(row, line, f"{file}, line {number}", "line")


def read_json(row: type[RowT], file: Path) -> RowT:
    """Return a file that is one JSON value; see `read_rows`."""
    return _parsed(row, _text(file), str(file), "file")


def read_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty, numbered from 1.

    They end at line feeds alone: JSON strings may hold other separators as they are.
    """
    for number, line in enumerate(_text(file).split("\n"), 1):
        if line.strip():
            yield number, line.rstrip("\r")


def files_of(path: Path, pattern: str) -> list[Path]:
    """Return the file, or those of a folder."""
    found = sorted(path.glob(pattern)) if path.is_dir() else [path]
    if not found:
        raise ConfigurationError(f"{path} holds no {pattern}. Name the set's own file or folder.")
    return found


def only_file(path: Path, pattern: str) -> Path:
    """Return the file, or the only one of a folder."""
    found = files_of(path, pattern)
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise ConfigurationError(f"{path} holds several sets: {names}. Name one of them.")
    return found[0]


def _parsed(row: type[RowT], text: str, place: str, unit: str) -> RowT:
    try:
        return row.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        # A line's own number stands before it; within it everything is on line 1.
        said = first["msg"] if unit == "file" else first["msg"].replace(" line 1 ", " ")
        wanted = ", ".join(f.alias or name for name, f in row.model_fields.items())
        raise ConfigurationError(
            f"{place}: {field + ': ' if field else ''}{said}. Each {unit} is an object with the "
            f"fields {wanted}. Mend the {unit}, or name another format."
        ) from None


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{file}, line {line} is not UTF-8 ({error.reason}). Convert the file to UTF-8."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read ({error.strerror}). Check that the set is complete."
        ) from None
