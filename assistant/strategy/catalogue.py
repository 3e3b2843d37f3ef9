"""The use-case catalogue: what each entry of ``data/usecases.yaml`` holds, and what it may say."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assistant.strategy.guidance import Section
from assistant.strategy.profile import form
from assistant.strategy.texts import checked, words
from assistant.strategy.types import Source, Words

Kind = Literal["language", "vision", "speech", "prediction", "recommendation", "code", "agent"]
Method = Literal[
    "prompting", "rag", "small_model", "finetune", "vision_model", "time_series", "rules"
]
Rating = Annotated[int, Field(ge=1, le=5)]
Some = Annotated[tuple[str, ...], Field(min_length=1)]

ANY = "any"


class Benefit(BaseModel):
    """What a use case brings: told by the guidance, or an assumption without figures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Words
    guidance: Section | None = None
    assumption: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Benefit:
        if (self.guidance is None) != self.assumption:
            raise ValueError("a benefit takes either `guidance` or `assumption: true`")
        return self

    def source(self) -> Source:
        """Return what the benefit rests on."""
        if self.guidance:
            return self.guidance.source()
        return Source("assumption", words("usecases", "benefit_assumed"), reference="usecases")


class UseCase(BaseModel):
    """One use case; each entry of ``data`` is a kind needed, or alternatives of which one is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    name: Words
    what: Words
    industries: Some
    functions: Some
    goals: Some
    kind: Kind
    data: Annotated[tuple[str | tuple[str, ...], ...], Field(min_length=1)]
    data_note: Words
    benefit: Benefit
    value: Rating
    feasibility: Rating
    risk: Rating
    method: Method
    difficulty_note: Words
    regulation: Words
    tier: Literal["low", "medium", "high"]
    oversight: Words
    sources: Annotated[tuple[Section, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _options_exist(self) -> UseCase:
        named = {
            "industry": set(self.industries) - {ANY},
            "functions": set(self.functions),
            "goals": set(self.goals),
            "data_kinds": {kind for kinds in self.needs() for kind in kinds},
        }
        for key, options in named.items():
            if wrong := options - set(form().field(key).options):
                raise ValueError(f"{self.id}: {sorted(wrong)} is no option of {key!r}")
        return self

    def needs(self) -> tuple[tuple[str, ...], ...]:
        """Return the kinds of data needed, each with its alternatives."""
        return tuple((each,) if isinstance(each, str) else each for each in self.data)

    def suits(self, industry: str | None) -> bool:
        """Tell whether companies of an industry do this."""
        return ANY in self.industries or industry in self.industries

    def guidance_sources(self) -> tuple[Source, ...]:
        """Return the sections of the guidance that the entry rests on.

        Raises:
            LookupError: the guidance has no such section or words.
        """
        return tuple(section.source() for section in self.sources)


class Catalogue(BaseModel):
    """What ``data/usecases.yaml`` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    texts: dict[str, Words]
    use_cases: tuple[UseCase, ...]

    @model_validator(mode="after")
    def _ids_differ(self) -> Catalogue:
        ids = [each.id for each in self.use_cases]
        if twice := sorted({each for each in ids if ids.count(each) > 1}):
            raise ValueError(f"these ids stand twice: {twice}")
        return self


@lru_cache(maxsize=1)
def use_cases() -> tuple[UseCase, ...]:
    """Return the catalogue's use cases; see `texts.checked`."""
    return checked("usecases", Catalogue).use_cases
