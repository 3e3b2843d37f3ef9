"""Whether a text holds a fact, and how near two texts are, in Chinese and English.

Facts are compared by their spelling, not their meaning. It knows no cases and no answers.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from assistant.text import fold, is_cjk

_LATIN = "a-z\u00df-\u024f"
_WORD = re.compile(f"[0-9{_LATIN}]")
_LETTER = re.compile(f"[{_LATIN}]")
_LATEX_COMMAND = re.compile(r"\\[A-Za-z]+")
# "complaint" counts in "complaints", "export" in "exported": the same word, not a longer one.
_INFLECTION = "(?:e?s|e?d|ing)?"
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")


def holds(text: str, spelling: str) -> bool:
    """Tell whether ``text`` holds ``spelling``; width, case, spaces and Markdown do not count.

    A spelling that begins or ends with a digit or a Latin letter does not match inside a
    longer number or word: "25" is in neither "1250" nor "3.25", "CP-2150" not in
    "CP-2150B". A number may be followed by its unit ("80" is in "80GB"), a word by its ending.
    """
    return bool(_pattern(spelling).search(_plain(text)))


def holds_any(text: str, spellings: Iterable[str]) -> bool:
    """Tell whether ``text`` holds one of the spellings."""
    return any(holds(text, spelling) for spelling in spellings)


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    """Return ``text`` after NFKC, in lower case, without ``**``, backticks and LaTeX commands."""
    apart = text.replace("，", "， ")  # NFKC would make of "10，200" a number with a separator
    bare = _LATEX_COMMAND.sub(" ", apart.replace("**", "").replace("`", ""))
    return unicodedata.normalize("NFKC", bare).casefold()


@lru_cache(maxsize=4096)
def _pattern(spelling: str) -> re.Pattern[str]:
    """Return the expression for a spelling: spaces anywhere except inside a word or number."""
    words = _plain(spelling).split()
    if not words:
        raise ValueError("an empty spelling is in every text")
    body = r"\s*".join(_spaced(word) for word in words)
    return re.compile(_before(words[0]) + body + _after(words))


def _spaced(word: str) -> str:
    parts = [re.escape(word[0])]
    for previous, character in pairwise(word):
        digits = previous.isdigit() and character.isdigit()
        letters = _LETTER.match(previous) and _LETTER.match(character)
        parts.append(("" if digits or letters else r"\s*") + re.escape(character))
    return "".join(parts)


def _before(word: str) -> str:
    """Return what may not stand before a spelling."""
    if not _WORD.match(word):
        return ""
    guard = f"(?<![0-9{_LATIN}])"
    if word[0].isdigit():
        guard += r"(?<!\d\.)"
    if re.match(r"\d{3}(?!\d)", word):  # the last digits of "1,250"
        guard += r"(?<!\d,)"
    return guard


def _after(words: Sequence[str]) -> str:
    """Return what may not follow a spelling."""
    last = words[-1][-1]
    if last.isdigit():
        named = any(_LETTER.search(word) for word in words)  # CP-2150, GPT-4: not a mere number
        guard = f"(?![0-9{_LATIN}])" if named else r"(?!\d)"
        return guard + r"(?!\.\d)(?!,\d{3}(?!\d))"
    if _LETTER.match(last):
        return _INFLECTION + f"(?![0-9{_LATIN}])"
    return ""


# -- nearness ------------------------------------------------------------------------------------


def tokens(text: str) -> list[str]:
    """Return single Chinese characters, whole numbers and words, folded as the index folds them.

    The index's own terms are pairs of characters, which would count each one twice.
    """
    apart = "".join(f" {c} " if is_cjk(c) else c for c in fold(text))
    return _TOKEN.findall(apart)


def token_f1(text: str, reference: str) -> float:
    """Return the F1 of shared tokens, each counted as often as it occurs (SQuAD's measure)."""
    ours, theirs = Counter(tokens(text)), Counter(tokens(reference))
    return _f1((ours & theirs).total(), ours.total(), theirs.total())


def rouge_l(text: str, reference: str) -> float:
    """Return ROUGE-L with beta 1: the F1 of the longest common subsequence of tokens.

    Source: C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004,
    section 3. The package rouge-score knows no Chinese and was last released in 2022.
    """
    ours, theirs = tokens(text), tokens(reference)
    return _f1(common_subsequence(ours, theirs), len(ours), len(theirs))


def common_subsequence(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Return the length of the longest common subsequence of two lists of tokens."""
    row = [0] * (len(theirs) + 1)
    for token in ours:
        diagonal = 0
        for column, other in enumerate(theirs, 1):
            above = row[column]
            row[column] = diagonal + 1 if token == other else max(above, row[column - 1])
            diagonal = above
    return row[-1]


def _f1(shared: int, ours: int, theirs: int) -> float:
    return 2 * shared / (ours + theirs) if shared else 0.0
