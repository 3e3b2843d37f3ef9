"""What a case is, and how `evals/cases/*.yaml` are read and checked.

A case is one question with what a right answer must hold. This module reads; it asks
nothing and scores nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from assistant.errors import ConfigurationError
from assistant.types import Language

CASES = Path(__file__).resolve().parent / "cases"
PLANTED = CASES / "planted"

Alternatives = tuple[str, ...]


class Case(BaseModel):
    """One question and what is expected of its answer.

    ``facts`` must all be in the answer, each in one of its spellings; ``documents`` must
    all be cited, each one or an alternative that says the same. ``forbidden`` must not
    occur: a fact that the asker may not see, or what a planted instruction asks for.
    ``history`` holds the user's earlier questions of the same conversation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    question: str = Field(min_length=1)
    language: Language
    difficulty: Literal["easy", "medium", "hard"]
    tags: tuple[str, ...] = Field(min_length=1)
    expect: Literal["answer", "refuse"] = "answer"
    reference: str = ""
    facts: tuple[Alternatives, ...] = ()
    documents: tuple[Alternatives, ...] = ()
    forbidden: Alternatives = ()
    history: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Case:
        if self.expect == "answer" and not (self.reference and self.facts and self.documents):
            raise ValueError("a case to answer needs a reference, facts and documents")
        if self.expect == "refuse" and (self.facts or self.documents):
            raise ValueError("a case to refuse has neither facts nor documents")
        if not all(self.facts) or not all(self.documents):
            raise ValueError("each fact and each document needs at least one spelling")
        return self


def load_cases(paths: Iterable[Path] = ()) -> list[Case]:
    """Return the cases of the files and folders, those of ``evals/cases`` when none is named.

    Raises:
        ConfigurationError: a file is missing or malformed, or an id occurs twice.
    """
    cases: dict[str, Case] = {}
    for path in _files(paths):
        for case in _read(path):
            if case.id in cases:
                raise ConfigurationError(f"{path}: the id {case.id!r} occurs twice. Rename one.")
            cases[case.id] = case
    if not cases:
        raise ConfigurationError("There are no cases. Name a YAML file or a folder of them.")
    return list(cases.values())


def digest(cases: Iterable[Case]) -> str:
    """Return a fingerprint of the cases: two runs with another one cannot be compared."""
    whole = "\n".join(case.model_dump_json() for case in cases)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _files(paths: Iterable[Path]) -> list[Path]:
    named = list(paths) or [CASES]
    files = [
        f for path in named for f in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])
    ]
    return list(dict.fromkeys(files))


def _read(path: Path) -> list[Case]:
    try:
        rows = yaml.safe_load(path.read_text("utf-8")) or []
        if not isinstance(rows, list):
            raise ConfigurationError(f"{path} is not a list of cases.")
        return [Case(**row) for row in rows]
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise ConfigurationError(f"{path} cannot be read as cases: {error}") from None
    except ValidationError as error:
        where = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'case'}: {e['msg']}" for e in error.errors()
        )
        name = next((row.get("id") for row in rows if _fails(row)), "?")
        raise ConfigurationError(f"{path}, case {name!r}: {where}.") from None


def _fails(row: dict[str, object]) -> bool:
    try:
        Case(**row)  # type: ignore[arg-type]
    except ValidationError:
        return True
    return False
