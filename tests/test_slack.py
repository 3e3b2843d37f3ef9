"""The Slack bot in conversation: the real Bolt app, the real assistant, a fake Slack."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant import Assistant, Principal
from assistant.errors import EngineBusyError, EngineError, ServerError
from assistant.index.store import owner_card
from assistant.surfaces.client import Client
from assistant.surfaces.slack.door import Following
from assistant.types import AnswerEvent
from tests.fake_slack import FakeSlack
from tests.serving import serving
from tests.slack_bot import (
    ObedientDoor,
    answer_to,
    buttons,
    finished,
    replies,
    running,
    settled,
    slack_settings,
    whispers,
    workspace_file,
)

pytestmark = pytest.mark.enable_socket
LEAVE = "员工每年有几天年假？"


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as fake:
        fake.add_user("U1", name="li.na", email="li.na@example.com")
        fake.add_user("U2", name="zhang.wei", email="Zhang.Wei@example.com")
        fake.add_user("U3", name="ann", locale="en-GB")
        fake.add_channel("C1", name="strategy", members=["U1", "U2", "U3"])
        yield fake
        assert not fake.violations, [str(violation) for violation in fake.violations]
        assert max(fake.acks.values(), default=0.0) < 1.0


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return workspace_file(
        tmp_path, users={"zhang.wei@example.com": {"user": "zhang", "groups": ["finance"]}}
    )


@pytest.fixture
def bot(slack: FakeSlack, tmp_path: Path, papers: Path, config: Path) -> Iterator[Assistant]:
    """The bot on three documents, one of them for finance only."""
    settings = slack_settings(slack, tmp_path / "data", slack_config=config)
    with Assistant(settings) as assistant:
        assistant.ingest(papers)
        with running(settings, assistant):
            yield assistant


def test_a_mention_is_answered_in_its_thread_with_sources(slack: FakeSlack, bot: Assistant) -> None:
    sent = slack.say("U1", "C1", LEAVE)

    answer = answer_to(slack, "C1", sent.ts)

    assert "十五天带薪年假" in answer.shown
    assert "[1] 《休假制度》 · leave.md" in answer.shown
    assert slack.status("C1", sent.ts) == ""
    settled(slack)
    assert len(replies(slack, "C1")) == 1


def test_a_direct_message_is_answered(slack: FakeSlack, bot: Assistant) -> None:
    sent = slack.dm("U3", "How much does the CP-2150B pump deliver?")

    answer = answer_to(slack, sent.channel, sent.ts)

    assert "45 cubic metres" in answer.shown
    assert "Sources" in answer.shown


def test_a_follow_up_in_the_thread_needs_no_mention(slack: FakeSlack, bot: Assistant) -> None:
    sent = slack.say("U1", "C1", LEAVE)
    answer_to(slack, "C1", sent.ts)

    slack.say("U2", "C1", "那婚假呢？", thread_ts=sent.ts, mention=False)

    slack.wait_for(lambda: len([m for m in replies(slack, "C1", sent.ts) if finished(m)]) == 2)
    [thread] = bot.conversations(Principal("slack:C1"))
    said = bot.conversation(thread.id, Principal("slack:C1")).messages
    assert [m.text for m in said if m.role == "user"] == [LEAVE, "那婚假呢？"]


def test_talk_among_people_is_left_alone(slack: FakeSlack, bot: Assistant) -> None:
    sent = slack.say("U1", "C1", LEAVE)
    answer_to(slack, "C1", sent.ts)

    slack.say("U1", "C1", "大家早", mention=False)
    slack.say("U1", "C1", "<@U2> 你看一下？", thread_ts=sent.ts, mention=False)

    settled(slack)
    assert len(replies(slack, "C1")) == 1


def test_a_mention_in_a_thread_of_people_is_understood_from_what_they_said(
    slack: FakeSlack, bot: Assistant
) -> None:
    sent = slack.say("U1", "C1", LEAVE, mention=False)

    slack.say("U2", "C1", "这个是怎么规定的？", thread_ts=sent.ts)

    answer = answer_to(slack, "C1", sent.ts)
    assert "十五天" in answer.shown
    assert f"结合上文，按这个问题回答：{LEAVE} 这个是怎么规定的？" in answer.shown


def test_the_command_is_answered_to_the_asker_alone_and_can_be_shared(
    slack: FakeSlack, bot: Assistant
) -> None:
    slack.command("U1", "C1", "/ask", LEAVE)
    slack.wait_for(lambda: [m for m in whispers(slack, "C1", "U1") if finished(m)])
    working, answer = whispers(slack, "C1", "U1")
    assert "只有您看得到" in working.shown
    assert "十五天" in answer.shown
    assert not replies(slack, "C1")

    slack.click("U1", answer.ts, "share", buttons(answer)["share"][0])

    slack.wait_for(lambda: replies(slack, "C1"))
    [shared] = replies(slack, "C1")
    assert "<@U1> 问：" + LEAVE in shared.shown
    assert "十五天" in shared.shown
    slack.wait_for(lambda: len(whispers(slack, "C1", "U1")) == 3)
    slack.click("U1", answer.ts, "share", buttons(answer)["share"][0])
    settled(slack)
    assert len(replies(slack, "C1")) == 1


def test_an_empty_command_explains_itself(slack: FakeSlack, bot: Assistant) -> None:
    slack.command("U1", "C1", "/ask", "  ")

    [told] = slack.wait_for(lambda: whispers(slack, "C1", "U1"))
    assert "`/ask 员工每年有几天年假？`" in told.shown


def test_the_shortcut_asks_about_a_message(slack: FakeSlack, bot: Assistant) -> None:
    sent = slack.say("U2", "C1", "婚假有几天？", mention=False)

    slack.shortcut("U1", "ask_about", "C1", sent.ts)
    view = slack.wait_for(lambda: slack.platform.workspace.views and slack.view("U1"))
    assert view["blocks"][0]["element"]["initial_value"] == "婚假有几天？"
    slack.submit_view("U1")

    slack.wait_for(lambda: [m for m in whispers(slack, "C1", "U1") if finished(m)])
    assert "十天" in whispers(slack, "C1", "U1")[-1].shown
    assert not replies(slack, "C1")


def test_the_side_panel_suggests_and_answers(slack: FakeSlack, bot: Assistant) -> None:
    opened = slack.open_assistant_thread("U3")
    prompts = slack.wait_for(lambda: slack.prompts(opened.channel, opened.ts))
    assert prompts[0]["title"] == "Where to start"

    slack.dm("U3", "How much does the CP-2150B pump weigh?", thread_ts=opened.ts)

    assert "Pump catalogue" in answer_to(slack, opened.channel, opened.ts).shown


def test_a_passage_opens_in_a_modal(slack: FakeSlack, bot: Assistant) -> None:
    sent = slack.say("U1", "C1", LEAVE)
    answer = answer_to(slack, "C1", sent.ts)

    slack.click("U2", answer.ts, "passage_1", buttons(answer)["passage_1"][0])

    slack.wait_for(lambda: "病假需要提交医院证明" in _shown(slack, "U2"))


def test_feedback_reaches_the_assistant_with_its_reason(slack: FakeSlack, bot: Assistant) -> None:
    sent = slack.say("U1", "C1", LEAVE)
    answer = answer_to(slack, "C1", sent.ts)
    up, down = buttons(answer)["feedback"]

    slack.click("U1", answer.ts, "feedback", up)
    slack.wait_for(lambda: [m for m in whispers(slack, "C1", "U1") if "谢谢反馈" in m.shown])
    slack.click("U1", answer.ts, "feedback", down)
    slack.wait_for(lambda: _top(slack, "U1"))
    slack.submit_view("U1", {"text": "没有说病假"})

    def verdicts() -> list[tuple[str, str]]:
        reviewable = bot._open_conversations().to_review()
        return [(each.verdict, each.comment) for each in reviewable]

    slack.wait_for(lambda: verdicts() == [("down", "没有说病假")])


def test_a_refusal_names_the_nearest_documents(
    slack: FakeSlack, tmp_path: Path, papers: Path
) -> None:
    settings = slack_settings(slack, tmp_path / "data", gate_threshold=1.0)
    with Assistant(settings) as assistant:
        assistant.ingest(papers)
        with running(settings, assistant):
            sent = slack.say("U1", "C1", "公司的股价是多少？")
            answer = answer_to(slack, "C1", sent.ts)

    assert "资料里没有找到这个问题的答案" in answer.shown
    assert "• 休假制度" in answer.shown or "休假制度" in answer.shown
    assert "passage_1" not in buttons(answer)


# -- who may read what ---------------------------------------------------------------------------

BUDGET = "2026年大模型专项预算是多少？"


def test_a_channel_gets_only_what_everyone_may_read(slack: FakeSlack, bot: Assistant) -> None:
    sent = slack.say("U2", "C1", BUDGET)

    answer = answer_to(slack, "C1", sent.ts)
    assert "三百二十万元" not in answer.shown
    assert "《预算》" not in answer.shown


def test_restricted_documents_answer_in_private_to_those_who_may(
    slack: FakeSlack, bot: Assistant
) -> None:
    may, may_not = slack.dm("U2", BUDGET), slack.dm("U1", BUDGET)

    assert "三百二十万元" in answer_to(slack, may.channel, may.ts).shown
    assert "三百二十万元" not in answer_to(slack, may_not.channel, may_not.ts).shown


def test_a_restricted_answer_is_not_shared(slack: FakeSlack, bot: Assistant) -> None:
    slack.command("U2", "C1", "/ask", BUDGET)
    [answer] = slack.wait_for(lambda: [m for m in whispers(slack, "C1", "U2") if finished(m)])
    assert "三百二十万元" in answer.shown

    slack.click("U2", answer.ts, "share", buttons(answer)["share"][0])

    slack.wait_for(lambda: "不能发到频道" in whispers(slack, "C1", "U2")[-1].shown)
    assert not replies(slack, "C1")


def test_a_passage_is_closed_to_whoever_lost_the_right(
    slack: FakeSlack, bot: Assistant, papers: Path
) -> None:
    sent = slack.dm("U2", BUDGET)
    answer = answer_to(slack, sent.channel, sent.ts)
    budget = papers / "budget.md"
    budget.write_text(budget.read_text("utf-8").replace("groups: [finance]\n", ""), "utf-8")
    bot.ingest(budget, groups=["board"])

    slack.click("U2", answer.ts, "passage_1", buttons(answer)["passage_1"][0])

    slack.wait_for(lambda: "没有查看权限" in _shown(slack, "U2"))


def test_channel_settings_decide(slack: FakeSlack, tmp_path: Path) -> None:
    slack.add_channel("C2", members=["U1"])
    slack.add_channel("C3", members=["U1"])
    config = workspace_file(
        tmp_path,
        channels={
            "*": {"allowed": False},
            "C2": {"language": "en", "persona": "Kept by <finance>"},
            "C3": {"only_cited": True},
        },
    )
    door = ObedientDoor()
    with running(slack_settings(slack, tmp_path / "data", slack_config=config), door):
        slack.say("U1", "C1", "一")
        [told] = slack.wait_for(lambda: whispers(slack, "C1", "U1"))
        assert "我不在这个频道里回答" in told.shown
        sent = slack.say("U1", "C2", "二")
        answer = answer_to(slack, "C2", sent.ts)
        slack.say("U1", "C3", "三")
        [told] = slack.wait_for(lambda: whispers(slack, "C3", "U1"))
        assert "没有找到可以注明出处的回答" in told.shown
        settled(slack)

    assert "Kept by &lt;finance&gt;" in answer.shown
    assert "Helpful" in json.dumps(answer.blocks)
    assert not replies(slack, "C1") and not replies(slack, "C3")


# -- when it does not go well --------------------------------------------------------------------


def test_busy_names_the_place_in_line(slack: FakeSlack, tmp_path: Path) -> None:
    door = ObedientDoor()
    door.error = EngineBusyError("busy", position=7)
    with running(slack_settings(slack, tmp_path / "data"), door):
        sent = slack.say("U1", "C1", "现在忙吗")
        slack.wait_for(lambda: replies(slack, "C1", sent.ts))

    [told] = replies(slack, "C1", sent.ts)
    assert "前面还有 7 个问题" in told.shown


def test_waiting_is_shown(slack: FakeSlack, tmp_path: Path) -> None:
    door = ObedientDoor()
    door.first = [AnswerEvent("waiting", ahead=3)]
    with running(slack_settings(slack, tmp_path / "data"), door):
        sent = slack.say("U1", "C1", "要等多久")
        answer_to(slack, "C1", sent.ts)

    statuses = [c.arguments["status"] for c in slack.calls if c.method.endswith("setStatus")]
    assert statuses == ["正在查资料…", "排队中，前面还有 3 个问题…"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (EngineError("CUDA"), "语言模型出错了"),
        (ZeroDivisionError("secret"), "程序出错了"),
    ],
)
def test_a_failure_is_told_plainly(
    slack: FakeSlack, tmp_path: Path, error: Exception, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    door = ObedientDoor()
    door.error = error
    with running(slack_settings(slack, tmp_path / "data"), door):
        sent = slack.say("U1", "C1", "机密问题")
        slack.wait_for(lambda: replies(slack, "C1", sent.ts))

    [shown] = replies(slack, "C1", sent.ts)
    assert told in shown.shown
    assert "CUDA" not in shown.shown
    assert "机密" not in caplog.text and "secret" not in caplog.text


def test_no_message_is_written_to_the_log(
    slack: FakeSlack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    door = ObedientDoor()
    with running(slack_settings(slack, tmp_path / "data"), door):
        sent = slack.say("U1", "C1", "绝密的问题")
        answer_to(slack, "C1", sent.ts)
        slack.command("U1", "C1", "/ask", "绝密的命令")
        slack.wait_for(lambda: [m for m in whispers(slack, "C1", "U1") if finished(m)])

    assert "slack" in caplog.text
    assert "绝密" not in caplog.text and "\\u7edd" not in caplog.text


def test_another_engine_starts_the_answer_over(slack: FakeSlack, tmp_path: Path) -> None:
    door = ObedientDoor()
    door.first = [AnswerEvent("token", text="wrong "), AnswerEvent("restart", text="lost")]
    with running(slack_settings(slack, tmp_path / "data"), door):
        sent = slack.say("U1", "C1", "please")
        answer = answer_to(slack, "C1", sent.ts)
        settled(slack)

    assert answer.shown.startswith("Answer to please")
    assert "wrong" not in answer.shown
    assert len(replies(slack, "C1")) == 1


def _top(slack: FakeSlack, user: str) -> dict[str, object]:
    try:
        return slack.view(user)
    except AssertionError:
        return {}


# -- through a server ----------------------------------------------------------------------------


def test_the_bot_answers_through_a_running_server(
    slack: FakeSlack, tmp_path: Path, papers: Path, config: Path
) -> None:
    with serving(tmp_path / "server") as server:
        card = owner_card(server.data_dir)
        assert card
        settings = slack_settings(slack, tmp_path / "bot", slack_config=config)
        with Client(str(card["url"]), str(card["token"])) as client:
            client.ingest(papers)
            with running(settings, client):
                sent = slack.say("U1", "C1", LEAVE)
                answer = answer_to(slack, "C1", sent.ts, 20)
                slack.click("U1", answer.ts, "passage_1", buttons(answer)["passage_1"][0])
                slack.wait_for(lambda: "病假需要" in _shown(slack, "U1"))
                slack.click("U1", answer.ts, "feedback", buttons(answer)["feedback"][0])
                slack.wait_for(
                    lambda: [m for m in whispers(slack, "C1", "U1") if "谢谢反馈" in m.shown]
                )
                private = slack.dm("U2", BUDGET)
                assert "三百二十万元" in answer_to(slack, private.channel, private.ts, 20).shown

    assert "十五天" in answer.shown


def test_the_bot_finds_a_server_that_was_restarted(slack: FakeSlack, tmp_path: Path) -> None:
    gone, back = ObedientDoor(), ObedientDoor()
    gone.error = ServerError("it cannot be reached")
    door = Following(gone, lambda: back)
    with running(slack_settings(slack, tmp_path / "data"), door):
        sent = slack.say("U1", "C1", "are you back?")
        answer = answer_to(slack, "C1", sent.ts)

    assert answer.shown.startswith("Answer to are you back?")
    with pytest.raises(ServerError):
        list(Following(gone, lambda: None).stream("q"))


def test_the_command_runs_until_it_is_told_to_stop(
    slack: FakeSlack, tmp_path: Path, papers: Path
) -> None:
    given = {
        "ASSISTANT_DATA_DIR": str(tmp_path / "data"),
        "ASSISTANT_EMBEDDING_MODEL": "hash",
        "ASSISTANT_ENGINE": "extractive",
        "ASSISTANT_GATE_THRESHOLD": "0.0",
        "ASSISTANT_SLACK_API_URL": slack.api_url,
        "ASSISTANT_SLACK_BOT_TOKEN": slack.bot_token,
    }
    command = [sys.executable, "-m", "assistant.surfaces.cli"]
    environment = os.environ | given
    subprocess.run([*command, "ingest", str(papers)], env=environment, check=True)
    untold = subprocess.run([*command, "slack"], env=environment, capture_output=True, text=True)
    assert untold.returncode == 2
    assert "`slack_app_token` is not set" in untold.stderr

    environment |= {"ASSISTANT_SLACK_APP_TOKEN": slack.app_token}
    with subprocess.Popen([*command, "slack"], env=environment, stdout=subprocess.PIPE) as bot:
        slack.wait_for(lambda: slack.hellos, 40)
        sent = slack.say("U1", "C1", LEAVE)
        answer = answer_to(slack, "C1", sent.ts, 20)
        bot.terminate()
        assert bot.wait(20) == 0
        assert bot.stdout and "Socket Mode" in bot.stdout.read().decode()

    assert "十五天" in answer.shown


def _shown(slack: FakeSlack, user: str) -> str:
    return json.dumps(_top(slack, user), ensure_ascii=False)
