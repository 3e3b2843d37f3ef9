"""The public sets' own measures of an answer, as their authors publish them.

Pure functions of texts, each from 0 to 1. What an answer says comes without citation
marks, and empty when it was refused. Our own measures stand in `evals.match`.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from evals.match import common_subsequence
from evals.public import Parts

# The characters that cmrc2018_evaluate.py drops, and no other: it misses ‘ and a single ….
_CMRC_DROPPED = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_CMRC_WORD = r"[^\W\u4e00-\u9fa5]+"
_CMRC_TOKEN = re.compile(rf"[\u4e00-\u9fa5]|{_CMRC_WORD}(?:[.,]{_CMRC_WORD})*|[^\w\s]")
_ROUGE_TOKEN = re.compile(r"[a-z0-9]+")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def cmrc_exact(text: str, references: Sequence[str]) -> float:
    """Return CMRC 2018's exact match, also used for DRCD: equal but for case and punctuation.

    Source: cmrc2018_evaluate.py, https://github.com/ymcui/cmrc2018.
    """
    return float(any(_cmrc_plain(text) == _cmrc_plain(each) for each in references))


def cmrc_f1(text: str, references: Sequence[str]) -> float:
    """Return CMRC 2018's F1 over characters: that of the longest common *substring*.

    Latin words count as one; the script leaves them to NLTK's tokenizer, this to a
    pattern. The best reference counts. Source: as for `cmrc_exact`.
    """
    ours = _CMRC_TOKEN.findall(_cmrc_plain(text))
    return max(_substring_f1(ours, _CMRC_TOKEN.findall(_cmrc_plain(r))) for r in references)


def squad_exact(text: str, references: Sequence[str]) -> float:
    """Return SQuAD's exact match: equal but for case, punctuation, articles and spaces.

    Source: evaluate-v1.1.py, https://rajpurkar.github.io/SQuAD-explorer/.
    """
    return float(any(_squad_tokens(text) == _squad_tokens(each) for each in references))


def squad_f1(text: str, references: Sequence[str]) -> float:
    """Return SQuAD's F1 over words, with the best reference. Source: as for `squad_exact`."""
    ours = Counter(_squad_tokens(text))
    theirs = [Counter(_squad_tokens(each)) for each in references]
    return max(_f1((ours & each).total(), ours.total(), each.total()) for each in theirs)


def rouge_l(text: str, references: Sequence[str]) -> tuple[float, float]:
    """Return F1 and recall of ROUGE-L, each with its best reference, as CLAP-NQ reports them.

    Tokens are those of the package rouge-score without its stemmer: runs of a-z and 0-9.
    Source: C.-Y. Lin, "ROUGE", 2004; S. Rosenthal et al., "CLAPnq", 2024, section 4.
    """
    ours = _ROUGE_TOKEN.findall(text.lower())
    found = []
    for reference in references:
        theirs = _ROUGE_TOKEN.findall(reference.lower())
        shared = common_subsequence(ours, theirs)
        found.append((_f1(shared, len(ours), len(theirs)), shared / len(theirs) if theirs else 0.0))
    return max(f1 for f1, _ in found), max(recall for _, recall in found)


def rgb_correct(text: str, parts: Parts, *, chinese: bool) -> float:
    """Return RGB's accuracy: every part of the answer is contained in one of its spellings.

    Case does not count, nor do spaces in a Chinese answer. Source: ``checkanswer`` in
    evalue.py, https://github.com/chen700564/RGB.
    """
    said = (text.replace(" ", "") if chinese else text).lower()
    return float(all(any(each.lower() in said for each in part) for part in parts))


# -- inside --------------------------------------------------------------------------------------


def _cmrc_plain(text: str) -> str:
    return "".join(c for c in text.lower().strip() if c not in _CMRC_DROPPED)


def _squad_tokens(text: str) -> list[str]:
    return _ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def _substring_f1(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """Return the F1 of the longest run of tokens that both have."""
    longest = 0
    row = [0] * (len(theirs) + 1)
    for token in ours:
        row = [0] + [row[i] + 1 if token == other else 0 for i, other in enumerate(theirs)]
        longest = max(longest, *row)
    return _f1(longest, len(ours), len(theirs))


def _f1(shared: int, ours: int, theirs: int) -> float:
    return 2 * shared / (ours + theirs) if shared else 0.0
