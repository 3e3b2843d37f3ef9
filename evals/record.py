"""What a run leaves behind: one record a case, a manifest, and the folder that holds both.

A record holds all that is needed to explain its scores without asking again. This
module reads and writes; it asks nothing and scores nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from assistant.errors import ConfigurationError
from assistant.types import Answer, Hit
from evals.case import Case

RUNS = Path("evals") / "runs"
RECORDS_FILE = "records.jsonl"
MANIFEST_FILE = "manifest.json"


class Call(BaseModel):
    """One call of an engine: the prompt as text, and what came back before it was checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: str
    prompt: str
    raw: str


class Record(BaseModel):
    """One case as it was asked: the hits, the engine's words, the checked answer, the scores.

    ``answer`` is None when asking failed; ``error`` then says how. ``seconds`` is the time
    of the last question alone, without the questions of the case's history.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    case: Case
    hits: tuple[Hit, ...] = ()
    calls: tuple[Call, ...] = ()
    answer: Answer | None = None
    seconds: float = 0.0
    error: str = ""
    scores: dict[str, float | None] = {}


class Manifest(BaseModel):
    """Under what conditions a run was made.

    ``cases`` and ``code`` are digests: of the cases asked, and of the product's code and
    prompts. ``settings`` are all that can change an answer. Times are ISO 8601, UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cases: str
    count: int
    code: str
    engine: str
    settings: dict[str, Any]
    index: str
    embedding_model: dict[str, Any]
    commit: str = ""
    dirty: bool = False
    packages: dict[str, str] = {}
    started: str = ""
    finished: str = ""

    @property
    def identity(self) -> tuple[Any, ...]:
        """What two runs must share for the one to go on where the other stopped."""
        return self.cases, self.code, self.engine, self.settings, self.index


@dataclass(frozen=True)
class Run:
    """A run as it was read: its folder, its manifest, its records in the order of the cases."""

    folder: Path
    manifest: Manifest
    records: tuple[Record, ...]


def read_run(folder: Path) -> Run:
    """Return the run that lies in ``folder``.

    Raises:
        ConfigurationError: there is none, or it is not finished.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise ConfigurationError(f"{folder} holds no run. `assistant eval run` makes one.")
    records = read_records(folder)
    if len(records) < manifest.count:
        raise ConfigurationError(
            f"The run in {folder} has {len(records)} of {manifest.count} cases. Finish it: give "
            "`assistant eval run` the same options again."
        )
    return Run(folder, manifest, tuple(records))


def latest() -> Path:
    """Return the folder of the run that finished last below ``evals/runs``.

    Raises:
        ConfigurationError: there is none.
    """
    folders = [path.parent for path in RUNS.glob(f"*/{MANIFEST_FILE}")]
    finished = {f: m.finished for f in folders if (m := read_manifest(f)) and m.finished}
    if not finished:
        raise ConfigurationError(
            f"There is no finished run below {RUNS}. Make one with `assistant eval run`, or name "
            "its folder."
        )
    return max(finished, key=lambda folder: finished[folder])


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a folder, None when it has none.

    Raises:
        ConfigurationError: it is not a manifest of this version.
    """
    path = folder / MANIFEST_FILE
    if not path.exists():
        return None
    try:
        return Manifest.model_validate_json(path.read_text("utf-8"))
    except ValidationError as error:
        raise ConfigurationError(
            f"{path} is not a manifest of this version ({error.error_count()} problems). "
            "Delete the folder and run again."
        ) from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n", "utf-8")


def read_records(folder: Path) -> list[Record]:
    """Return the records of a folder; a line that an interruption cut off is left out.

    A case that failed and was asked again counts once, as it was asked last.
    """
    path = folder / RECORDS_FILE
    if not path.exists():
        return []
    found: dict[str, Record] = {}
    for line in path.read_text("utf-8").split("\n"):
        try:
            record = Record.model_validate_json(line)
        except ValidationError:
            continue
        found[record.case.id] = record
    return list(found.values())


def write_records(folder: Path, records: Iterable[Record]) -> None:
    """Write records anew, in the order given."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (record.model_dump_json() for record in records)
    (folder / RECORDS_FILE).write_text("".join(f"{line}\n" for line in lines), "utf-8")


def append_record(folder: Path, record: Record) -> None:
    """Add one record to those of a folder; one thread at a time."""
    with (folder / RECORDS_FILE).open("a", encoding="utf-8") as file:
        file.write(record.model_dump_json() + "\n")
