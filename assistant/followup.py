"""Tell a follow-up question from a complete one, and complete it without asking a model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from assistant.text import detect_language
from assistant.types import Message

# Words that point back into the conversation, and openings that leave the subject out.
_POINTS_BACK = re.compile(
    r"(?<!其)它|他们|她|这个|那个|这些|那些|这种|那种|其中|上面|上述|刚才|前者|后者|前面|同样|继续|展开|详细说"
    r"|\b(?:it|its|they|them|their|this|these|those|he|she|his|her|former|latter|above)\b",
    re.IGNORECASE,
)
_ELLIPSIS = re.compile(
    r"^(?:那|那么|还有|另外|以及|为什么|怎么做|好的|是的|对|嗯)|呢[？?]?$"
    r"|^(?:and|but|so|then|what about|how about|why|why not|more|go on|yes|ok|okay)\b",
    re.IGNORECASE,
)
_SHORT = {"zh": 5, "en": 10}
_LONG = 80


def needs_context(question: str) -> bool:
    """Tell whether a question cannot be understood without the conversation before it."""
    if len(question) > _LONG:
        return False
    if _ELLIPSIS.search(question) or len(question) <= _SHORT[detect_language(question)]:
        return True
    return bool(_POINTS_BACK.search(question))


def complete(question: str, history: Sequence[Message], limit: int) -> str:
    """Return the question with the user's last complete question before it, if it needs one.

    Of a long question before it, the beginning is taken that leaves ``limit`` characters.
    """
    asked = [message.text for message in history if message.role == "user"]
    if not asked or not needs_context(question):
        return question
    standing = next((q for q in reversed(asked) if not needs_context(q)), asked[0])
    return f"{standing[: max(0, limit - len(question) - 1)]} {question}".strip()
