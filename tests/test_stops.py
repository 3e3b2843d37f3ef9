from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from assistant.engines.stops import StopFilter

LETTERS = st.text("ab\n”。中🙂", max_size=30)


def given_out(raw: bytes, cuts: list[int], stop: list[str]) -> tuple[str, bool]:
    """Feed bytes cut anywhere, as tokens cut them."""
    text = StopFilter(stop)
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = []
    for start, end in pairwise(edges):
        pieces.append(text.add(raw[start:end]))
        if text.stopped:
            break
    return "".join([*pieces, text.rest()]), text.stopped


@given(LETTERS, st.lists(st.integers(0, 120)), st.lists(st.text("ab\n”。中", max_size=4)))
def test_text_ends_before_the_first_stop_however_it_is_cut(
    text: str, cuts: list[int], stop: list[str]
) -> None:
    out, stopped = given_out(text.encode(), cuts, stop)
    wanted = [s for s in stop if s]
    assert text.startswith(out)
    assert not any(s in out for s in wanted)
    assert stopped == any(s in text for s in wanted)
    if not stopped:
        assert out == text
    else:  # nothing before the stop string is lost
        assert any(text[len(out) :].startswith(s) for s in wanted)


def test_no_piece_holds_half_a_character_or_half_a_stop() -> None:
    text = StopFilter(["\n\n问题"])
    smile = "🙂".encode()
    assert [text.add(bytes([byte])) for byte in smile] == ["", "", "", "🙂"]
    assert text.add("答案。\n".encode()) == "答案。"
    assert text.add(b"\n") == ""
    assert text.add("注".encode()) == "\n\n注"
    assert text.add("\n\n问题：".encode()) == ""
    assert text.stopped
    assert text.add(b"more") == ""


def test_what_was_held_back_comes_at_the_end() -> None:
    text = StopFilter(["END"])
    assert text.add(b"the EN") == "the "
    assert text.rest() == "EN"


def test_a_character_cut_by_the_limit_is_left_out() -> None:
    text = StopFilter([])
    assert text.add("好".encode()[:2]) + text.rest() == ""
