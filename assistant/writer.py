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
# The name under which a server must offer a writer, so that it is asked in the way it was taught.
SERVED_NAME = "assistant-writer"
_VERSION = 1
_NO_SOURCE = "0"
_POINTER = re.compile(r"\s*(\d+)\.(\d+)(?:-(\d+))?\s*$")

Form = Literal["sentence", "point"]
PROMPTS: dict[Form, PromptName] = {"sentence": "answer_adapted", "point": "answer_pointed"}


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


def declined(form: Form, language: Language) -> str:
    """Return what a writer says where no passage answers."""
    return _NO_SOURCE if form == "point" else reply("declined", language)


def pointer(passage: int, first: int, last: int) -> str:
    """Return what a writer of the form ``point`` says: passage and sentences, counted from 1."""
    return f"{passage}.{first}" if first == last else f"{passage}.{first}-{last}"


def quoted(meant: Sequence[str]) -> str:
    """Return sentences of a passage as an answer quotes them, on one line."""
    flat = [" ".join(unmarked(each).split()) for each in meant]
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
            return f"{quoted(meant)}[{place}]"
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
    if facts.version != _VERSION:
        raise ConfigurationError(
            f"{folder} is a writer of version {facts.version}; this needs {_VERSION}. Teach it "
            "anew: assistant adapt run."
        )
    return facts


def chosen_writer(settings: Settings, model: Path) -> Path | None:
    """Return the folder of the writer to use with a GGUF file; None where none is for it.

    It is the registry's, else the one that ships.

    Raises:
        ConfigurationError: the one in use is gone or damaged.
    """
    if settings.writer == "off":
        return None
    adopted = Registry(registry_folder(settings.data_dir)).current(KIND)
    for folder in (adopted, SHIPPED):
        if folder and (folder / ADAPTER_FILE).is_file():
            facts = read_writer_facts(folder)
            if fits(facts, model):
                _check_whole(folder / ADAPTER_FILE, facts)
                return folder
    return None


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


def _check_whole(adapter: Path, facts: WriterFacts) -> None:
    """Refuse a damaged adapter: llama.cpp crashes on some, and loads others half."""
    if facts.adapter_sha256 and sha256_of(adapter) != facts.adapter_sha256:
        raise ConfigurationError(
            f"{adapter} is damaged (its hash differs). Go back to the writer before it: assistant "
            "adapt roll-back writer; or set ASSISTANT_WRITER to `off`."
        )
