"""The engine for model servers: against a server that misbehaves, and against real ones.

The real ones take minutes: `make servers`.
"""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import real_servers
from engine_contract import WritingContract
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from odd_server import Odd, done, said

from assistant import Assistant
from assistant.engines.base import Engine, load_engine
from assistant.engines.gguf import embedded_gguf
from assistant.engines.openai_compatible import OpenAICompatibleEngine
from assistant.errors import ConfigurationError, EngineError, RequestRefusedError
from assistant.settings import Settings

SECONDS = 30.0


def engine_at(url: str, **values: Any) -> OpenAICompatibleEngine:
    values = {"vllm_retries": 0, "vllm_timeout_s": 5.0, "max_answer_tokens": 16, **values}
    engine = load_engine("openai_compatible", Settings(vllm_base_url=url, **values))
    assert isinstance(engine, OpenAICompatibleEngine)
    return engine


# -- a server that misbehaves ---------------------------------------------------------------


@pytest.fixture
def odd() -> Iterator[Odd]:
    odd = Odd()
    yield odd
    odd.server.shutdown()
    odd.server.server_close()


@pytest.fixture
def engine(odd: Odd) -> Iterator[OpenAICompatibleEngine]:
    engine = engine_at(odd.url)
    yield engine
    engine.close()


HOSTS = pytest.mark.allow_hosts(["127.0.0.1"])


@HOSTS
def test_a_chat_model_gets_messages_the_fixed_part_first(
    odd: Odd, engine: OpenAICompatibleEngine
) -> None:
    def write(out: Any) -> None:
        said(out, "Five")
        said(out, " days.", "stop")
        done(out)

    odd.write = write
    answer = engine.invoke([SystemMessage("Be brief."), HumanMessage("How many?")], stop=["x"])
    assert answer.text == "Five days."
    assert engine.form == "chat"
    path, body, key = odd.asked[-1]
    assert path == "/v1/chat/completions"
    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    assert (body["max_tokens"], body["temperature"], body["stop"]) == (16, 0.0, ["x"])
    assert body["stream_options"] == {"include_usage": True}
    assert key == "Bearer none"


@HOSTS
def test_a_key_is_sent_and_never_shown(odd: Odd) -> None:
    engine = engine_at(odd.url, vllm_api_key="s3cret")
    engine.load()
    assert odd.asked[-1][2] == "Bearer s3cret"
    assert "s3cret" not in repr(engine) + repr(engine.settings) + engine.settings.model_dump_json()
    engine.close()


@HOSTS
def test_an_answer_that_breaks_off_is_an_error(odd: Odd, engine: OpenAICompatibleEngine) -> None:
    odd.write = lambda out: said(out, "Half an")
    pieces = engine.stream("?")
    assert next(pieces).text == "Half an"
    with pytest.raises(EngineError, match=r"broke off in the middle|failed"):
        list(pieces)


@HOSTS
@pytest.mark.parametrize("status", [400, 401, 404, 422, 429, 500, 503])
def test_what_the_server_says_is_told(
    odd: Odd, engine: OpenAICompatibleEngine, status: int
) -> None:
    engine.load()
    odd.status = status
    with pytest.raises(EngineError, match=f"{status}.*as it was told.*[Aa]sk again") as told:
        engine.invoke("?")
    assert isinstance(told.value, RequestRefusedError) == (status in (400, 422, 429))


@HOSTS
def test_a_server_that_falls_silent_is_given_up(odd: Odd) -> None:
    let_go = threading.Event()
    odd.write = lambda out: (said(out, "One"), let_go.wait(SECONDS))  # type: ignore[assignment]
    engine = engine_at(odd.url, vllm_timeout_s=0.5)
    began = time.monotonic()
    with pytest.raises(EngineError, match="failed"):
        engine.invoke("?")
    assert time.monotonic() - began < SECONDS / 2
    let_go.set()
    engine.close()


@HOSTS
@pytest.mark.parametrize("way", ["close", "cancel"])
def test_who_goes_away_hangs_up_even_before_the_first_word(odd: Odd, way: str) -> None:
    reached = threading.Event()

    def write(out: Any) -> None:
        reached.set()
        while True:  # keeps the connection busy until the other side is gone
            out.write(b": thinking\n\n")
            out.flush()
            time.sleep(0.01)

    odd.write = write
    engine = engine_at(odd.url)
    cancel = threading.Event()
    pieces = engine.stream("?", cancel=cancel)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(list, pieces)
        assert reached.wait(SECONDS)
        if way == "cancel":
            cancel.set()
        else:
            engine.close()
        with pytest.raises(EngineError, match=r"cancelled|closed"):
            waiting.result(SECONDS)
    assert odd.hung_up.wait(SECONDS)
    engine.close()


@HOSTS
def test_a_model_without_template_completes(odd: Odd, engine: OpenAICompatibleEngine) -> None:
    odd.chats = False
    assert engine.form == "completion"


@HOSTS
def test_a_model_that_is_not_there_is_named_with_those_that_are(odd: Odd) -> None:
    engine = engine_at(odd.url, vllm_model="adapter")
    with pytest.raises(EngineError, match=r"no model 'adapter' \(it offers: m\)"):
        engine.load()
    engine.close()


def served_by_vllm(*adapters: str, **more: Any) -> list[dict[str, Any]]:
    """Return what vLLM lists of a base and adapters of it; ``more`` is said of the adapters."""
    base = {"id": "base", "owned_by": "vllm", "max_model_len": 2048}
    below = {"owned_by": "vllm", "parent": "base", "max_model_len": None, **more}
    return [base, *({"id": name, **below} for name in adapters)]


@HOSTS
@pytest.mark.parametrize(
    ("more", "window"),
    [({}, 2048), ({"max_model_len": 512}, 512), ({"parent": None}, 3000)],
)
def test_an_adapters_window_is_that_of_the_model_below_it(
    odd: Odd, more: dict[str, Any], window: int
) -> None:
    odd.models = [*served_by_vllm("writer", **more), {"id": "other", "max_model_len": 99}]
    engine = engine_at(odd.url, vllm_model="writer", llm_context=3000)
    assert engine.context_tokens == window
    engine.close()


@HOSTS
@pytest.mark.parametrize("form", ["chat", "completion"])
@pytest.mark.parametrize(
    ("name", "penalty"),
    [("assistant-writer", 1.0), ("assistant-pointer", 1.0), ("another", None), ("base", None)],
)
def test_a_served_writer_may_copy_whatever_the_models_defaults_say(
    odd: Odd, name: str, penalty: float | None, form: str
) -> None:
    odd.models = served_by_vllm("assistant-writer", "assistant-pointer", "another")
    odd.write = lambda out: (said(out, "Five.", "stop"), done(out))  # type: ignore[assignment]
    engine = engine_at(odd.url, vllm_model=name, vllm_form=form)
    engine.invoke([HumanMessage("How many?")])
    path, body, _ = odd.asked[-1]
    assert path == ("/v1/chat/completions" if form == "chat" else "/v1/completions")
    assert body.get("repetition_penalty") == penalty
    thinking = {"enable_thinking": False} if form == "chat" else None
    assert body.get("chat_template_kwargs") == thinking
    engine.close()


@HOSTS
def test_only_vllm_is_told_of_a_penalty(odd: Odd) -> None:
    odd.models = [{"id": "assistant-writer", "owned_by": "llamacpp"}]
    odd.write = lambda out: (said(out, "Five.", "stop"), done(out))  # type: ignore[assignment]
    engine = engine_at(odd.url)
    engine.invoke([HumanMessage("How many?")])
    assert "repetition_penalty" not in odd.asked[-1][1]
    engine.close()


@HOSTS
def test_a_server_that_is_not_there_is_named(odd: Odd) -> None:
    engine = engine_at(f"http://127.0.0.1:{real_servers.free_port()}/v1")
    with pytest.raises(EngineError, match=r"127\.0\.0\.1.*failed"):
        engine.load()
    engine.close()


def test_no_address_is_a_configuration_error(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="ASSISTANT_VLLM_BASE_URL"):
        load_engine("openai_compatible", settings)


# -- real servers ---------------------------------------------------------------------------


class RealContract(WritingContract):
    """The contract, kept by a real server with the embedded base model."""

    def ask(self, word: str) -> list[BaseMessage]:
        shown = "".join(f"word: {w}\nagain: {w}\n" for w in ("table", "window", "carpet"))
        return [HumanMessage(f"{shown}word: {word}\nagain:")]

    def ask_for_unicode(self) -> list[BaseMessage]:
        return [HumanMessage("春天🌸🌷 夏天🌞🏖 秋天🍁🍂 冬天⛄🎿\n" * 4)]


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_servers.Server]:
    with real_servers.vllm(tmp_path_factory.mktemp("vllm")) as server:
        yield server


@pytest.mark.servers
@HOSTS
class TestVllm(RealContract):
    @pytest.fixture
    def engine(self, vllm: real_servers.Server) -> Iterator[Engine]:
        engine = engine_at(vllm.base_url, vllm_timeout_s=60.0)
        yield engine
        engine.close()

    def test_it_counts_with_the_servers_tokenizer(self, engine: Engine) -> None:
        assert engine.count_tokens("hello") == 1
        assert engine.context_tokens == 2048

    def test_who_goes_away_frees_the_server(
        self, engine: Engine, vllm: real_servers.Server
    ) -> None:
        pieces = engine.stream(self.endless(), max_tokens=1500)
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]
        deadline = time.monotonic() + 5
        while running(vllm):
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_servers.Server]:
    with real_servers.llama_server(tmp_path_factory.mktemp("llama")) as server:
        yield server


@pytest.mark.servers
@HOSTS
class TestLlamaServer(RealContract):
    @pytest.fixture
    def engine(self, llama: real_servers.Server) -> Iterator[Engine]:
        engine = engine_at(llama.base_url, vllm_form="completion", vllm_timeout_s=60.0)
        yield engine
        engine.close()


@pytest.mark.servers
@HOSTS
def test_a_killed_server_is_stood_in_for_and_used_again(
    vllm: real_servers.Server, tmp_path: Path, papers: Path
) -> None:
    """Eight askers in flight, kill -9: each gets a whole answer; the server comes back."""
    settings = Settings(
        data_dir=tmp_path / "data",
        embedding_model="hash",
        gate_threshold=0.0,
        vllm_base_url=vllm.base_url,
        vllm_retries=0,
        llm_model=str(embedded_gguf(Settings())),
        llm_form="completion",
    )
    with Assistant(settings) as assistant, ThreadPoolExecutor(8) as pool:
        assistant.ingest(papers)
        assert assistant.health().engine == "openai_compatible"
        asked = [pool.submit(assistant.ask, "员工每年的年假有几天？") for _ in range(8)]
        deadline = time.monotonic() + 20
        while not running(vllm):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        vllm.kill()
        answers = [future.result(120) for future in asked]
        undisturbed = assistant.ask("员工每年的年假有几天？")
        for answer in answers:
            assert answer.citations
            assert "failed" in answer.notice
            assert (answer.text, answer.engine) == (undisturbed.text, undisturbed.engine)
        began = time.monotonic()
        after = assistant.ask("病假需要什么证明？")
        assert time.monotonic() - began < 10
        assert after.engine in ("llamacpp", "extractive")
        assert "openai_compatible is passed over" in " ".join(assistant.health().problems)
        vllm.start()
        deadline = time.monotonic() + 60
        while assistant.health().engine != "openai_compatible":
            assert time.monotonic() < deadline
            time.sleep(0.5)


def running(server: real_servers.Server) -> float:
    """Return how many requests vLLM works on."""
    url = server.base_url.removesuffix("/v1") + "/metrics"
    lines = urllib.request.urlopen(url, timeout=10).read().decode().splitlines()
    return sum(float(x.split()[-1]) for x in lines if x.startswith("vllm:num_requests_running"))
