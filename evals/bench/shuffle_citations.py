"""Spoil a run on purpose, to see that the gate notices: each citation becomes another answer's.

    python evals/bench/shuffle_citations.py RUN OUT && assistant eval gate OUT

The texts stay, the marks stay; what the marks point at is moved on by one answer, and the
records are scored anew. The product has no such switch.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from assistant import Settings
from assistant.embed import load_embedder
from evals.record import Record, read_run, write_manifest, write_records
from evals.scorers import Embed, score


def main() -> None:
    """Read a run, shuffle its citations, and write it to another folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    run = read_run(arguments.run)
    embed = load_embedder(Settings()).embed_passages
    write_manifest(arguments.out, run.manifest)
    write_records(arguments.out, shuffled(run.records, embed))
    print(arguments.out)


def shuffled(records: Sequence[Record], embed: Embed | None = None) -> list[Record]:
    """Return the records with the citations of each answer taken from the one before it."""
    cited = [record.answer for record in records if record.answer and record.answer.citations]
    others = iter([*cited[-1:], *cited[:-1]])
    spoilt = []
    for record in records:
        if record.answer and record.answer.citations:
            theirs = next(others).citations
            citations = tuple(
                replace(theirs[i % len(theirs)], marker=own.marker)
                for i, own in enumerate(record.answer.citations)
            )
            answer = replace(record.answer, citations=citations)
            record = record.model_copy(update={"answer": answer})
            record = record.model_copy(update={"scores": score(record, embed)})
        spoilt.append(record)
    return spoilt


if __name__ == "__main__":
    main()
