"""How an engine is asked, and how what it writes is understood: an `Ask` for one question.

The passages are fitted into the engine's window and shown as its prompt wants them. It calls
no engine and checks nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from assistant.engines.base import (
    Evidence,
    Passage,
    attach_evidence,
    context_tokens,
    count_tokens,
    prompt_name,
)
from assistant.prompts import Prompt, declines, fit, load_prompt, number_passages, topic_hint
from assistant.settings import Settings
from assistant.spans import answering, excerpted
from assistant.types import Hit, Language
from assistant.writer import resolved

_MARGIN = 256  # tokens of the window that estimates may be wrong by


class Ask:
    """A question as one engine is asked it.

    ``passages`` are the hits that may be cited, in the order of their marks: those that fit into
    its window; none where the question alone fills it. A writer that only ``points`` is shown
    the first of them, and tells whether they hold an answer.

    Args:
        engine: is asked.
        question: complete in itself.
        hits: best first.
        language: of the answer.
        topic: the question's, for a hint on what to heed; ``""`` for none.
        settings: of lengths.
    """

    def __init__(
        self,
        engine: BaseChatModel,
        question: str,
        hits: Sequence[Hit],
        language: Language,
        topic: str,
        settings: Settings,
    ) -> None:
        self._prompt = load_prompt(prompt_name(engine))
        self._question = question
        self._language = language
        self._topic = topic
        self.stop = list(self._prompt.stop) or None
        self.points = self._prompt.marks == "sentences"
        whole, self._shown = self._fitting(engine, hits, settings)
        self.passages = whole
        if self.points and whole:
            self.passages = [*whole, *(h for h in hits[: settings.max_passages] if h not in whole)]

    @property
    def evidence(self) -> Evidence:
        """The question and its passages, for an engine that quotes."""
        return Evidence(
            self._question,
            tuple(
                Passage(marker, hit.document.title, hit.chunk.heading, hit.chunk.text, hit.reading)
                for marker, hit in enumerate(self.passages, 1)
            ),
        )

    def messages(self) -> list[BaseMessage]:
        """Return the prompt, with question and passages beside its text for engines that quote."""
        shown = "\n\n".join(number_passages(self._shown, self._prompt.marks))
        hint = topic_hint(self._topic, self._language)
        values = _filled(self._prompt, shown, self._question, hint)
        return attach_evidence(self._prompt.messages(self._language, **values), self.evidence)

    def understood(self, pieces: Iterator[str]) -> Iterator[str]:
        """Yield what was written; of a writer that only points, nothing but a refusal."""
        if not self.points:
            yield from pieces
            return
        shown = number_passages(self._shown, self._prompt.marks)
        pointed = resolved("".join(pieces), shown, self._language)
        if declines(pointed):
            yield pointed

    def _fitting(
        self, engine: BaseChatModel, hits: Sequence[Hit], settings: Settings
    ) -> tuple[list[Hit], list[Hit]]:
        """Return the hits to show, whole, and as they are shown."""
        prompt = self._prompt
        fixed = sum(
            count_tokens(engine, str(message.content))
            for message in prompt.messages("zh", **_filled(prompt, "", self._question, ""))
        )
        budget = context_tokens(engine) - settings.max_answer_tokens - fixed - _MARGIN
        most = min(prompt.most_passages or settings.max_passages, settings.max_passages)
        whole = list(hits[:most])
        if prompt.excerpts:
            whole = answering(whole) or whole
        cut = [excerpted(hit) for hit in whole] if prompt.excerpts else whole
        shown = fit(cut, budget, lambda text: count_tokens(engine, text), prompt.marks)
        return whole[: len(shown)], shown


def _filled(prompt: Prompt, passages: str, question: str, hint: str) -> dict[str, str]:
    """Return the variables of a prompt that it names."""
    values = {"passages": passages, "question": question, "hint": hint}
    return {name: values[name] for name in prompt.variables}
