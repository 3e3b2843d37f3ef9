"""How fast the embedded model reads and writes with a taught writer's adapter, and without it.

    python evals/bench/writer.py [--writer FOLDER] [--rounds 5]

The two take turns on the same prompts, passages of the guidance in both languages, and write as
many tokens; what is printed are medians of tokens a second, and the median ratio of a turn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from assistant.engines.gguf import EMBEDDED
from assistant.engines.llama_child import open_model
from assistant.engines.llama_model import LlamaModel
from assistant.prompts import numbered
from assistant.settings import Settings, data_folder
from assistant.types import Language
from assistant.writer import SHIPPED, Form, prompt_of, prompt_text, read_writer_facts

ASKED: dict[Language, str] = {
    "zh": "引入大语言模型之前，公司需要做好哪些准备？",
    "en": "What must a company prepare before it adopts large language models?",
}
PASSAGES = 3
PASSAGE_CHARS = {"zh": 400, "en": 1200}
WRITTEN = 48  # tokens


@dataclass(frozen=True)
class Rate:
    """Tokens a second: of a prompt that is read, and of an answer that is written."""

    read: float
    written: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--writer", type=Path, default=SHIPPED)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    settings = Settings(llm_model=EMBEDDED, llm_form="completion")
    with closing(open_model(settings)) as plain, closing(open_model(settings, asked.writer)) as own:
        form = read_writer_facts(asked.writer).form
        asked_by = prompts(form) * asked.rounds
        turns = [(rate(plain, prompt), rate(own, prompt)) for prompt in asked_by]
    for name in ("read", "written"):
        pairs = [(getattr(a, name), getattr(b, name)) for a, b in turns]
        without, within = (statistics.median(values) for values in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        print(f"{name}: {without:.1f} tokens/s without, {within:.1f} with; ratio {ratio:.3f}")


def prompts(form: Form) -> list[str]:
    """Return a prompt in each language, as a writer of a form is asked."""
    made = []
    for language, question in ASKED.items():
        files = sorted((data_folder("knowledge") / "guidance" / language).glob("*.md"))[:PASSAGES]
        texts = [file.read_text("utf-8")[: PASSAGE_CHARS[language]] for file in files]
        marks = prompt_of(form).marks
        shown = [numbered(n, "", (), text, marks) for n, text in enumerate(texts, 1)]
        made.append(prompt_text(form, language, shown, question))
    return made


def rate(model: LlamaModel, prompt: str) -> Rate:
    """Return how fast a model reads a prompt it does not know, and goes on from there.

    A writer that points ends after three tokens, so the tokens that follow are given to it, one
    at a time, as its own would be.
    """
    tokens = model.tokens([{"role": "user", "content": prompt}])
    llama = model._llama
    llama.reset()
    began = time.perf_counter()
    llama.eval(tokens)
    read = time.perf_counter()
    for token in tokens[:WRITTEN]:
        llama.eval([token])
    ended = time.perf_counter()
    return Rate(len(tokens) / (read - began), WRITTEN / (ended - read))


if __name__ == "__main__":
    main()
