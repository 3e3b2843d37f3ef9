"""The real bot beside the fake Slack: started, restarted, and with an assistant that obeys."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from assistant import Settings
from assistant.surfaces.slack.bot import Bot, users_by_email
from assistant.surfaces.slack.door import Door
from assistant.types import EVERYONE, Answer, AnswerEvent, Principal
from tests.fake_slack import FakeSlack, Message


class ObedientDoor:
    """Answers "Answer to …" in two pieces, and waits between them for as long as it is told."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.begun = threading.Event()
        self.asked: list[tuple[str, Principal]] = []
        self.first: list[AnswerEvent] = []
        self.error: Exception | None = None
        self.pieces: tuple[str, ...] | None = None

    def stream(
        self,
        question: str,
        *,
        conversation_id: str | None = None,
        principal: Principal = EVERYONE,
    ) -> Iterator[AnswerEvent]:
        self.asked.append((question, principal))
        number = len(self.asked)
        if self.error:
            raise self.error
        yield from self.first
        pieces = self.pieces or ("Answer to ", f"{question}")
        yield AnswerEvent("token", text=pieces[0])
        self.begun.set()
        while not self.go_on.wait(0.02):
            yield AnswerEvent("token", text="")
        for piece in pieces[1:]:
            yield AnswerEvent("token", text=piece)
        yield AnswerEvent(
            "answer",
            answer=Answer(
                text="".join(pieces),
                citations=(),
                refused=False,
                confidence=1.0,
                engine="stub",
                conversation_id=conversation_id or f"conversation-{number}",
                answer_id=f"answer-{number}",
            ),
        )

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the bot should not call {name} here")


def slack_settings(slack: FakeSlack, data_dir: Path, **more: Any) -> Settings:
    """Settings without any model, for the app of a fake Slack."""
    return Settings(
        data_dir=data_dir,
        embedding_model="hash",
        engine="extractive",
        gate_threshold=more.pop("gate_threshold", 0.0),
        slack_api_url=slack.api_url,
        slack_bot_token=slack.bot_token,
        slack_app_token=slack.app_token,
        **more,
    )


def workspace_file(folder: Path, **said: Any) -> Path:
    """Write the YAML file about users and channels."""
    path = folder / "slack.yaml"
    path.write_text(yaml.safe_dump(said, allow_unicode=True), "utf-8")
    return path


@contextmanager
def running(settings: Settings, door: Door, grace_s: float = 5.0) -> Iterator[Bot]:
    """A started bot; stopped at the end."""
    with users_by_email(settings) as by_email:
        bot = Bot(settings, door, by_email)
        try:
            bot.start()
            yield bot
        finally:
            bot.stop(grace_s)


def replies(slack: FakeSlack, channel: str, thread_ts: str | None = None) -> list[Message]:
    """What the bot has said there, ephemeral messages left out."""
    return [
        message
        for message in slack.messages(channel)
        if message.by_bot
        and message.ephemeral_to is None
        and message.subtype is None
        and thread_ts in (None, message.thread_ts)
    ]


def whispers(slack: FakeSlack, channel: str, user: str) -> list[Message]:
    """What one user alone was told there."""
    return [m for m in slack.messages(channel) if m.ephemeral_to == user]


def finished(message: Message) -> bool:
    """Whether a message stands as it will stay: it has its feedback buttons."""
    return any(block["type"] == "context_actions" for block in message.blocks)


def answer_to(slack: FakeSlack, channel: str, thread_ts: str, timeout: float = 10.0) -> Message:
    """Wait for the one finished answer in a thread."""
    found = slack.wait_for(
        lambda: [m for m in replies(slack, channel, thread_ts) if finished(m)], timeout
    )
    return found[-1]


def buttons(message: Message) -> dict[str, list[str]]:
    """The values of a message's buttons, by action."""
    found: dict[str, list[str]] = {}
    for block in message.blocks:
        accessory = [block["accessory"]] if "accessory" in block else []
        for element in [*block.get("elements", []), *accessory]:
            for button in (element, element.get("positive_button"), element.get("negative_button")):
                if isinstance(button, dict) and "value" in button:
                    found.setdefault(element["action_id"], []).append(button["value"])
    return found


def settled(slack: FakeSlack, seconds: float = 0.4) -> None:
    """Give the bot the time to do what it must not do."""
    time.sleep(seconds)
    assert not slack.violations, [str(violation) for violation in slack.violations]
