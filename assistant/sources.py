"""Read what answers rest on: documents, their passages, and the citations of one's own answers.

Nothing is told of what the reader may not see, not even that it exists.
"""

from __future__ import annotations

from assistant.errors import NotFoundError
from assistant.index.store import Index
from assistant.types import Chunk, Cited, Context, Document, Message, Principal

MOST_NEIGHBOURS = 20


def read_document(index: Index, document_id: str, principal: Principal) -> Document:
    """Return a document.

    Raises:
        NotFoundError: there is none that the principal may read.
    """
    found = index.catalog.document(document_id, index.audiences(principal))
    if found is None:
        raise no_document(document_id)
    return found


def read_chunks(index: Index, document_id: str, principal: Principal) -> list[Chunk]:
    """Return the chunks of a document in reading order; see `read_document`."""
    chunks = index.catalog.document_chunks(document_id, index.audiences(principal))
    if not chunks:
        read_document(index, document_id, principal)
    return chunks


def read_passage(index: Index, chunk_id: str, principal: Principal, neighbours: int) -> Context:
    """Return a chunk with ``neighbours`` chunks, 20 at most, on either side.

    Raises:
        NotFoundError: there is none that the principal may read, or no longer.
    """
    found = index.catalog.context(chunk_id, index.audiences(principal), _near(neighbours))
    if found is None:
        raise NotFoundError(
            f"There is no passage {chunk_id!r}. Its document may have changed: search again."
        )
    return found


def may_read(index: Index, chunk_id: str, principal: Principal) -> bool:
    """Tell whether a chunk is there still, and the principal may read it."""
    return index.catalog.context(chunk_id, index.audiences(principal), 0) is not None


def read_citation(index: Index, answer: Message, marker: int, principal: Principal) -> Cited:
    """Return a citation of an answer with its passage, if its document still is as it was.

    Raises:
        NotFoundError: the answer has no such mark, its document is gone, or the principal
            may not read it any more.
    """
    citation = next((c for c in answer.citations if c.marker == marker), None)
    if citation is None:
        raise NotFoundError(f"The answer cites nothing as [{marker}]. Use a mark that is in it.")
    read_document(index, citation.document_id, principal)
    context = index.catalog.context(citation.chunk_id, index.audiences(principal), 1)
    # A rebuilt index counts its versions anew: the same id may mean other words by now.
    if context is not None and citation.quote not in context.chunk.text:
        context = None
    return Cited(citation, context)


def no_document(document_id: str) -> NotFoundError:
    """Return the error for a document that does not exist, or not for who asks."""
    return NotFoundError(f"There is no document {document_id!r}. `assistant documents` lists them.")


def _near(neighbours: int) -> int:
    return min(max(0, neighbours), MOST_NEIGHBOURS)
