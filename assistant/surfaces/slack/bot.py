"""The bot as a whole: its parts put together, started, and stopped without losing a question."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

from slack_sdk.errors import SlackApiError

from assistant.accounts.journal import ACCESS_FILE
from assistant.accounts.users import Users
from assistant.errors import AssistantError, ConfigurationError, NotFoundError
from assistant.settings import Settings
from assistant.surfaces.slack.answering import Answering
from assistant.surfaces.slack.api import SlackApi, web_client
from assistant.surfaces.slack.app import HttpRoad, Road, SocketRoad, create_app
from assistant.surfaces.slack.clicks import Clicks
from assistant.surfaces.slack.config import load_tokens, load_workspace
from assistant.surfaces.slack.door import Door
from assistant.surfaces.slack.identity import Directory
from assistant.surfaces.slack.lanes import Lanes
from assistant.surfaces.slack.listen import Listener
from assistant.surfaces.slack.pace import Pace
from assistant.surfaces.slack.panel import Panel
from assistant.surfaces.slack.recover import recover
from assistant.surfaces.slack.store import Question, SlackStore
from assistant.types import Principal

logger = logging.getLogger(__name__)

GRACE_S = 25.0
_ASIDE_WORKERS = 4


class Bot:
    """Answers in one Slack workspace, from `start` to `stop`.

    Args:
        settings: the tokens and everything named ``slack_…``.
        door: the assistant that answers.
        by_email: the assistant's own user of an e-mail address, if it has one.

    Raises:
        ConfigurationError: a token is missing or refused, or the YAML file is wrong.
        StoreLockedError: another bot runs on this data directory.
    """

    def __init__(
        self,
        settings: Settings,
        door: Door,
        by_email: Callable[[str], Principal | None] = lambda _: None,
    ) -> None:
        tokens, workspace = load_tokens(settings), load_workspace(settings)
        _keep_quiet()
        client = web_client(tokens.bot.get_secret_value(), settings.slack_api_url)
        try:
            me = client.auth_test()
        except SlackApiError as error:
            raise ConfigurationError(
                f"Slack does not accept `slack_bot_token` ({error.response['error']}). "
                "Reinstall the app to the workspace and copy the token again."
            ) from error
        except OSError as error:
            raise ConfigurationError(
                f"{settings.slack_api_url} cannot be reached ({error}). Check the network, and "
                "HTTPS_PROXY if there is a proxy."
            ) from error
        api = SlackApi(client, Pace())
        self._store = SlackStore(settings.data_dir)
        self._stopping = threading.Event()
        self._aside: Lanes[Callable[[], object]] = Lanes(_ASIDE_WORKERS, _run, "slack-aside")
        self._lanes: Lanes[int] = Lanes(settings.slack_workers, self._answer, "slack-answer")
        bot_user, team = str(me["user_id"]), str(me["team_id"])
        directory = Directory(api, workspace, team, by_email)
        self._answering = Answering(
            door,
            api,
            self._store,
            directory,
            workspace,
            bot_user,
            settings.max_question_chars,
            self._again,
        )
        listener = Listener(api, self._store, workspace, bot_user, self._put, self._beside)
        clicks = Clicks(door, api, self._store, directory, workspace, listener)
        panel = Panel(api, self._store, directory)
        app = create_app(client, tokens, listener, clicks, panel, self._beside)
        self._road: Road = (
            SocketRoad(app, tokens) if settings.slack_mode == "socket" else HttpRoad(app, settings)
        )
        self.name = f"{me['user']} · {me['team']}"

    def start(self) -> str:
        """Take up what an earlier run left, then listen; return by which way."""
        left = self._store.unfinished()
        where = self._road.open()
        self._beside(partial(recover, left, self._answering, self._put))
        return where

    def stop(self, grace_s: float = GRACE_S) -> bool:
        """Hear nothing more and end what has begun; the rest is answered after the next start.

        Returns:
            whether everything that had begun ended in time.
        """
        self._stopping.set()
        self._road.close()
        ended = self._lanes.close(grace_s)
        self._answering.cut_off()
        self._aside.close(min(grace_s, 5.0))
        self._store.close()
        return ended

    def wait_idle(self, seconds: float) -> bool:
        """Wait until every question that was heard is answered; tell whether that came about."""
        return self._lanes.wait_idle(seconds) and self._aside.wait_idle(seconds)

    def _put(self, question: Question) -> int:
        lane = (
            (question.channel, question.thread_ts)
            if question.thread_ts
            else ("private", str(question.id))
        )
        return self._lanes.put(lane, question.id)

    def _answer(self, question_id: int) -> None:
        self._answering.answer(question_id)

    def _again(self, question_id: int) -> None:
        """Put a question back into line, unless the bot is going: then the next one takes it up."""
        if self._stopping.is_set():
            return
        if question := self._store.question(question_id):
            self._put(question)

    def _beside(self, job: Callable[[], object]) -> None:
        self._aside.put(object(), job)


def run(settings: Settings, door: Door, say: Callable[[str], None]) -> None:
    """Answer in Slack until SIGINT, SIGTERM or SIGHUP.

    Raises:
        AssistantError: see `Bot`.
    """
    end = threading.Event()
    for told in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(told, lambda *_: end.set())
    with users_by_email(settings) as by_email:
        bot = Bot(settings, door, by_email)
        try:
            say(f"{bot.name}: {bot.start()}")
            end.wait()
        finally:
            if not bot.stop():
                logger.warning("Some answers were cut off; the next start takes them up.")


@contextmanager
def users_by_email(settings: Settings) -> Iterator[Callable[[str], Principal | None]]:
    """Yield a look-up of the server's own users, whose name may be their e-mail address."""
    if not (settings.data_dir / ACCESS_FILE).exists():
        yield lambda _: None
        return
    with closing(Users(settings.data_dir, time.time)) as users:

        def find(email: str) -> Principal | None:
            try:
                user = users.user(email.casefold())
            except NotFoundError:
                return None
            return Principal(user.id, user.groups) if user.active else None

        yield find


def _keep_quiet() -> None:
    """Keep messages out of the log whatever its level: Slack's libraries write them at DEBUG."""
    for name in ("slack_sdk", "slack_bolt"):
        library = logging.getLogger(name)
        library.setLevel(max(library.getEffectiveLevel(), logging.INFO))


def _run(job: Callable[[], object]) -> None:
    try:
        job()
    except AssistantError as error:
        logger.error("Something beside the answers failed: %s", type(error).__name__)
