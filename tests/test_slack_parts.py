"""The parts of the Slack bot by themselves: memory, pace, lanes, people, configuration."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from assistant import Principal, Settings
from assistant.errors import ConfigurationError
from assistant.surfaces.slack.api import SlackApi, SlackError, web_client
from assistant.surfaces.slack.bot import users_by_email
from assistant.surfaces.slack.check import check, is_wanted
from assistant.surfaces.slack.config import Workspace, load_tokens, load_workspace
from assistant.surfaces.slack.identity import Directory, audience
from assistant.surfaces.slack.lanes import Lanes
from assistant.surfaces.slack.pace import Pace
from assistant.surfaces.slack.store import Given, Question, SlackStore
from tests.fake_slack import TEAM, FakeSlack
from tests.slack_bot import slack_settings, workspace_file

HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


# -- the memory ----------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[SlackStore]:
    with closing(SlackStore(tmp_path, clock)) as opened:
        yield opened


def test_a_key_is_remembered_for_a_day_and_forgotten_after_a_week(
    store: SlackStore, clock: Clock
) -> None:
    assert store.first_time("event:1")
    clock.now += 25 * HOUR
    assert not store.first_time("event:1")
    clock.now += 7 * 24 * HOUR
    assert store.first_time("event:2")
    assert store.first_time("event:1")


def test_one_known_key_makes_a_question_known(store: SlackStore) -> None:
    asked = Question("channel", "C1", "U1", "q", ts="1.1", thread_ts="1.1")
    taken = store.take(asked, "event:1", "message:C1:1.1")
    assert taken and taken.id
    assert store.take(asked, "event:2", "message:C1:1.1") is None
    assert store.take(asked, "event:2", "message:C1:9.9") is None
    assert store.unfinished() == [taken]


def test_a_text_is_kept_only_until_the_answer(store: SlackStore, tmp_path: Path) -> None:
    taken = store.take(Question("channel", "C1", "U1", "秘密的问题", ts="1.1"), "k")
    assert taken
    store.finish(taken.id)
    with closing(sqlite3.connect(tmp_path / "slack.sqlite")) as db:
        assert "秘密的问题" not in "\n".join(db.iterdump())


def test_answers_are_found_with_whom_they_were_drawn_for(store: SlackStore) -> None:
    given = Given("a", "c", Principal("u", ["g"]), "U1", "C1", "1.1", "1.2", False)
    store.give(given)
    assert store.given("a") == given
    assert store.answers_since("C1", "1.1", 60) == 1


# -- the pace ------------------------------------------------------------------------------------


def test_a_channel_gets_one_new_message_a_second(clock: Clock) -> None:
    pace = Pace(clock)
    assert pace.wait("chat.postMessage", "C1", clock.now)
    assert not pace.wait("chat.startStream", "C1", clock.now)
    assert pace.wait("chat.postMessage", "C2", clock.now)
    clock.now += 1.2
    assert pace.wait("chat.postMessage", "C1", clock.now)


def test_streams_are_promised_only_while_the_minute_has_room(clock: Clock) -> None:
    pace = Pace(clock)
    promised = 0
    while pace.promise("chat.startStream", "chat.stopStream"):
        promised += 1
    assert promised == 19
    pace.release("chat.startStream", "chat.stopStream")
    assert pace.promise("chat.startStream", "chat.stopStream")
    assert pace.wait("chat.stopStream", "C1", clock.now, promised=True)


def test_a_refusal_is_heeded_by_everyone(clock: Clock) -> None:
    pace = Pace(clock)
    pace.block("views.open", "", 30)
    assert not pace.wait("views.open", "", clock.now + 29)
    clock.now += 31
    assert pace.wait("views.open", "", clock.now)


# -- the lanes -----------------------------------------------------------------------------------


def test_a_lane_is_served_in_order_and_lanes_side_by_side() -> None:
    done: list[tuple[str, int]] = []
    together = threading.Barrier(2, timeout=5)

    def handle(item: tuple[str, int]) -> None:
        if item[1] == 0:
            together.wait()
        done.append(item)

    lanes: Lanes[tuple[str, int]] = Lanes(2, handle, "test")
    for number in range(3):
        for lane in ("a", "b"):
            lanes.put(lane, (lane, number))
    assert lanes.wait_idle(5)
    assert lanes.close(1)
    for lane in ("a", "b"):
        assert [n for name, n in done if name == lane] == [0, 1, 2]


def test_whoever_has_to_wait_is_told_how_many_are_before(caplog: pytest.LogCaptureFixture) -> None:
    go_on = threading.Event()

    def handle(item: int) -> None:
        go_on.wait(5)
        raise ValueError("a message's text")

    lanes: Lanes[int] = Lanes(1, handle, "test")
    assert lanes.put("a", 1) == 0
    time.sleep(0.05)
    assert [lanes.put(lane, 1) for lane in "bcd"] == [1, 2, 3]
    go_on.set()
    assert lanes.wait_idle(5)
    lanes.close(1)
    assert "ValueError" in caplog.text and "message's text" not in caplog.text


# -- people and configuration --------------------------------------------------------------------


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as fake:
        fake.add_user("U1", email="Li.Na@Example.com", locale="zh-CN")
        fake.add_user("U2", email="zhang@example.com", locale="en-US")
        fake.add_user("U3", email="gone@example.com", deleted=True)
        yield fake


def directory(slack: FakeSlack, workspace: Workspace, **more: object) -> Directory:
    api = SlackApi(web_client(slack.bot_token, slack.api_url), Pace())
    return Directory(api, workspace, TEAM, **more)  # type: ignore[arg-type]


@pytest.mark.enable_socket
def test_people_are_known_by_email_or_by_slack_id(slack: FakeSlack) -> None:
    workspace = Workspace.model_validate(
        {
            "users": {
                "li.na@example.com": {"user": "li", "groups": ["finance"]},
                "U2": {"user": "zhang", "groups": ["board"]},
                "gone@example.com": {"user": "gone", "groups": ["board"]},
            }
        }
    )
    people = directory(slack, workspace)
    assert people.person("U1").principal == Principal("li", ["finance"])
    assert people.person("U1").language == "zh"
    assert people.person("U2").principal == Principal("zhang", ["board"])
    assert people.person("U3").principal == Principal("slack:U3")
    assert people.person("U404").principal == Principal("slack:U404")
    asked = [c for c in slack.calls if c.method == "users.info" and c.arguments["user"] == "U1"]
    assert len(asked) == 1


@pytest.mark.enable_socket
def test_people_of_other_workspaces_are_strangers(slack: FakeSlack) -> None:
    workspace = Workspace.model_validate({"users": {"li.na@example.com": {"user": "li"}}})
    api = SlackApi(web_client(slack.bot_token, slack.api_url), Pace())
    elsewhere = Directory(api, workspace, "T0OTHER")
    assert elsewhere.person("U1").principal == Principal("slack:U1")


@pytest.mark.enable_socket
def test_the_servers_own_users_are_known_by_email(slack: FakeSlack, tmp_path: Path) -> None:
    from assistant.accounts.users import Users

    settings = Settings(data_dir=tmp_path)
    with closing(Users(tmp_path, time.time)) as users:
        users.create_user("zhang@example.com", groups=["finance"])
    with users_by_email(settings) as by_email:
        people = directory(slack, Workspace(), by_email=by_email)
        assert people.person("U2").principal == Principal("zhang@example.com", ["finance"])
        assert people.person("U1").principal == Principal("slack:U1")


def test_a_channel_asks_without_any_group() -> None:
    assert audience("C1") == Principal("slack:C1", ())


def test_unknown_keys_in_the_file_are_errors(tmp_path: Path) -> None:
    path = workspace_file(tmp_path, channels={"C1": {"alowed": False}})
    with pytest.raises(ConfigurationError, match=r"channels\.C1\.alowed"):
        load_workspace(Settings(data_dir=tmp_path, slack_config=path))


def test_a_channel_falls_back_to_the_star(tmp_path: Path) -> None:
    path = workspace_file(
        tmp_path, channels={"*": {"allowed": False}, "C1": {"persona": "财务问答"}}
    )
    workspace = load_workspace(Settings(data_dir=tmp_path, slack_config=path))
    assert not workspace.channel("C9").allowed
    assert workspace.channel("C1").allowed and workspace.channel("C1").persona == "财务问答"


def test_tokens_come_from_settings_or_files_and_stay_hidden(tmp_path: Path) -> None:
    (tmp_path / "bot").write_text("xoxb-1\n")
    settings = Settings(
        data_dir=tmp_path, slack_bot_token_file=tmp_path / "bot", slack_app_token="xapp-1"
    )
    tokens = load_tokens(settings)
    assert tokens.bot.get_secret_value() == "xoxb-1"
    assert "xoxb-1" not in repr(tokens) and "xapp-1" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "`slack_bot_token` is not set"),
        ({"slack_bot_token": "xoxp-1"}, "does not begin with xoxb-"),
        ({"slack_bot_token": "xoxb-1"}, "`slack_app_token` is not set"),
        ({"slack_bot_token": "xoxb-1", "slack_mode": "http"}, "`slack_signing_secret` is not set"),
        ({"slack_bot_token_file": Path("/nowhere")}, "cannot be read"),
    ],
)
def test_a_missing_token_says_where_to_find_it(
    tmp_path: Path, given: dict[str, object], problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        load_tokens(Settings(data_dir=tmp_path, **given))


@pytest.mark.enable_socket
def test_the_doctor_tries_the_tokens(tmp_path: Path) -> None:
    file = resources.files("assistant.surfaces.slack") / "manifest.yaml"
    scopes = yaml.safe_load(file.read_text("utf-8"))["oauth_config"]["scopes"]["bot"]
    with FakeSlack(scopes=scopes) as slack:
        settings = slack_settings(slack, tmp_path)
        assert is_wanted(settings) and not is_wanted(Settings(data_dir=tmp_path))
        assert "socket mode" in check(settings)
        with pytest.raises(ConfigurationError, match="does not accept `slack_bot_token`"):
            check(settings.model_copy(update={"slack_bot_token": SecretStr("xoxb-other")}))


@pytest.mark.enable_socket
def test_the_doctor_names_missing_scopes(tmp_path: Path) -> None:
    with (
        FakeSlack(scopes={"chat:write", "users:read"}) as slack,
        pytest.raises(ConfigurationError, match=r"users:read\.email"),
    ):
        check(slack_settings(slack, tmp_path))


# -- calling Slack -------------------------------------------------------------------------------


@pytest.mark.enable_socket
def test_a_call_waits_as_long_as_it_is_told_and_no_longer(slack: FakeSlack) -> None:
    api = SlackApi(web_client(slack.bot_token, slack.api_url), Pace())
    slack.refuse_api(times=1, retry_after=1)
    assert api.call("users.info", user="U1", patience_s=5)["user"]["id"] == "U1"
    slack.refuse_api(times=1, retry_after=30)
    began = time.monotonic()
    with pytest.raises(SlackError, match="ratelimited"):
        api.call("users.info", user="U1", patience_s=5)
    assert time.monotonic() - began < 1
    assert not slack.violations


@pytest.mark.enable_socket
def test_a_server_error_is_retried_where_that_does_no_harm(slack: FakeSlack) -> None:
    slack.add_channel("C1", members=["U1"])
    api = SlackApi(web_client(slack.bot_token, slack.api_url), Pace())
    slack.fail_api("users.info", status=503)
    assert api.call("users.info", user="U1")["ok"]
    slack.fail_api("chat.postMessage", status=503)
    with pytest.raises(SlackError, match="unsure"):
        api.call("chat.postMessage", channel="C1", text="x")
