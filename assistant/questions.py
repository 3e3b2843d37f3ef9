"""What a question must be before it is searched, and what is no question at all."""

from __future__ import annotations

from assistant.errors import QuestionError
from assistant.ingest.clean import clean_text
from assistant.prompts import reply
from assistant.types import Language

_GREETINGS = {
    "greeting": ("你好", "您好", "嗨", "在吗", "hi", "hello", "hey", "help", "帮助"),
    "thanks": ("谢谢", "谢谢你", "多谢", "感谢", "thanks", "thank you", "thx"),
}


def validated(question: str, limit: int) -> str:
    """Return a question fit to be searched, cleaned of control characters.

    Raises:
        QuestionError: it is longer than ``limit`` characters, or holds no word.
    """
    if len(question) > limit:
        raise QuestionError(
            f"The question has {len(question):,} characters, more than {limit:,}. Shorten it, "
            "or ingest the long text as a document and ask about it."
        )
    cleaned = clean_text(question)
    if not any(character.isalnum() for character in cleaned):
        raise QuestionError("The question is empty. Write it in words.")
    return cleaned


def courtesy(question: str, language: Language) -> str:
    """Return the reply to a greeting or thanks, ``""`` for a question."""
    words = question.strip("！!。.~～ ？?").lower()
    for name, phrases in _GREETINGS.items():
        if words in phrases:
            return reply(name, language)
    return ""
