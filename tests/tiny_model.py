"""A tiny random sentence-transformers model in a folder: a token a character, 16 dimensions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from assistant import Settings
from assistant.embed import Embedder

CHARACTERS = (
    'abcdefghijklmnopqrstuvwxyz0123456789:>.,“”"-。，？、：'
    "年假有几天差旅住宿员工每制度公司的是在和病需要医院证明预算元万百十五三"
)


def tiny_model(folder: Path) -> Path:
    """Write the model into a folder and return it."""
    import torch
    from transformers import BertConfig, BertModel

    characters = list(dict.fromkeys(CHARACTERS))
    size = tiny_tokenizer(folder, [*characters, *(f"##{each}" for each in characters)])
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "pool", "type": "sentence_transformers.models.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules), "utf-8")
    facts = {"max_seq_length": 512, "model_kwargs": {"add_pooling_layer": False}}
    (folder / "sentence_bert_config.json").write_text(json.dumps(facts), "utf-8")
    (folder / "pool").mkdir(exist_ok=True)
    pooling = {"embedding_dimension": 16, "pooling_mode": "mean"}
    (folder / "pool" / "config.json").write_text(json.dumps(pooling), "utf-8")
    return folder


def tiny_tokenizer(folder: Path, words: Sequence[str]) -> int:
    """Write a tokenizer of these words into a folder and return the size of its vocabulary."""
    from transformers import BertTokenizerFast

    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(known), "utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return len(known)


def tiny_settings(folder: Path, data_dir: Path) -> Settings:
    """Return settings of a tiny model."""
    return Settings(
        embedding_model=str(folder),
        embedding_device="cpu",
        embedding_dtype="float32",
        data_dir=data_dir,
        engine="extractive",
    )


def tiny_embedder(folder: Path) -> Embedder:
    """Return the embedder of a tiny model."""
    return Embedder(tiny_settings(folder, folder / "data"))
