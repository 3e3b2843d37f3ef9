from __future__ import annotations

from pathlib import Path

import pytest

from assistant import Assistant, Settings
from assistant.adapted import HashEmbedder
from assistant.engines.base import ScriptedEngine, engine_name
from assistant.engines.failover import Breaker, Engines, choose_engines
from assistant.errors import (
    ConfigurationError,
    EngineBusyError,
    EngineError,
    ModelError,
    RequestRefusedError,
)

RIGHT = "员工每年享有十五天带薪年假[1]。"
QUESTION = "员工每年的年假有几天？"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Server(ScriptedEngine):
    """An engine that can be down."""

    name: str = "server"
    down: bool = False
    loads: int = 0

    def load(self) -> None:
        self.loads += 1
        if self.down:
            raise EngineError("the server is down")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def names(engines: Engines) -> list[str]:
    return [engine_name(engine) for engine in engines.candidates()]


def asking(settings: Settings, engines: Engines, papers: Path) -> Assistant:
    assistant = Assistant(settings.model_copy(update={"gate_threshold": 0.0}))
    assistant._engines = engines
    assistant.ingest(papers)
    return assistant


# -- the breaker ----------------------------------------------------------------------------


def test_one_asker_tries_again_after_a_pause_that_grows(clock: Clock) -> None:
    breaker = Breaker(clock)
    assert breaker.admits()
    breaker.failed("gone")
    pauses = []
    for _ in range(8):
        waited = 0.0
        while not breaker.admits():
            clock.now += 0.5
            waited += 0.5
        assert not breaker.admits(), "the others keep away while one tries"
        breaker.failed("still gone")
        pauses.append(waited)
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_eight_reports_of_one_failure_count_once(clock: Clock) -> None:
    breaker = Breaker(clock)
    for _ in range(8):
        breaker.failed("gone")
    clock.now += 2.0
    assert breaker.admits()


def test_success_makes_the_next_failure_a_first_one(clock: Clock) -> None:
    breaker = Breaker(clock)
    for _ in range(3):
        breaker.failed("gone")
        clock.now += 60.0
        assert breaker.admits()
    breaker.succeeded()
    breaker.failed("gone")
    clock.now += 2.0
    assert breaker.admits()


def test_an_engine_that_opens_but_fails_again_rests_longer(clock: Clock) -> None:
    breaker = Breaker(clock)
    breaker.failed("gone")
    clock.now += 2.0
    assert breaker.admits()
    breaker.opened()
    breaker.failed("gone again")
    clock.now += 2.0
    assert not breaker.admits()
    clock.now += 2.0
    assert breaker.admits()


# -- the order ------------------------------------------------------------------------------


def test_the_best_that_works_comes_first(clock: Clock) -> None:
    server, local = Server(down=True), ScriptedEngine(name="local")
    engines = Engines([server, local], clock)
    assert names(engines) == ["local"]
    assert engines.passed_over() == ["server is passed over: the server is down"]
    server.down = False
    assert names(engines) == ["local"], "not before the pause is over"
    clock.now += 2.0
    assert names(engines) == ["server", "local"]
    assert engines.passed_over() == []
    assert server.loads == 2, "a working engine is not asked again whether it works"


def test_the_last_resort_is_never_passed_over() -> None:
    only = Server(down=True)
    with pytest.raises(EngineError, match="down"):
        names(Engines([only]))
    error = EngineError("failed")
    with pytest.raises(EngineError, match="failed"):
        Engines([only]).failed(only, error)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, ["extractive"]),
        ({"vllm_base_url": "http://127.0.0.1:9/v1"}, ["openai_compatible", "extractive"]),
        ({"llm_model": "a.gguf"}, ["llamacpp", "extractive"]),
        (
            {"vllm_base_url": "http://127.0.0.1:9/v1", "llm_model": "a.gguf"},
            ["openai_compatible", "llamacpp", "extractive"],
        ),
        ({"engine": "llamacpp"}, ["llamacpp"]),
    ],
)
def test_auto_prefers_what_somebody_set_up(values: dict[str, str], expected: list[str]) -> None:
    engines = choose_engines(Settings(**{"engine": "auto", **values}), HashEmbedder(), bool)
    assert [engine_name(place.engine) for place in engines._places] == expected
    engines.close()


def test_a_model_that_is_not_there_is_passed_over_with_the_reason(
    settings: Settings, papers: Path
) -> None:
    wanted = settings.model_copy(update={"engine": "auto", "llm_model": "/nowhere/model.gguf"})
    with Assistant(wanted.model_copy(update={"gate_threshold": 0.0})) as assistant:
        assistant.ingest(papers)
        assert "十五天" in assistant.ask(QUESTION).text
        health = assistant.health()
    assert health.engine == "extractive"
    assert "/nowhere/model.gguf" in " ".join(health.problems)


def test_a_named_engine_has_no_stand_in(settings: Settings) -> None:
    wanted = settings.model_copy(update={"engine": "llamacpp", "llm_model": "/nowhere/model.gguf"})
    with Assistant(wanted) as assistant, pytest.raises(ModelError, match="nowhere"):
        assistant.health()


# -- an answer that one engine begins and another ends --------------------------------------


class Dying(Server):
    """Says half an answer, then dies."""

    def _stream(self, *args: object, **kwargs: object):  # type: ignore[no-untyped-def]
        yield from super()._stream(*args, **kwargs)  # type: ignore[arg-type]
        raise ConnectionError("connection reset by peer")


def test_an_engine_that_dies_in_mid_answer_is_told_and_stood_in_for(
    settings: Settings, papers: Path
) -> None:
    half = "病假需要提交医院证明[1]。员工每年享有十五天带薪年假[1]。员工"
    dying = Dying(replies=[half])
    local = ScriptedEngine(name="local", replies=[RIGHT, RIGHT])
    with asking(settings, Engines([dying, local]), papers) as assistant:
        events = list(assistant.stream(QUESTION))
        kinds = [event.kind for event in events]
        restart = kinds.index("restart")
        assert "token" in kinds[:restart], "something had been shown"
        assert "connection reset by peer" in events[restart].text
        answer = events[-1].answer
        assert answer is not None
        after = "".join(e.text for e in events[restart + 1 :] if e.kind == "token")
        assert after.strip() == answer.text == RIGHT
        assert (answer.engine, len(answer.citations)) == ("local", 1)
        assert "server failed" in answer.notice
        assert assistant.ask(QUESTION).engine == "local", "the next question spares the dead one"


def test_a_refused_question_does_not_take_the_engine_from_the_others(
    settings: Settings, papers: Path
) -> None:
    server = Server(replies=[RequestRefusedError("too long"), RIGHT])
    local = ScriptedEngine(name="local", replies=[RIGHT])
    with asking(settings, Engines([server, local]), papers) as assistant:
        assert assistant.ask(QUESTION).engine == "local"
        assert assistant.ask(QUESTION).engine == "server"


def test_whatever_an_engine_raises_when_it_is_opened_it_is_passed_over() -> None:
    class Odd(Server):
        def load(self) -> None:
            raise FileNotFoundError("no temporary folder")

    assert names(Engines([Odd(), ScriptedEngine(name="local")])) == ["local"]


def test_a_full_queue_is_no_failure(settings: Settings, papers: Path) -> None:
    full = Server(replies=[EngineBusyError("8 are waiting", 8), RIGHT])
    local = ScriptedEngine(name="local")
    with asking(settings, Engines([full, local]), papers) as assistant:
        with pytest.raises(EngineBusyError):
            assistant.ask(QUESTION)
        assert assistant.ask(QUESTION).engine == "server"


def test_a_follow_up_survives_the_engine_that_should_rewrite_it(
    settings: Settings, papers: Path
) -> None:
    server = Server(replies=[RIGHT, EngineError("gone")])
    local = ScriptedEngine(name="local", replies=["婚假有几天？", "婚假为十天[1]。"])
    with asking(settings, Engines([server, local]), papers) as assistant:
        first = assistant.ask(QUESTION)
        second = assistant.ask("那婚假呢？", conversation_id=first.conversation_id)
    assert (second.text, second.engine) == ("婚假为十天[1]。", "local")


def test_retired_engines_close_after_their_last_use() -> None:
    class Closing(Server):
        closed: bool = False

        def close(self) -> None:
            self.closed = True

    engine = Closing(replies=[])
    engines = Engines([engine])
    first, second = engines.in_use(), engines.in_use()
    with first:
        engines.retire()
        with second:
            assert not engine.closed
        assert not engine.closed
    assert engine.closed


def test_another_engine_answers_from_the_next_question_on(
    assistant: Assistant, papers: Path
) -> None:
    assistant.ingest(papers)
    under_way = assistant.stream("员工每年有几天年假？")
    next(under_way)
    with pytest.raises(ConfigurationError, match="extractive"):
        assistant.use_engine("gpt")
    assistant.use_engine("auto")
    *_, last = under_way
    assert last.answer and "十五天" in last.answer.text
    assert assistant.engine == "auto"
    assert "十五天" in assistant.ask("员工每年有几天年假？").text
