"""`assistant slack`: says what is missing before anything else, then runs the bot."""

from __future__ import annotations

import threading
from collections.abc import Callable

from assistant.core import Assistant
from assistant.errors import ConfigurationError
from assistant.index.store import owner_card
from assistant.settings import Settings
from assistant.surfaces.client import Client
from assistant.surfaces.slack.door import Door, Following


def slack(settings: Settings, door: Assistant | Client, say: Callable[[str], None]) -> None:
    """Answer in Slack until a signal ends it.

    Raises:
        ConfigurationError: Bolt is not installed, or a token is missing or refused.
        StoreError: the documents cannot be opened, or another bot runs on them.
    """
    try:
        from assistant.surfaces.slack.bot import run
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The Slack bot needs `{error.name}`. Install it: "
            "pip install 'strategy-assistant[slack]'"
        ) from error
    if isinstance(door, Assistant):
        door.documents()  # takes the data directory, or says who holds it
        threading.Thread(target=door.warm_up, name="warm-up", daemon=True).start()
        run(settings, door, say)
    else:
        run(settings, Following(door, lambda: _server(settings)), say)


def _server(settings: Settings) -> Door | None:
    """Return a way to the server that holds the documents now."""
    card = owner_card(settings.data_dir) or {}
    return Client(str(card["url"]), str(card["token"])) if "url" in card else None
