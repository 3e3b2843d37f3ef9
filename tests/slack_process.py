"""A bot to be killed: it answers the first half of everything, and then waits for ever."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from assistant import Settings
from assistant.surfaces.slack.bot import run
from assistant.types import AnswerEvent
from tests.slack_bot import ObedientDoor, slack_settings


class EndlessDoor(ObedientDoor):
    """Says that it was asked in a file ``asked``."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._mark = settings.data_dir / "asked"
        self.go_on.clear()

    def stream(self, question: str, **asked: object) -> Iterator[AnswerEvent]:
        self._mark.touch()
        yield from super().stream(question, **asked)  # type: ignore[arg-type]


def main() -> None:
    api_url, bot_token, app_token, data_dir = sys.argv[1:]
    slack = SimpleNamespace(api_url=api_url, bot_token=bot_token, app_token=app_token)
    settings = slack_settings(slack, Path(data_dir))  # type: ignore[arg-type]
    run(settings, EndlessDoor(settings), print)


if __name__ == "__main__":
    main()
