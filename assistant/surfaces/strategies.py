"""The strategies of a `Client`: the methods of `assistant.strategy.Strategies` over HTTP."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import quote

from assistant.strategy.interview import Turn
from assistant.strategy.profile import Change, Profile
from assistant.strategy.store import Strategy
from assistant.strategy.types import Brief
from assistant.strategy.usecases import Weights
from assistant.surfaces.connection import Connection
from assistant.types import Language, Principal

Value = TypeVar("Value")

_PATH = "/v1/strategies"


class RemoteStrategies:
    """The strategies of one principal on a server.

    Raises:
        NotFoundError: from every method that takes an id: it is not the principal's.
    """

    def __init__(self, connection: Connection, principal: Principal) -> None:
        self._connection = connection
        self._principal = principal

    def begin(self, company: str, language: Language = "zh") -> Turn:
        """Have the papers read, and return the welcome with the first question."""
        return self._call("POST", "", Turn, json={"company": company, "language": language})

    def read_papers(self, strategy_id: str) -> int:
        """Have the papers read anew; return for how many fields they propose an answer."""
        return self._call("POST", f"{_of(strategy_id)}/papers", dict[str, int])["proposals"]

    def all(self) -> list[Strategy]:
        """Return the principal's strategies, latest first."""
        return self._call("GET", "", list[Strategy])

    def get(self, strategy_id: str) -> Strategy:
        """Return one of the principal's strategies."""
        return self._call("GET", _of(strategy_id), Strategy)

    def ask(self, strategy_id: str) -> Turn:
        """Return the question that is open now."""
        return self._call("GET", f"{_of(strategy_id)}/turn", Turn)

    def say(self, strategy_id: str, text: str) -> Turn:
        """Send an answer or a command, and return what the interview says to it."""
        return self._call("POST", f"{_of(strategy_id)}/turn", Turn, json={"text": text})

    def answer(self, strategy_id: str, key: str, text: str) -> None:
        """Settle one field of the profile."""
        path = f"{_of(strategy_id)}/answers/{quote(key, safe='') or '-'}"
        self._do("PUT", path, json={"text": text})

    def profile(self, strategy_id: str, version: int | None = None) -> Profile:
        """Return the company's profile, as of a version if one is given."""
        params = {} if version is None else {"version": version}
        return self._call("GET", f"{_of(strategy_id)}/profile", Profile, params=params)

    def compare(self, strategy_id: str, before: int, after: int) -> list[Change]:
        """Return what changed in the profile from one version to another."""
        params = {"before": before, "after": after}
        return self._call("GET", f"{_of(strategy_id)}/changes", list[Change], params=params)

    def brief(
        self,
        strategy_id: str,
        *,
        language: Language | None = None,
        version: int | None = None,
        weights: Weights | None = None,
        prose: bool = False,
    ) -> Brief:
        """Return the brief, ready to be rendered, in the strategy's language by default."""
        given = {"language": language, "version": version, **_weights(weights)}
        params: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        params |= {"prose": prose, "format": "json"}
        return self._call("GET", f"{_of(strategy_id)}/brief", Brief, params=params)

    def delete(self, strategy_id: str) -> None:
        """Delete a strategy with all its versions, for good."""
        self._do("DELETE", _of(strategy_id))

    def _call(self, method: str, path: str, kind: type[Value], **request: Any) -> Value:
        found: Value = self._connection.call(
            method, _PATH + path, kind, principal=self._principal, **request
        )
        return found

    def _do(self, method: str, path: str, **request: Any) -> None:
        self._connection.call(method, _PATH + path, None, principal=self._principal, **request)


def _of(strategy_id: str) -> str:
    return f"/{quote(strategy_id, safe='') or '-'}"


def _weights(weights: Weights | None) -> dict[str, float]:
    if weights is None:
        return {}
    return {name: getattr(weights, name) for name in ("value", "feasibility", "data", "risk")}
