"""Strategies over HTTP: the interview, the profile with its versions, the brief as a file."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field, TypeAdapter

from assistant.accounts.records import Identity
from assistant.strategy.desk import LONGEST_NAME, Strategies
from assistant.strategy.interview import Turn
from assistant.strategy.profile import Change, Profile
from assistant.strategy.store import Strategy
from assistant.strategy.types import Brief
from assistant.strategy.usecases import Weights
from assistant.surfaces.http.depend import Asker, TheService, limited, question_limited
from assistant.surfaces.http.files import WORD, attachment
from assistant.surfaces.http.service import Service
from assistant.surfaces.problems import documented
from assistant.types import Language

router = APIRouter(prefix="/v1/strategies", tags=["strategies"], dependencies=[Depends(limited)])

# Reading all papers and setting a document take seconds: they count as questions.
_HEAVY = [Depends(question_limited)]
_LONGEST_ANSWER = 2000

Version = Annotated[int | None, Query(ge=0, le=1_000_000)]
BriefFormat = Literal["docx", "pdf", "markdown", "json"]


class NewStrategy(BaseModel):
    """A strategy to begin: the company's name, and the language to lead it in."""

    company: str = Field(min_length=1, max_length=LONGEST_NAME)
    language: Language = "zh"


class Said(BaseModel):
    """What somebody says in the interview."""

    text: str = Field(min_length=1, max_length=_LONGEST_ANSWER)


class WeightsGiven(BaseModel):
    """The weights of a ranking; they need not add up to anything."""

    value: Annotated[float, Field(ge=0, le=1000)] = 35
    feasibility: Annotated[float, Field(ge=0, le=1000)] = 25
    data: Annotated[float, Field(ge=0, le=1000)] = 25
    risk: Annotated[float, Field(ge=0, le=1000)] = 15


class Read(BaseModel):
    """For how many fields the papers propose an answer."""

    proposals: int


@router.get("")
def strategies(service: TheService, asker: Asker) -> list[Strategy]:
    """Return the asker's strategies, latest first."""
    return _desk(service, asker).all()


@router.post("", status_code=201, dependencies=_HEAVY, responses=documented(422))
def begin(new: NewStrategy, service: TheService, asker: Asker) -> Turn:
    """Begin a strategy: read the papers, and return the first question."""
    return _desk(service, asker).begin(new.company, new.language)


@router.get("/{strategy_id}", responses=documented(404))
def strategy(strategy_id: str, service: TheService, asker: Asker) -> Strategy:
    """Return one of the asker's strategies."""
    return _desk(service, asker).get(strategy_id)


@router.delete("/{strategy_id}", status_code=204, responses=documented(404))
def delete(strategy_id: str, service: TheService, asker: Asker) -> None:
    """Delete a strategy with all its versions, for good."""
    _desk(service, asker).delete(strategy_id)


@router.get("/{strategy_id}/turn", responses=documented(404))
def turn(strategy_id: str, service: TheService, asker: Asker) -> Turn:
    """Return the question that is open now."""
    return _desk(service, asker).ask(strategy_id)


@router.post("/{strategy_id}/turn", responses=documented(404, 422))
def say(strategy_id: str, said: Said, service: TheService, asker: Asker) -> Turn:
    """Take an answer or a command, and return what the interview says to it."""
    return _desk(service, asker).say(strategy_id, said.text)


@router.post("/{strategy_id}/papers", dependencies=_HEAVY, responses=documented(404))
def read_papers(strategy_id: str, service: TheService, asker: Asker) -> Read:
    """Read the papers anew for proposals."""
    return Read(proposals=_desk(service, asker).read_papers(strategy_id))


@router.put("/{strategy_id}/answers/{key}", status_code=204, responses=documented(404, 422))
def answer(strategy_id: str, key: str, said: Said, service: TheService, asker: Asker) -> None:
    """Settle one field of the profile, or change it."""
    _desk(service, asker).answer(strategy_id, key, said.text)


@router.get("/{strategy_id}/profile", responses=documented(404))
def profile(
    strategy_id: str, service: TheService, asker: Asker, version: Version = None
) -> Profile:
    """Return the company's profile, as of a version if one is given."""
    return _desk(service, asker).profile(strategy_id, version)


@router.get("/{strategy_id}/changes", responses=documented(404))
def changes(
    strategy_id: str,
    service: TheService,
    asker: Asker,
    before: Annotated[int, Query(ge=0, le=1_000_000)],
    after: Annotated[int, Query(ge=0, le=1_000_000)],
) -> list[Change]:
    """Return what changed in the profile from one version to another."""
    return _desk(service, asker).compare(strategy_id, before, after)


@router.get(
    "/{strategy_id}/brief",
    response_class=Response,
    dependencies=_HEAVY,
    responses={
        200: {
            "content": {
                "application/json": {},
                "application/pdf": {},
                "text/markdown": {},
                WORD: {},
            }
        },
        **documented(404, 422),
    },
)
def brief(
    strategy_id: str,
    service: TheService,
    asker: Asker,
    weights: Annotated[WeightsGiven, Depends()],
    format: BriefFormat = "docx",
    language: Language | None = None,
    version: Version = None,
    prose: bool = False,
) -> Response:
    """Return the brief as a file, or as JSON for a client that renders it itself."""
    written = _desk(service, asker).brief(
        strategy_id,
        language=language,
        version=version,
        weights=Weights(**weights.model_dump()),
        prose=prose,
    )
    return _rendered(written, format)


def _rendered(written: Brief, format: BriefFormat) -> Response:
    from assistant.strategy.render import to_docx, to_markdown, to_pdf

    name = f"{written.title} {written.subtitle}"
    if format == "json":
        return Response(TypeAdapter(Brief).dump_json(written), media_type="application/json")
    if format == "markdown":
        text = to_markdown(written, {})
        return attachment(text, "text/markdown; charset=utf-8", name, "md")
    if format == "pdf":
        return attachment(to_pdf(written), "application/pdf", name, "pdf")
    return attachment(to_docx(written), WORD, name, "docx")


def _desk(service: Service, asker: Identity) -> Strategies:
    asker.require("ask")
    return service.assistant.strategies(asker.principal)
