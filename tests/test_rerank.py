"""The cross-encoder: a real one, tiny and random, from a folder; and errors that name a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_model import tiny_tokenizer

from assistant import Assistant, Settings
from assistant.errors import ConfigurationError, ModelError
from assistant.rerank import CrossReranker


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("cross")
    size = tiny_tokenizer(folder, list("年假有几天差旅住宿员工每制度"))
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_its_scores_order_the_candidates_anew(
    settings: Settings, model: Path, tmp_path: Path
) -> None:
    papers = tmp_path / "cross-papers"
    papers.mkdir()
    for name, text in {"a": "年假有几天。", "b": "差旅住宿。", "c": "员工制度。"}.items():
        (papers / f"{name}.txt").write_text(text, "utf-8")
    crossed = settings.model_copy(update={"reranker": "cross", "reranker_model": str(model)})
    with Assistant(crossed) as assistant:
        assistant.ingest(papers)
        hits = assistant.search("年假有几天")
        searcher = assistant._open_searcher()
        assert searcher._cross is not None
        texts = [hit.chunk.text for hit in hits]
        scores = searcher._cross.scores("年假有几天", texts)
    assert len(set(scores)) == 3
    assert hits[0].chunk.text == texts[scores.index(max(scores))]
    assert all(hit.late_score == 0.0 for hit in hits)


def test_no_passages_need_no_model(settings: Settings) -> None:
    assert CrossReranker(settings.model_copy(update={"reranker_model": "x"})).scores("q", []) == []


def test_a_missing_model_is_told_with_its_remedy(settings: Settings, tmp_path: Path) -> None:
    named = settings.model_copy(update={"reranker_model": str(tmp_path / "none")})
    with pytest.raises(ModelError, match="ASSISTANT_RERANKER"):
        CrossReranker(named).scores("question", ["passage"])


def test_cross_without_a_model_is_a_configuration_error(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="ASSISTANT_RERANKER_MODEL"):
        CrossReranker(settings.model_copy(update={"reranker": "cross"}))
