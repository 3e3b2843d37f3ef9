"""The interview: one question after the other until the profile is complete.

Its state is the profile and nothing else: which question comes next follows from what was
answered, so an interview can be left at any word and taken up again on any door. A graph
library would keep a second copy of that state. No model speaks here: the questions are
product text, and what somebody answers is understood by the field's own rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assistant.errors import QuestionError
from assistant.strategy.evidence import Proposal, Reading
from assistant.strategy.parse import parse
from assistant.strategy.profile import Field, Given, Profile, Value, answered, form, show
from assistant.strategy.store import Strategy, StrategyStore
from assistant.strategy.texts import load_data, words
from assistant.strategy.types import Source, Words, same
from assistant.types import Principal

_QUOTED = 3


@dataclass(frozen=True)
class Quoted:
    """A quotation for a proposal; ``against`` is the other value that it speaks for instead."""

    text: str
    against: str = ""


@dataclass(frozen=True)
class Turn:
    """What the interview says now, in the strategy's language.

    ``text`` is all of it for a door that shows text alone; the same in its pieces is ``lead``
    (what is said to the last words), ``question``, ``choices``, and ``proposal`` with its
    ``quotes``. ``asking`` is the field in question, ``""`` once all are settled (``done``);
    ``answered`` of ``total`` are settled.
    """

    strategy_id: str
    text: str
    asking: str
    answered: int
    total: int
    done: bool
    lead: str = ""
    question: str = ""
    choices: tuple[str, ...] = ()
    proposal: str = ""
    quotes: tuple[Quoted, ...] = ()


class Interview:
    """Leads one strategy's interview; what is said is kept before the next question is asked."""

    def __init__(self, store: StrategyStore, strategy_id: str, principal: Principal) -> None:
        self._store = store
        self._id, self._principal = strategy_id, principal
        self._language = self._strategy.language

    def begin(self) -> Turn:
        """Return the welcome with the first question."""
        proposals = self._store.proposals(self._id)
        read = self._say("read_some", count=len(proposals)) if proposals else self._say("read_none")
        return self._turn(
            self._say(
                "welcome", total=len(form().fields), company=self._strategy.company, read=read
            )
        )

    def ask(self) -> Turn:
        """Return the question that is open now; nothing changes."""
        return self._turn()

    def say(self, text: str) -> Turn:
        """Take what somebody said — an answer or a command — and return what comes next."""
        said = text.strip()
        command, rest = _command(said)
        if command == "change":
            return self._change(rest)
        if command and not rest and command in _COMMANDS:
            return _COMMANDS[command](self)
        asking = self._asking()
        if asking is None:
            return self._turn(self._say("done"), question=False)
        return self._answer(asking, said, command if not rest else "")

    def set(self, key: str, text: str) -> None:
        """Settle a field without conversation.

        Raises:
            QuestionError: there is no such field, or the words do not fit it.
        """
        field = form().field(key)
        self._store.answer(self._id, {key: _settled(field, parse(field, text), text)})

    # -- answers ----------------------------------------------------------------------------

    def _answer(self, asking: Field, said: str, command: str) -> Turn:
        proposal = self._proposals().get(asking.key)
        if proposal and command == "accept":
            return self._keep(asking, _given(proposal.reading))
        means_no = "no" in asking.options and said.casefold() in ("no", "否", "不")
        if proposal and command == "reject" and not means_no:
            self._store.ask_for(self._id, asking.key)
            return self._turn()
        try:
            value = parse(asking, said)
        except QuestionError:
            expected = self._say(f"expect_{_EXPECTED[asking.kind]}", unit=self._in(asking.unit))
            return self._turn(self._say("not_understood", said=said[:60], expected=expected))
        return self._keep(asking, _settled(asking, value, said))

    def _keep(self, asking: Field, given: Given) -> Turn:
        self._store.answer(self._id, {asking.key: given})
        if given.value is None:
            return self._turn(self._say("noted_unknown"))
        return self._turn(self._say("noted", value=show(asking, given, self._language)))

    # -- commands ---------------------------------------------------------------------------

    def _why(self) -> Turn:
        asking = self._asking()
        return self._turn(self._in(asking.why) if asking else "")

    def _status(self) -> Turn:
        profile = self._profile()
        text = self._say(
            "status",
            done=len(profile.answers),
            total=len(form().fields),
            unknown=sum(given.value is None for given in profile.answers.values()),
            waiting=len(self._waiting()),
        )
        return self._turn(text)

    def _back(self) -> Turn:
        answers = list(self._profile().answers)
        if answers:
            self._store.ask_for(self._id, answers[-1])
        return self._turn()

    def _change(self, name: str) -> Turn:
        found = _named(name)
        if found is None:
            names = [self._in(field.name) for field in form().fields]
            fields = ("、" if self._language == "zh" else ", ").join(names)
            return self._turn(self._say("no_field", said=name[:60], fields=fields))
        self._store.ask_for(self._id, found.key)
        return self._turn()

    def _accept_all(self) -> Turn:
        waiting = self._waiting()
        if not waiting:
            return self._turn(self._say("nothing_to_accept"))
        self._store.answer(self._id, {key: _given(p.reading) for key, p in waiting.items()})
        return self._turn(self._say("accepted_all", count=len(waiting)))

    def _stop(self) -> Turn:
        return self._turn(self._say("stopped"))

    def _finish(self) -> Turn:
        if waiting := self._waiting():
            return self._turn(self._say("still_waiting", count=len(waiting)))
        answers = self._profile().answers
        open_ones = [field.key for field in form().fields if field.key not in answers]
        self._store.answer(self._id, {key: Given(None, ()) for key in open_ones})
        return self._turn(self._say("finished_early", count=len(open_ones)), question=False)

    # -- what is asked ----------------------------------------------------------------------

    @property
    def _strategy(self) -> Strategy:
        return self._store.get(self._id, self._principal)

    def _profile(self) -> Profile:
        return self._store.profile(self._strategy)

    def _proposals(self) -> Mapping[str, Proposal]:
        """Return the proposals that still count: not for a field that is being changed."""
        asking = self._strategy.asking
        proposals = self._store.proposals(self._id)
        return {key: proposal for key, proposal in proposals.items() if key != asking}

    def _waiting(self) -> dict[str, Proposal]:
        answers = self._profile().answers
        return {key: p for key, p in self._proposals().items() if key not in answers}

    def _asking(self) -> Field | None:
        chosen = self._strategy.asking
        if chosen:
            return form().field(chosen)
        answers = self._profile().answers
        return next((field for field in form().fields if field.key not in answers), None)

    def _turn(self, lead: str = "", *, question: bool = True) -> Turn:
        asking = self._asking()
        answers = self._profile().answers
        open_question = self._question(asking) if question else ""
        proposal = self._proposals().get(asking.key) if asking and question else None
        value, quotes = self._proposed(asking, proposal) if asking and proposal else ("", ())
        pieces = [open_question]
        if asking and question:
            pieces += [self._listed(asking), self._proposal_text(value, quotes)]
        told = "\n".join(piece for piece in pieces if piece)
        return Turn(
            strategy_id=self._id,
            text="\n\n".join(part for part in (lead, told) if part),
            asking=asking.key if asking else "",
            answered=len(answers),
            total=len(form().fields),
            done=asking is None,
            lead=lead,
            question=open_question,
            choices=tuple(self._in(name) for name in asking.options.values()) if asking else (),
            proposal=value,
            quotes=quotes,
        )

    def _question(self, asking: Field | None) -> str:
        if asking is None:
            return self._say("done")
        keys = [field.key for field in form().fields]
        position = self._say(
            "position",
            number=keys.index(asking.key) + 1,
            total=len(keys),
            part=self._in(form().parts[asking.part]),
        )
        return position + self._in(asking.question)

    def _listed(self, asking: Field) -> str:
        """Return the options of a field by number, nothing for a field without."""
        if not asking.options:
            return ""
        several = self._say("several") if asking.kind == "many" else ""
        named = [f"{n} {self._in(name)}" for n, name in enumerate(asking.options.values(), 1)]
        separator = "，" if self._language == "zh" else ", "
        return self._say("options", options=separator.join(named)) + several

    def _proposed(self, asking: Field, proposal: Proposal) -> tuple[str, tuple[Quoted, ...]]:
        """Return what the papers say of a field, with their words, and one contradiction."""
        quotes = [Quoted(self._quoted(s)) for s in proposal.reading.sources[:_QUOTED]]
        for other in proposal.others[:1]:
            against = show(asking, _given(other), self._language)
            quotes.append(Quoted(self._quoted(other.sources[0]), against))
        return show(asking, _given(proposal.reading), self._language), tuple(quotes)

    def _proposal_text(self, value: str, quotes: tuple[Quoted, ...]) -> str:
        lines = []
        for quote in quotes:
            if quote.against:
                lines.append(self._say("conflict", value=quote.against))
            lines.append(self._say("quote", quoted=quote.text))
        return self._say("proposal", value=value, quotes="\n".join(lines)) if value else ""

    def _quoted(self, source: Source) -> str:
        place = self._in(source.place)
        return self._say(
            "quoted",
            title=self._in(source.title),
            place=f" · {place}" if place else "",
            quote=self._in(source.quote),
        )

    def _say(self, key: str, **values: object) -> str:
        return self._in(words("interview", key)).format(**values)

    def _in(self, text: Words) -> str:
        return text.in_(self._language)


_EXPECTED = {
    "number": "number",
    "gpus": "gpus",
    "choice": "option",
    "many": "option",
    "text": "text",
}
_COMMANDS = {
    "why": Interview._why,
    "status": Interview._status,
    "back": Interview._back,
    "accept_all": Interview._accept_all,
    "stop": Interview._stop,
    "finish": Interview._finish,
}


def _given(reading: Reading) -> Given:
    return Given(reading.value, reading.sources)


def _settled(asked: Field, value: Value, said: str) -> Given:
    """Return what somebody said as an answer; options are quoted by name, however they said it."""
    if not asked.options or value is None:
        return Given(value, (answered(asked.key, same(said)),))
    named = Given(value, ())
    quote = Words(show(asked, named, "zh"), show(asked, named, "en"))
    return Given(value, (answered(asked.key, quote),))


def _command(said: str) -> tuple[str, str]:
    """Return the command that somebody's words begin with, and the rest of them."""
    low = said.casefold().rstrip("。.!！?？ ")
    for command, forms in load_data("interview")["commands"].items():
        for each in forms:
            if low == each:
                return command, ""
            begins = f"{each} " if each.isascii() else each
            if command == "change" and low.startswith(begins):
                return command, said[len(begins) :].strip()
    return "", said


def _named(name: str) -> Field | None:
    """Return the field that somebody's words name: by key or name, else by part of either."""
    low = name.casefold().strip()
    exact = [f for f in form().fields if low.replace(" ", "_") == f.key or low in _names(f)]
    parts = [f for f in form().fields if low and any(low in each for each in _names(f))]
    asked = [f for f in form().fields if low and low in (f.question.zh + f.question.en).casefold()]
    return next(iter([*exact, *parts, *asked]), None)


def _names(field: Field) -> tuple[str, str]:
    return field.name.zh.casefold(), field.name.en.casefold()
