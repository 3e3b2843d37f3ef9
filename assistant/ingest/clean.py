"""Text as it is shown and cited: one Unicode form, no invisible characters, no boilerplate.

It also fingerprints texts so that near duplicates are found. What is a duplicate,
and what to do about it, others decide.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from assistant.ingest.parsed import Block
from assistant.text import terms

if TYPE_CHECKING:
    import numpy as np

PERMUTATIONS = 64
SHINGLE = 3  # terms
RUNNING_SHARE = 0.6  # of the pages that show a line at their top or bottom
_EDGE = 2  # blocks at the top and at the bottom of a page that may be running lines
_MIN_PAGES = 3
_BOILERPLATE = 30  # characters: a shorter text may be said twice on purpose ("Yes.")

_LINE_END = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
# Controls; soft hyphens and zero-width, direction and variation marks; tags; private use;
# halves of surrogate pairs; non-characters and the mark of a failed decoding.
_JUNK = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff"
    "\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n{3,}")
_DIGITS = re.compile(r"\d+")


def clean_text(text: str) -> str:
    """Return text in NFC, without invisible characters, its spaces collapsed and trimmed.

    Full-width letters and punctuation stay: this text is shown. The indentation of
    lines after the first stays, for lists and code.
    """
    text = _JUNK.sub("", _LINE_END.sub("\n", text))
    text = unicodedata.normalize("NFC", text)
    lines = []
    for line in text.split("\n"):
        body = line.lstrip()
        indent = line[: len(line) - len(body)].expandtabs(4)
        indent = "" if indent.strip(" ") else indent  # full-width indents a paragraph, no list
        lines.append((indent + _SPACES.sub(" ", body)).rstrip())
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def clean_blocks(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks with clean texts and headings, boilerplate left out.

    Boilerplate is what stands at the top or bottom of most pages (digits aside), what
    is printed on most pages or slides word for word, and a text repeated at once or
    under its own heading. Rows of tables are never left out.
    """
    cleaned = [
        Block(
            text=text,
            heading=tuple(filter(None, (clean_text(part) for part in block.heading))),
            page=block.page,
            page_unit=block.page_unit,
        )
        for block in blocks
        if (text := clean_text(block.text))
    ]
    boilerplate = _running_lines(cleaned) | _printed_everywhere(cleaned)
    kept = [block for index, block in enumerate(cleaned) if index not in boilerplate]
    return tuple(_without_repeats(kept))


def signature(text: str) -> np.ndarray:
    """Return the MinHash of a text's shingles of three terms: ``(64,)``, uint64."""
    import numpy as np
    from datasketch import MinHash

    words = terms(text) or list(text)
    width = min(SHINGLE, len(words))
    shingles = {" ".join(words[i : i + width]) for i in range(len(words) - width + 1)}
    sketch = MinHash(num_perm=PERMUTATIONS, scheme="affine32")
    sketch.update_batch([shingle.encode("utf-8", "replace") for shingle in sorted(shingles)])
    return sketch.hashvalues.astype(np.uint64)


def similarity(signature: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the estimated Jaccard similarity, ``(n,)``, of a signature to each of ``(n, 64)``.

    The estimate's standard error is at most 0.0625 (Broder 1997).
    """
    import numpy as np

    equal: np.ndarray = others == signature
    return equal.mean(axis=1, dtype=np.float64)


def _mask(text: str) -> str:
    return _DIGITS.sub("#", "".join(text.split()))


def _pages(blocks: Sequence[Block], units: Sequence[str]) -> dict[int, list[int]]:
    """Return page → indices of its blocks; {} when there are too few pages to compare."""
    pages: dict[int, list[int]] = defaultdict(list)
    for index, block in enumerate(blocks):
        if block.page is not None and block.page_unit in units:
            pages[block.page].append(index)
    return pages if len(pages) >= _MIN_PAGES else {}


def _running_lines(blocks: Sequence[Block]) -> set[int]:
    """Return the blocks that run along the top or the bottom of most pages."""
    pages = _pages(blocks, ["page"])
    found: set[int] = set()
    for edge in (slice(None, _EDGE), slice(-_EDGE, None)):
        lines = {page: {i: _mask(blocks[i].text) for i in own[edge]} for page, own in pages.items()}
        seen = Counter(mask for masks in lines.values() for mask in set(masks.values()))
        found |= {
            index
            for masks in lines.values()
            for index, mask in masks.items()
            if seen[mask] >= RUNNING_SHARE * len(pages)
        }
    return found


def _printed_everywhere(blocks: Sequence[Block]) -> set[int]:
    """Return the blocks that stand word for word on most pages or slides, as watermarks do."""
    pages = _pages(blocks, ["page", "slide"])
    seen = Counter(text for own in pages.values() for text in {blocks[i].text for i in own})
    return {
        index
        for own in pages.values()
        for index in own
        if seen[blocks[index].text] >= RUNNING_SHARE * len(pages)
    }


def _without_repeats(blocks: Sequence[Block]) -> Iterator[Block]:
    seen: set[tuple[tuple[str, ...], str]] = set()
    last: Block | None = None
    for block in blocks:
        key = (block.heading, block.text)
        again = key in seen and len(block.text) >= _BOILERPLATE
        at_once = last is not None and key == (last.heading, last.text)
        if block.page_unit == "row" or not (again or at_once):
            yield block
        seen.add(key)
        last = block
