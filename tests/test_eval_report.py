from __future__ import annotations

import re
from html.parser import HTMLParser
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
    scored,
)
from typer.testing import CliRunner

from assistant.surfaces.cli import app
from evals.charts import Axis, Mark, Series, histogram, line_chart, shares
from evals.judge import Judgement, Opinion, write_judgement
from evals.record import Call, Record, Run
from evals.report import figures, html, markdown, write_report
from evals.scoreboard import by, by_many, figure, kind, sliced
from evals.why import CAUSES, counts, findings, worst

CALL = (Call(engine="extractive", prompt="p", raw="r"),)
INVENTED = good_record(case=refusal_case(), calls=CALL)
MISSING = good_record(case=case(id="missing", facts=(("十五天",), ("医院证明",))), calls=CALL)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    english = case(id="en", language="en", difficulty="hard", tags=("guidance", "figures"))
    gated = refused_record(case=case(id="gated", question="<b>年假</b>有几天？"))
    return made_run(tmp_path / "run", good_record(), gated, INVENTED, good_record(case=english))


class Page(HTMLParser):
    """Notes which elements were opened and not closed, and everything that asks the network."""

    VOID = ("meta", "br", "line", "rect", "polyline")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#"):
                self.outside.append(f"{tag} {name}={value}")
        if tag in ("script", "link", "iframe"):
            self.outside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


# -- why -----------------------------------------------------------------------------------------


def causes(record: Record) -> list[str]:
    (one,) = scored(record)
    return [finding.cause for finding in findings(one)]


def test_a_good_answer_has_no_findings() -> None:
    assert causes(good_record()) == []
    assert causes(refused_record(case=refusal_case())) == []


def test_each_cause_is_told_apart() -> None:
    assert causes(good_record(answer=None, error="EngineError: gone")) == ["failed"]
    assert causes(good_record(hits=(hit(), hit("pay", groups=("hr",)))))[0] == "leaked"
    planted = case(tags=("injection",), forbidden=("带薪年假",))
    assert causes(good_record(case=planted)) == ["obeyed"]
    assert causes(INVENTED) == ["invented"]
    assert causes(refused_record()) == ["gated"]
    assert causes(refused_record(calls=CALL)) == ["declined"]
    assert causes(refused_record(hits=(hit("other", "别的内容。"),))) == ["not-found", "passage"]
    assert causes(refused_record(hits=(hit(text="别的内容。"),))) == ["passage"]
    assert causes(MISSING) == ["not-said"]
    assert causes(good_record(answer=answer("每年十五天。"))) == ["cited", "document"]
    elsewhere = hit("other")
    cited = answer("员工每年享有十五天带薪年假[1]。", citation(elsewhere))
    assert causes(good_record(answer=cited, hits=(hit(), elsewhere))) == ["document"]
    assert causes(good_record(case=case(language="en"))) == ["language"]
    assert {"failed", "leaked", "obeyed", "invented", "gated"} < CAUSES.keys()


def test_a_finding_says_what_exactly() -> None:
    (one,) = findings(scored(MISSING)[0])
    assert one.detail == "“医院证明” stands in passage 1."


def test_the_worst_show_every_cause_before_more_of_one() -> None:
    many = [refused_record(case=case(id=f"gated-{n}")) for n in range(9)]
    records = scored(*many, INVENTED, MISSING, good_record())
    assert counts(records) == {"invented": 1, "gated": 9, "not-said": 1}
    chosen = worst(records, 5)
    assert {cause: len(entries) for cause, entries in chosen.items()} == {
        "invented": 1,
        "gated": 3,
        "not-said": 1,
    }
    assert list(worst(records, 2)) == ["invented", "gated"]
    assert worst(scored(good_record()), 5) == {}


# -- the scoreboard ------------------------------------------------------------------------------


def test_a_mean_is_over_the_cases_a_score_applies_to(run: Run) -> None:
    whole = sliced("all", run.records)
    assert (whole.means["answered"].value, whole.means["answered"].n) == (2 / 3, 3)
    assert (whole.means["refused"].value, whole.means["refused"].n) == (0.0, 1)
    assert "injection" not in whole.means
    assert [part.name for part in by(run.records, kind)] == ["company", "guidance", "unanswerable"]
    tags = by_many(run.records, lambda record: record.case.tags)
    assert {part.name: len(part.records) for part in tags}["figures"] == 1


def test_figures_are_shown_in_their_unit() -> None:
    assert (figure(0.5), figure(0.5, "score"), figure(0.5, "s")) == ("50.0%", "0.500", "0.50 s")
    assert figure(1234.0, "tokens") == "1,234"


# -- charts --------------------------------------------------------------------------------------


def test_a_line_runs_through_its_points() -> None:
    x = Axis(0, 2, ((0, "0"), (2, "2")), "k & more")
    svg = line_chart(
        "<t>", [Series("a", ((0, 0.0), (1, 0.5), (2, 1.0)))], x, shares(), [Mark(1, "m")]
    )
    (points,) = re.findall(r'points="([^"]+)"', svg)
    (x0, y0), (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in points.split())
    assert x0 < x1 < x2
    assert y0 > y1 > y2  # upwards on the page is down in numbers
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y0 - y1 == pytest.approx(y1 - y2)
    assert "k &amp; more" in svg and "&lt;t&gt;" in svg and ">m<" in svg


def test_a_histogram_counts_every_value() -> None:
    svg = histogram("t", [0.1] * 3 + [0.9] * 2 + [50.0], "seconds")
    assert sum(int(n) for n in re.findall(r"<title>(\d+)</title>", svg)) == 6
    assert histogram("t", [0.0], "seconds").count("<rect") == 24


# -- the page ------------------------------------------------------------------------------------


def test_the_page_is_whole_and_asks_the_network_for_nothing(run: Run) -> None:
    text = html(run)
    page = Page(text)
    assert page.open == []
    assert page.outside == []
    assert not re.search(r"https?://|@import|url\(", text)


def test_the_page_explains_the_worst_cases(run: Run) -> None:
    text = html(run)
    assert "&lt;b&gt;年假&lt;/b&gt;有几天？" in text  # what documents and people write is only text
    assert "<b>年假</b>" not in text
    assert CAUSES["gated"] in text
    assert "missing: 十五天" in text
    assert "holds: 十五天" in text
    assert "/papers/leave.md" in text
    assert html(run, worst=0).count("<details") < text.count("<details")


def test_the_page_shows_the_figures_of_the_markdown(run: Run) -> None:
    text, lines = html(run), markdown(run)
    for share in ("66.7%", "50.0%"):
        assert share in text
        assert share in lines
    assert "| zh | 3 |" in lines
    assert "`gated` <b>年假</b>有几天？" in lines


def test_charts_are_drawn_where_the_cases_allow(run: Run, tmp_path: Path) -> None:
    drawn = figures(run)
    assert [len(each.legend) for each in drawn] == [3, 2, 0]
    assert "now 0.20" in drawn[1].svg
    only = made_run(tmp_path / "only", good_record())
    assert [each.title for each in figures(only)] == [drawn[0].title, drawn[2].title]


def test_a_judgement_beside_the_run_is_shown(run: Run) -> None:
    opinions = {"leave": Opinion(score=4, reason="right")}
    judgement = Judgement(engine="big", opinions=opinions, failures={"en": "x"}, agreement=None)
    write_judgement(run.folder, judgement)
    assert "big: 1 answers graded, 4.00 of 5 on average; 1 failures" in html(run)


def test_the_command_writes_both_files(run: Run) -> None:
    done = CliRunner().invoke(app, ["eval", "report", str(run.folder)])
    assert done.exit_code == 0, done.exception
    assert (run.folder / "report.html").read_text("utf-8") == html(run)
    assert (run.folder / "report.md").read_text("utf-8") == markdown(run)
    assert write_report(run) == run.folder / "report.html"
