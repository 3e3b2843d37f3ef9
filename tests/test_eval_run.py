"""The runner on three small papers, without a model: what it keeps, resumes, samples and says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from eval_records import case, refusal_case, write_papers
from typer.testing import CliRunner

from assistant import Assistant, Settings
from assistant.embed import load_embedder
from assistant.engines.base import ScriptedEngine
from assistant.errors import ConfigurationError, EngineError, SourceError
from assistant.surfaces.cli import app
from evals import index, record, stats
from evals.bench.shuffle_citations import shuffled
from evals.case import Case, load_cases
from evals.record import Run, read_run
from evals.run import ask, run, sample

BUDGET = {"question": "2026年大模型专项预算是多少？", "tags": ("restricted",)}
CASES = [
    case(),
    case(
        id="follow-up",
        question="它要多久之内休完？",
        history=("员工的婚假有几天？",),
        reference="应在登记后一年内休完。",
        facts=(("一年内",),),
    ),
    case(
        id="budget-in",
        groups=("finance",),
        reference="预算为三百二十万元。",
        facts=(("三百二十万元",),),
        documents=(("papers/budget.md",),),
        **BUDGET,
    ),
    refusal_case(id="budget-out", forbidden=("三百二十万",), **BUDGET),
]


Asked = Callable[..., Run]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with papers and, after the first run, their index; it is not to be changed."""
    home = tmp_path_factory.mktemp("home")
    write_papers(home / "papers")
    return home


@pytest.fixture
def asked(home: Path, tmp_path: Path) -> Asked:
    """Run cases over the papers; the gate lets everything through."""
    return partial(ask_all, home, tmp_path)


@pytest.fixture(scope="module")
def done(home: Path) -> Run:
    """One finished run, to look at."""
    return ask_all(home, home)


def ask_all(
    home: Path, folder: Path, cases: list[Case] = CASES, name: str = "run", **options: Any
) -> Run:
    """Run cases over the papers of ``home``, and keep the run in ``folder``."""
    return run(cases, opened(home), folder / name, sources=(home / "papers",), **options)


def opened(home: Path) -> Settings:
    """Settings without a model and with an open gate."""
    return Settings(
        data_dir=home / "data",
        cache_dir=home / "cache",
        embedding_model="hash",
        engine="extractive",
        gate_threshold=0.0,
    )


def test_a_record_holds_what_explains_its_scores(done: Run) -> None:
    first = done.records[0]
    assert first.answer is not None
    assert "十五天" in first.answer.text
    assert first.answer.citations[0].quote in first.hits[0].chunk.text
    assert first.hits[0].dense_score and first.hits[0].lexical_score
    assert "员工每年有几天年假" in first.calls[-1].prompt
    assert "十五天" in first.calls[-1].raw
    assert first.answer.timings["retrieve"] > 0
    assert (first.scores["fact_recall"], first.scores["citation_recall"]) == (1.0, 1.0)


def test_a_follow_up_is_asked_after_its_history(done: Run) -> None:
    follow_up = done.records[1]
    assert follow_up.scores["fact_recall"] == 1.0
    assert "婚假有几天" in follow_up.calls[-1].prompt  # completed from the question before


def test_each_case_is_asked_with_its_own_groups(done: Run) -> None:
    *_, inside, outside = done.records
    assert inside.scores["fact_recall"] == 1.0
    assert all(hit.document.groups == ("everyone",) for hit in outside.hits)
    assert outside.scores["leak"] == 0.0
    assert outside.scores["refused"] == 0.0  # this gate lets everything through


def test_the_manifest_says_under_what_conditions(done: Run) -> None:
    manifest = done.manifest
    assert (manifest.engine, manifest.count) == ("extractive", len(CASES))
    assert manifest.settings["gate_threshold"] == 0.0
    assert "data_dir" not in manifest.settings
    assert manifest.embedding_model["model"] == "hash"
    assert manifest.started <= manifest.finished
    assert manifest.packages["numpy"]


def test_an_interrupted_run_goes_on_where_it_stopped(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    count: list[str] = []

    def counted(assistant: Assistant, each: Case) -> record.Record:
        if len(count) == 2:
            raise KeyboardInterrupt
        count.append(each.id)
        return ask(assistant, each)

    monkeypatch.setattr("evals.run.ask", counted)
    with pytest.raises(KeyboardInterrupt):
        asked()
    assert count == [each.id for each in CASES[:2]]
    with pytest.raises(ConfigurationError, match="2 of 4"):
        read_run(tmp_path / "run")
    with (tmp_path / "run" / record.RECORDS_FILE).open("a") as file:
        file.write('{"case": {"id": "cut of')
    rest: list[str] = []
    monkeypatch.setattr("evals.run.ask", lambda a, each: rest.append(each.id) or ask(a, each))
    whole = asked()
    assert rest == [each.id for each in CASES[2:]]
    assert [each.case.id for each in whole.records] == [each.id for each in CASES]


def test_a_finished_run_asks_nothing_again(
    done: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evals.run.ask", lambda *_: pytest.fail("asked again"))
    again = ask_all(home, home)
    assert again.records == done.records
    assert again.manifest == done.manifest


def test_a_run_under_other_conditions_needs_another_folder(done: Run, home: Path) -> None:
    other = opened(home).model_copy(update={"gate_threshold": 0.5})
    with pytest.raises(ConfigurationError, match=r"other settings \(gate_threshold\).*--out"):
        run(CASES, other, done.folder, sources=(home / "papers",))
    with pytest.raises(ConfigurationError, match="other cases"):
        ask_all(home, home, CASES[:1])


def test_a_failure_is_recorded_and_asked_again(asked: Asked) -> None:
    broken = ScriptedEngine(replies=[EngineError("gone"), "年假十五天[1]。"])
    first = asked(CASES[:1], engine=broken)
    assert first.records[0].error.startswith("EngineError: gone")
    assert first.records[0].scores["error"] == 1.0
    again = asked(CASES[:1], engine=broken)
    assert again.records[0].error == ""
    assert again.records[0].scores["error"] == 0.0


def test_several_workers_give_the_same_answers(asked: Asked, done: Run) -> None:
    def texts(run: Run) -> list[str]:
        return [each.answer.text for each in run.records if each.answer]

    assert texts(asked(workers=3)) == texts(done)


def test_the_index_is_kept_and_built_anew_when_a_file_changes(
    done: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest(papers: Path) -> str:
        settings = opened(home)
        return index.fingerprint((papers,), settings, load_embedder(settings))

    monkeypatch.setattr(index, "_build", lambda *_: pytest.fail("built again"))
    assert digest(home / "papers") == done.manifest.index
    with index.opened((home / "papers",), opened(home), load_embedder(opened(home))) as data:
        assert (data / "catalog.sqlite").exists()
    assert not data.exists()
    papers = write_papers(tmp_path / "papers")
    before = digest(papers)
    (papers / "leave.md").write_text("# 休假制度\n\n员工每年享有二十天带薪年假。\n", "utf-8")
    assert digest(papers) != before


def test_an_index_without_all_its_documents_is_refused(tmp_path: Path) -> None:
    papers = write_papers(tmp_path / "papers")
    (papers / "empty.txt").touch()
    with pytest.raises(SourceError, match=r"empty\.txt"):
        ask_all(tmp_path, tmp_path)
    assert not list((tmp_path / "cache" / "evals").iterdir())


def test_a_sample_keeps_kinds_and_languages_and_depends_on_the_seed() -> None:
    cases = load_cases()
    chosen = sample(cases, 80, 7)
    assert len(chosen) == 80
    strata = Counter((each.tags[0], each.language) for each in cases)
    found = Counter((each.tags[0], each.language) for each in chosen)
    assert found.keys() == strata.keys()
    for key, n in strata.items():
        assert abs(found[key] - n * 80 / len(cases)) <= 1, key
    assert [each.id for each in sample(cases, 80, 7)] == [each.id for each in chosen]
    assert [each.id for each in sample(cases, 80, 8)] != [each.id for each in chosen]
    assert sample(cases, 1000, 7) == cases


def test_shuffled_citations_cost_precision_and_recall(done: Run) -> None:
    leave, _, budget, _ = done.records
    spoilt, _ = shuffled([leave, budget])
    assert leave.answer and budget.answer and spoilt.answer
    assert spoilt.answer.text == leave.answer.text
    assert spoilt.answer.citations[0].source == budget.answer.citations[0].source
    for name in ("citation_precision", "citation_recall"):
        assert (leave.scores[name], spoilt.scores[name]) == (1.0, 0.0)


# -- statistics ----------------------------------------------------------------------------------


def test_a_mean_has_an_interval_that_narrows() -> None:
    few, many = stats.mean([0.0, 1.0] * 10), stats.mean([0.0, 1.0] * 1000)
    assert few.value == many.value == 0.5
    assert few.low < many.low < 0.5 < many.high < few.high
    assert stats.mean([1.0, 1.0]) == stats.Mean(1.0, 1.0, 1.0, 2)


def test_a_difference_is_sure_only_with_enough_cases() -> None:
    five = stats.difference([1.0] * 5, [0.0] * 5, "less")
    assert (five.p, five.changed, five.mean.value) == (1 / 32, 5, -1.0)  # exact: one of 2^5 signs
    assert stats.difference([1.0] * 4, [0.0] * 4, "less").p == 1 / 16
    assert stats.difference([1.0, 0.0], [0.0, 1.0]).p == 1.0
    same = stats.difference([0.5], [0.5])
    assert (same.p, same.changed) == (1.0, 0)


# -- the command line ----------------------------------------------------------------------------


def test_a_setting_on_the_command_line_is_name_and_value() -> None:
    done = CliRunner().invoke(app, ["eval", "run", "--set", "dense_weight"])
    assert isinstance(done.exception, ConfigurationError)
    assert "name=value" in str(done.exception)
    done = CliRunner().invoke(app, ["eval", "run", "--set", "weight=1"])
    assert "not a setting" in str(done.exception)


def test_the_extra_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.util import find_spec

    def without(missing: str) -> None:
        monkeypatch.setattr(
            "assistant.surfaces.eval.find_spec",
            lambda name: None if name == missing else find_spec(name),
        )

    for missing in ("evals", "scipy"):
        without(missing)
        done = CliRunner().invoke(app, ["eval", "report"])
        assert isinstance(done.exception, ConfigurationError)
        assert "strategy-assistant[eval]" in str(done.exception)


def test_the_command_line_runs_a_file_of_cases(
    done: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evals.index.SOURCES", (home / "papers",))
    monkeypatch.setenv("ASSISTANT_EMBEDDING_MODEL", "hash")
    monkeypatch.setenv("ASSISTANT_CACHE_DIR", str(home / "cache"))
    rows = [json.loads(each.model_dump_json()) for each in CASES]
    (tmp_path / "cases.yaml").write_text(json.dumps(rows), "utf-8")
    arguments = ["eval", "run", "--cases", "cases.yaml", "--engine", "extractive"]
    called = CliRunner().invoke(app, [*arguments, "--set", "gate_threshold=0"])
    assert called.exit_code == 0, called.exception
    assert "`fact_recall`" in called.output
    kept = read_run(record.latest())
    assert kept.folder.parent == Path("evals/runs")
    assert kept.manifest.identity == done.manifest.identity
