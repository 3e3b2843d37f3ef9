"""`Strategies`: everything a person does with strategies, for every door.

Built by `Assistant.strategies` for one principal: the papers are searched with their rights
alone, and what they began is theirs alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from assistant.errors import QuestionError
from assistant.strategy.brief import Narrator, write
from assistant.strategy.evidence import Search, propose
from assistant.strategy.findings import find
from assistant.strategy.interview import Interview, Turn
from assistant.strategy.plan import Plan, make_plan
from assistant.strategy.profile import Change, Given, Profile, compare
from assistant.strategy.store import Strategy, StrategyStore
from assistant.strategy.types import Brief, Source, Words
from assistant.strategy.usecases import Weights
from assistant.types import Language, Principal

LONGEST_NAME = 120
_WITHDRAWN = Source(
    kind="answer",
    title=Words(
        "当时依据公司资料确认；该资料已更新、移除或不再可查",
        "Confirmed from a paper that has changed, is gone or may no longer be read",
    ),
)


class Strategies:
    """The strategies of one principal.

    Args:
        store: where strategies are kept.
        search: searches the papers that the principal may read.
        principal: whose strategies these are.
        readable: tells whether the principal may read a passage now, by its id.
        narrator: yields what may write connecting prose.

    Raises:
        NotFoundError: from every method that takes an id: it is not the principal's.
    """

    def __init__(
        self,
        store: StrategyStore,
        search: Search,
        principal: Principal,
        readable: Callable[[str], bool],
        narrator: Callable[[], Narrator],
    ) -> None:
        self._store = store
        self._search = search
        self._principal = principal
        self._readable = readable
        self._narrator = narrator

    def begin(self, company: str, language: Language = "zh") -> Turn:
        """Read the papers, and return the welcome with the first question.

        Raises:
            QuestionError: the company's name is empty or too long.
        """
        name = " ".join("".join(c if c.isprintable() else " " for c in company).split())
        if not 0 < len(name) <= LONGEST_NAME:
            raise QuestionError(f"Give the company's name, in {LONGEST_NAME} characters at most.")
        strategy = self._store.begin(self._principal, name, language)
        self.read_papers(strategy.id)
        return self._interview(strategy.id).begin()

    def read_papers(self, strategy_id: str) -> int:
        """Read the papers anew, and return for how many fields they propose an answer."""
        strategy = self._get(strategy_id)
        proposals = propose(self._search)
        self._store.propose(strategy.id, proposals, self._principal)
        return len(proposals)

    def all(self) -> list[Strategy]:
        """Return the principal's strategies, latest first."""
        return self._store.of(self._principal)

    def get(self, strategy_id: str) -> Strategy:
        """Return one of the principal's strategies."""
        return self._get(strategy_id)

    def ask(self, strategy_id: str) -> Turn:
        """Return the question that is open now."""
        return self._interview(strategy_id).ask()

    def say(self, strategy_id: str, text: str) -> Turn:
        """Take an answer or a command, and return what the interview says to it."""
        return self._interview(strategy_id).say(text)

    def answer(self, strategy_id: str, key: str, text: str) -> None:
        """Settle one field of the profile.

        Raises:
            QuestionError: there is no such field, or the words do not fit it.
        """
        self._interview(strategy_id).set(key, text)

    def profile(self, strategy_id: str, version: int | None = None) -> Profile:
        """Return the company's profile, as of a version if one is given.

        Raises:
            NotFoundError: there is no such version.
        """
        kept = self._store.profile(self._get(strategy_id), version)
        return replace(kept, answers={key: self._shown(g) for key, g in kept.answers.items()})

    def compare(self, strategy_id: str, before: int, after: int) -> list[Change]:
        """Return what changed in the profile from one version to another."""
        language = self._get(strategy_id).language
        return compare(
            self.profile(strategy_id, before), self.profile(strategy_id, after), language
        )

    def plan(
        self, strategy_id: str, *, version: int | None = None, weights: Weights | None = None
    ) -> Plan:
        """Compute the plan from the profile: the same profile and papers give the same plan."""
        profile = self.profile(strategy_id, version)
        proposals = self._store.proposals(strategy_id)
        return make_plan(profile, find(self._search, proposals), weights or Weights())

    def brief(
        self,
        strategy_id: str,
        *,
        language: Language | None = None,
        version: int | None = None,
        weights: Weights | None = None,
        prose: bool = False,
    ) -> Brief:
        """Return the brief, ready to be rendered, in the strategy's language by default.

        With ``prose`` a language model writes connecting sentences from the computed facts;
        each of them is checked, and without a model there are none.
        """
        strategy = self._get(strategy_id)
        plan = self.plan(strategy_id, version=version, weights=weights)
        return write(plan, language or strategy.language, self._narrator() if prose else None)

    def delete(self, strategy_id: str) -> None:
        """Delete a strategy with all its versions, for good."""
        self._store.delete(self._get(strategy_id).id)

    def _shown(self, given: Given) -> Given:
        """Return an answer without the words of papers that are gone or no longer to be read."""
        sources = tuple(
            _WITHDRAWN if s.kind == "company" and not self._readable(s.reference) else s
            for s in given.sources
        )
        return replace(given, sources=tuple(dict.fromkeys(sources)))

    def _get(self, strategy_id: str) -> Strategy:
        return self._store.get(strategy_id, self._principal)

    def _interview(self, strategy_id: str) -> Interview:
        return Interview(self._store, self._get(strategy_id).id, self._principal)
