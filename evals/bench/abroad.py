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
from assistant.embed import Vectors
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
        comparison = Comparison(assistant)
        pairs = [pair for case in load_cases(()) for pair in comparison.pairs(case)]
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


class Comparison:
    """Compares sentences with passages by both measures; a passage's vectors are made once."""

    def __init__(self, assistant: Assistant) -> None:
        late = assistant._open_late()
        assert late is not None
        self._late = late
        self._assistant = assistant
        self._passages: dict[str, Vectors] = {}

    def pairs(self, case: Case) -> Iterator[Pair]:
        """Yield the pairs of one case."""
        if case.expect != "answer":
            return
        hits = [h for h in self._found(case) if h.document.language != case.language]
        for sentence in sentences(case.reference):
            facts = [fact for fact in case.facts if holds_any(sentence, fact)]
            for hit in hits if facts else ():
                if detect_language(hit.chunk.text) != detect_language(sentence):
                    supported = all(holds_any(hit.chunk.text, fact) for fact in facts)
                    yield self._pair(sentence, hit, supported)

    def _found(self, case: Case) -> list[Hit]:
        """Return passages of the documents that a case cites, and those its question finds."""
        wanted = {path for alternatives in case.documents for path in alternatives}
        catalog = self._assistant._open_store().index.catalog
        audiences = catalog.audiences(EVERYONE.groups)
        hits = [
            Hit(chunk, document, 0.0, 0.0, 0.0)
            for document in self._assistant.documents()
            if any(document.source.endswith(path) for path in wanted)
            for chunk in catalog.document_chunks(document.id, audiences)[:CITED]
        ]
        hits += self._assistant.search(case.question, k=SEARCHED)
        return list({hit.chunk.id: hit for hit in hits}.values())

    def _pair(self, sentence: str, hit: Hit, supported: bool) -> Pair:
        embed = self._assistant._embedder.embed_passages
        if hit.chunk.id not in self._passages:
            self._passages[hit.chunk.id] = embed(sentences(hit.chunk.text))
        cosine = float((self._passages[hit.chunk.id] @ embed([sentence])[0]).max())
        nearest = self._late.nearest(sentence, hit, sentence_spans(hit.chunk.text))
        return Pair(nearest[1] if nearest else 0.0, cosine, supported)


if __name__ == "__main__":
    main()
