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


def tiny_causal(folder: Path, kind: str = "gemma3_text") -> Path:
    """Write a tiny random language model into a folder: a token a character, 32 dimensions."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedTokenizerFast

    more = "ABCDEFGHIJKLMNOPQRSTUVWXYZ[]()?？!！ \n资料中没答案问题回检修次费用机"
    characters = [*dict.fromkeys(CHARACTERS + more)]
    words = {word: n for n, word in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", *characters])}
    tokenizer = Tokenizer(models.WordLevel(words, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("[\\s\\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", words["<bos>"])]
    )
    marks = {f"{name}_token": f"<{name}>" for name in ("pad", "eos", "bos", "unk")}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks).save_pretrained(folder)
    torch.manual_seed(1)
    sizes = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "intermediate_size": 64,
        "max_position_embeddings": 4096,
        "initializer_range": 0.2,  # with the usual 0.02 its logits could hardly differ
    }
    ids = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    own = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 16}
    config = CONFIG_MAPPING[kind](**sizes, **ids, **(own if kind == "gemma3_text" else {}))
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder
