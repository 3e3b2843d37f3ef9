"""Cleaning: one form of text, boilerplate out, near duplicates found."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.ingest.clean import clean_blocks, clean_text, signature, similarity
from assistant.ingest.load import Block

LETTERS = st.characters(whitelist_categories=["Lu", "Ll", "Lo", "Nd"], max_codepoint=0x9FFF)
JUNK = st.sampled_from("\u200b\ufeff\u00ad\x00\x07\u202e\ue000\ufffd\U000e0041\ud800")


@given(st.text(st.characters()))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean_text(text)
    assert clean_text(once) == once


@given(st.text(st.characters()))
def test_clean_text_can_be_stored_and_is_nfc(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode("utf-8")
    assert unicodedata.is_normalized("NFC", cleaned)
    assert cleaned == cleaned.strip()


@given(st.lists(st.one_of(st.text(LETTERS), JUNK, st.sampled_from([" ", "\n", "\u3000"]))))
def test_letters_and_digits_stay_in_order(parts: list[str]) -> None:
    def kept(text: str) -> str:
        # Letters that Unicode itself counts among the invisible (fillers of Hangul) may go.
        return "".join(c for c in text if c.isalnum() and c not in "\u115f\u1160\u3164\uffa0")

    joined = unicodedata.normalize("NFC", "".join(p for p in parts if p not in JUNK_CHARACTERS))
    assert kept(clean_text("".join(parts))) == kept(joined)


JUNK_CHARACTERS = set("\u200b\ufeff\u00ad\x00\x07\u202e\ue000\ufffd\U000e0041\ud800")


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("e\u0301te\u0301", "été"),
        ("ＡＩ　２０２６（试行）", "ＡＩ ２０２６（试行）"),  # full width is kept: not NFKC
        ("soft\u00adware \u200bupdate\ufeff", "software update"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("　　第一条  内容\u00a0 \t完", "第一条 内容 完"),
        ("a \n\n\n\n\n b", "a\n\n b"),
        ("- a\n  - b\n\tc", "- a\n  - b\n    c"),
        ("ignore\U000e0049\U000e0047 this", "ignore this"),
        ("\x00\x1b[0m", "[0m"),
    ],
)
def test_clean_text_examples(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


def page(number: int, *texts: str) -> list[Block]:
    return [Block(text, page=number) for text in texts]


def texts(blocks: list[Block]) -> list[str]:
    return [block.text for block in clean_blocks(blocks)]


def test_running_headers_and_page_numbers_go() -> None:
    body = {
        n: [
            f"{'甲乙丙丁戊'[n - 1]}部的职责。",
            f"本页讲第{n}件事。",
            f"{'子丑寅卯辰'[n - 1]}时交班。",
        ]
        for n in range(1, 6)
    }
    blocks = [
        block
        for n, middle in body.items()
        for block in page(n, "澄川公司 内部资料", *middle, f"第 {n} 页 共 5 页")
    ]
    # In the middle of a page, what a sentence counts is its own affair.
    assert texts(blocks) == [text for middle in body.values() for text in middle]


def test_a_footer_whose_count_starts_later_goes_too() -> None:
    blocks = [
        b for n in range(3, 8) for b in page(n, f"Body of page {'abcdefg'[n - 1]}.", f"- {n - 2} -")
    ]
    assert texts(blocks) == [f"Body of page {'abcdefg'[n - 1]}." for n in range(3, 8)]


def test_rows_of_figures_that_differ_only_in_digits_stay() -> None:
    blocks = [
        block
        for n in range(1, 7)
        for block in page(
            n, f"月份：{n * 3}；工单：{n * n * 100}", f"月份：{n * 3 + 1}；工单：{n * n * 90}"
        )
    ]
    assert len(texts(blocks)) == 12


def test_two_pages_prove_no_header() -> None:
    blocks = page(1, "Same line", "One.") + page(2, "Same line", "Two.")
    assert texts(blocks) == ["Same line", "One.", "Same line", "Two."]


def test_a_line_on_half_of_the_pages_stays() -> None:
    pages = [
        page(1, "Chapter", "One"),
        page(2, "Two", "Chapter"),
        page(3, "Three"),
        page(4, "Four"),
    ]
    assert texts([block for blocks in pages for block in blocks]).count("Chapter") == 2


def test_watermarks_go() -> None:
    blocks = [
        b
        for n in range(1, 4)
        for b in page(n, *(f"{c}{c * n}" for c in "abcd"), "机密", *(f"{c}{c * n}" for c in "efgh"))
    ]
    assert "机密" not in texts(blocks)
    assert len(texts(blocks)) == 24


def test_footers_of_slides_go() -> None:
    blocks = [
        Block(text, ("标题",), n, "slide")
        for n in range(1, 5)
        for text in (f"内容{'甲乙丙丁'[n - 1]}", f"澄川公司 {n}")
    ]
    assert texts(blocks) == ["内容甲", "内容乙", "内容丙", "内容丁"]


def test_repeats_go_under_one_heading_only() -> None:
    long = "本文件由总经办负责解释，未经书面许可不得对外提供，违者按制度处理。"
    blocks = [
        Block(long, ("一",)),
        Block("间隔", ("一",)),
        Block(long, ("一",)),
        Block(long, ("二",)),
        Block("可以。", ("问",)),
        Block("另一问", ("问",)),
        Block("可以。", ("问",)),
        Block("可以。", ("问",)),
    ]
    assert texts(blocks) == [long, "间隔", long, "可以。", "另一问", "可以。"]


def test_equal_rows_of_a_sheet_stay() -> None:
    rows = [
        Block("型号：L20；显存：48 GB；位置：总部机房；状态：使用中；备注：无", (), n, "row")
        for n in (2, 3, 4)
    ]
    assert clean_blocks(rows) == tuple(rows)


def test_headings_are_cleaned_and_empty_blocks_dropped() -> None:
    blocks = [Block("\u200b \n", ("x",)), Block("text", (" A\u200b ", "\ufeff"), 3, "slide")]
    assert clean_blocks(blocks) == (Block("text", ("A",), 3, "slide"),)


def test_signature_tells_near_duplicates_from_others() -> None:
    base = "".join(
        f"第{n}条规定了{'人财物信息采购'[n % 7]}方面的第{n * 17}号要求。" for n in range(80)
    )
    changed = base.replace("第40条", "第四十条")
    other = "".join(f"Clause {n} covers pumps, valves and seal number {n * 31}." for n in range(80))
    known = np.stack([signature(base), signature(changed), signature(other)])
    assert known.shape == (3, 64)
    assert known.dtype == np.uint64
    scores = similarity(signature(base), known)
    assert scores[0] == 1.0
    assert 0.85 <= scores[1] < 1.0
    assert scores[2] < 0.1


def test_signature_estimates_the_jaccard_similarity() -> None:
    words = [f"w{n}" for n in range(600)]
    one, other = " ".join(words[:400]), " ".join(words[200:])
    estimate = similarity(signature(one), signature(other)[np.newaxis])[0]
    assert abs(estimate - 198 / 598) < 0.2  # three standard errors


def test_signature_sees_order_and_is_stable() -> None:
    forward, backward = signature("一二三四五六七八九十"), signature("十九八七六五四三二一")
    assert similarity(forward, backward[np.newaxis])[0] < 0.2
    assert np.array_equal(forward, signature("一二三四五六七八九十"))


@pytest.mark.parametrize("text", ["a", "。！？", "字", "!!!"])
def test_signature_of_very_short_texts(text: str) -> None:
    assert similarity(signature(text), signature(text)[np.newaxis])[0] == 1.0
    assert similarity(signature(text), signature("别的文字")[np.newaxis])[0] < 1.0


@pytest.mark.parametrize("count", [0, 1])
def test_similarity_to_few(count: int) -> None:
    assert similarity(signature("x"), np.zeros((count, 64), np.uint64)).shape == (count,)
