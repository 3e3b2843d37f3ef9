"""What a running server counts for Prometheus: questions, latencies, engines, verdicts, jobs.

It counts and never names: no user, question or title becomes a label.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from assistant.errors import AssistantError, EngineBusyError
from assistant.types import Answer, AnswerEvent, Verdict

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._answers = Counter(
            "assistant_answers",
            "Questions by how they ended.",
            ["outcome", "engine"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "assistant_answer_seconds",
            "Time of an answer by stage.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._tokens = Counter(
            "assistant_tokens", "Tokens read and written.", ["direction"], registry=self.registry
        )
        self._verdicts = Counter(
            "assistant_feedback", "Verdicts on answers.", ["verdict"], registry=self.registry
        )
        self._asking = Gauge(
            "assistant_questions_in_flight", "Questions being answered.", registry=self.registry
        )
        self._requests = Counter(
            "assistant_http_requests",
            "Requests by route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )

    def watch(self, events: Iterator[AnswerEvent]) -> Generator[AnswerEvent]:
        """Yield the events of an answer and count how it ended."""
        began = time.perf_counter()
        outcome = "abandoned"
        engine = "none"
        self._asking.inc()
        try:
            for event in events:
                if event.answer:
                    outcome, engine = _outcome(event.answer), event.answer.engine
                    self._measure(event.answer, time.perf_counter() - began)
                yield event
        except EngineBusyError:
            outcome = "busy"
            raise
        except AssistantError:
            outcome = "failed"
            raise
        finally:
            self._asking.dec()
            self._answers.labels(outcome, engine).inc()

    def verdict(self, verdict: Verdict) -> None:
        """Count a verdict."""
        self._verdicts.labels(verdict).inc()

    def request(self, method: str, route: str, status: int) -> None:
        """Count a request; ``route`` is the template of its path."""
        self._requests.labels(method, route, str(status)).inc()

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _measure(self, answer: Answer, seconds: float) -> None:
        for stage in ("retrieve", "engine", "check", "first_token"):
            if stage in answer.timings:
                self._seconds.labels(stage).observe(answer.timings[stage])
        self._seconds.labels("whole").observe(seconds)
        self._tokens.labels("read").inc(answer.usage.prompt_tokens)
        self._tokens.labels("written").inc(answer.usage.completion_tokens)


def _outcome(answer: Answer) -> str:
    return "refused" if answer.refused else "answered"
