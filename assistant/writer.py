"""A taught writer's folder: what it must be used with, its prompt, and whether it fits a model.

A writer is a low-rank adapter of a language model, which was taught one prompt. This module
reads what lies beside the weights; it loads no model and teaches nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from assistant.adapt.registry import Registry, registry_folder
from assistant.errors import ConfigurationError
from assistant.prompts import Prompt, PromptName, load_prompt, reply
from assistant.settings import Settings
from assistant.text import detect_language, unmarked
from assistant.types import Language

KIND = "writer"
SHIPPED = Path(__file__).resolve().parent / "adapters" / KIND
FACTS_FILE = "writer.json"
ADAPTER_FILE = "adapter.gguf"  # beside it, PEFT's own two files
_VERSION = 1
_NO_SOURCE = "0"
_POINTER = re.compile(r"\s*(\d{1,3})\.(\d{1,3})(?:-(\d{1,3}))?\s*$")

Form = Literal["sentence", "point"]
PROMPTS: dict[Form, PromptName] = {"sentence": "answer_adapted", "point": "answer_pointed"}
# The names under which a server must offer writers, so that they are asked as they were taught.
SERVED_NAMES: dict[str, Form] = {"assistant-writer": "sentence", "assistant-pointer": "point"}


@dataclass(frozen=True)
class WriterFacts:
    """What a writer must be used with.

    ``base`` is the name of the model below it; of a GGUF file also ``base_sha256`` and
    ``base_bytes``, of others they are ``""`` and 0. ``prompt_version`` is that of the prompt
    it was taught. ``adapter_sha256`` is the GGUF adapter's; empty where there is none.
    """

    base: str
    base_sha256: str
    base_bytes: int
    form: Form
    prompt_version: int
    rank: int
    alpha: float
    adapter_sha256: str = ""
    version: int = _VERSION


def prompt_of(form: Form) -> Prompt:
    """Return the prompt that writers of a form are taught and asked by."""
    return load_prompt(PROMPTS[form])


def prompt_text(form: Form, language: Language, passages: Sequence[str], question: str) -> str:
    """Return the prompt for numbered passages."""
    messages = prompt_of(form).messages(language, passages="\n\n".join(passages), question=question)
    return str(messages[-1].content)


def served_name(form: Form) -> str:
    """Return the name under which a server must offer a writer of a form."""
    return next(name for name, served in SERVED_NAMES.items() if served == form)


def declined(form: Form, language: Language) -> str:
    """Return what a writer says where no passage answers."""
    return _NO_SOURCE if form == "point" else reply("declined", language)


def pointer(passage: int, first: int, last: int) -> str:
    """Return what a writer of the form ``point`` says: passage and sentences, counted from 1."""
    return f"{passage}.{first}" if first == last else f"{passage}.{first}-{last}"


def quoted(meant: Sequence[str], place: int | None = None) -> str:
    """Return sentences of a passage as an answer quotes them, on one line.

    Args:
        meant: the sentences.
        place: the passage's number, to cite it after each; None: not at all.
    """
    mark = "" if place is None else f"[{place}]"
    flat = [" ".join(unmarked(each).split()) + mark for each in meant]
    return ("" if detect_language(flat[0]) == "zh" else " ").join(flat)


def resolved(text: str, shown: Sequence[str], language: Language) -> str:
    """Return what a pointer points at, as a cited sentence; a refusal where it points nowhere.

    Args:
        text: what a writer of the form ``point`` said.
        shown: the passages as its prompt showed them, their sentences numbered.
        language: of the refusal.
    """
    found = _POINTER.match(text)
    if found:
        place, first, last = int(found[1]), int(found[2]), int(found[3] or found[2])
        lines = shown[place - 1].split("\n") if 1 <= place <= len(shown) else []
        marks = [f"({number}) " for number in range(first, last + 1)]
        meant = [line.removeprefix(m) for m in marks for line in lines if line.startswith(m)]
        if meant and len(meant) == len(marks):
            return quoted(meant, place)
    return declined("sentence", language)


def read_writer_facts(folder: Path) -> WriterFacts:
    """Return what a writer must be used with.

    Raises:
        ConfigurationError: the folder holds no writer, or one of another version.
    """
    try:
        facts = WriterFacts(**json.loads((folder / FACTS_FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{folder} cannot be read as a writer ({error}). Teach it anew: assistant adapt run."
        ) from None
    if facts.version != _VERSION or facts.form not in PROMPTS:
        raise ConfigurationError(
            f"{folder} is a writer of version {facts.version} and form {facts.form!r}; this needs "
            f"{_VERSION} and one of {', '.join(PROMPTS)}. Teach it anew: assistant adapt run."
        )
    return facts


def chosen_writer(settings: Settings, model: Path) -> Path | None:
    """Return the folder of the writer to use with a GGUF file; None where none is for it.

    It is the one that was last put to use with this file, else the one that ships.

    Raises:
        ConfigurationError: it is gone or damaged.
    """
    if settings.writer == "off":
        return None
    registry = Registry(registry_folder(settings.data_dir))
    registry.current(KIND)  # says what to do where its folder is gone
    for folder in known_writers(registry):
        if (folder / ADAPTER_FILE).is_file():
            facts = read_writer_facts(folder)
            if fits(facts, model):
                check_whole(folder, facts)
                return folder
    return None


def known_writers(registry: Registry) -> list[Path]:
    """Return the folders of the writers put to use, the last first, and of the shipped one."""
    return [*reversed(registry.adopted(KIND)), *([SHIPPED] if SHIPPED.is_dir() else [])]


def idle_writer(settings: Settings) -> str:
    """Return why the writer that was put to use is not used; ``""`` where it is, or none was."""
    try:
        current = Registry(registry_folder(settings.data_dir)).current(KIND)
        if current is None or settings.writer == "off":
            return ""
        facts = read_writer_facts(current)
        check_whole(current, facts)
    except ConfigurationError as error:
        return str(error)
    if facts.prompt_version == prompt_of(facts.form).version:
        return ""
    return f"{current.name} was taught an earlier prompt. Teach one anew: assistant adapt run."


def fits(facts: WriterFacts, model: Path) -> bool:
    """Tell whether a writer is for this GGUF file, and was taught the prompt of today."""
    if facts.prompt_version != prompt_of(facts.form).version:
        return False
    if not facts.base_bytes or model.stat().st_size != facts.base_bytes:
        return False
    return sha256_of(model) == facts.base_sha256


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_whole(folder: Path, facts: WriterFacts) -> None:
    """Refuse a damaged adapter: llama.cpp crashes on some, and loads others half.

    Raises:
        ConfigurationError: it is gone, or its hash is not the one in its facts.
    """
    adapter, wanted = folder / ADAPTER_FILE, facts.adapter_sha256
    if wanted and not (adapter.is_file() and sha256_of(adapter) == wanted):
        raise ConfigurationError(
            f"{adapter} is gone or damaged. Delete its folder, or go back: assistant "
            "adapt roll-back writer; or set ASSISTANT_WRITER to `off`."
        )
