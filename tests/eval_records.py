"""Records made by hand, for the tests of the harness: every score can be told by eye."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assistant.types import Answer, Chunk, Citation, Document, Hit, Usage
from evals.case import Case, digest
from evals.record import Manifest, Record, Run, read_run, write_manifest, write_records
from evals.scorers import score

LEAVE = "员工每年享有十五天带薪年假。病假需要提交医院证明。"
PUMP = "The CP-2150B pump delivers 45 cubic metres an hour. It costs 18,500 yuan."


def case(**changes: Any) -> Case:
    """Return a case to answer: how many days of leave there are."""
    values: dict[str, Any] = {
        "id": "leave",
        "question": "员工每年有几天年假？",
        "language": "zh",
        "difficulty": "easy",
        "tags": ("company",),
        "reference": "员工每年有十五天带薪年假。",
        "facts": (("十五天", "15天"),),
        "documents": (("papers/leave.md",),),
    }
    return Case(**(values | changes))


def refusal_case(**changes: Any) -> Case:
    """Return a case to refuse."""
    values = {"id": "ceo", "reference": "", "facts": (), "documents": (), "expect": "refuse"}
    return case(**(values | {"tags": ("unanswerable",)} | changes))


def hit(name: str = "leave", text: str = LEAVE, **changes: Any) -> Hit:
    """Return a passage of ``/data/papers/<name>.md``."""
    document = Document(name, "休假制度", f"/data/papers/{name}.md", 1, "zh", **changes)
    return Hit(Chunk(f"{name}.0", name, text), document, 0.9, 0.8, 7.0)


def citation(of: Hit, quote: str = "", marker: int = 1) -> Citation:
    """Return a citation of a passage; its first sentence unless ``quote`` says otherwise."""
    quote = quote or of.chunk.text.split("。")[0] + "。"
    document = of.document
    return Citation(
        marker, of.chunk.id, document.id, document.title, document.source, (), None, "page", quote
    )


def answer(text: str, *citations: Citation, **changes: Any) -> Answer:
    """Return an answer of the engine that quotes."""
    values: dict[str, Any] = {
        "refused": False,
        "confidence": 0.9,
        "engine": "extractive",
        "conversation_id": "c",
        "answer_id": "a",
        "usage": Usage(),
    }
    return Answer(text, citations, **(values | changes))


def good_record(**changes: Any) -> Record:
    """Return a case that was answered, with the fact and a citation that holds."""
    found = hit()
    values: dict[str, Any] = {
        "case": case(),
        "hits": (found,),
        "answer": answer("员工每年享有十五天带薪年假[1]。", citation(found)),
        "seconds": 0.5,
    }
    return Record(**(values | changes))


def refused_record(**changes: Any) -> Record:
    """Return the case to answer as it was wrongly refused."""
    refusal = answer("资料里没有找到这个问题的答案。", refused=True, confidence=0.1, engine="none")
    return good_record(answer=refusal, **changes)


def write_papers(folder: Path) -> Path:
    """Write two small papers, one of them for finance only."""
    folder.mkdir()
    (folder / "leave.md").write_text(
        f"# 休假制度\n\n{LEAVE}\n\n## 婚假\n\n婚假为十天，应在登记后一年内休完。\n", "utf-8"
    )
    (folder / "budget.md").write_text(
        "---\ntitle: 预算\ngroups: [finance]\n---\n\n# 预算\n\n"
        "2026年大模型专项预算为三百二十万元。\n",
        "utf-8",
    )
    return folder


def scored(*records: Record) -> tuple[Record, ...]:
    """Return the records with their scores."""
    return tuple(each.model_copy(update={"scores": score(each)}) for each in records)


def made_run(folder: Path, *records: Record, **manifest: Any) -> Run:
    """Return a run of scored records, written to a folder."""
    values: dict[str, Any] = {
        "cases": digest([each.case for each in records]),
        "count": len(records),
        "code": "code",
        "engine": "extractive",
        "settings": {"gate_threshold": 0.2},
        "index": "index",
        "embedding_model": {"model": "hash"},
        "commit": "c0ffee",
        "started": "2026-11-24T10:00:00+00:00",
        "finished": "2026-11-24T10:01:00+00:00",
    }
    write_manifest(folder, Manifest(**(values | manifest)))
    write_records(folder, scored(*records))
    return read_run(folder)
