"""A cited passage on its page: the quote, the words that answer, and what the question met."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assistant.surfaces.http.source import _parts
from assistant.types import Match

TEXT = "年假十五天。婚假十天，年假十五天可以连休。"
QUOTE = "婚假十天，年假十五天可以连休。"


def test_the_span_is_shown_where_the_quote_has_it() -> None:
    before, quoted = _parts(TEXT, QUOTE, "十五天", [Match("年假", 0, 2, 0.9)])
    assert (before.quoted, quoted.quoted) == (False, True)
    assert [(p.text, p.met, p.found) for p in before.parts] == [
        ("年假", True, False),
        ("十五天。", False, False),
    ]
    assert [(p.text, p.found) for p in quoted.parts] == [
        ("婚假十天，年假", False),
        ("十五天", True),
        ("可以连休。", False),
    ]


@given(st.text(max_size=30), st.text(max_size=8), st.text(max_size=4))
def test_whatever_is_marked_no_character_is_lost(text: str, quote: str, span: str) -> None:
    stretches = _parts(text, quote, span, [Match("x", 1, 3, 0.9)])
    assert "".join(part.text for stretch in stretches for part in stretch.parts) == text
