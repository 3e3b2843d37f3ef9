from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from eval_records import good_record, made_run, refused_record
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from web_service import (
    HOSTILE,
    NOW,
    assert_inert,
    event,
    request,
    somebody,
)

from assistant import Assistant
from assistant.errors import AssistantError
from assistant.surfaces.http import evaluation
from assistant.surfaces.http.service import Service
from assistant.surfaces.web import desk
from assistant.surfaces.web.charts import Bars
from assistant.surfaces.web.quality import Quality, topics
from assistant.surfaces.web.wording import load_texts
from assistant.types import Reviewable, Subject, Topic, UsageDay, UsageReport

# -- quality --------------------------------------------------------------------------------------


def usage(days: int = 14) -> UsageReport:
    first = date(2026, 11, 11)
    return UsageReport(
        days=tuple(UsageDay(first + timedelta(days=n), n, n // 4, 1, 0) for n in range(days)),
        engines={"extractive": 3},
        topics=(
            Topic(date(2026, 11, 9), HOSTILE, 5),
            Topic(date(2026, 11, 16), HOSTILE, 2),
            Topic(date(2026, 11, 16), "", 4),
        ),
        subjects=(Subject("company-facts", 5, 2), Subject("off-topic", 3, 3), Subject("", 1, 0)),
    )


def test_bars_say_their_numbers_in_three_ways() -> None:
    bars = Bars(
        "q", HOSTILE, "All in all.", ("11-01", "11-02"), (("good", (3, 0)), ("bad", (1, 2)))
    )
    svg = str(bars.svg())
    assert_inert(svg)
    assert "<desc id=" in svg
    assert "11-01 · good 3 · bad 1" in svg
    assert bars.top == 4
    assert bars.rows == [("11-02", [0, 2]), ("11-01", [3, 1])]
    tall = [float(y) for y in re.findall(r'class="s\d".*?height="([\d.]+)"', svg)]
    assert tall == [75.0, 25.0, 50.0]


@pytest.mark.parametrize(("most", "top"), [(0, 2), (5, 6), (7, 10), (11, 20), (61, 100)])
def test_scales_end_at_a_round_number(most: int, top: int) -> None:
    assert Bars("x", "", "", ("a",), (("n", (most,)),)).top == top


def test_topics_stand_by_week_and_the_rest_is_summed_up() -> None:
    bars = topics(usage(), load_texts("en"))
    assert bars.labels == ("11-09", "11-16", "11-23")
    assert bars.layers == ((HOSTILE, (5, 2, 0)), ("Other documents", (0, 4, 0)))


def test_use_is_shown_and_titles_in_it_are_text(service: Service) -> None:
    shown = Quality(service, load_texts("zh"))
    html = str(shown.parts.usage(usage(), 30, (7, 30, 90), shown._charts(usage())))
    assert_inert(html)
    assert "91 个问题中的 18 个" in html
    assert html.count("<table") == 4
    assert "公司情况" in html and "与公司、大模型无关" in html and "未归类" in html


def test_questions_and_comments_are_text() -> None:
    each = Reviewable(HOSTILE, (HOSTILE,), (), HOSTILE, True, "down", HOSTILE, NOW)
    html = str(desk.parts("quality", load_texts("en")).review([each], 1, "all", ()))
    assert_inert(html)


def test_asked_and_disliked_answers_come_up_in_their_kind(
    service: Service, assistant: Assistant, papers: Path
) -> None:
    assistant.ingest(papers)
    asker = somebody()
    given = assistant.ask("婚假有几天？", principal=asker.principal)
    assistant.feedback(given.answer_id, "down", "过时了", asker.principal)
    shown = Quality(service, load_texts("zh"))
    use, review = shown.show(event(days="7", kind="down"), request(asker))
    assert "1 个问题中的 0 个" in use
    assert "婚假有几天？" in review
    assert "过时了" in review
    assert "婚假有几天？" not in shown.show(event(kind="refused"), request(asker))[1]


def test_without_an_evaluation_the_page_says_how_to_make_one(service: Service) -> None:
    html = Quality(service, load_texts("en")).evaluation(request(somebody()))
    assert f"assistant eval run --out {service.settings.data_dir}/evals/run-1" in html


def test_the_latest_evaluation_is_summed_up_and_its_report_is_for_administrators(
    service: Service, socket_enabled: None
) -> None:
    root = service.settings.data_dir / "evals"
    made_run(root / "old", refused_record(), finished="2026-11-01T00:00:00+00:00")
    made_run(root / "new", good_record(), finished="2026-11-02T00:00:00+00:00")
    (root / "new" / "report.html").write_text("<h1>The report</h1>", "utf-8")
    shown = Quality(service, load_texts("zh")).evaluation(request(somebody()))
    assert "100.0 %" in shown
    assert 'href="/evaluation"' in shown

    asker = somebody()
    app = FastAPI()
    app.state.service = service
    app.include_router(evaluation.router)

    @app.middleware("http")
    async def known(asked: Request, answer: Any) -> Any:
        asked.state.identity = asker
        return await answer(asked)

    @app.exception_handler(AssistantError)
    async def refused(asked: Request, error: AssistantError) -> Any:
        return evaluation.HTMLResponse(str(error), 403)

    client = TestClient(app)
    page = client.get("/evaluation")
    assert page.text == "<h1>The report</h1>"
    assert "sandbox" in page.headers["content-security-policy"]
    asker = somebody("editor")
    assert client.get("/evaluation").status_code == 403


def test_a_run_that_cannot_be_read_is_told(service: Service) -> None:
    folder = service.settings.data_dir / "evals" / "bad"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}", "utf-8")
    assert 'role="alert"' in Quality(service, load_texts("zh")).evaluation(request(somebody()))
