"""Who asks: a Slack user as a `Principal`. Whoever is not known may read what everyone may."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from assistant.surfaces.slack.api import SlackApi, SlackError
from assistant.surfaces.slack.config import Workspace
from assistant.types import Language, Principal

_KNOWN_FOR_S = 600.0
_MOST = 10_000
_PREFIX = "slack:"


@dataclass(frozen=True)
class Person:
    """A Slack user; ``language`` is None where their Slack is set to neither of ours."""

    principal: Principal
    language: Language | None = None


class Directory:
    """Looks people up, and remembers them for ten minutes.

    Args:
        api: asked for a user's e-mail address and language.
        workspace: the mapping file.
        team: the workspace's own id; people of other workspaces are strangers.
        by_email: the assistant's own user of an e-mail address, if it has one.
    """

    def __init__(
        self,
        api: SlackApi,
        workspace: Workspace,
        team: str,
        by_email: Callable[[str], Principal | None] = lambda _: None,
    ) -> None:
        self._api = api
        self._workspace = workspace
        self._team = team
        self._by_email = by_email
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Person]] = {}

    def person(self, slack_id: str) -> Person:
        """Return who a Slack user is to the assistant."""
        now = time.monotonic()
        with self._lock:
            known = self._known.get(slack_id)
        if known and known[0] > now:
            return known[1]
        try:
            found = self._api.call("users.info", user=slack_id, include_locale=True, patience_s=5.0)
        except SlackError:
            # Not remembered: their rights come back as soon as Slack does.
            return Person(self._mapped(slack_id, "") or stranger(slack_id))
        person = self._recognise(slack_id, found.get("user") or {})
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[slack_id] = (now + _KNOWN_FOR_S, person)
        return person

    def _recognise(self, slack_id: str, user: dict[str, object]) -> Person:
        email = ""
        foreign = user.get("team_id", self._team) != self._team or user.get("is_stranger")
        if not (foreign or user.get("deleted") or user.get("is_bot")):
            profile = user.get("profile")
            email = str(profile.get("email") or "") if isinstance(profile, dict) else ""
        own = self._by_email(email) if email else None
        principal = self._mapped(slack_id, email) or own or stranger(slack_id)
        return Person(principal, _language(str(user.get("locale") or "")))

    def _mapped(self, slack_id: str, email: str) -> Principal | None:
        entry = self._workspace.user(slack_id, email)
        return Principal(entry.user, entry.groups) if entry else None


def stranger(slack_id: str) -> Principal:
    """Return a user of whom nothing is known: a name of their own, and no group."""
    return Principal(_PREFIX + slack_id)


def audience(channel: str) -> Principal:
    """Return a channel as the one who asks.

    What it is told everyone in it reads, so it holds no group; its threads are conversations
    that all of them share.
    """
    return Principal(_PREFIX + channel)


def _language(locale: str) -> Language | None:
    return {"zh": "zh", "en": "en"}.get(locale[:2].lower())  # type: ignore[return-value]
