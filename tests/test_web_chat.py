"""The chat view without a browser: what is rendered, what is said step by step, what is bound."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assistant import Assistant, Settings
from assistant.accounts.records import ROLE_SCOPES, Identity, User
from assistant.errors import EngineBusyError, EngineError
from assistant.surfaces.http.limits import Limits
from assistant.surfaces.http.metrics import Metrics
from assistant.surfaces.web.chat_render import ChatRenderer, blocks, markdown, paired
from assistant.surfaces.web.chat_turn import Turn, relayed
from assistant.surfaces.web.wording import load_texts
from assistant.types import (
    Answer,
    AnswerEvent,
    Chunk,
    Citation,
    Conversation,
    Document,
    Hit,
    Message,
)

HOSTILE = (
    "<img src=x onerror=alert(1)> <script>alert(2)</script> [x](javascript:alert(3)) "
    "\"' onmouseover=alert(4) ${alert(5)} {{constructor}} **<b>bold</b>**"
)
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def citation(title: str = "休假制度", heading: tuple[str, ...] = ("休假制度", "婚假")) -> Citation:
    return Citation(1, "c1", "d1", title, "leave.md", heading, 3, "page", "婚假为十天")


def answer(text: str = "婚假为十天[1]。", **other: Any) -> Answer:
    given: dict[str, Any] = {
        "citations": (citation(),),
        "refused": False,
        "confidence": 0.9,
        "engine": "extractive",
        "conversation_id": "conv",
        "answer_id": "ans",
    }
    return Answer(text=text, **(given | other))


def hit(document: str, chunk: str, title: str = "休假制度") -> Hit:
    return Hit(
        Chunk(chunk, document, "text", ("婚假",)),
        Document(document, title, f"{document}.md", 1, "zh"),
        0.9,
        0.9,
        1.0,
    )


def conversation(*pairs: tuple[str, Answer]) -> Conversation:
    messages: list[Message] = []
    for question, said in pairs:
        messages.append(Message("user", question, NOW))
        messages.append(
            Message("assistant", said.text, NOW, said.answer_id, said.citations, said.refused)
        )
    return Conversation("conv", "zhang", "婚假", NOW, tuple(messages))


@pytest.fixture
def render() -> ChatRenderer:
    return ChatRenderer(load_texts("zh"))


def tags(html: str) -> list[str]:
    """Return every tag that a browser would make of it, comments and text left out."""
    return re.findall(r"<[a-z][^>]*>", html)


# -- rendering ------------------------------------------------------------------------------


def answered(question: str, given: Answer) -> Turn:
    turn = Turn(question)
    turn.apply(AnswerEvent("answer", answer=given))
    return turn


def test_an_answer_carries_its_marks_and_sources_as_links_to_this_server(
    render: ChatRenderer,
) -> None:
    html = render.reply(answered("婚假几天？", answer()))
    assert html.count('href="/source/ans/1"') == 2  # the mark in the text, and the list below
    assert 'data-state="done"' in html
    assert 'aria-label="来源 1：休假制度"' in html
    assert "婚假 · 第 3 页" in html  # the title is not repeated in the place


@pytest.mark.parametrize("part", ["question", "answer", "title", "heading", "conversation"])
def test_no_text_becomes_markup(render: ChatRenderer, part: str) -> None:
    said = answer(
        HOSTILE + "[1]" if part == "answer" else "好[1]。",
        citations=(
            citation(
                HOSTILE if part == "title" else "t",
                (HOSTILE,) if part == "heading" else (),
            ),
        ),
    )
    question = HOSTILE if part == "question" else "问"
    turn = answered(question, said)
    turn.hits = (hit("d1", "c1", HOSTILE if part == "title" else "t"),)
    whole = replace(
        conversation((question, said)), title=HOSTILE if part == "conversation" else "t"
    )
    html = "".join(
        (
            render.asked(turn),
            render.reply(turn),
            render.thread(whole),
            render.listing([whole], "conv", HOSTILE),
            render.followups([question]),
            render.welcome([question], 3),
        )
    )
    found = tags(html)
    assert not [tag for tag in found if tag.startswith(("<img", "<script", "<b>"))]
    assert not [tag for tag in found if re.search(r"\son\w+=[^\"]*$|href=\"(?!/|\?|\./)", tag)]
    assert "javascript:" not in "".join(re.findall(r'href="[^"]*"', html))
    for tag in found:  # what is quoted stays quoted
        assert not re.search(r"\son(error|mouseover)=", re.sub(r'"[^"]*"', '""', tag))


def test_marks_lists_and_bold_are_told_apart() -> None:
    assert blocks("甲 [1]。\n- **乙**[2]\n- 丙\n\n丁") == [
        ("text", [[("text", "甲"), ("mark", 1), ("text", "。")]]),
        ("list", [[("strong", "乙"), ("mark", 2)], [("text", "丙")]]),
        ("text", [[("text", "丁")]]),
    ]


def test_a_mark_without_a_source_leads_nowhere(render: ChatRenderer) -> None:
    html = render.reply(answered("问", answer("好[1]，但没有[7]。")))
    assert '<span class="chip">7</span>' in html
    assert "/source/ans/7" not in html


def test_a_refusal_looks_different_and_names_the_nearest_documents(render: ChatRenderer) -> None:
    text = "资料里没有找到这个问题的答案。\n\n内容最接近的是：\n- 员工手册\n- 预算"
    html = render.reply(answered("问", answer(text, refused=True, citations=())))
    assert 'data-test="refused"' in html
    assert "<li>员工手册</li><li>预算</li>" in html
    assert 'data-test="refused"' not in render.reply(answered("问", answer()))


def test_a_notice_is_told_in_the_reader_s_language(render: ChatRenderer) -> None:
    html = render.reply(answered("问", answer(notice="vLLM at http://10.0.0.1 timed out")))
    assert 'data-test="notice"' in html
    assert "10.0.0.1" not in html


def test_what_is_copied_names_its_sources() -> None:
    copied = markdown("婚假为十天[1]。", (citation(),))
    assert copied == "婚假为十天[1]。\n\n[1] 《休假制度》 · 婚假 · 第3页 · leave.md"
    assert markdown("没有。", ()) == "没有。"


def test_a_conversation_comes_back_whole(render: ChatRenderer) -> None:
    whole = conversation(("婚假几天？", answer()), ("还有呢？", answer(refused=True, citations=())))
    html = render.thread(whole)
    assert [said.question for said in paired(whole)] == ["婚假几天？", "还有呢？"]
    assert html.count('data-test="answer"') == 2
    assert html.count('data-test="again"') == 1  # only the last can be asked again
    assert 'data-conversation="conv"' in html


def test_documents_found_are_named_once_best_first() -> None:
    turn = Turn("问")
    turn.apply(AnswerEvent("sources", hits=(hit("b", "b1"), hit("a", "a1"), hit("b", "b2"))))
    assert [each.chunk.id for each in turn.documents] == ["b1", "a1"]


def test_the_list_says_when_nothing_is_there(render: ChatRenderer) -> None:
    assert "还没有对话" in render.listing([], "")
    assert "没有找到" in render.listing([], "", "婚假")
    many = [replace(conversation(), id=str(n)) for n in range(130)]
    html = render.listing(many, "3")
    assert html.count('data-test="conversation"') == 100
    assert "另有 30 个" in html
    assert html.count("aria-current") == 1


# -- texts ----------------------------------------------------------------------------------


def test_both_languages_say_the_same_things() -> None:
    zh, en = load_texts("zh"), load_texts("en")
    assert zh.keys() == en.keys()
    for key in zh.keys():  # noqa: SIM118
        names = [set(re.findall(r"\{(\w+)\}", texts(key))) for texts in (zh, en)]
        assert names[0] == names[1], key


# -- a turn, step by step -------------------------------------------------------------------


def test_a_restart_takes_back_what_was_said() -> None:
    turn = Turn("问")
    for event in (
        AnswerEvent("sources"),
        AnswerEvent("waiting", ahead=2),
        AnswerEvent("token", text="错的。"),
        AnswerEvent("restart", text="it failed"),
    ):
        turn.apply(event)
    assert (turn.text, turn.restarted, turn.state) == ("", True, "writing")
    turn.apply(AnswerEvent("token", text="对的。"))
    assert turn.text == "对的。"


def collected(steps: Any) -> list[Any]:
    async def run() -> list[Any]:
        return [each async for each in steps]

    return asyncio.run(run())


def test_whoever_stops_listening_closes_the_stream() -> None:
    closed = threading.Event()

    def endless() -> Iterator[AnswerEvent]:
        try:
            while True:
                yield AnswerEvent("token", text="…")
        finally:
            closed.set()

    async def listen() -> None:
        events = relayed(endless)
        async for _ in events:
            break
        await events.aclose()  # type: ignore[attr-defined]

    asyncio.run(listen())
    assert closed.wait(5)


def test_a_stream_that_does_not_move_can_be_left_at_once() -> None:
    moves = threading.Event()

    def stuck() -> Iterator[AnswerEvent]:
        yield AnswerEvent("sources")
        moves.wait(30)

    async def listen() -> None:
        events = relayed(stuck)
        assert (await anext(events)).kind == "sources"
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    try:
        asyncio.run(asyncio.wait_for(listen(), 5))
    finally:
        moves.set()


def test_an_error_reaches_the_listener() -> None:
    def failing() -> Iterator[AnswerEvent]:
        yield AnswerEvent("sources")
        raise EngineError("x")

    with pytest.raises(EngineError):
        collected(relayed(failing))


# -- the handlers ---------------------------------------------------------------------------


@pytest.fixture
def chat(assistant: Assistant, settings: Settings, papers: Path) -> Any:
    from assistant.surfaces.web.chat import Chat

    assistant.ingest(papers)
    service = SimpleNamespace(
        settings=settings, assistant=assistant, limits=Limits(settings), metrics=Metrics()
    )
    return Chat(service, load_texts("zh"))  # type: ignore[arg-type]


def someone(name: str = "zhang") -> Identity:
    return Identity(User(name, name, "reader", (), True, NOW), ROLE_SCOPES["reader"], "session")


def asking(identity: Identity) -> Any:
    """Return a request as the guard hands it on; what the browser sends is not in it."""
    return SimpleNamespace(request=SimpleNamespace(state=SimpleNamespace(identity=identity)))


def event(**data: Any) -> Any:
    return SimpleNamespace(_data=data)


def steps(chat: Any, question: str, conversation_id: str = "") -> list[tuple[Any, ...]]:
    return collected(chat.answering(someone(), question, conversation_id))


def conversation_of(reply: str) -> str:
    found = re.search(r'data-of="(\w+)"', reply)
    assert found
    return found[1]


def test_sources_come_first_then_text_then_the_answer(chat: Any) -> None:
    shown = steps(chat, "婚假是几天？")
    states = [re.search(r'data-state="(\w+)"', each[2])[1] for each in shown]  # type: ignore[index]
    assert states[0] == "searching"
    assert states[-1] == "done"
    assert set(states[1:-1]) == {"writing"}
    assert 'data-test="searched"' in shown[1][1]
    assert "婚假" in shown[-1][2]
    assert "/source/" in shown[-1][2]


def test_a_second_question_shows_the_first_above_it(chat: Any) -> None:
    first = steps(chat, "婚假是几天？")[-1][2]
    thread = steps(chat, "年假有多少天？", conversation_of(first))[0][0]
    assert "婚假是几天？" in thread
    assert "年假有多少天？" not in thread


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (EngineBusyError("x", 5), "busy", "前面还有 5 个"),
        (EngineError("x"), "engine", "再试一次"),
        (RuntimeError("secret"), "server", "服务器出错了"),
    ],
)
def test_an_error_is_told_in_the_thread(
    chat: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str, said: str
) -> None:
    def failing(*_: Any, **__: Any) -> Iterator[AnswerEvent]:
        yield AnswerEvent("sources")
        raise error

    monkeypatch.setattr(chat._assistant, "stream", failing)
    last = steps(chat, "婚假是几天？")[-1][2]
    assert f'data-kind="{kind}"' in last
    assert said in last
    assert "secret" not in last
    assert 'data-question="婚假是几天？"' in last  # it can be asked again


def test_a_question_that_is_none_is_told(chat: Any) -> None:
    assert 'data-kind="question"' in steps(chat, "？？？")[-1][2]


def test_too_many_questions_are_told_with_the_time_to_wait(chat: Any) -> None:
    last = [steps(chat, "婚假是几天？")[-1][2] for _ in range(31)][-1]
    assert 'data-kind="rate-limited"' in last
    assert re.search(r"请在 \d+ 秒后再试", last)


def test_nobody_reads_or_changes_another_s_conversation(chat: Any) -> None:
    theirs = conversation_of(steps(chat, "婚假是几天？")[-1][2])
    stranger = asking(someone("li"))
    thread, *_, listing = chat.open(event(id=theirs), stranger)
    assert "婚假" not in thread + listing
    assert 'data-kind="not-found"' in thread
    denied = collected(chat.answering(someone("li"), "还有呢？", theirs))[-1][2]
    assert 'data-kind="not-found"' in denied
    import gradio as gr

    for act in (chat.rename, chat.delete):
        with pytest.raises(gr.Error):
            act(event(id=theirs, title="x"), stranger)
    assert "婚假" in chat.open(event(id=theirs), asking(someone()))[0]


def test_conversations_are_found_renamed_and_deleted(chat: Any) -> None:
    mine = asking(someone())
    known = conversation_of(steps(chat, "婚假是几天？")[-1][2])
    assert "请假的事" in chat.rename(event(id=known, title=" 请假的事 "), mine)
    assert "请假的事" in chat.rename(event(id=known, title="  "), mine)  # no title is none
    assert "请假的事" in chat.find(event(query="请假"), mine)
    assert "请假的事" not in chat.find(event(query="水泵"), mine)
    assert "请假的事" not in chat.delete(event(id=known), mine)


def test_a_verdict_is_kept(chat: Any, assistant: Assistant) -> None:
    said = steps(chat, "婚假是几天？")[-1][2]
    answer_id = re.search(r'data-answer="(\w+)"', said)[1]  # type: ignore[index]
    chat.verdict(event(answer=answer_id, verdict="down", comment="太短"), asking(someone()))
    assert [(each.verdict, each.comment) for each in assistant.reviewable()] == [("down", "太短")]


def test_what_comes_next_is_asked_for_after_the_answer(chat: Any) -> None:
    said = steps(chat, "婚假是几天？")[-1][2]
    answer_id = re.search(r'data-answer="(\w+)"', said)[1]  # type: ignore[index]
    _, listing = chat.settled(event(answer=answer_id, id="x"), asking(someone()))
    assert "婚假是几天？" in listing
    assert chat.settled(event(answer="gone", id="x"), asking(someone()))[0] == ""


def test_the_first_page_offers_questions_that_the_documents_answer(chat: Any) -> None:
    thread = chat.open(event(id=""), asking(someone()))[0]
    assert thread.count('data-test="starter"') == 1  # of what this reader may read in Chinese
    assert "休假制度" in thread
    assert "预算" not in thread


def test_prepared_questions_need_their_document() -> None:
    from assistant.surfaces.web.chat import starters

    texts = load_texts("en")
    roadmap = Document("a", "Roadmap", "guidance/en/21-roadmap.md", 1, "en")
    assert starters([roadmap], texts) == [texts("chat.starter.21-roadmap")]


def test_handlers_are_private_and_do_not_share_a_line(chat: Any) -> None:
    from assistant.surfaces.web.chat import build

    async def built() -> Any:  # Gradio makes a loop of its own where none runs
        return build(chat._service, load_texts("zh"))

    view = asyncio.run(built())
    bound = list(view.fns.values())
    assert bound
    assert {each.api_visibility for each in bound} == {"private"}
    lines = [each.concurrency_id for each in bound if each.queue]
    assert len(lines) == len(set(lines))
    asked = next(each for each in bound if each.concurrency_id == "chat-ask")
    assert asked.concurrency_limit >= 64
    assert view._queue.max_thread_count >= 64
    assert view._queue.max_size is None  # a full queue would leave the asker without a word
