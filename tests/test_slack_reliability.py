"""The Slack bot when things go wrong: every question is answered once, or failed plainly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from slack_sdk import WebClient

from assistant.errors import StoreLockedError
from assistant.surfaces.slack.bot import Bot
from assistant.surfaces.slack.store import Question, SlackStore
from tests.fake_slack import BOT_USER, TEAM, FakeSlack
from tests.slack_bot import (
    ObedientDoor,
    answer_to,
    finished,
    replies,
    running,
    settled,
    slack_settings,
    whispers,
)

pytestmark = pytest.mark.enable_socket
ROOT = Path(__file__).parents[1]


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack(retry_after=(0.0, 0.5, 0.5)) as fake:
        fake.add_user("U1", email="li.na@example.com")
        fake.add_user("U2", email="zhang.wei@example.com")
        fake.add_channel("C1", members=["U1", "U2"])
        yield fake
        assert not fake.violations, [str(violation) for violation in fake.violations]


@pytest.fixture
def door() -> ObedientDoor:
    return ObedientDoor()


# -- delivered more than once --------------------------------------------------------------------


def test_a_redelivery_is_answered_once(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    with running(slack_settings(slack, tmp_path), door):
        sent = slack.say("U1", "C1", "once")
        for event in sent.event_ids:
            slack.resend(event, retry_num=1)
        answer_to(slack, "C1", sent.ts)
        for event in sent.event_ids:
            slack.resend(event, retry_num=2)
        settled(slack)

    assert len(door.asked) == 1
    assert len(replies(slack, "C1")) == 1


def test_a_redelivery_after_a_restart_is_answered_once(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    settings = slack_settings(slack, tmp_path)
    with running(settings, door):
        sent = slack.say("U1", "C1", "once")
        answer_to(slack, "C1", sent.ts)
    with running(settings, door):
        slack.advance(3600)
        for event in sent.event_ids:
            slack.resend(event, retry_num=3)
        settled(slack)

    assert len(door.asked) == 1
    assert len(replies(slack, "C1")) == 1


# -- limits and lost connections -----------------------------------------------------------------


def test_a_storm_of_refusals_is_waited_out(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    with running(slack_settings(slack, tmp_path), door):
        slack.refuse_api(times=12, retry_after=1)
        sent = [slack.say("U1", "C1", f"number {n}") for n in range(3)]
        for each in sent:
            assert f"number {sent.index(each)}" in answer_to(slack, "C1", each.ts, 30).shown
        settled(slack)

    assert len(replies(slack, "C1")) == 3


def test_a_socket_dropped_in_mid_stream_changes_nothing(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    door.go_on.clear()
    with running(slack_settings(slack, tmp_path), door):
        sent = slack.say("U1", "C1", "hold the line")
        slack.wait_for(lambda: replies(slack, "C1", sent.ts))
        before = slack.hellos
        slack.drop_sockets()
        slack.wait_for(lambda: slack.hellos > before, 15)
        door.go_on.set()
        answer_to(slack, "C1", sent.ts)
        again = slack.say("U1", "C1", "still there?")
        answer_to(slack, "C1", again.ts)
        settled(slack)

    assert len(replies(slack, "C1", sent.ts)) == 1


def test_a_refreshed_connection_loses_nothing(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    with running(slack_settings(slack, tmp_path), door):
        for n, reason in enumerate(("warning", "refresh_requested")):
            before = slack.hellos
            slack.refresh_sockets(reason)
            sent = slack.say("U1", "C1", f"question {n}")
            slack.wait_for(lambda before=before: slack.hellos > before, 15)
            answer_to(slack, "C1", sent.ts, 15)
        settled(slack)


def test_without_streams_a_message_is_edited(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    slack.fail_api("chat.startStream", "unknown_method", times=9)
    door.pieces = ("one, ", "two, ", "three")
    door.go_on.clear()
    with running(slack_settings(slack, tmp_path), door):
        sent = slack.say("U1", "C1", "no streams")
        [partly] = slack.wait_for(lambda: replies(slack, "C1", sent.ts))
        assert "one" in partly.shown and not finished(partly)
        door.go_on.set()
        answer = answer_to(slack, "C1", sent.ts)
        second = slack.say("U1", "C1", "again")
        answer_to(slack, "C1", second.ts)
        settled(slack)

    assert answer.shown.startswith("one, two, three")
    assert answer.ts == partly.ts
    assert len([c for c in slack.calls if c.method == "chat.startStream"]) == 1


def test_a_stream_that_slack_ended_is_completed_by_an_edit(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    door.go_on.clear()
    with running(slack_settings(slack, tmp_path), door):
        sent = slack.say("U1", "C1", "slow")
        slack.wait_for(lambda: replies(slack, "C1", sent.ts))
        slack.end_streams()
        door.go_on.set()
        answer = answer_to(slack, "C1", sent.ts)

    assert answer.shown.startswith("Answer to slow")
    assert len(replies(slack, "C1", sent.ts)) == 1


def test_a_post_whose_fate_is_unknown_is_not_repeated(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    slack.fail_api("chat.startStream", "unknown_method")
    slack.fail_api("chat.postMessage", "internal_error", times=1)
    with running(slack_settings(slack, tmp_path), door):
        sent = slack.say("U1", "C1", "unsure")
        answer_to(slack, "C1", sent.ts)
        settled(slack)

    assert len(replies(slack, "C1", sent.ts)) == 1


# -- loops, edits, deletions ---------------------------------------------------------------------


def test_bots_are_not_answered(slack: FakeSlack, door: ObedientDoor, tmp_path: Path) -> None:
    slack.add_user("UBOT2", is_bot=True)
    slack.add_channel("C2", members=["U1", "UBOT2"])
    with running(slack_settings(slack, tmp_path), door):
        sent = slack.say("U1", "C2", "person")
        answer_to(slack, "C2", sent.ts)
        event = {
            "type": "message",
            "subtype": "bot_message",
            "channel": "C2",
            "channel_type": "channel",
            "bot_id": "B2",
            "user": "UBOT2",
            "text": f"<@{BOT_USER}> machine",
            "ts": "1700000000.000100",
            "event_ts": "1700000000.000100",
            "thread_ts": sent.ts,
        }
        slack.platform.emit(event, "message.channels")
        slack.platform.emit(
            event | {"subtype": None, "ts": "1700000000.000200"}, "message.channels"
        )
        settled(slack)

    assert [question for question, _ in door.asked] == ["person"]


def test_an_edited_question_is_answered_as_it_reads_now(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    door.go_on.clear()
    with running(slack_settings(slack, tmp_path), door):
        sent = slack.say("U1", "C1", "the old one")
        slack.wait_for(lambda: replies(slack, "C1", sent.ts))
        slack.edit("C1", sent.ts, f"<@{BOT_USER}> the new one")
        slack.wait_for(lambda: len(door.asked) == 2)
        door.go_on.set()
        answer = answer_to(slack, "C1", sent.ts)
        settled(slack)

    assert answer.shown.startswith("Answer to the new one")
    assert len(replies(slack, "C1", sent.ts)) == 1


def test_a_preview_that_slack_attaches_is_no_edit(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    door.go_on.clear()
    with running(slack_settings(slack, tmp_path), door):
        sent = slack.say("U1", "C1", "see https://example.com")
        slack.wait_for(lambda: replies(slack, "C1", sent.ts))
        slack.unfurl("C1", sent.ts)
        settled(slack)
        door.go_on.set()
        answer_to(slack, "C1", sent.ts)

    assert len(door.asked) == 1


def test_a_deleted_question_takes_its_answer_along(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    door.go_on.clear()
    with running(slack_settings(slack, tmp_path), door) as bot:
        sent = slack.say("U1", "C1", "never mind")
        slack.wait_for(lambda: replies(slack, "C1", sent.ts))
        slack.delete("C1", sent.ts)
        slack.wait_for(lambda: not replies(slack, "C1", sent.ts))
        assert bot.wait_idle(5)
        settled(slack)

    assert not replies(slack, "C1")


# -- stops and crashes ---------------------------------------------------------------------------


def test_two_bots_do_not_share_a_memory(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    settings = slack_settings(slack, tmp_path)
    with running(settings, door), pytest.raises(StoreLockedError, match="Another Slack bot"):
        Bot(settings, door)


def test_a_stop_lets_what_has_begun_end(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    door.go_on.clear()
    with running(slack_settings(slack, tmp_path), door):
        sent = slack.say("U1", "C1", "last one")
        slack.wait_for(door.begun.is_set)
        door.go_on.set()

    assert answer_to(slack, "C1", sent.ts).shown.startswith("Answer to last one")


def test_what_a_stop_cut_off_is_answered_after_the_next_start(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    settings = slack_settings(slack, tmp_path, slack_workers=1)
    door.go_on.clear()
    with running(settings, door, grace_s=0.2):
        first = slack.say("U1", "C1", "cut off")
        slack.wait_for(lambda: replies(slack, "C1", first.ts))
        second = slack.say("U1", "C1", "not begun")
        slack.wait_for(lambda: not slack.unacknowledged)
    other = ObedientDoor()
    with running(settings, other) as bot:
        for sent, text in ((first, "cut off"), (second, "not begun")):
            assert answer_to(slack, "C1", sent.ts).shown.startswith(f"Answer to {text}")
        assert bot.wait_idle(5)
    door.go_on.set()

    assert len(replies(slack, "C1")) == 2


def test_kill_9_in_mid_answer_leaves_one_answer(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    settings = slack_settings(slack, tmp_path)
    with _process(slack, tmp_path) as bot:
        slack.wait_for(lambda: slack.hellos, 30)
        sent = slack.say("U1", "C1", "in the middle")
        slack.command("U2", "C1", "/ask", "in private")
        slack.wait_for(lambda: replies(slack, "C1", sent.ts), 15)
        slack.wait_for(lambda: whispers(slack, "C1", "U2"), 15)
        bot.send_signal(signal.SIGKILL)
        bot.wait(10)
    assert not any(finished(message) for message in replies(slack, "C1"))

    with running(settings, door) as again:
        answer = answer_to(slack, "C1", sent.ts)
        slack.wait_for(lambda: [m for m in whispers(slack, "C1", "U2") if finished(m)])
        assert again.wait_idle(5)
    with running(settings, door):
        settled(slack)

    assert answer.shown.startswith("Answer to in the middle")
    assert len(replies(slack, "C1")) == 1
    assert len([m for m in whispers(slack, "C1", "U2") if finished(m)]) == 1


def test_a_question_that_kills_the_bot_twice_is_apologised_for(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    sent = None
    for _ in range(2):
        before = slack.hellos
        with _process(slack, tmp_path) as bot:
            slack.wait_for(lambda before=before: slack.hellos > before, 30)
            sent = sent or slack.say("U1", "C1", "poison")
            asked = tmp_path / "asked"
            slack.wait_for(asked.exists, 15)
            asked.unlink()
            bot.kill()
            bot.wait(10)

    with running(slack_settings(slack, tmp_path), door) as last:
        slack.wait_for(
            lambda: any("I was restarted" in m.shown for m in replies(slack, "C1", sent.ts))
        )
        assert last.wait_idle(5)

    assert not door.asked
    assert len(replies(slack, "C1")) == 1


def test_a_message_posted_just_before_a_crash_is_found_again(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    settings = slack_settings(slack, tmp_path)
    sent = slack.say("U1", "C1", "nobody listens yet")
    with closing(SlackStore(tmp_path)) as store:
        asked = Question(
            "channel", "C1", "U1", "half posted", ts=sent.ts, thread_ts=sent.ts, team=TEAM
        )
        taken = store.take(asked, *(f"event:{event}" for event in sent.event_ids))
        assert taken
        store.begin(taken.id)
    WebClient(slack.bot_token, base_url=slack.api_url).chat_postMessage(
        channel="C1", thread_ts=sent.ts, text="…"
    )

    with running(settings, door):
        answer = answer_to(slack, "C1", sent.ts)

    assert answer.shown.startswith("Answer to half posted")
    assert len(replies(slack, "C1")) == 1


# -- HTTP mode -----------------------------------------------------------------------------------


def test_http_mode_takes_only_what_slack_signed(
    slack: FakeSlack, door: ObedientDoor, tmp_path: Path
) -> None:
    settings = slack_settings(
        slack,
        tmp_path,
        slack_mode="http",
        slack_port=0,
        slack_signing_secret=slack.signing_secret,
    )
    bot = Bot(settings, door)
    try:
        url = bot.start()
        slack.post_events_to(url)
        assert slack.verify_url()
        sent = slack.say("U1", "C1", "over HTTP")
        answer_to(slack, "C1", sent.ts)
        slack.command("U1", "C1", "/ask", "a command")
        slack.wait_for(lambda: [m for m in whispers(slack, "C1", "U1") if finished(m)])
        slack.post_events_to(url, secret="somebody else's")
        forged = slack.say("U1", "C1", "forged")
        settled(slack)
    finally:
        bot.stop(5)

    assert not replies(slack, "C1", forged.ts)
    assert [question for question, _ in door.asked] == ["over HTTP", "a command"]


class _process:
    """A bot in a process of its own, whose assistant never comes to an end."""

    def __init__(self, slack: FakeSlack, data_dir: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        arguments = [slack.api_url, slack.bot_token, slack.app_token, str(data_dir)]
        self._bot = subprocess.Popen(
            [sys.executable, "-m", "tests.slack_process", *arguments], env=environment, cwd=ROOT
        )

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self._bot

    def __exit__(self, *_: object) -> None:
        if self._bot.poll() is None:
            self._bot.kill()
            self._bot.wait(10)
