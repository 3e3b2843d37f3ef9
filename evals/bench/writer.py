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
from assistant.engines.llama_model import LlamaModel, Request
from assistant.prompts import numbered
from assistant.settings import Settings, data_folder
from assistant.types import Language
from assistant.writer import SHIPPED, prompt_text

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
        turns = [(rate(plain, prompt), rate(own, prompt)) for prompt in prompts() * asked.rounds]
    for name in ("read", "written"):
        pairs = [(getattr(a, name), getattr(b, name)) for a, b in turns]
        without, within = (statistics.median(values) for values in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        print(f"{name}: {without:.1f} tokens/s without, {within:.1f} with; ratio {ratio:.3f}")


def prompts() -> list[str]:
    """Return a prompt in each language, as a writer is asked."""
    made = []
    for language, question in ASKED.items():
        files = sorted((data_folder("knowledge") / "guidance" / language).glob("*.md"))[:PASSAGES]
        texts = [file.read_text("utf-8")[: PASSAGE_CHARS[language]] for file in files]
        shown = [numbered(n, "", (), text) for n, text in enumerate(texts, 1)]
        made.append(prompt_text("sentence", language, shown, question))
    return made


def rate(model: LlamaModel, prompt: str) -> Rate:
    """Return how fast a model reads a prompt it does not know, and writes upon it."""
    list(model.write(Request([{"role": "user", "content": "."}], (), 1, 0.0, 0)))  # forgets it
    request = Request([{"role": "user", "content": prompt}], (), WRITTEN, 0.0, 0)
    began = time.perf_counter()
    pieces = [(piece, time.perf_counter()) for piece in model.write(request)]
    last, ended = pieces[-1]
    assert last.usage
    read, written, _ = last.usage
    first = pieces[-1 - written][1]  # before it come the pieces of batches read, after it the end
    return Rate(read / (first - began), (written - 1) / (ended - first))


if __name__ == "__main__":
    main()
