"""Finds documents whose text is (nearly) another's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assistant.index.records import Draft
from assistant.ingest.clean import similarity
from assistant.types import Duplicate

NEAR_DUPLICATE = 0.9


class Duplicates:
    """Finds documents whose text is (nearly) another's, by MinHash over all visible ones."""

    def __init__(self, signatures: Sequence[tuple[str, str, bytes]]) -> None:
        self._ids = [s[0] for s in signatures]
        self._sources = [s[1] for s in signatures]
        self._blobs = [s[2] for s in signatures]

    def check(self, draft: Draft) -> list[Duplicate]:
        """Return the closest twin of a draft, if there is one, and remember the draft."""
        found: list[Duplicate] = []
        if self._blobs:
            width = np.dtype(np.uint64).itemsize
            known = np.frombuffer(b"".join(self._blobs), np.uint64)
            known = known.reshape(len(self._blobs), len(draft.signature) // width)
            scores = similarity(np.frombuffer(draft.signature, np.uint64), known)
            scores[[document == draft.document_id for document in self._ids]] = 0.0
            best = int(scores.argmax())
            if scores[best] >= NEAR_DUPLICATE:
                found = [Duplicate(draft.source, self._sources[best], float(scores[best]))]
        self._ids.append(draft.document_id)
        self._sources.append(draft.source)
        self._blobs.append(draft.signature)
        return found
