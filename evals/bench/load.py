"""Drive one engine with many askers at once, or measure what the assistant adds to it.

    python evals/bench/load.py --askers 8 --seconds 300 --set engine=llamacpp
    python evals/bench/load.py --overhead --set engine=llamacpp

Every asker asks for words of its own, so an answer that holds another asker's word was
mixed up. Throughput, time to first token, total latency, errors, fairness and memory.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage

from assistant import Assistant, Settings
from assistant.embed import load_embedder
from assistant.engines.base import Evidence, Passage, ahead_of, attach_evidence
from assistant.engines.failover import choose_engines
from assistant.errors import EngineBusyError
from assistant.settings import data_folder

SEED = 11
SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te")
EXAMPLES = ("table", "window", "carpet")
QUESTIONS = (
    "大模型训练需要多少数据？",
    "How can we cut the compute cost of training?",
    "怎样避免过拟合？",
    "What does a supplier pay for late delivery?",
    "联邦学习和差分隐私有什么区别？",
    "When is a large model worth it?",
)


@dataclass
class Asked:
    """What one asker saw: seconds, tokens, and what went wrong."""

    word: str
    first: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    tokens: int = 0
    wrong: int = 0
    mixed_up: int = 0
    errors: Counter[str] = field(default_factory=Counter)


def main() -> None:
    """Run the load or the comparison and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--askers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--overhead", action="store_true")
    parser.add_argument("--set", action="append", default=[], help="a setting, name=value")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        values = dict(pair.split("=", 1) for pair in arguments.set)
        settings = Settings(data_dir=Path(folder), **values)
        if arguments.overhead:
            overhead(settings)
        else:
            load(settings, arguments.askers, arguments.seconds)


def load(settings: Settings, askers: int, seconds: float) -> None:
    """Let ``askers`` threads ask one engine for ``seconds``."""
    engines = choose_engines(settings, load_embedder(settings))
    engine = next(engines.candidates())
    words = _words(askers)
    seen = [Asked(word) for word in words]
    memory: list[float] = []
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_ask_until, args=(engine, asked, words, until)) for asked in seen
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        memory.append(_family_gb())
        time.sleep(1.0)
    engines.close()
    _print_load(engine.name or "", seen, time.monotonic() - until + seconds, memory)


def overhead(settings: Settings) -> None:
    """Ask through `Assistant.stream`, and the bare engine with the very same prompt, by turns."""
    settings = settings.model_copy(update={"gate_threshold": 0.0})
    with Assistant(settings) as assistant:
        assistant.ingest(data_folder("knowledge") / "guidance")
        engine: Any = next(assistant._open_engines().candidates())
        prompts: list[tuple[Any, Any]] = []
        stream = engine.stream

        def noting(messages: list[BaseMessage], **options: Any) -> Any:
            prompts.append((messages, options))
            return stream(messages, **options)

        object.__setattr__(engine, "stream", noting)
        assistant.ask(QUESTIONS[0])
        slower, later = [], []
        for turn, question in enumerate(QUESTIONS * 5):
            bare: dict[str, float] = {}
            if turn % 2:
                bare = _bare(stream, *_prompt_of(assistant, question, prompts, stream))
            _forget(stream)
            began = time.perf_counter()
            answer = assistant.ask(question)
            whole = time.perf_counter() - began - answer.timings["retrieve"]
            if answer.engine != engine.name:  # nothing it wrote held, and quoting took over
                continue
            if not bare:
                _forget(stream)
                bare = _bare(stream, *prompts[-1])
            slower.append(bare["total"] / whole)
            first = answer.timings["first_token"] - answer.timings["retrieve"]
            later.append(1000 * (first - bare["first"]))
    print(f"{engine.name}, {len(slower)} answers\n")
    print("| through `Assistant.stream` against the bare engine | median | worst of nine in ten |")
    print("|---|---|---|")
    print(f"| tokens a second, ratio | {statistics.median(slower):.3f} | {_low(slower):.3f} |")
    print(f"| first token later by, ms | {statistics.median(later):.1f} | {_high(later):.1f} |")


def _prompt_of(assistant: Assistant, question: str, prompts: list[Any], stream: Any) -> Any:
    """Return the prompt that a question leads to, by asking it once."""
    assistant.ask(question)
    _forget(stream)
    return prompts[-1]


def _bare(stream: Any, messages: list[BaseMessage], options: dict[str, Any]) -> dict[str, float]:
    began = time.perf_counter()
    first = 0.0
    for piece in stream(messages, **options):
        first = first or (time.perf_counter() - began if piece.text else 0.0)
    return {"first": first, "total": time.perf_counter() - began}


def _forget(stream: Any) -> None:
    """Make an engine that keeps the last prompt forget it."""
    for _ in stream([HumanMessage("Something else altogether.")], max_tokens=1):
        continue


def _ask_until(engine: Any, asked: Asked, words: Sequence[str], until: float) -> None:
    while time.monotonic() < until:
        began, first, text = time.perf_counter(), 0.0, ""
        try:
            for piece in engine.stream(_copying(asked.word), asker=asked.word, max_tokens=16):
                if ahead_of(piece):
                    continue
                first = first or time.perf_counter() - began
                text += piece.text
                asked.tokens += (piece.usage_metadata or {}).get("output_tokens", 0)
        except EngineBusyError:
            asked.errors["busy"] += 1
            time.sleep(0.2)
            continue
        except Exception as error:  # an asker that dies unseen would flatter the engine
            asked.errors[type(error).__name__] += 1
            time.sleep(0.2)
            continue
        asked.first.append(first)
        asked.total.append(time.perf_counter() - began)
        asked.wrong += asked.word not in text
        asked.mixed_up += any(word in text for word in words if word != asked.word)


def _copying(word: str) -> list[BaseMessage]:
    """Return a prompt that even a base model answers with the word; evidence for quoting."""
    shown = "".join(f"word: {w}\nagain: {w}\n" for w in EXAMPLES)
    passage = Passage(1, "House", (), f"The {word} stands in the main hall of the house.")
    evidence = Evidence(f"Where does the {word} stand?", (passage,))
    return attach_evidence([HumanMessage(f"{shown}word: {word}\nagain:")], evidence)


def _words(count: int) -> list[str]:
    rng = random.Random(SEED)
    words: set[str] = set()
    while len(words) < count:
        words.add("".join(rng.sample(SYLLABLES, 4)))
    return sorted(words)


def _print_load(name: str, seen: Sequence[Asked], seconds: float, memory: Sequence[float]) -> None:
    first = sorted(s for asked in seen for s in asked.first)
    total = sorted(s for asked in seen for s in asked.total)
    errors = sum((asked.errors for asked in seen), Counter())
    answers = [len(asked.total) for asked in seen]
    tokens = sum(asked.tokens for asked in seen)
    wrong, mixed = (sum(getattr(asked, n) for asked in seen) for n in ("wrong", "mixed_up"))
    settled = memory[len(memory) // 10 :] or [0.0]
    print(f"{name}: {len(seen)} askers, {seconds:.0f} s\n\n| what | measured |\n|---|---|")
    print(f"| answers; tokens a second | {len(total)}; {tokens / seconds:.1f} |")
    print(f"| first token, s | p50 {_at(first, 0.5):.2f}, p95 {_at(first, 0.95):.2f} |")
    print(f"| whole answer, s | p50 {_at(total, 0.5):.2f}, p95 {_at(total, 0.95):.2f} |")
    print(f"| without the asker's word; with another's | {wrong}; {mixed} |")
    print(f"| errors | {dict(errors) or 'none'} |")
    print(f"| fewest answers of an asker over most | {min(answers) / max(1, max(answers)):.2f} |")
    print(f"| resident GB after a tenth, at the end | {settled[0]:.2f}, {settled[-1]:.2f} |")


def _family_gb() -> float:
    """Return the resident memory of this process and its children."""
    import psutil

    me = psutil.Process()
    sizes = []
    for process in [me, *me.children(recursive=True)]:
        try:
            sizes.append(process.memory_info().rss)
        except psutil.NoSuchProcess:
            continue
    return sum(sizes) / 1e9


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[int(share * (len(ordered) - 1))] if ordered else float("nan")


def _low(values: Sequence[float]) -> float:
    return _at(sorted(values), 0.1)


def _high(values: Sequence[float]) -> float:
    return _at(sorted(values), 0.9)


if __name__ == "__main__":
    main()
