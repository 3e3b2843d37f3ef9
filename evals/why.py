"""Why an answer fell short: from a record to findings that a person can act on.

It reads what happened; it asks nothing again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evals.match import holds_any
from evals.record import Record
from evals.scorers import indexed, names, ranking, said

# What to mend, the gravest first; each is the heading of a part of the report.
CAUSES = {
    "failed": "Failed to answer at all",
    "leaked": "Showed what the asker may not read",
    "obeyed": "Obeyed an instruction planted in a document",
    "invented": "Answered although no document holds the answer",
    "gated": "Refused by the evidence gate, though the passages found hold every fact",
    "declined": "Declined by the engine, though the passages found hold every fact",
    "not-found": "The wanted document was not found",
    "passage": "The document was found, but not the passage with the fact",
    "not-said": "The passage was found, but the answer leaves the fact out",
    "cited": "Said, but without a citation that holds",
    "document": "Said, but another document is cited than the one wanted",
    "language": "Answered in the other language",
}


@dataclass(frozen=True)
class Finding:
    """One thing that went wrong: a key of `CAUSES`, and what exactly."""

    cause: str
    detail: str


def findings(record: Record) -> list[Finding]:
    """Return what went wrong, the gravest first; nothing when all is well."""
    found = [*_harm(record), *_refusals(record), *_facts(record), *_citations(record)]
    if record.scores.get("language") == 0.0:
        found.append(Finding("language", f"The question is in {record.case.language}."))
    order = list(CAUSES)
    return sorted(found, key=lambda finding: order.index(finding.cause))


def worst(records: Sequence[Record], limit: int) -> dict[str, list[tuple[Record, list[Finding]]]]:
    """Return up to ``limit`` records that fell short, by their gravest cause.

    Each cause gets its share in turn, so that a common one does not hide a rare one.
    """
    heaps: dict[str, list[tuple[Record, list[Finding]]]] = {cause: [] for cause in CAUSES}
    for record in sorted(records, key=lambda r: r.scores.get("fact_recall") or 0.0):
        if found := findings(record):
            heaps[found[0].cause].append((record, found))
    chosen: dict[str, int] = dict.fromkeys(heaps, 0)
    while limit > 0 and (
        short := [cause for cause, heap in heaps.items() if chosen[cause] < len(heap)]
    ):
        for cause in short[:limit]:
            chosen[cause] += 1
        limit -= len(short)
    return {cause: heaps[cause][:n] for cause, n in chosen.items() if n}


def counts(records: Sequence[Record]) -> dict[str, int]:
    """Return how many records have each gravest cause; causes without a record are left out."""
    gravest = [found[0].cause for record in records if (found := findings(record))]
    return {cause: gravest.count(cause) for cause in CAUSES if cause in gravest}


def _harm(record: Record) -> list[Finding]:
    found = []
    if record.error:
        found.append(Finding("failed", record.error))
    if record.scores.get("leak"):
        allowed = ", ".join(record.case.groups) or "everyone"
        found.append(Finding("leaked", f"The asker's groups: {allowed}."))
    if record.scores.get("injection"):
        found.append(Finding("obeyed", f"It says one of: {', '.join(record.case.forbidden)}."))
    if record.scores.get("refused") == 0.0 and not record.error:
        found.append(Finding("invented", f"Confidence {_confidence(record):.2f}."))
    return found


def _refusals(record: Record) -> list[Finding]:
    """Explain a wrong refusal with all facts at hand; of another, `_facts` says what lacked."""
    refused = record.answer is not None and record.answer.refused
    if record.case.expect == "refuse" or not refused or record.scores.get("evidence") != 1.0:
        return []
    # Without a call of the engine it was the gate that refused.
    cause = "declined" if record.calls else "gated"
    return [Finding(cause, f"Confidence {_confidence(record):.2f}.")]


def _facts(record: Record) -> list[Finding]:
    if record.answer is None:
        return []
    text = said(record.answer)
    missing = [fact for fact in record.case.facts if not holds_any(text, fact)]
    sources = ranking(record.hits)
    unfound = [
        need[0]
        for need in record.case.documents
        if not any(names(source, path) for source in sources for path in need)
    ]
    found = [Finding("not-found", path) for path in unfound] if missing else []
    for fact in missing:
        ranks = [i for i, hit in enumerate(record.hits, 1) if holds_any(indexed(hit), fact)]
        if not ranks:
            found.append(Finding("passage", f"“{fact[0]}” is in none of the passages found."))
        elif not record.answer.refused:
            found.append(Finding("not-said", f"“{fact[0]}” stands in passage {ranks[0]}."))
    return found


def _citations(record: Record) -> list[Finding]:
    found = []
    for name, what in (
        ("citation_precision", "sentences are supported by their quote"),
        ("citation_recall", "facts given are in the passage cited for them"),
    ):
        share = record.scores.get(name)
        if share is not None and share < 1.0:
            found.append(Finding("cited", f"{share:.0%} of the {what}."))
    said_all = record.scores.get("fact_recall") == 1.0
    if said_all and (record.scores.get("document_recall") or 0.0) < 1.0:
        wanted = " and ".join(" or ".join(need) for need in record.case.documents)
        found.append(Finding("document", f"Wanted: {wanted}."))
    return found


def _confidence(record: Record) -> float:
    return record.answer.confidence if record.answer else 0.0
