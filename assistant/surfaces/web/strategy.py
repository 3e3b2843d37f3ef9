"""The strategy view: one's strategies, the interview as a conversation, and the brief.

It shows; what is said and what is deleted, the browser sends to the server's API. What the
interview said before its open question is nowhere kept: the browser hands it on to be shown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import gradio as gr

from assistant.errors import AssistantError, NotFoundError
from assistant.strategy.desk import LONGEST_NAME, Strategies
from assistant.strategy.profile import form
from assistant.strategy.store import Strategy
from assistant.surfaces.http.service import Service
from assistant.surfaces.web.desk import View, admitted, chosen, desk, on, region, sent
from assistant.surfaces.web.frame import tell, view
from assistant.surfaces.web.strategy_talk import choices, known
from assistant.surfaces.web.wording import Texts
from assistant.types import Language

LONGEST_SAID = 20_000
_WORDS = (
    "lost",
    "making",
    "made",
    "you",
    "failed_403",
    "failed_404",
    "failed_422",
    "failed_500",
    "failed_502",
    "failed_504",
    "failed_507",
)


@dataclass(frozen=True)
class Row:
    """A strategy as the list shows it; ``answered`` of the form's fields are settled."""

    id: str
    company: str
    language: Language
    updated_at: datetime
    answered: int


def build(service: Service, texts: Texts) -> gr.Blocks:
    """Return the strategy view in one language."""
    shown = StrategyView(service, texts)
    with view(service, texts, "strategy") as blocks, gr.Column(elem_id="view"):
        board = desk(shown.head(), "assistantStrategy")
        notice = region("notice")
        listed = region("strategies", shown.parts.loading())
        with gr.Row(elem_id="interview"):
            with gr.Column(elem_id="talking"):
                top = region("top")
                region("past", shown.parts.past())
                turn, box = region("turn"), region("box")
            with gr.Column(elem_id="found"):
                result, table = region("result"), region("known")
        on("strategy", board.show, shown.show, [listed, box, top, turn, result, table])
        on("strategy", board.open, shown.open, [top, turn, result, table])
        on("strategy", board.failed, shown.failed, notice)
    return blocks


class StrategyView(View):
    """The handlers of one language's view."""

    def __init__(self, service: Service, texts: Texts) -> None:
        super().__init__(service, texts, "strategy", "ask", total=len(form().fields))

    def head(self) -> str:
        """Return what never changes: the heading, the dialogs, the script's words."""
        words = {name: self._texts(f"strategy.{name}") for name in _WORDS}
        return str(self.parts.desk(json.dumps(words, ensure_ascii=False)))

    def show(self, event: gr.EventData, request: gr.Request) -> Any:
        """Return the list, or the strategy that is open in the browser with all its parts."""
        try:
            identity = admitted(self._service, request, "ask")
            strategies = self._service.assistant.strategies(identity.principal)
            if not chosen(event, "id"):
                rows = [_row(strategies, each) for each in strategies.all()]
                return str(self.parts.listing(rows, LONGEST_NAME)), "", "", "", "", ""
            parts = self._parts(strategies, event)
        except NotFoundError:  # deleted meanwhile, or somebody else's
            return str(self.parts.missing()), "", "", "", "", ""
        except AssistantError as error:
            tell(error, self._texts)
        return "", str(self.parts.box()), *parts

    def open(self, event: gr.EventData, request: gr.Request) -> Any:
        """Return the parts that an answer changes, after the API has taken it.

        It was counted there.
        """
        try:
            identity = admitted(self._service, request, "ask", counted=False)
            strategies = self._service.assistant.strategies(identity.principal)
            return self._parts(strategies, event)
        except AssistantError as error:
            tell(error, self._texts)

    def _parts(self, strategies: Strategies, event: gr.EventData) -> tuple[str, str, str, str]:
        """Return how far a strategy is, its open question, its brief, and what is known."""
        strategy = strategies.get(chosen(event, "id"))
        turn = strategies.ask(strategy.id)
        lead = sent(event, "said")[:LONGEST_SAID]
        field = form().field(turn.asking) if turn.asking else None
        buttons = choices(field, self._texts.language) if field else ()
        several = field is not None and field.kind == "many"
        table = known(strategies.profile(strategy.id), self._texts.language)
        open_ones = turn.total - turn.answered
        return (
            str(self.parts.top(strategy, turn)),
            str(self.parts.turn(strategy, turn, lead, several, buttons, chosen(event, "n"))),
            str(self.parts.result(strategy.id, open_ones)),
            str(self.parts.known(table)),
        )


def _row(strategies: Strategies, each: Strategy) -> Row:
    answered = len(strategies.profile(each.id).answers)
    return Row(each.id, each.company, each.language, each.updated_at, answered)
