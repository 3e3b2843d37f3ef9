"""What our own code costs, as ratios in one run: DESIGN's speed and memory targets.

    python evals/bench/speed.py [--chunks N]

Prints: search time beyond the embedding call at N chunks; ask time beyond retrieval
and engine; ingest tokens a second against the bare embedder on the same chunks;
`assistant --help`; resident memory with both embedded models loaded.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from assistant import Assistant, Settings
from assistant.embed import load_embedder
from assistant.index.records import Draft
from assistant.index.store import Store
from assistant.ingest.chunk import Passage, indexed_text
from assistant.retrieve import Searcher
from assistant.settings import data_folder
from assistant.types import EVERYONE

SEED = 11
QUESTIONS = (
    "大模型训练需要多少数据？",
    "How can we cut the compute cost of training?",
    "我们有哪些GPU？",
    "怎样避免过拟合？",
    "What does a supplier pay for late delivery?",
    "联邦学习和差分隐私有什么区别？",
    "Which use case has the highest score?",
    "在北京出差住宿标准是多少？",
)


def main() -> None:
    """Run all measurements and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=50_000)
    arguments = parser.parse_args()
    print("| what | measured | target |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        ingest_ratio(Path(folder))
        ask_overhead(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        search_overhead(Path(folder), arguments.chunks)
    help_time()
    memory()


def ingest_ratio(folder: Path) -> None:
    """Ingest knowledge/ and compare with embedding the very same texts and nothing else.

    Both are warm: the model is loaded and the parsers' libraries are imported.
    """
    settings = Settings(data_dir=folder / "data", engine="extractive")
    (folder / "warm-up.md").write_text("# Warm up\n\nOne sentence.\n", "utf-8")
    with Assistant(settings) as assistant:
        assistant.ingest(folder / "warm-up.md")
        began = time.perf_counter()
        report = assistant.ingest(data_folder("knowledge"))
        whole = time.perf_counter() - began
        texts = _stored_texts(assistant._open_store())
        began = time.perf_counter()
        assistant._embedder.embed_passages(texts)
        bare = time.perf_counter() - began
        tokens = sum(assistant._embedder.count_tokens(texts))
    print(
        f"| ingest, tokens a second against the bare embedder | {bare / whole:.3f} "
        f"({tokens / whole:.0f} of {tokens / bare:.0f}; {report.chunks} chunks) | ≥ 0.9 |",
        flush=True,
    )


def ask_overhead(folder: Path) -> None:
    """Ask of what `ingest_ratio` left, and subtract the stages that retrieve and write."""
    settings = Settings(data_dir=folder / "data", engine="extractive")
    with Assistant(settings) as assistant:
        assistant.ask(QUESTIONS[0])
        beyond = []
        for question in QUESTIONS * 5:
            began = time.perf_counter()
            answer = assistant.ask(question)
            whole = time.perf_counter() - began
            beyond.append(
                whole - answer.timings.get("retrieve", 0.0) - answer.timings.get("engine", 0.0)
            )
    print(f"| `ask` beyond retrieval and engine | {_spread(beyond)} | ≤ 10 ms |", flush=True)


def search_overhead(folder: Path, chunks: int) -> None:
    """Fill a store with passages recombined from the guidance's sentences, and search it."""
    settings = Settings(data_dir=folder / "data", engine="extractive")
    embedder = load_embedder(settings)
    store = Store(settings.data_dir, embedder.fingerprint)
    rng = random.Random(SEED)
    for batch in _synthetic(chunks, rng):
        store.replace(batch)
    searcher = Searcher(store, embedder, settings)
    vectors = {question: embedder.embed_question(question) for question in QUESTIONS}
    embedder.embed_question = vectors.__getitem__  # type: ignore[method-assign]
    spent = []
    for question in QUESTIONS * 25:
        began = time.perf_counter()
        searcher.search(question, EVERYONE, settings.top_k)
        spent.append(time.perf_counter() - began)
    store.close()
    print(
        f"| `search` beyond its embedding call, {chunks:,} chunks | {_spread(spent)} | "
        "p50 ≤ 12 ms |",
        flush=True,
    )


def help_time() -> None:
    """Time `assistant --help` as a process."""
    command = [str(Path(sys.executable).parent / "assistant"), "--help"]
    spent = _repeated(lambda: subprocess.run(command, capture_output=True, check=True), 7)
    bare = _repeated(lambda: subprocess.run([sys.executable, "-c", ""], check=True), 7)
    print(
        f"| `assistant --help` | {1000 * statistics.median(spent):.0f} ms "
        f"(a bare interpreter {1000 * statistics.median(bare):.0f} ms) | ≤ 300 ms |",
        flush=True,
    )


def memory() -> None:
    """Load both embedded models, answer, and read the resident memory of all processes."""
    script = (
        "import tempfile\nfrom assistant import Assistant, Settings\n"
        "s = Settings(data_dir=tempfile.mkdtemp(), engine='llamacpp', gate_threshold=0)\n"
        "a = Assistant(s)\n"
        "p = tempfile.mkdtemp() + '/a.md'; open(p, 'w').write('# 年假\\n\\n年假十五天。')\n"
        "a.ingest(p); a.warm_up(); a.ask('年假几天？')\n"
        "import psutil\nme = psutil.Process()\n"
        "print(sum(p.memory_info().rss for p in [me, *me.children()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    resident = int(done.stdout.split()[-1]) / 1e9
    print(f"| resident, both embedded models loaded | {resident:.2f} GB | ≤ 1.5 GB |", flush=True)


def _stored_texts(store: Store) -> list[str]:
    found = store.catalog._db.execute(
        "SELECT v.title, c.heading, c.text FROM chunks c JOIN versions v ON v.id = c.version_id"
    )
    return [indexed_text(row[0], json.loads(row[1]), row[2]) for row in found]


def _synthetic(chunks: int, rng: random.Random) -> Sequence[list[Draft]]:
    sentences = [
        sentence
        for file in sorted((data_folder("knowledge") / "guidance").glob("*/*.md"))
        for sentence in file.read_text("utf-8").split("\n")
        if len(sentence) > 30
    ]
    numbers = np.random.default_rng(SEED)

    def draft(i: int) -> Draft:
        texts = ["\n".join(rng.sample(sentences, 3)) for _ in range(10)]
        vectors = numbers.normal(size=(10, 384)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return Draft(
            document_id=f"d{i}",
            title=f"文件{i}",
            source=f"{i}.md",
            path=f"/{i}.md",
            language="zh",
            groups=("everyone",) if i % 5 else ("finance",),
            provenance="",
            content_hash=str(i),
            signature=b"",
            blocks="[]",
            passages=tuple(Passage(t, (), None, "page", 0, len(t)) for t in texts),
            vectors=vectors,
        )

    documents = range(chunks // 10)
    return ([draft(i) for i in documents[k : k + 100]] for k in range(0, len(documents), 100))  # type: ignore[return-value]


def _repeated(action: Callable[[], object], times: int) -> list[float]:
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        spent.append(time.perf_counter() - began)
    return spent


def _spread(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    p50, p95 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
    return f"p50 {1000 * p50:.1f} ms, p95 {1000 * p95:.1f} ms"


if __name__ == "__main__":
    main()
