"""The judge invents no score, and the rows for RAGAS are what it wants."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
from eval_records import case, good_record, refusal_case, refused_record, scored

from assistant.engines.base import ScriptedEngine
from assistant.errors import ConfigurationError, EngineError
from evals.judge import Opinion, agreement, judge, parse
from evals.ragas_rows import ragas_dataset, ragas_rows
from evals.record import Record


def records(*facts: str) -> tuple[Record, ...]:
    """Return one answered record for each fact; 十五天 is in the answer."""
    return scored(
        *(good_record(case=case(id=f"c{n}", facts=((fact,),))) for n, fact in enumerate(facts))
    )


def verdict(score: object) -> str:
    return json.dumps({"score": score, "reason": "why"})


def test_a_reply_is_one_json_object_bare_or_fenced() -> None:
    assert parse(verdict(4)) == Opinion(score=4, reason="why")
    assert parse(f"```json\n{verdict(2)}\n```").score == 2


@pytest.mark.parametrize(
    "reply",
    [
        "4",
        "",
        "The score is 4.",
        "Here: " + verdict(4),
        verdict(0),
        verdict(6),
        verdict(4.5),
        verdict("4"),
        verdict(True),
        '{"score": 4}',
        '{"score": 4, "reason": "x", "extra": 1}',
    ],
)
def test_anything_else_is_a_failure(reply: str) -> None:
    with pytest.raises(ValueError, match="not the JSON"):
        parse(reply)


def test_failures_are_counted_and_get_no_score() -> None:
    engine = ScriptedEngine(replies=[verdict(5), "no idea", EngineError("gone")])
    found = judge(engine, records("十五天", "十五天", "十五天"))
    assert found.opinions == {"c0": Opinion(score=5, reason="why")}
    assert set(found.failures) == {"c1", "c2"}
    assert found.agreement is None
    assert "1 answers graded, 5.00 of 5 on average; 2 failures" in str(found)


def test_the_prompt_holds_question_reference_and_answer() -> None:
    engine = ScriptedEngine(replies=[verdict(5)])
    judge(engine, records("十五天"))
    prompt = str(engine.seen[0][-1].content)
    assert all(part in prompt for part in ("几天年假", "员工每年有十五天", "员工每年享有十五天"))
    assert "[1]" not in prompt


def test_only_answers_with_a_reference_are_graded() -> None:
    engine = ScriptedEngine(replies=[])
    assert judge(engine, scored(refused_record(), good_record(case=refusal_case()))).opinions == {}


def test_agreement_is_rank_correlation_with_the_facts() -> None:
    some = records("十五天", "十五天", "不在", "不在")

    def opinions(*scores: int) -> dict[str, Opinion]:
        return {f"c{n}": Opinion(score=s, reason="") for n, s in enumerate(scores)}

    same = agreement(opinions(5, 5, 1, 1), some)
    assert same and same.rho == pytest.approx(1.0)
    reverse = agreement(opinions(1, 1, 5, 5), some)
    assert reverse and (reverse.rho, reverse.n) == (pytest.approx(-1.0), 4)
    assert agreement(opinions(3, 3, 3, 3), some) is None
    assert agreement(opinions(5, 1), some) is None


def test_rows_for_ragas_have_its_columns() -> None:
    (row,) = ragas_rows([good_record(), refused_record(), good_record(case=refusal_case())])
    assert set(row) == {"user_input", "retrieved_contexts", "response", "reference"}
    assert row["response"] == "员工每年享有十五天带薪年假。"
    assert row["retrieved_contexts"] == [good_record().hits[0].chunk.text]


def test_ragas_is_imported_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ragas", None)
    with pytest.raises(ConfigurationError, match=r"strategy-assistant\[ragas\]"):
        ragas_dataset([good_record()])
    fake = SimpleNamespace(EvaluationDataset=SimpleNamespace(from_list=len))
    monkeypatch.setitem(sys.modules, "ragas", fake)  # type: ignore[arg-type]
    assert ragas_dataset([good_record(), good_record()]) == 2
