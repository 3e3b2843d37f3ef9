"""Ask every case through the public door and keep what happened: `run`.

A run that was stopped goes on where it stopped, as long as cases, settings, code and
documents are the same. It judges nothing but what `evals.scorers` computes.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.tracers.context import collect_runs
from langchain_core.tracers.schemas import Run as Trace

import assistant
from assistant import Assistant, Principal, Settings
from assistant.embed import Embedder, load_embedder
from assistant.engines.base import engine_name
from assistant.errors import ConfigurationError
from assistant.settings import data_folder
from assistant.types import Progress
from evals import index, record
from evals.case import Case, digest
from evals.record import Call, Manifest, Record, Run
from evals.scorers import score

USER = "evaluation"
_ELSEWHERE = {"data_dir", "cache_dir", "chroma_url", "allowed_folders", "queue_size"}
_SECRET = ("key", "secret", "password", "token")
_PACKAGES = (
    "strategy-assistant", "chromadb", "langchain-core", "llama-cpp-python", "numpy",
    "scikit-learn", "sentence-transformers", "torch", "transformers",
)  # fmt: skip

Tell = Callable[[Progress], None]


def run(
    cases: Sequence[Case],
    settings: Settings,
    out: Path | None = None,
    *,
    sources: Sequence[Path] = (),
    embedder: Embedder | None = None,
    engine: BaseChatModel | None = None,
    workers: int = 1,
    progress: Tell | None = None,
) -> Run:
    """Ask the cases that ``out`` does not hold yet, and return the whole run.

    Args:
        cases: what to ask.
        settings: how to answer; the data directory is not touched.
        out: the run's folder; a name made of the run's identity below ``evals/runs`` if None.
        sources: what to index; `index.SOURCES` if empty.
        embedder: in place of the settings' model.
        engine: in place of the settings' engine.
        workers: how many questions are asked at once.
        progress: told of each step.

    Raises:
        ConfigurationError: ``out`` holds a run made under other conditions.
    """
    sources = sources or index.SOURCES
    embedder = embedder or load_embedder(settings)
    name = engine_name(engine) if engine else settings.engine
    manifest = describe(cases, settings, sources, embedder, name)
    folder = out or default_folder(manifest)
    done = _begin(folder, manifest)
    missing = [case for case in cases if case.id not in done]
    if missing:
        with (
            index.opened(sources, settings, embedder, progress) as data,
            Assistant(_at(settings, data), embedder=embedder, engine=engine) as asked,
        ):
            asked.warm_up()
            for each in _ask_all(asked, missing, workers, embedder):
                record.append_record(folder, each)
                done[each.case.id] = each
                if progress:
                    progress(Progress("cases", len(done), len(cases), each.case.id))
    _finish(folder, cases, done, touched=bool(missing))
    return record.read_run(folder)


def sample(cases: Sequence[Case], limit: int, seed: int) -> list[Case]:
    """Return ``limit`` cases, each kind and language in its share, in their own order.

    A case's kind is its first tag. Every stratum gives one case before any gives a second
    by rounding (largest remainders).
    """
    if limit >= len(cases):
        return list(cases)
    strata: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        strata.setdefault((case.tags[0], case.language), []).append(case)
    exact = {key: limit * len(members) / len(cases) for key, members in strata.items()}
    quota = Counter({key: int(share) for key, share in exact.items()})
    by_need = sorted(exact, key=lambda key: (quota[key] > 0, quota[key] - exact[key], key))
    quota.update(by_need[: limit - quota.total()])
    rng = random.Random(seed)
    chosen = {c.id for key in sorted(strata) for c in rng.sample(strata[key], quota[key])}
    return [case for case in cases if case.id in chosen]


def ask(asked: Assistant, case: Case) -> Record:
    """Ask one case, its history first, and return it unscored; a failure is part of the record."""
    principal = Principal(USER, case.groups)
    conversation = None
    with collect_runs() as traces:
        try:
            for earlier in case.history:
                conversation = asked.ask(
                    earlier, conversation_id=conversation, principal=principal
                ).conversation_id
            traces.traced_runs.clear()
            began = time.perf_counter()
            first, *_, last = asked.stream(
                case.question, conversation_id=conversation, principal=principal
            )
            return Record(
                case=case,
                hits=first.hits,
                calls=tuple(map(_call, traces.traced_runs)),
                answer=last.answer,
                seconds=time.perf_counter() - began,
            )
        except Exception as error:  # one case must not end the others; the gate counts failures
            calls = tuple(map(_call, traces.traced_runs))
            return Record(case=case, calls=calls, error=f"{type(error).__name__}: {error}")


def describe(
    cases: Sequence[Case],
    settings: Settings,
    sources: Sequence[Path],
    embedder: Embedder,
    engine: str,
) -> Manifest:
    """Return the conditions of a run that begins now."""
    package = Path(assistant.__file__).parent
    here = Path(__file__).parent
    code = [
        index.files_digest(package, "*.py"),
        index.files_digest(package, "*.json"),
        index.files_digest(data_folder("prompts")),
        *(index.files_digest(here, f"{name}.py") for name in ("match", "scorers")),
    ]
    commit, dirty = _commit(here)
    values = settings.model_dump(mode="json", exclude=_ELSEWHERE)
    return Manifest(
        cases=digest(cases),
        count=len(cases),
        code=hashlib.sha256("".join(code).encode()).hexdigest()[:16],
        engine=engine,
        settings={k: v for k, v in values.items() if not k.endswith(_SECRET)},
        index=index.fingerprint(sources, settings, embedder),
        embedding_model=dict(embedder.fingerprint),
        commit=commit,
        dirty=dirty,
        packages={name: _version(name) for name in _PACKAGES},
        started=_now(),
    )


def default_folder(manifest: Manifest) -> Path:
    """Return where a run goes that was given no folder: the same run always in the same place."""
    identity = json.dumps(manifest.identity, sort_keys=True)
    return record.RUNS / f"{manifest.engine}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


# -- inside --------------------------------------------------------------------------------------


def _begin(folder: Path, manifest: Manifest) -> dict[str, Record]:
    """Return the records that stand already, by case; a failed case is to be asked again."""
    found = record.read_manifest(folder)
    if found is None:
        record.write_manifest(folder, manifest)
        record.write_records(folder, [])
        return {}
    if found.identity != manifest.identity:
        raise ConfigurationError(
            f"{folder} holds a run with other {_differences(found, manifest)}. "
            "Name another folder with --out, or delete this one."
        )
    done = {each.case.id: each for each in record.read_records(folder) if not each.error}
    record.write_records(folder, done.values())  # without the line that a stop may have cut off
    return done


def _finish(folder: Path, cases: Sequence[Case], done: dict[str, Record], touched: bool) -> None:
    record.write_records(folder, [done[case.id] for case in cases])
    manifest = record.read_manifest(folder)
    if manifest and (touched or not manifest.finished):
        record.write_manifest(folder, manifest.model_copy(update={"finished": _now()}))


def _differences(found: Manifest, wanted: Manifest) -> str:
    """Name what differs between two runs."""
    names = ("cases", "code", "engine", "index", "settings")
    differing = [name for name in names if getattr(found, name) != getattr(wanted, name)]
    changed = sorted(
        name
        for name in found.settings.keys() | wanted.settings.keys()
        if found.settings.get(name) != wanted.settings.get(name)
    )
    return ", ".join(differing) + (f" ({', '.join(changed)})" if changed else "")


def _ask_all(
    asked: Assistant, cases: Sequence[Case], workers: int, embedder: Embedder
) -> Iterator[Record]:
    """Yield scored records as they come; what was not begun when the caller stops is dropped."""

    def one(case: Case) -> Record:
        plain = ask(asked, case)
        return plain.model_copy(update={"scores": score(plain, embedder.embed_passages)})

    pool = ThreadPoolExecutor(workers, "case")
    try:
        for future in as_completed([pool.submit(one, case) for case in cases]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _call(trace: Trace) -> Call:
    """Return what an engine was told and what it said."""
    generations: Any = (trace.outputs or {}).get("generations") or [[]]
    return Call(
        engine=trace.name or "",
        prompt="\n".join(trace.inputs.get("prompts", ())),
        raw="".join(each.get("text", "") for each in generations[0]),
    )


def _at(settings: Settings, data: Path) -> Settings:
    return settings.model_copy(update={"data_dir": data, "chroma_url": ""})


def _commit(folder: Path) -> tuple[str, bool]:
    """Return the commit that the code was checked out at and whether files differ from it."""
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return head, bool(_git(folder, "status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):  # an installed package: no checkout
        return "", False


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
