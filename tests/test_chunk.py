from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from assistant.ingest.chunk import chunk_blocks, document_text, indexed_text
from assistant.ingest.parsed import Block


def characters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


_paragraph = st.text(
    st.sampled_from("大模型训练数据。！？，abc de. 1,3.5\n"), min_size=1, max_size=200
).filter(lambda text: bool(text.strip()))
_blocks = st.lists(
    st.builds(
        Block,
        text=_paragraph.map(str.strip),
        heading=st.sampled_from([(), ("一",), ("一", "二")]),
        page=st.sampled_from([None, 1, 2]),
    ),
    min_size=1,
    max_size=8,
)


@given(_blocks, st.integers(20, 120))
def test_passages_cover_the_text_in_order_and_are_slices_of_it(
    blocks: list[Block], limit: int
) -> None:
    text = document_text(blocks)
    end = 0
    for passage in chunk_blocks(blocks, limit=limit, count_tokens=characters):
        assert text[passage.start : passage.end] == passage.text
        assert not text[end : passage.start].strip()
        end = passage.end
    assert not text[end:].strip()


@given(_blocks, st.integers(20, 120))
def test_no_passage_is_longer_than_the_limit(blocks: list[Block], limit: int) -> None:
    for passage in chunk_blocks(blocks, limit=limit, count_tokens=characters):
        # Blocks of one section are joined by separators that no sentence counts.
        assert len(passage.text.replace("\n", "")) <= limit


@given(_blocks)
def test_a_passage_has_one_heading_path(blocks: list[Block]) -> None:
    for passage in chunk_blocks(blocks, limit=1000, count_tokens=characters):
        inside = [b for b in blocks if b.text in passage.text]
        assert not inside or passage.heading in {b.heading for b in inside}


def test_passages_end_at_sentence_ends_in_both_languages() -> None:
    text = "第一句话在这里。第二句话也在这里。The third one is English. The fourth one too."
    passages = chunk_blocks([Block(text)], limit=30, count_tokens=characters)
    assert [p.text[-1] for p in passages] == ["。", ".", "."] or all(
        p.text[-1] in "。." for p in passages
    )
    assert len(passages) > 1


def test_a_long_section_is_divided_evenly() -> None:
    text = "".join(f"这是第{i:03d}句话。" for i in range(12))
    lengths = [len(p.text) for p in chunk_blocks([Block(text)], limit=100, count_tokens=characters)]
    assert len(lengths) == 2
    assert max(lengths) - min(lengths) <= 10


def test_an_overlong_sentence_is_cut_after_a_comma() -> None:
    text = "，".join(["很长的一个分句没有句号"] * 10)
    passages = chunk_blocks([Block(text)], limit=40, count_tokens=characters)
    assert len(passages) > 2
    assert all(p.text.endswith("，") for p in passages[:-1])


def test_a_passage_begins_on_the_page_of_its_first_block() -> None:
    blocks = [Block("甲。" * 20, page=1), Block("乙。" * 20, page=2)]
    pages = [p.page for p in chunk_blocks(blocks, limit=40, count_tokens=characters)]
    assert pages == [1, 2]


def test_the_indexed_text_names_the_document_once() -> None:
    assert indexed_text("预算", ("预算", "明细"), "共三项。") == "预算 > 明细\n共三项。"
    assert indexed_text("开头的话…", (), "开头的话就是这样。") == "开头的话就是这样。"
