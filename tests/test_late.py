"""Late interaction: the space, what it finds, and that a search never rests on half of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from assistant import Assistant, Principal, Settings
from assistant.adapted import HashEmbedder
from assistant.citations import Checker
from assistant.embed import load_embedder
from assistant.fusion import fuse_languages, rescore
from assistant.index.tokens import text_digest
from assistant.late import (
    LateInteraction,
    Spaces,
    TokenSpace,
    _product,
    max_similarity,
    pairs,
)
from assistant.text import sentence_spans
from assistant.types import EVERYONE, Cited

PAPERS = {
    "leave.md": "# 休假制度\n\n员工每年有十五天年假。未休的年假可以顺延到次年三月。\n",
    "travel.md": "# 差旅制度\n\n北京住宿标准为每晚六百元。机票须提前七天预订。\n",
    "warranty.md": "# Warranty\n\nThe spindle is covered for 24 months. Wear parts are excluded.\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    papers = tmp_path / "papers-late"
    papers.mkdir()
    for name, text in PAPERS.items():
        (papers / name).write_text(text, "utf-8")
    return papers


def missing(assistant: Assistant) -> int:
    late, catalog = assistant._open_late(), assistant._open_store().catalog
    assert late is not None
    return sum(
        len(late.files.missing(groups, map(text_digest, catalog.audience_texts(audience))))
        for audience, groups in catalog.audience_groups().items()
    )


def test_the_embedded_models_tokens_are_laid_upon_the_text() -> None:
    embedder = load_embedder(Settings())
    vector, tokens = embedder.encode_question("年假有几天？ GPU!")
    words = ["年假有几天？ GPU!"[a:b].strip() for a, b in tokens.spans]
    assert "".join(words) == "年假有几天GPU", "punctuation, prefix and marks are left out"
    assert tokens.states.shape == (len(words), 384)
    assert np.allclose(vector, embedder.embed_question("年假有几天？ GPU!"), atol=0.02)


def test_one_pass_gives_the_same_vectors_as_without_tokens() -> None:
    embedder = load_embedder(Settings())
    texts = ["短。", "一段长一些的文字，用来看批次的次序。" * 8, "English, in between."] * 4
    vectors, counts = embedder.encode_passages(texts, len)
    assert np.allclose(vectors, embedder.embed_passages(texts), atol=0.02)
    assert counts == [len(embedder.passage_spans(text)) for text in texts]


def test_the_space_takes_the_language_out_of_vectors(tmp_path: Path) -> None:
    embedder = load_embedder(Settings())
    space = Spaces.open(embedder, tmp_path)
    assert np.allclose(np.linalg.norm(space.language), 1.0, atol=1e-4)
    zh, en = embedder.embed_passages(["训练需要多少数据", "How much data does training need"])
    assert abs((zh - en) @ space.language) > 0.1
    assert abs(space.neutral(zh) @ space.language) < 1e-5
    again = TokenSpace.load(next(tmp_path.glob("space-*.npz")))
    assert again is not None and again.version == space.version


def test_a_damaged_space_is_fitted_anew(tmp_path: Path) -> None:
    embedder = HashEmbedder()
    version = Spaces.open(embedder, tmp_path).version
    next(tmp_path.glob("space-*.npz")).write_bytes(b"PK\x03\x04 torn")
    assert Spaces.open(embedder, tmp_path).version == version


def test_a_word_meets_its_translation_across_languages(tmp_path: Path) -> None:
    embedder = load_embedder(Settings())
    late = LateInteraction(embedder, tmp_path)
    _, question = late.ask("质保期有多长？")
    texts = ["The warranty lasts 24 months.", "The canteen opens at noon."]
    scores = max_similarity(question, late.encode(texts)[1]).mean(axis=0)
    assert scores[0] > scores[1] + 0.05


def test_max_similarity_is_what_its_definition_says() -> None:
    rng = np.random.default_rng(5)
    question = rng.normal(size=(3, 16)).astype(np.float32)
    passages = [rng.integers(-127, 128, (n, 16)).astype(np.int8) for n in (1, 4, 9)]
    best = max_similarity(question, passages)
    for row, vector in enumerate(question):
        for column, passage in enumerate(passages):
            expected = max(float(vector @ token.astype(np.float32)) / 127 for token in passage)
            assert best[row, column] == pytest.approx(expected, rel=1e-4)
            nearest, alike = pairs(question, passage)
            assert alike[row] == pytest.approx(expected, rel=1e-4)
            assert 0 <= nearest[row] < len(passage)


def test_every_visible_passage_has_its_vectors_after_an_ingest(
    settings: Settings, folder: Path
) -> None:
    with Assistant(settings) as assistant:
        assistant.ingest(folder)
        assert missing(assistant) == 0
        hits = assistant.search("年假有几天？")
        assert all(hit.late_score > 0 for hit in hits)
        (folder / "leave.md").write_text("# 休假制度\n\n年假改为二十天。\n", "utf-8")
        assistant.ingest(folder)
        assert missing(assistant) == 0


def test_lost_vectors_are_made_anew_and_searches_go_on_meanwhile(
    settings: Settings, folder: Path
) -> None:
    with Assistant(settings) as assistant:
        assistant.ingest(folder, groups=["finance"])
    for file in (settings.data_dir / "tokens").glob("*.tokens"):
        file.unlink()
    reader = Principal("li", ["finance"])
    with Assistant(settings) as assistant:
        assert missing(assistant) == 3
        assert assistant.search("年假有几天？", principal=reader)
        assert assistant._backfill is not None
        assistant._backfill.wait()
        assert missing(assistant) == 0
        assert all(hit.late_score > 0 for hit in assistant.search("年假", principal=reader))
        assert assistant.search("年假", principal=EVERYONE) == []


def test_without_late_interaction_nothing_is_written(settings: Settings, folder: Path) -> None:
    with Assistant(settings.model_copy(update={"reranker": "off"})) as assistant:
        assistant.ingest(folder)
        assert not (settings.data_dir / "tokens").exists()
        assert all(hit.late_score == 0 for hit in assistant.search("年假有几天？"))


def test_an_index_made_without_gets_its_vectors_when_switched_on(
    settings: Settings, folder: Path
) -> None:
    with Assistant(settings.model_copy(update={"reranker": "off"})) as assistant:
        assistant.ingest(folder)
    with Assistant(settings) as assistant:
        assistant.search("年假")
        assert assistant._backfill is not None
        assistant._backfill.wait()
        assert missing(assistant) == 0


def test_a_passage_without_a_letter_does_not_count_as_missing(
    settings: Settings, folder: Path
) -> None:
    (folder / "line.txt").write_text("—— …… ！！", "utf-8")
    with Assistant(settings) as assistant:
        assistant.ingest(folder)
        assert missing(assistant) == 0
        assert any(hit.late_score > 0 for hit in assistant.search("年假有几天？"))


def test_reindex_keeps_the_vectors_in_step(settings: Settings, folder: Path) -> None:
    with Assistant(settings) as assistant:
        assistant.ingest(folder)
        for file in (settings.data_dir / "tokens").glob("*.tokens"):
            file.unlink()
        assistant.reindex()
        assert missing(assistant) == 0


def test_a_citation_tells_which_words_the_question_met(settings: Settings, folder: Path) -> None:
    with Assistant(settings.model_copy(update={"gate_threshold": 0.0})) as assistant:
        assistant.ingest(folder)
        answer = assistant.ask("员工年假有几天？")
        cited = assistant.citation(answer.answer_id, 1)
    assert isinstance(cited, Cited) and cited.context is not None
    text = cited.context.chunk.text
    met = {text[match.start : match.end] for match in cited.matches}
    assert {"年", "假", "天"} <= met
    assert all(match.similarity > 0.9 for match in cited.matches)
    assert [m.start for m in cited.matches] == sorted(m.start for m in cited.matches)


def test_a_sentence_is_cited_from_a_paper_in_the_other_language(
    tmp_path: Path, folder: Path
) -> None:
    with Assistant(Settings(data_dir=tmp_path / "data")) as assistant:
        assistant.ingest(folder)
        late = assistant._open_late()
        hits = assistant.search("主轴保修多长时间？", k=3)
        embed = assistant._embedder.embed_passages
        assert late is not None
        alone = Checker("主轴保修多长时间？", hits, embed)
        compared = Checker("主轴保修多长时间？", hits, embed, nearest=late.nearest)
        right, wrong = "主轴的保修期为24个月。", "易损件的价格在24个月内不变，由销售部公布。"
        assert alone.check(right) is None
        checked = compared.check(right)
        assert checked is not None
        assert checked.supports[0].quote == "The spindle is covered for 24 months."
        assert compared.check("公司食堂中午供应米饭和面条。") is None
        spans = sentence_spans(checked.supports[0].hit.chunk.text)
        cited = checked.supports[0].hit
        found, other = (late.nearest(text, cited, spans) for text in (right, wrong))
        assert found is not None and other is not None
        assert found[0] == 0 and found[1] > other[1] + 0.1
        second = late.nearest("易损件不在保修范围内。", checked.supports[0].hit, spans)
        assert second is not None and second[0] == 1
        words = late._words(checked.supports[0].hit.chunk, checked.supports[0].hit.document)
        assert words is not None
        held = [sum(start < end <= stop for start, stop in spans) for _, end in words.places]
        assert set(held) == {1}


def test_products_of_several_threads_leave_the_number_of_threads_as_it_was() -> None:
    before = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
    rng = np.random.default_rng(3)
    left, right = (rng.normal(size=size).astype(np.float32) for size in ((60, 384), (384, 128)))
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: _product(left, right), range(200)))
    assert all(np.allclose(each, left @ right, atol=1e-3) for each in made)
    assert [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()] == before


def test_a_foreign_passage_is_not_held_back_for_sharing_no_term() -> None:
    dense = {1: 0.80, 2: 0.90, 3: 0.86}
    lexical = {1: 3.0}
    same = fuse_languages(dense, lexical, set(), 30.0, {})
    abroad = fuse_languages(dense, lexical, {2}, 30.0, {})
    assert dict(abroad)[2] > dict(same)[2]
    assert dict(abroad)[1] == dict(same)[1]
    assert all(0.0 <= score <= 1.0 for _, score in abroad)


def test_a_weak_lexical_score_is_no_strong_one_for_being_the_best() -> None:
    dense = {1: 0.80, 2: 0.84}
    weak = dict(fuse_languages(dense, {1: 1.0}, set(), 40.0, {}))
    strong = dict(fuse_languages(dense, {1: 40.0}, set(), 40.0, {}))
    assert weak[1] < weak[2] and strong[1] > weak[1]


def test_what_was_not_compared_ranks_as_the_least_alike() -> None:
    ranked = fuse_languages({1: 0.9, 2: 0.8, 3: 0.8}, {}, set(), 1.0, {1: 0.2, 2: 0.7})
    assert ranked[0][0] == 2
    assert dict(rescore([(1, 0.9), (2, 0.5), (3, 0.4)], {1: -3.0, 2: 4.0}))[2] > 0.8
