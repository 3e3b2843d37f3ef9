"""Whether a sentence is supported by a passage in the other language: MaxSim against cosine.

    python evals/bench/abroad.py

A sentence of a case's reference answer, and the passages in the other language of the
documents that it cites and of what the search finds. A passage that holds all facts of the
sentence supports it, the others look alike. `citations.ENOUGH_ABROAD` was read off the table.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from assistant import Assistant, Settings
from assistant.late import LateInteraction
from assistant.settings import data_folder
from assistant.text import detect_language, sentence_spans, sentences
from assistant.types import EVERYONE, Hit
from evals.case import Case, load_cases
from evals.match import holds_any

SEARCHED, CITED = 8, 8
THRESHOLDS = (0.35, 0.40, 0.45, 0.48, 0.50, 0.55, 0.60)


@dataclass(frozen=True)
class Pair:
    """How near a sentence and a passage are by both measures, and whether this supports that."""

    maxsim: float
    cosine: float
    supported: bool


def main() -> None:
    """Print the areas under the curve, and what each threshold lets pass."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Assistant(Settings(data_dir=Path(folder))) as assistant,
    ):
        assistant.ingest(data_folder("knowledge"))
        pairs = [pair for case in load_cases(()) for pair in compared(case, assistant)]
    there = np.array([pair.supported for pair in pairs])
    print(f"{there.sum()} supporting passages, {(~there).sum()} that look alike\n")
    for name in ("maxsim", "cosine"):
        print(f"AUC of {name}: {roc_auc_score(there, [getattr(p, name) for p in pairs]):.3f}")
    print("\n| MaxSim at least | supporting | look-alikes |")
    print("|---|---|---|")
    maxsim = np.array([pair.maxsim for pair in pairs])
    for threshold in THRESHOLDS:
        passed = maxsim >= threshold
        print(f"| {threshold} | {passed[there].mean():.1%} | {passed[~there].mean():.1%} |")


def compared(case: Case, assistant: Assistant) -> Iterator[Pair]:
    """Yield the pairs of one case."""
    late = assistant._open_late()
    assert late is not None
    if case.expect != "answer":
        return
    hits = [h for h in found(case, assistant) if h.document.language != case.language]
    for sentence in sentences(case.reference):
        facts = [fact for fact in case.facts if holds_any(sentence, fact)]
        for hit in hits if facts else ():
            if detect_language(hit.chunk.text) == detect_language(sentence):
                continue
            supported = all(holds_any(hit.chunk.text, fact) for fact in facts)
            yield measured(sentence, hit, supported, assistant, late)


def found(case: Case, assistant: Assistant) -> list[Hit]:
    """Return passages of the documents that a case cites, and those that its question finds."""
    wanted = {path for alternatives in case.documents for path in alternatives}
    catalog = assistant._open_store().index.catalog
    audiences = catalog.audiences(EVERYONE.groups)
    cited = [d for d in assistant.documents() if any(d.source.endswith(path) for path in wanted)]
    hits = [
        Hit(chunk, document, 0.0, 0.0, 0.0)
        for document in cited
        for chunk in catalog.document_chunks(document.id, audiences)[:CITED]
    ]
    hits += assistant.search(case.question, k=SEARCHED)
    return list({hit.chunk.id: hit for hit in hits}.values())


def measured(
    sentence: str, hit: Hit, supported: bool, assistant: Assistant, late: LateInteraction
) -> Pair:
    """Return both measures for a sentence and the sentence of a passage nearest to it."""
    nearest = late.nearest(sentence, hit, sentence_spans(hit.chunk.text))
    vectors = assistant._embedder.embed_passages([sentence, *sentences(hit.chunk.text)])
    cosine = float((vectors[1:] @ vectors[0]).max())
    return Pair(nearest[1] if nearest else 0.0, cosine, supported)


if __name__ == "__main__":
    main()
