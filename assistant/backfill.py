"""Make missing token vectors in the background, and shrink files that are mostly dead.

What is missing was lost, or was indexed before there were any. Searches go on meanwhile,
without late interaction where it would need what is missing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from itertools import islice

from assistant.errors import AssistantError
from assistant.index.catalog import Catalog
from assistant.index.store import Store
from assistant.index.tokens import text_digest
from assistant.late import LateInteraction

logger = logging.getLogger(__name__)

_BATCH = 32
_SCANNED = 2000


class Backfill:
    """One pass over an index, in a thread of its own; `stop` ends it after the batch at hand."""

    def __init__(self, store: Store, late: LateInteraction) -> None:
        self._store = store
        self._late = late
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._guarded, name="backfill", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stopping.set()
        self.wait()

    def wait(self) -> None:
        """Wait until everything is made."""
        self._thread.join()

    def _guarded(self) -> None:
        try:
            self._fill()
        except AssistantError as error:  # the search does without; the next start tries again
            logger.warning("token vectors could not be made: %s", error)

    def _fill(self) -> None:
        catalog = self._store.index.catalog
        self._late.files.forget_others()
        for audience, groups in catalog.audience_groups().items():
            live: set[bytes] = set()
            known = self._late.files.size(groups)
            for texts in _missing(catalog, audience, groups, self._late, live):
                if self._stopping.is_set():
                    return
                self._late.keep(groups, texts, self._late.encode(texts)[1])
            self._late.files.compact(groups, live, known)


def _missing(
    catalog: Catalog,
    audience: int,
    groups: tuple[str, ...],
    late: LateInteraction,
    live: set[bytes],
) -> Iterator[list[str]]:
    """Yield batches of texts without token vectors; note the digests of all texts in ``live``."""
    texts = catalog.audience_texts(audience)
    while part := list(islice(texts, _SCANNED)):
        digests = {text_digest(text): text for text in part}
        live.update(digests)
        missing = [digests[d] for d in late.files.missing(groups, digests)]
        for i in range(0, len(missing), _BATCH):
            yield missing[i : i + _BATCH]
