"""How a taught writer is asked, and what becomes of its sentences, pointers and refusals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from test_spans import read_hit

from assistant import Answer, Assistant, Settings
from assistant.asking import Ask
from assistant.engines.base import ScriptedEngine, evidence_of, follows_instructions
from assistant.engines.extractive import ExtractiveEngine
from assistant.prompts import Prompt, PromptName, load_prompt
from assistant.types import Hit

QUESTION = "员工每年的年假有几天？"
ABROAD = "How many cubic metres an hour does the CP-2150B pump deliver?"
LEAVE, SICK = "员工每年享有十五天带薪年假", "病假需要提交医院证明"
TAUGHT: tuple[PromptName, ...] = ("answer_adapted", "answer_pointed")


class Writer(ScriptedEngine):
    """A taught writer, which is asked by the prompt it was taught."""

    name: str = "writer"
    taught: PromptName = "answer_adapted"

    @property
    def prompt_name(self) -> PromptName:
        return self.taught


def pointing(*replies: str) -> Writer:
    return Writer(taught="answer_pointed", replies=replies)


@contextmanager
def asking(
    settings: Settings, papers: Path, engine: ScriptedEngine, **changes: Any
) -> Iterator[Assistant]:
    changed = settings.model_copy(update={"gate_threshold": 0.0, **changes})
    with Assistant(changed, engine=engine) as assistant:
        assistant.ingest(papers)
        yield assistant


def prompts(engine: ScriptedEngine) -> list[str]:
    return [str(messages[-1].content) for messages in engine.seen]


def markers(prompt: str) -> list[int]:
    return [int(number) for number in re.findall(r"^\[(\d+)\] ", prompt, re.MULTILINE)]


def check_quote(assistant: Assistant, answer: Answer) -> None:
    (citation,) = answer.citations
    cited = assistant.citation(answer.answer_id, 1)
    assert cited.context is not None
    assert citation.quote in cited.context.chunk.text


# -- what it writes ------------------------------------------------------------------------------


def test_a_taught_writers_sentence_is_answered_and_cited(settings: Settings, papers: Path) -> None:
    engine = Writer(replies=[f"{LEAVE}。[1]"])
    with asking(settings, papers, engine) as assistant:
        answer = assistant.ask(QUESTION)
        check_quote(assistant, answer)
    assert (answer.text, answer.engine, answer.refused) == (f"{LEAVE}[1]。", "writer", False)
    assert answer.citations[0].quote == f"{LEAVE}。"
    assert prompts(engine)[0].endswith(f"问题：{QUESTION}\n回答：\n")


@pytest.mark.parametrize("said", ["资料中没有答案。", "The documents do not say."])
@pytest.mark.parametrize("question", [QUESTION, ABROAD])
def test_a_taught_writer_may_refuse(
    settings: Settings, papers: Path, said: str, question: str
) -> None:
    with asking(settings, papers, Writer(replies=[said])) as assistant:
        answer = assistant.ask(question)
    assert answer.refused
    assert answer.citations == ()


@pytest.mark.parametrize(
    ("question", "pointer"),
    [(QUESTION, "1.1"), (QUESTION, " 1.2\n"), (QUESTION, "1.1-2"), (ABROAD, "1.1")],
)
def test_where_a_writer_points_at_an_answer_the_passages_are_quoted_as_without_it(
    settings: Settings, papers: Path, question: str, pointer: str
) -> None:
    with asking(settings, papers, ExtractiveEngine()) as assistant:
        quoted = assistant.ask(question)
    with asking(settings, papers, pointing(pointer)) as assistant:
        answer = assistant.ask(question)
        check_quote(assistant, answer)
    assert (answer.text, answer.engine, answer.refused) == (quoted.text, "writer", False)


@pytest.mark.parametrize("said", ["0", "9.1", "1.9", "1.2-9", "1.0", "1.1-9999", LEAVE, ""])
@pytest.mark.parametrize("question", [QUESTION, ABROAD])
def test_a_pointer_that_points_nowhere_refuses(
    settings: Settings, papers: Path, said: str, question: str
) -> None:
    with asking(settings, papers, pointing(said)) as assistant:
        answer = assistant.ask(question)
    assert answer.refused
    assert answer.citations == ()


# -- what it is shown ----------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "shown"), [(8, 3), (2, 2), (1, 1)])
@pytest.mark.parametrize("taught", TAUGHT)
def test_a_writer_sees_as_many_passages_as_it_was_taught_and_never_more_than_wanted(
    settings: Settings, papers: Path, taught: PromptName, most: int, shown: int
) -> None:
    for number in range(5):
        text = f"# 休假{number}\n\n第{number}厂的员工每年享有{number + 5}天年假。\n"
        (papers / f"{number}.md").write_text(text, "utf-8")
    engine = Writer(taught=taught, replies=["0"])
    with asking(settings, papers, engine, max_passages=most) as assistant:
        assert len(assistant.search(QUESTION)) > 3
        assistant.ask(QUESTION)
    (prompt,) = prompts(engine)
    assert markers(prompt) == list(range(1, shown + 1))
    assert ("\n(1) " in prompt) == (taught == "answer_pointed")


@pytest.mark.parametrize(("taught", "said"), [(TAUGHT[0], f"{LEAVE}。[1]"), (TAUGHT[1], "1.1")])
def test_a_follow_up_is_not_condensed_by_a_taught_writer(
    settings: Settings, papers: Path, taught: PromptName, said: str
) -> None:
    engine = Writer(taught=taught, replies=[said, said])
    with asking(settings, papers, engine) as assistant:
        first = assistant.ask(QUESTION)
        assistant.ask("那婚假呢？", conversation_id=first.conversation_id)
    _, second = prompts(engine)
    assert markers(second)
    assert f"问题：{QUESTION} 那婚假呢？\n" in second


def test_what_writes_by_one_prompt_or_quotes_follows_no_other_instruction() -> None:
    assert follows_instructions(ScriptedEngine())
    assert not follows_instructions(ExtractiveEngine())
    assert not any(follows_instructions(Writer(taught=taught)) for taught in TAUGHT)


# -- excerpts ------------------------------------------------------------------------------------


def excerpting(name: PromptName) -> Prompt:
    return load_prompt(name).model_copy(update={"excerpts": True})


def asked(engine: ScriptedEngine, hits: Sequence[Hit], settings: Settings) -> Ask:
    return Ask(engine, "多久内提交？", hits, "zh", "", settings)


def test_excerpts_are_shown_but_whole_passages_are_checked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "第一句。先填表。报销须在15天内提交。逾期不受理。最后一句。"
    doubted, found = (read_hit(text, "15天内", answerable) for answerable in (0.1, 0.9))
    whole = asked(Writer(), [doubted, found], settings)
    assert str(whole.messages()[-1].content).count("第一句") == 2
    monkeypatch.setattr("assistant.asking.load_prompt", excerpting)
    cut = asked(Writer(), [doubted, found], settings)
    (message,) = cut.messages()
    assert "[1] a\n先填表。报销须在15天内提交。逾期不受理。\n" in str(message.content)
    assert "第一句" not in str(message.content)
    assert cut.passages == [found]
    (passage,) = evidence_of([message]).passages
    assert passage.text == text
    neither = asked(Writer(), [doubted], settings)
    assert f"[1] a\n{text}\n" in str(neither.messages()[-1].content)


def test_what_a_pointing_writer_is_not_shown_may_be_quoted_all_the_same(
    settings: Settings,
) -> None:
    text = "先填表。报销须在15天内提交。逾期不受理。"
    doubted, found = (read_hit(text, "15天内", answerable) for answerable in (0.1, 0.9))
    ask = asked(pointing(), [doubted, found], settings)
    assert ask.passages == [found, doubted]
    assert "[2]" not in str(ask.messages()[-1].content)


def test_a_pointer_counts_the_sentences_that_were_shown(settings: Settings) -> None:
    text = "第一句。先填表。报销须在15天内提交。逾期不受理。"
    doubted, found = (read_hit(text, "15天内", answerable) for answerable in (0.1, 0.9))
    whole, cut = (asked(pointing(), [hit], settings) for hit in (doubted, found))
    assert "(4) 逾期不受理。" in str(whole.messages()[-1].content)
    assert "".join(whole.understood(iter(["1.", "4"]))) == ""
    assert "".join(cut.understood(iter(["1.", "3"]))) == ""
    assert "".join(cut.understood(iter(["1.", "4"]))) == "资料中没有答案。"


def test_a_passage_of_which_an_excerpt_fits_is_shown(settings: Settings) -> None:
    text = "第一句。先填表。报销须在15天内提交。逾期不受理。" + "这一句没有说什么。" * 900
    found = read_hit(text, "15天内")
    (message,) = asked(pointing(), [found], settings).messages()
    assert "(2) 报销须在15天内提交。" in str(message.content)
    assert asked(Writer(), [found], settings).passages == []
