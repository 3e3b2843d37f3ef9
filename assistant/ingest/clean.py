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

from assistant.ingest.formats.text import running_keys
from assistant.ingest.parsed import Block
from assistant.text import terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PERMUTATIONS = 64
SHINGLE = 3  # terms
RUNNING_SHARE = 0.6  # of the pages or slides that show a text
_MIN_PAGES = 3
_EDGE = 2  # blocks at the top and at the bottom of a page that may count the pages
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

    Boilerplate is what stands on most pages or slides, the number of the page aside,
    and a text repeated at once or under its own heading. Rows of sheets are never
    left out.
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
    boilerplate = _running(cleaned)
    kept = [block for index, block in enumerate(cleaned) if index not in boilerplate]
    return tuple(_without_repeats(kept))


def signature(text: str) -> NDArray[np.uint64]:
    """Return the MinHash of a text's shingles of three terms: ``(64,)``, uint64."""
    import numpy as np
    from datasketch import MinHash

    words = terms(text) or list(text)
    width = min(SHINGLE, len(words))
    shingles = {" ".join(words[i : i + width]) for i in range(len(words) - width + 1)}
    sketch = MinHash(num_perm=PERMUTATIONS, scheme="affine32")
    sketch.update_batch([shingle.encode("utf-8", "replace") for shingle in sorted(shingles)])
    values: NDArray[np.uint64] = sketch.hashvalues.astype(np.uint64)
    return values


def similarity(signature: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return the estimated Jaccard similarity, ``(n,)``, of a signature to each of ``(n, 64)``.

    The estimate's standard error is at most 0.0625 (Broder 1997).
    """
    import numpy as np

    shares: NDArray[np.float64] = (others == signature).mean(axis=1, dtype=np.float64)
    return shares


def _running(blocks: Sequence[Block]) -> set[int]:
    """Return the blocks that are the same on most pages or slides.

    At the top and the bottom the number of the page may differ; elsewhere, as
    watermarks are, they must be the same word for word.
    """
    pages: dict[int, list[int]] = defaultdict(list)
    for index, block in enumerate(blocks):
        if block.page is not None and block.page_unit != "row":
            pages[block.page].append(index)
    if len(pages) < _MIN_PAGES:
        return set()
    keys: dict[int, set[str]] = {}
    seen: Counter[str] = Counter()
    for page, own in pages.items():
        edges = {*own[:_EDGE], *own[-_EDGE:]}
        for index in own:
            text = blocks[index].text
            keys[index] = running_keys(text, page) if index in edges else {text}
        seen.update(set().union(*(keys[index] for index in own)))
    often = RUNNING_SHARE * len(pages)
    return {index for index, own in keys.items() if any(seen[key] >= often for key in own)}


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
