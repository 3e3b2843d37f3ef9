"""The shipped writer writes at vLLM what it writes in llama.cpp. Takes minutes: `make servers`."""

from __future__ import annotations

from pathlib import Path

import pytest
import real_servers

from assistant import Assistant, Settings
from assistant.asking import Ask
from assistant.engines.base import Engine, load_engine
from assistant.settings import data_folder
from assistant.writer import SHIPPED, read_writer_facts, served_name
from evals.case import CASES, load_cases

ASKED = 20
ALIKE = 16  # vLLM computes in half precision, llama.cpp on quantized weights


def asks(engine: Engine, settings: Settings) -> list[Ask]:
    """Return questions of the cases, a fifth of them without an answer, on what is found."""
    cases = [case for case in load_cases([CASES]) if not case.history and not case.groups]
    told = [case for case in cases if case.facts]
    untold = [case for case in cases if case.expect == "refuse"]
    chosen = told[:: len(told) // 16][:16] + untold[:: len(untold) // 4][:4]
    with Assistant(settings) as assistant:
        assistant.ingest(data_folder("knowledge"))
        return [
            Ask(engine, c.question, assistant.search(c.question), c.language, "", settings)
            for c in chosen
        ]


def written(engine: Engine, settings: Settings) -> list[str]:
    asked = asks(engine, settings)
    return [engine.invoke(ask.messages(), stop=ask.stop).text.strip() for ask in asked]


@pytest.mark.servers
@pytest.mark.enable_socket
def test_vllm_writes_as_llama_cpp_does(tmp_path: Path) -> None:
    here_at = Settings(engine="llamacpp")
    here = load_engine("llamacpp", here_at)
    ours = written(here, here_at)
    here.close()
    with real_servers.vllm(tmp_path, writer=SHIPPED) as server:
        there_at = Settings(
            engine="openai_compatible",
            vllm_base_url=server.base_url,
            vllm_model=served_name(read_writer_facts(SHIPPED).form),
        )
        there = load_engine("openai_compatible", there_at)
        theirs = written(there, there_at)
        there.close()
    alike = sum(one == other for one, other in zip(ours, theirs, strict=True))
    print(f"{alike} of {len(ours)} are the same:", *zip(ours, theirs, strict=True))
    assert len(ours) == ASKED
    assert len(set(ours)) > 3
    assert alike >= ALIKE
    judged = [(one == "0") == (other == "0") for one, other in zip(ours, theirs, strict=True)]
    assert sum(judged) >= ASKED - 1
