"""The quality view: the latest evaluation, and how the assistant did for those who use it.

It names nobody, and no document or question that its reader may not see.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import gradio as gr

from assistant.errors import AssistantError, ConfigurationError
from assistant.surfaces.http.evaluation import FOLDER, Evaluation, latest_evaluation
from assistant.surfaces.http.service import Service
from assistant.surfaces.web.charts import Bars
from assistant.surfaces.web.desk import View, admitted, chosen, desk, number, on, region
from assistant.surfaces.web.frame import tell, view
from assistant.surfaces.web.wording import Texts
from assistant.types import Reviewable, Topic, UsageReport

PERIODS = (7, 30, 90)
_PERIOD = 30
_TOPICS = 5
_REVIEWED = 200
_REVIEWED_SHOWN = 50
_KINDS = ("all", "down", "refused")


def build(service: Service, texts: Texts) -> gr.Blocks:
    """Return the quality view in one language."""
    shown = Quality(service, texts)
    with view(service, texts, "quality") as blocks, gr.Column(elem_id="view"):
        board = desk(str(shown.parts.desk()))
        notice = region("notice")
        usage = region("usage", shown.parts.loading())
        evaluation = region("evaluation")
        review = region("review")
        on("quality", board.show, shown.show, [usage, review])
        on("quality", blocks.load, shown.evaluation, evaluation)
        on("quality", board.failed, shown.failed, notice)
    return blocks


class Quality(View):
    """The handlers of one language's view."""

    def __init__(self, service: Service, texts: Texts) -> None:
        super().__init__(service, texts, "quality", "admin")

    def show(self, event: gr.EventData, request: gr.Request) -> Any:
        """Return the use in a period, and the answers worth a second look."""
        days = number(event, "days", _PERIOD)
        days = days if days in PERIODS else _PERIOD
        kind = chosen(event, "kind", "all")
        kind = kind if kind in _KINDS else "all"
        try:
            identity = admitted(self._service, request, "admin")
            report = self._service.assistant.usage(identity.principal, days)
            listed = self._service.assistant.reviewable(identity.principal, _REVIEWED)
        except AssistantError as error:
            tell(error, self._texts)
        found = [each for each in listed if wants(each, kind)]
        usage = self.parts.usage(report, days, PERIODS, self._charts(report))
        return str(usage), str(self.parts.review(found[:_REVIEWED_SHOWN], len(found), kind, _KINDS))

    def evaluation(self, request: gr.Request) -> str:
        """Return the scores of the latest evaluation, or how to make one."""
        problem = ""
        found: Evaluation | None = None
        try:
            admitted(self._service, request, "admin")
            found = latest_evaluation(self._service.settings.data_dir)
        except ConfigurationError as error:
            problem = str(error)
        except AssistantError as error:
            tell(error, self._texts)
        folder = self._service.settings.data_dir / FOLDER
        return str(self.parts.evaluation(found, problem, str(folder)))

    def _charts(self, report: UsageReport) -> dict[str, Bars]:
        t = self._texts
        labels = tuple(f"{day.day:%m-%d}" for day in report.days)
        answered = tuple(day.questions - day.refused for day in report.days)
        refused = tuple(day.refused for day in report.days)
        up, down = (tuple(getattr(day, way) for day in report.days) for way in ("up", "down"))
        return {
            "questions": Bars(
                "questions",
                t("quality.questions"),
                t("quality.questions_said", count=sum(answered) + sum(refused), bad=sum(refused)),
                labels,
                ((t("quality.answered"), answered), (t("quality.refused"), refused)),
            ),
            "feedback": Bars(
                "feedback",
                t("quality.feedback"),
                t("quality.feedback_said", up=sum(up), down=sum(down)),
                labels,
                ((t("quality.up"), up), (t("quality.down"), down)),
            ),
            "topics": topics(report, t),
        }


def wants(each: Reviewable, kind: str) -> bool:
    """Tell whether an answer is of the kind that is looked at."""
    return kind == "all" or (each.refused if kind == "refused" else each.verdict == "down")


def topics(report: UsageReport, texts: Texts) -> Bars:
    """Return the questions of each week by the document that their answers rest on."""
    totals = Counter[str]()
    for topic in report.topics:
        if topic.title:
            totals[topic.title] += topic.questions
    named = [title for title, _ in totals.most_common(_TOPICS)]
    weeks = _weeks(report)
    layers = [(title, _counts(report.topics, weeks, {title})) for title in named]
    rest = {topic.title for topic in report.topics} - set(named)
    if rest:
        layers.append((texts("quality.other_topics"), _counts(report.topics, weeks, rest)))
    return Bars(
        "topics",
        texts("quality.topics"),
        texts("quality.topics_said", titles=texts("quality.comma").join(named) or "–"),
        tuple(f"{week:%m-%d}" for week in weeks),
        tuple(layers),
    )


def _weeks(report: UsageReport) -> list[Any]:
    if not report.days:
        return []
    first, last = report.days[0].day, report.days[-1].day
    monday = first - timedelta(days=first.weekday())
    return [monday + timedelta(weeks=n) for n in range((last - monday).days // 7 + 1)]


def _counts(found: tuple[Topic, ...], weeks: list[Any], titles: set[str]) -> tuple[int, ...]:
    return tuple(
        sum(each.questions for each in found if each.week == week and each.title in titles)
        for week in weeks
    )
