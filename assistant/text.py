"""What the stages need to know about Chinese and English text: language, sentences, lexical terms.

It holds rules of writing, not of retrieval: weights, limits and indexes live elsewhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from assistant.types import Language

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"
_CJK_CHARACTER = re.compile(f"[{_CJK}]")
_LATIN_WORD = re.compile(r"[^\W\d_]+(?:['.][^\W\d_]+)*")
_TERM = re.compile(
    rf"(?P<cjk>[{_CJK}]+)|(?P<word>(?:(?![{_CJK}])\w)+(?:[.\-](?:(?![{_CJK}])\w)+)*)"
)
_WORD_PART = re.compile(r"[.\-]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*[百千万亿%]*|[零〇一二两三四五六七八九十百千万亿]{2,}")
# A year, a quantity, the number of a version or the code of a product: 2026, 7B, CP-2150, 3.5.
_FIGURE = re.compile(r"(?:[A-Za-z]+-)*[A-Za-z]*\d+(?:\.\d+)?(?:-?[A-Za-z0-9]+)*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_BRACKETED_NUMBER = re.compile(r"[\[【](\d+(?:\s*[,，]\s*\d+)*)[\]】]")

_ADDRESSES_THE_MODEL = re.compile(
    r"(?:忽略|无视|忘记|不要理会).{0,12}(?:指令|指示|提示|规则|要求|内容)"
    r"|(?:ignore|disregard|forget|override).{0,40}(?:instruction|prompt|rule|context|above|guidance)"
    r"|system prompt|系统提示词|you are now|你现在是|你必须回答|as an ai\b"
    r"|(?:respond|reply|answer) (?:only )?with|只(?:需|能)?回(?:答|复)[：:“\"]"
    # The marks with which chat formats separate their speakers.
    r"|<\|\w+\|>|\[/?INST\]|<</?SYS>>|【系统消息",
    re.IGNORECASE | re.DOTALL,
)
_ASKING = re.compile(
    r"请问|我们|咱们|你们|公司的?|是不是|有没有|有哪些|有哪|哪些|哪个|哪种|哪一|哪天|什么时候|什么样|什么|多少|多久|多长|多大"
    r"|为什么|为何|怎么样|怎么|怎样|如何|能否|是否|可以|应该|需要|分别|[吗呢的了是在有和与几]"
    r"|\b(?:what|which|who|whom|whose|when|where|why|how|many|much|often|long|is|are|was|were|be|been"
    r"|do|does|did|can|could|should|would|will|may|must|has|have|had|we|our|us|i|my|you|your|it|its"
    r"|the|a|an|of|in|on|at|to|for|from|by|with|and|or|as|that|this|there|about|please)\b"
)
_CLOSERS = r"”’\"'」』）)】\]》"
_SENTENCE_END = re.compile(rf"[。！？!?…]+[{_CLOSERS}]*|\n+|\.[{_CLOSERS}]*(?=\s)")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|e\.g|i\.e|etc|vs|cf|al|No|Nos|Fig|Eq|Dr|Mr|Mrs|Ms|Prof|Inc|Ltd|Co|Corp"
    r"|St|approx|resp|Vol|Sec|Ch|pp|\d{1,2})$"
)


def detect_language(text: str) -> Language:
    """Return ``zh`` when Chinese carries the text, ``en`` otherwise.

    Two Chinese characters weigh as much as one Latin word, so a Chinese question
    about "GPU" stays Chinese.
    """
    characters = len(_CJK_CHARACTER.findall(text))
    words = len(_LATIN_WORD.findall(_CJK_CHARACTER.sub(" ", text)))
    return "zh" if characters and characters / 2 >= words else "en"


def is_cjk(character: str) -> bool:
    """Tell whether one character is Chinese, Japanese or Korean script."""
    return bool(_CJK_CHARACTER.match(character))


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return ``(start, end)`` of each sentence; the spans tile ``text`` without a gap.

    White space after a sentence belongs to it. A full stop inside a number, an
    abbreviation or an enumeration ("3.") ends nothing.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if match.group().startswith(".") and not _ends_sentence(text, start, match):
            continue
        end = match.end()
        while end < len(text) and text[end].isspace():
            end += 1
        if end > start and text[start:end].strip():
            spans.append((start, end))
            start = end
    if start < len(text):
        if text[start:].strip() or not spans:
            spans.append((start, len(text)))
        else:
            spans[-1] = (spans[-1][0], len(text))
    return spans


def sentences(text: str) -> list[str]:
    """Return the sentences of ``text``, stripped, none of them empty."""
    return [s for start, end in sentence_spans(text) if (s := text[start:end].strip())]


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    if _ABBREVIATION.search(text[start : match.start()]):
        return False
    following = text[match.end() :].lstrip()[:1]
    return not following.islower()


def fold(text: str) -> str:
    """Return ``text`` as the lexical leg compares it: NFKC, simplified script, lower case."""
    return _to_simplified()(unicodedata.normalize("NFKC", text)).casefold()


def terms(text: str) -> list[str]:
    """Return the lexical terms of ``text``, repeated as they occur.

    Runs of Chinese become overlapping pairs of characters (a lone character stays
    itself); everything else becomes stemmed words. A compound such as ``cp-2150b``
    or ``3.5`` yields itself and its parts.
    """
    found: list[str] = []
    for match in _TERM.finditer(fold(text)):
        run = match.group("cjk")
        if run:
            found.extend(run[i : i + 2] for i in range(len(run) - 1)) if len(run) > 1 else (
                found.append(run)
            )
            continue
        word = match.group("word").strip("_")
        parts = _WORD_PART.split(word)
        if len(parts) > 1:
            found.append(word)
        found.extend(_stem(part) for part in parts if part)
    return found


def content_terms(question: str) -> list[str]:
    """Return the terms of what a question is about, without the words that only ask.

    "我们有哪些GPU？" is about ``gpu``. A question of asking words alone keeps them all.
    """
    return terms(_ASKING.sub(" ", fold(question))) or terms(question)


def numbers(text: str) -> set[str]:
    """Return the numbers of ``text`` with their magnitude, without thousands separators.

    Chinese numerals of two or more characters count: 十五 is not 二十五, 3万 not 3亿.
    """
    found = _NUMBER.findall(unicodedata.normalize("NFKC", text))
    return {re.sub(r",(?=\d{3})", "", match) for match in found}


def figures(text: str) -> set[str]:
    """Return the figures of ``text``, folded: years, quantities, codes (``2026``, ``cp-2150``).

    Thousands are written without separators, "2025-2026" is two years, "400-person" is 400.
    """
    found: set[str] = set()
    for figure in _FIGURE.findall(_THOUSANDS.sub("", fold(text))):
        first, _, rest = figure.partition("-")
        found |= {first, *rest.split("-")} if first.isdigit() and rest else {figure}
    return {figure for figure in found if any(map(str.isdigit, figure))}


def unmarked(text: str) -> str:
    """Return ``text`` with round brackets where ``[1]`` would read as a citation."""
    return _BRACKETED_NUMBER.sub(r"(\1)", text)


def addresses_model(sentence: str) -> bool:
    """Tell whether a sentence plainly commands a model: such text is never an answer.

    These are patterns alone; `steering` knows more ways to say it.
    """
    return bool(_ADDRESSES_THE_MODEL.search(sentence))


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    return _stemmer()(word)


@lru_cache(maxsize=1)
def _stemmer() -> Callable[[str], str]:
    import snowballstemmer

    stem: Callable[[str], str] = snowballstemmer.stemmer("english").stemWord
    return stem


@lru_cache(maxsize=1)
def _to_simplified() -> Callable[[str], str]:
    from opencc import OpenCC

    convert: Callable[[str], str] = OpenCC("t2s").convert
    return convert
