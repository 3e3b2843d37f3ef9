"""Kill an ingest at random moments: nothing lost, nothing doubled, nothing stale.

`make crash` runs it; the quick suite leaves it out.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assistant import Assistant, Settings
from assistant.index.tokens import text_digest

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "100"))
DOCUMENTS = 30
ROOT = Path(__file__).parents[1]

CHILD = """
import sys
from assistant import Assistant, Settings
with Assistant(Settings(data_dir=sys.argv[1], embedding_model="hash", engine="extractive")) as a:
    a.documents()
    print("ready", flush=True)
    a.ingest(sys.argv[2])
    print("done", flush=True)
"""


def write(folder: Path, generation: int, rng: random.Random) -> None:
    """Write a generation: every document changed, some deleted, each with its own words."""
    for i in range(DOCUMENTS):
        path = folder / f"{i:02d}.txt"
        if rng.random() < 0.1:
            path.unlink(missing_ok=True)
            continue
        body = "".join(
            f"第{i}号文件第{generation}代第{k}段，编号d{i}g{generation}k{k}。" for k in range(20)
        )
        path.write_text(body, "utf-8")


def run(data: Path, folder: Path, delay: float | None) -> float:
    """Ingest in a process of its own; kill it ``delay`` seconds after it began."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(data), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        began = time.monotonic()
        if delay is None:
            assert child.stdout.readline() == "done\n"
        else:
            time.sleep(delay)
            child.kill()
        child.wait()
        return time.monotonic() - began


def check(data: Path, newest: int) -> None:
    """Every visible document is whole, single, and found by both legs."""
    settings = Settings(data_dir=data, embedding_model="hash", engine="extractive")
    with Assistant(settings) as assistant:
        store = assistant._open_store()
        documents = assistant.documents()
        sources = [document.source for document in documents]
        assert len(sources) == len(set(sources))
        assert store.catalog.leftovers() == []
        assert store.size == sum(document.chunks for document in documents)
        for audience in store.catalog.audiences():
            assert store.vectors.count(audience) == store.catalog.chunk_count([audience])
        late = assistant._open_late()
        assert late is not None
        for audience, groups in store.catalog.audience_groups().items():
            texts = store.catalog.audience_texts(audience)
            assert not late.files.missing(groups, map(text_digest, texts))
        for document in documents:
            number = int(Path(document.source).stem)
            hits = assistant.search(f"第{number}号文件 d{number}g{newest}k3", k=50)
            texts = [hit.chunk.text for hit in hits if hit.document.id == document.id]
            generations = {text.split("代")[0] for text in texts}
            assert len(generations) == 1, f"{document.source} mixes {generations}"
            assert all(
                hit.document.version == document.version
                for hit in hits
                if hit.document.id == document.id
            )


@pytest.mark.slow
def test_a_killed_ingest_loses_doubles_and_stales_nothing(tmp_path: Path) -> None:
    rng = random.Random(20261123)
    data, folder = tmp_path / "data", tmp_path / "files"
    folder.mkdir()
    write(folder, 0, rng)
    whole = run(data, folder, None)
    interrupted = 0
    for generation in range(1, ROUNDS + 1):
        write(folder, generation, rng)
        delay = rng.uniform(0, 1.2 * whole)
        interrupted += run(data, folder, delay) < whole
        check(data, generation)
    assert interrupted > ROUNDS / 3, "too few kills fell into the work"
    run(data, folder, None)
    settings = Settings(data_dir=data, embedding_model="hash", engine="extractive")
    with Assistant(settings) as assistant:
        expected = {str(path) for path in folder.glob("*.txt")}
        assert {document.source for document in assistant.documents()} == expected
        for path in expected:
            number = int(Path(path).stem)
            hits = assistant.search(f"第{number}号文件", k=50)
            mine = [hit.chunk.text for hit in hits if hit.document.source == path]
            assert mine
            current = Path(path).read_text("utf-8")
            assert all(text in current for text in mine)
