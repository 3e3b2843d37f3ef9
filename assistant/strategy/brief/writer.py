"""What every chapter of a brief writes with: the texts of its language, and the source marks."""

from __future__ import annotations

from collections.abc import Iterable

from assistant.strategy.marks import Marks
from assistant.strategy.shown import shown
from assistant.strategy.texts import words
from assistant.strategy.types import Figure, Paragraph, Source, Statement, Words
from assistant.types import Language

_ENDS = "。.！!？?：:；;"


class Writer:
    """Writes in one language, and numbers the sources as it cites them."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.marks = Marks(language)

    def text(self, key: str, **values: object) -> str:
        """Return a text of ``data/brief.yaml``; words and figures are put in as they are read."""
        return words("brief", key).in_(self.language).format(
            **{name: self._put(value) for name, value in values.items()}
        )  # fmt: skip

    def say(self, text: Words) -> str:
        """Return words in the brief's language."""
        return text.in_(self.language)

    def show(self, figure: Figure, *, likely_only: bool = False) -> str:
        """Return a figure as it is read."""
        return shown(figure, self.language, likely_only=likely_only)

    def cited(self, text: str, sources: Iterable[Source], most: int = 4) -> str:
        """Return a text with the marks of its sources, before its full stop."""
        marks = self.marks.cite(sources, most)
        if text and text[-1] in _ENDS:
            return f"{text[:-1]}{marks}{text[-1]}"
        return f"{text}{marks}"

    def stated(self, statement: Statement, most: int = 4) -> str:
        """Return a statement with its marks."""
        return self.cited(self.say(statement.text), statement.sources, most)

    def paragraph(self, key: str, sources: Iterable[Source] = (), **values: object) -> Paragraph:
        """Return a text of ``data/brief.yaml`` as a paragraph; one that cites nothing is a note."""
        cited = tuple(sources)
        text = self.cited(self.text(key, **values), cited)
        return Paragraph(text, "body" if cited else "note")

    def columns(self, *keys: str) -> tuple[str, ...]:
        """Return the names of a table's columns."""
        return tuple(self.text(key) for key in keys)

    def listed(self, texts: Iterable[str]) -> str:
        """Return texts as an enumeration within a sentence."""
        return ("、" if self.language == "zh" else ", ").join(texts)

    def joined(self, texts: Iterable[str]) -> str:
        """Return clauses joined to one sentence."""
        return ("；" if self.language == "zh" else "; ").join(
            text.rstrip("。.；;") for text in texts if text
        )

    def _put(self, value: object) -> object:
        if isinstance(value, Words):
            return self.say(value)
        return self.show(value) if isinstance(value, Figure) else value
