"""The same question in other words, by rules: as people type it, not as an examiner writes it.

Rules keep the meaning for certain, which a small model's rewriting does not. It changes
question words, politeness and punctuation, and never a name, a number or a term.
"""

from __future__ import annotations

import random
import re

from assistant.text import detect_language

_CHINESE = (
    (r"(?<!任)什么时候", "何时"),
    (r"(?<![任为])何时", "什么时候"),
    (r"(?<!不)怎么(?!样)(?=[\u4e00-\u9fff])", "如何"),
    (r"(?<![论不])如何", "怎么"),
    (r"为什么", "为何"),
    (r"为何(?![种物人时])", "为什么"),
    (r"哪里|哪儿", "什么地方"),
    (r"是否(?=[\u4e00-\u9fff])", "是不是"),
    (r"有哪些", "有什么"),
    (r"哪几个", "哪些"),
    (r"多长时间", "多久"),
    (r"多久", "多长时间"),
    (r"应当|应该", "要"),
    (r"需要多少", "要多少"),
)
_ENGLISH = (
    (r"^What is\b", "What's"),
    (r"^What's\b", "What is"),
    (r"^Who is\b", "Who's"),
    (r"\bdo not\b", "don't"),
    (r"\bdoes not\b", "doesn't"),
    (r"\bneed to\b", "have to"),
    (r"\bhave to\b", "need to"),
)
_OPENINGS = {
    "zh": ("请问，", "请问", "想了解一下，", "麻烦问下，", "帮我查一下，"),
    "en": ("Please tell me: ", "Quick question: ", "I would like to know: ", "Hi, "),
}
_ASKING = {"what", "who", "when", "where", "which", "why", "how"}
_END = re.compile(r"[？?。.\s]+$")


def paraphrased(question: str, rng: random.Random) -> str:
    """Return a question in other words: another question word, an opening, less punctuation.

    It may come back unchanged where no rule applies.
    """
    language = detect_language(question)
    rules = _CHINESE if language == "zh" else _ENGLISH
    usable = [(pattern, words) for pattern, words in rules if re.search(pattern, question)]
    if usable:
        pattern, words = rng.choice(usable)
        question = re.sub(pattern, words, question, count=1)
    style = rng.random()
    if style < 0.35:
        return _END.sub("", question) + ("" if language == "zh" else rng.choice(("", "?")))
    if style < 0.6:
        opening = rng.choice(_OPENINGS[language])
        return opening + (question if language == "zh" else _lowered(question))
    return question


def _lowered(question: str) -> str:
    """Return a question with a small first letter, unless it begins with a name."""
    first = question.split(" ", 1)[0]
    asks = first.lower().removesuffix("'s") in _ASKING
    return question[0].lower() + question[1:] if asks else question
