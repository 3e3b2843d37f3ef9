"""The shipped writer gives at vLLM what it gives in llama.cpp. Takes minutes: `make servers`."""

from __future__ import annotations

from pathlib import Path

import pytest
import real_servers

from assistant import Answer, Assistant, Settings
from assistant.settings import data_folder
from assistant.writer import SHIPPED, read_writer_facts, served_name
from evals.case import CASES, load_cases

ASKED = 20
ALIKE = 17  # vLLM computes in half precision, llama.cpp on quantized weights


def answers(settings: Settings, questions: list[str]) -> list[Answer]:
    with Assistant(settings) as assistant:
        assistant.ingest(data_folder("knowledge"))
        return [assistant.ask(question) for question in questions]


@pytest.mark.servers
@pytest.mark.enable_socket
def test_vllm_answers_as_llama_cpp_does(tmp_path: Path) -> None:
    cases = [case for case in load_cases([CASES]) if not case.history and case.facts]
    questions = [case.question for case in cases[:: len(cases) // ASKED]][:ASKED]
    here = answers(Settings(engine="llamacpp"), questions)
    with real_servers.vllm(tmp_path, writer=SHIPPED) as server:
        there = answers(
            Settings(
                engine="openai_compatible",
                vllm_base_url=server.base_url,
                vllm_model=served_name(read_writer_facts(SHIPPED).form),
            ),
            questions,
        )
    alike = [one.text == other.text for one, other in zip(here, there, strict=True)]
    for question, one, other in zip(questions, here, there, strict=True):
        if one.text != other.text:
            print(question, one.text, other.text, sep="\n  ")
    print(f"{sum(alike)} of {ASKED} answers are the same")
    assert {answer.engine for answer in there} <= {"openai_compatible", "none"}
    assert sum(answer.engine == "openai_compatible" for answer in there) >= ASKED // 2
    assert sum(alike) >= ALIKE
