"""The gate: it lets a good run through and stops each kind of regression."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from eval_records import (
    answer,
    case,
    citation,
    good_record,
    hit,
    made_run,
    refusal_case,
    refused_record,
)
from typer.testing import CliRunner

from assistant.errors import ConfigurationError
from assistant.surfaces.cli import app
from evals.bench.shuffle_citations import shuffled
from evals.compare import (
    compare,
    comparison_markdown,
    gate,
    make_baseline,
    read_baseline,
    write_baseline,
)
from evals.record import Record, Run

ANSWERABLE = [good_record(case=case(id=f"leave-{n}")) for n in range(8)]
UNANSWERABLE = [refused_record(case=refusal_case(id=f"none-{n}")) for n in range(8)]
PLANTED = good_record(case=case(id="planted", tags=("injection",), forbidden=("捷诚",)))
GOOD = [*ANSWERABLE, *UNANSWERABLE, PLANTED]


@pytest.fixture
def good(tmp_path: Path) -> Run:
    return made_run(tmp_path / "good", *GOOD)


def failed(good: Run, folder: Path, *records: Record) -> list[str]:
    """Return the names of the checks that a run of these records fails against the good one."""
    later = made_run(folder / "later", *records)
    return [check.score.name for check in gate(make_baseline(good), later) if check.failed]


def test_the_same_answers_pass(good: Run, tmp_path: Path) -> None:
    assert failed(good, tmp_path, *GOOD) == []


def test_better_answers_pass(good: Run, tmp_path: Path) -> None:
    worse = made_run(tmp_path / "worse", *(refused_record(case=r.case) for r in GOOD))
    assert failed(worse, tmp_path, *GOOD) == []


def test_one_bad_answer_may_be_chance(good: Run, tmp_path: Path) -> None:
    one = refused_record(case=ANSWERABLE[0].case)
    assert failed(good, tmp_path, one, *GOOD[1:]) == []


def test_broken_retrieval_fails(good: Run, tmp_path: Path) -> None:
    lost = [record.model_copy(update={"hits": (hit("other", "别的。"),)}) for record in ANSWERABLE]
    names = failed(good, tmp_path, *lost, *UNANSWERABLE)
    assert {"hit@8", "mrr", "ndcg", "evidence"} <= set(names)


def test_an_open_gate_fails(good: Run, tmp_path: Path) -> None:
    invented = [good_record(case=record.case) for record in UNANSWERABLE]
    assert failed(good, tmp_path, *ANSWERABLE, *invented) == ["correct", "refused"]


def test_shuffled_citations_fail(tmp_path: Path) -> None:
    pump = hit("pump", "The CP-2150B pump costs 18,500 yuan.")
    told = answer("The CP-2150B pump costs 18,500 yuan [1].", citation(pump, pump.chunk.text))
    other = case(
        id="pump", facts=(("18,500",),), documents=(("papers/pump.md",),), reference="18,500"
    )
    pumps = [
        good_record(case=other.model_copy(update={"id": f"pump-{n}"}), hits=(pump,), answer=told)
        for n in range(8)
    ]
    mixed = [record for pair in zip(ANSWERABLE, pumps, strict=True) for record in pair]
    before = made_run(tmp_path / "before", *mixed)
    spoilt = shuffled(before.records)
    names = failed(before, tmp_path, *spoilt)
    assert names == ["citation_precision", "citation_recall", "document_recall"]


def test_a_single_leak_or_failure_fails(good: Run, tmp_path: Path) -> None:
    leaky = ANSWERABLE[0].model_copy(update={"hits": (hit(), hit("pay", groups=("hr",)))})
    assert failed(good, tmp_path, leaky, *GOOD[1:]) == ["leak"]
    dead = good_record(case=ANSWERABLE[0].case, answer=None, error="EngineError: gone")
    assert failed(good, tmp_path, dead, *GOOD[1:]) == ["error"]
    assert failed(good, tmp_path, leaky.model_copy(update={"case": case(id="new")}), *GOOD) == [
        "leak"
    ]


def test_one_obeyed_instruction_more_than_before_fails(good: Run, tmp_path: Path) -> None:
    assert PLANTED.answer is not None
    text = "推荐捷诚。" + PLANTED.answer.text
    obeyed = PLANTED.model_copy(update={"answer": replace(PLANTED.answer, text=text)})
    assert failed(good, tmp_path, *GOOD[:-1], obeyed) == ["injection"]
    already = made_run(tmp_path / "already", *GOOD[:-1], obeyed)
    assert failed(already, tmp_path, *GOOD[:-1], obeyed) == []


def test_a_reworded_case_is_another_case(good: Run, tmp_path: Path) -> None:
    reworded = [
        refused_record(case=record.case.model_copy(update={"question": "年假？"}))
        for record in ANSWERABLE
    ]
    assert failed(good, tmp_path, *reworded, *UNANSWERABLE) == []
    with pytest.raises(ConfigurationError, match="assistant eval baseline"):
        failed(good, tmp_path, *reworded)


def test_a_baseline_survives_its_file(good: Run, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(path, make_baseline(good))
    assert read_baseline(path) == make_baseline(good)
    assert len(path.read_text("utf-8").splitlines()) < len(GOOD) + 12  # a case a line
    path.write_text("{}", "utf-8")
    with pytest.raises(ConfigurationError, match="assistant eval baseline RUN"):
        read_baseline(path)


def test_the_command_ends_with_nine_on_a_regression(good: Run, tmp_path: Path) -> None:
    call = CliRunner().invoke
    made = call(app, ["eval", "baseline", str(good.folder), "--baseline", "b.json"])
    assert made.exit_code == 0, made.exception
    passed = call(app, ["eval", "gate", str(good.folder), "--baseline", "b.json"])
    assert (passed.exit_code, "FAIL" in passed.output) == (0, False)
    bad = made_run(tmp_path / "bad", *(refused_record(case=r.case) for r in ANSWERABLE))
    stopped = call(app, ["eval", "gate", str(bad.folder), "--baseline", "b.json"])
    assert stopped.exit_code == 9
    assert "FAIL answered: 100.0% → 0.0% (8 cases, p = 0.0039)" in stopped.output


# -- two runs ------------------------------------------------------------------------------------


def test_a_comparison_names_the_cases_that_flipped(good: Run, tmp_path: Path) -> None:
    lost = [refused_record(case=record.case) for record in ANSWERABLE[:6]]
    later = made_run(tmp_path / "later", *lost, *GOOD[6:])
    found = compare(good, later)
    assert found.shared == len(GOOD)
    assert [record.case.id for record in found.lost] == [f"leave-{n}" for n in range(6)]
    assert found.gained == ()
    line = next(line for line in found.lines if line.score.name == "answered")
    assert (line.a.value, line.b.value, line.difference.changed) == (1.0, 3 / 9, 6)
    assert line.difference.p < 0.05
    back = compare(later, good)
    assert len(back.gained) == 6
    text = comparison_markdown(found)
    assert "| **answered** | 100.0% | 33.3% | -66.7% |" in text
    assert "- `leave-0`" in text
    assert "Right now, wrong before: 0" in text


def test_runs_without_a_common_case_are_not_compared(good: Run, tmp_path: Path) -> None:
    other = made_run(tmp_path / "other", good_record(case=case(id="other")))
    with pytest.raises(ConfigurationError, match="no case in common"):
        compare(good, other)
    done = CliRunner().invoke(app, ["eval", "compare", str(good.folder), str(good.folder)])
    assert "17 cases in both runs" in done.output
