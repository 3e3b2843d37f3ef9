"""Teaching a writer: packed rows, the loss on targets alone, export."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from tiny_model import tiny_causal
from torch.nn import functional

from assistant import Settings
from assistant.adapt.causal import Base, load_base, with_adapter, write_by
from assistant.adapt.loop import Found
from assistant.adapt.recipe import WriterRecipe
from assistant.adapt.train_writer import Batch, Row, Tail, WriterTrainer, packed
from assistant.adapt.writing import (
    WriterSample,
)
from assistant.engines.llama_child import open_model
from assistant.errors import ConfigurationError
from assistant.tokens import estimated_tokens
from assistant.writer import (
    ADAPTER_FILE,
    declined,
    prompt_text,
    read_writer_facts,
)

SHOWN = ("[1] 制度\n年假有十五天。病假需要证明。", "[2] 公司\n预算是三百万元。")


def sample(number: int, answerable: bool = True) -> WriterSample:
    quote = ("年假有十五天。", "病假需要证明。", "预算是三百万元。")[number % 3]
    place = 2 if number % 3 == 2 else 1
    return WriterSample(
        question=f"{quote[:2]}{number}？",
        passages=SHOWN,
        target=f"{quote}[{place}]" if answerable else declined("sentence", "zh"),
        quote=quote if answerable else "",
        language="zh",
        source="test",
        group=f"test:{number:016x}",
        licence="none",
        answers=(quote[3:6],),
    )


SAMPLES = [sample(number, number % 4 > 0) for number in range(16)]


def count(texts: Sequence[str]) -> list[int]:
    return [max(1, estimated_tokens(text)) for text in texts]


def recipe(
    folder: Path, base: Path | str, *, sources: Sequence[Any] = (), **parts: dict[str, Any]
) -> WriterRecipe:
    source = {
        "kind": "public",
        "name": "set",
        "format": "squad",
        "licence": "CC BY-SA 4.0",
        "attribution": "Somebody",
        "path": folder / "set.json",
        "held_back": 0.4,
        "copies": 2,
    }
    training = {
        "base": str(base),
        "rank": 4,
        "alpha": 8,
        "dropout": 0.0,
        "batch_tokens": 512,
        "epochs": 1,
        "validation": 0.3,
        "threads": 1,
        "device": "cpu",
        "dtype": "float32",
        "answer_tokens": 4,
        **parts.pop("training", {}),
    }
    return WriterRecipe.model_validate(
        {
            "kind": "writer",
            "name": "tiny",
            "sources": [source, *sources],
            "training": training,
            "process": {"crop_tokens": (16, 40)},
            **parts,
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_causal(tmp_path_factory.mktemp("causal"))


@pytest.fixture
def base(folder: Path, tmp_path: Path, settings: Settings) -> Base:
    return load_base(recipe(tmp_path, folder).training, settings)


def excited(trainer: WriterTrainer) -> WriterTrainer:
    """Return it with an adapter that changes what the model says."""
    with torch.no_grad():
        for name, parameter in trainer.model.named_parameters():
            if "lora_B" in name:  # which PEFT sets to zero
                parameter.normal_(std=0.3)
    trainer.model.eval()
    return trainer


# -- samples -------------------------------------------------------------------------------------


def test_the_questions_of_a_bundle_share_its_passages(base: Base) -> None:
    (row,) = packed(SAMPLES[:5], base, "sentence")
    assert len(row.tails) == 5
    for tail in row.tails:
        text = prompt_text("sentence", "zh", SHOWN, tail.sample.question)
        assert [*row.shared, *tail.prompt] == base.prompt_tokens(text)
        assert base.tokenizer.decode(tail.target) == tail.sample.target + "<eos>"
    assert len(packed([SAMPLES[0], replace(SAMPLES[1], passages=("[1] 甲",))], base, "point")) == 2


@pytest.mark.parametrize("kind", ["gemma3_text", "llama", "qwen2"])
def test_a_packed_row_says_what_its_questions_say_alone(
    kind: str, tmp_path: Path, settings: Settings
) -> None:
    made_by = recipe(tmp_path, tiny_causal(tmp_path / "model", kind))
    base = load_base(made_by.training, settings)
    trainer = excited(WriterTrainer(made_by, base, tmp_path, lambda _: None))
    rows = packed(SAMPLES[:6], base, "sentence")
    short = packed([replace(SAMPLES[1], passages=("[1] 年假",))], base, "sentence")
    with torch.no_grad():
        together = trainer.logits(Batch.of([*rows, *short], trainer.model.device))
        alone = []
        for tail in [tail for row in [*rows, *short] for tail in row.tails]:
            text = prompt_text("sentence", "zh", tail.sample.passages, tail.sample.question)
            prompt = base.prompt_tokens(text)
            tokens = torch.tensor([[*prompt, *tail.target[:-1]]])
            alone.append(trainer.model(input_ids=tokens).logits[0, len(prompt) - 1 :])
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)


def by_sample(logits: torch.Tensor, targets: torch.Tensor, rows: Sequence[Row]) -> float:
    """Return the mean, over the samples, of the mean cross-entropy of their tokens."""
    lengths = [len(tail.target) for row in rows for tail in row.tails]
    each = functional.cross_entropy(logits, targets, reduction="none").split(lengths)
    return sum(float(part.mean()) for part in each) / len(lengths)


@pytest.mark.parametrize("vocabulary", ["all", "seen"])
def test_the_loss_is_of_the_targets_alone(
    base: Base, folder: Path, tmp_path: Path, vocabulary: str
) -> None:
    made_by = recipe(tmp_path, folder, training={"vocabulary": vocabulary, "epochs": 1})
    trainer = excited(WriterTrainer(made_by, base, tmp_path, lambda _: None))
    samples = [*SAMPLES[:2], replace(SAMPLES[2], target="年" * 40)]
    rows = packed(samples, base, "sentence")
    targets = torch.tensor([token for row in rows for t in row.tails for token in t.target])
    with torch.no_grad():
        logits = trainer.logits(Batch.of(rows, trainer.model.device))
        assert trainer.loss(rows) == pytest.approx(by_sample(logits, targets, rows), rel=1e-5)
    trainer.train(samples, [])
    with torch.no_grad():
        logits = trainer.logits(Batch.of(rows, trainer.model.device))
        if vocabulary == "seen":
            assert trainer._seen is not None and len(trainer._seen) < logits.shape[1]
            logits = logits[:, trainer._seen]
            targets = torch.tensor([trainer._seen.index(int(token)) for token in targets])
        assert trainer.loss(rows) == pytest.approx(by_sample(logits, targets, rows), rel=1e-5)


def test_a_batch_counts_its_samples_alike_however_long(base: Base) -> None:
    rows = packed(SAMPLES[:3], base, "sentence")
    batch = Batch.of(rows, base.model.device)
    lengths = [len(tail.target) for row in rows for tail in row.tails]
    assert len(set(lengths)) > 1
    assert [float(part.sum()) for part in batch.shares.split(lengths)] == pytest.approx([1, 1, 1])


def test_a_bundle_that_is_too_long_becomes_several_rows(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.adapt.train_writer._LONGEST", 120)
    rows = packed(SAMPLES, base, "sentence")
    assert len(rows) > 1
    assert [t.sample for row in rows for t in row.tails] == SAMPLES
    assert all(len(row) <= 120 for row in rows)


def test_the_best_state_is_chosen_by_samples_of_all_sources(
    base: Base, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Row] = []

    def evaluate(self: WriterTrainer, held: Sequence[Row]) -> Found:
        seen[:] = held
        return Found(0.0, {})

    monkeypatch.setattr(WriterTrainer, "evaluate", evaluate)
    validation = [
        replace(SAMPLES[n], source=source, passages=(f"[1] {source}{n // 4}",))
        for source in ("甲", "乙")
        for n in range(16)
    ]
    few = recipe(tmp_path, folder, training={"validation_limit": 16})
    WriterTrainer(few, base, tmp_path, lambda _: None).train(SAMPLES, validation)
    assert [len(row.tails) for row in seen] == [4, 4, 4, 4]
    assert {tail.sample.source for row in seen for tail in row.tails} == {"甲", "乙"}


def test_it_learns(base: Base, folder: Path, tmp_path: Path) -> None:
    eager = recipe(
        tmp_path,
        folder,
        training={"epochs": 60, "learning_rate": 0.02, "batch_tokens": 2000, "patience": 99},
    )
    trainer = WriterTrainer(eager, base, tmp_path, lambda _: None)
    held = packed(SAMPLES, base, "sentence")
    before = trainer.evaluate(held)
    trainer.train(SAMPLES, SAMPLES)
    after = trainer.evaluate(held)
    assert after.measures["loss"] < before.measures["loss"] / 2
    assert after.score == -after.measures["loss"]


# -- export --------------------------------------------------------------------------------------


def test_the_folder_that_is_written_is_the_model_that_was_taught(
    base: Base, folder: Path, tmp_path: Path, settings: Settings
) -> None:
    made_by = recipe(tmp_path, folder)
    trainer = excited(WriterTrainer(made_by, base, tmp_path, lambda _: None))
    written = tmp_path / "written"
    written.mkdir()
    trainer.write(written)
    config = json.loads((written / "adapter_config.json").read_text("utf-8"))
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 4, 8)
    assert config["base_model_name_or_path"] == str(folder)
    assert (written / "adapter_model.safetensors").is_file()
    facts = read_writer_facts(written)
    assert (facts.rank, facts.alpha, facts.base_bytes) == (4, 8, 0)
    loaded = with_adapter(load_base(made_by.training, settings), written)
    tokens = torch.tensor([base.prompt_tokens("年假有几天？")])
    with torch.no_grad():
        ours, theirs = trainer.model(input_ids=tokens).logits, loaded(input_ids=tokens).logits
        with loaded.disable_adapter():
            plain = loaded(input_ids=tokens).logits
    assert torch.allclose(ours, theirs, atol=5e-3)
    assert not torch.allclose(ours, plain, atol=5e-2)


def test_the_gguf_adapter_has_llama_cpps_names_and_shapes(
    base: Base, folder: Path, tmp_path: Path
) -> None:
    trainer = excited(WriterTrainer(recipe(tmp_path, folder), base, tmp_path, lambda _: None))
    trainer.write(tmp_path)
    reader = gguf.GGUFReader(tmp_path / ADAPTER_FILE)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.architecture"] == "gemma3"
    assert (fields["general.type"], fields["adapter.type"]) == ("adapter", "lora")
    assert fields["adapter.lora.alpha"] == 8.0
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    names = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    assert set(tensors) == {
        f"blk.{layer}.{name}.weight.lora_{part}"
        for layer in (0, 1)
        for name in names
        for part in "ab"
    }
    held = trainer.tensors()
    for part, letter in (("a", "A"), ("b", "B")):
        (name,) = (n for n in held if "layers.1.mlp.down_proj" in n and f"lora_{letter}" in n)
        stored = torch.tensor(tensors[f"blk.1.ffn_down.weight.lora_{part}"].data.copy())
        assert stored.shape == held[name].shape
        assert torch.allclose(stored.float(), held[name], atol=1e-3)


@pytest.mark.slow
def test_llama_cpp_computes_what_was_taught(tmp_path: Path) -> None:
    settings = Settings()
    made_by = recipe(tmp_path, "embedded", training={"dtype": "auto"})
    base = load_base(made_by.training, settings)
    trainer = WriterTrainer(made_by, base, tmp_path, lambda _: None)
    row = packed(SAMPLES[:4], base, "sentence")
    trainer._optimize(([p for p in trainer.model.parameters() if p.requires_grad], 1e-3))
    for _ in range(4):
        trainer._step(row, 0.5)
    trainer.model.eval()
    trainer.write(tmp_path)
    text = prompt_text("sentence", "zh", SHOWN, "年假有几天？")
    tokens = base.prompt_tokens(text)
    told: dict[str, torch.Tensor] = {}
    with closing(open_model(settings, tmp_path)) as model:
        assert model.tokens([{"role": "user", "content": text}]) == tokens
        model._llama.eval(tokens)
        raw = model._native.llama_get_logits_ith(model._llama.ctx, -1)
        told["llama.cpp"] = torch.tensor(raw[: model._llama.n_vocab()]).log_softmax(-1)
    with torch.inference_mode():
        told["peft"] = trainer.model(input_ids=torch.tensor([tokens])).logits[0, -1].float()
        with trainer.model.disable_adapter():
            told["base"] = trainer.model(input_ids=torch.tensor([tokens])).logits[0, -1].float()
    ours = told["peft"].log_softmax(-1)
    apart = {n: float((ours.exp() * (ours - t.log_softmax(-1))).sum()) for n, t in told.items()}
    assert apart["llama.cpp"] < 0.1  # nats; llama.cpp rounds activations to 8 bits
    assert apart["base"] > 5 * apart["llama.cpp"]
    assert int(told["peft"].argmax()) == int(told["llama.cpp"].argmax())


def test_an_architecture_that_llama_cpp_rearranges_gets_no_gguf(
    tmp_path: Path, settings: Settings
) -> None:
    made_by = recipe(tmp_path, tiny_causal(tmp_path / "model", "llama"))
    base = load_base(made_by.training, settings)
    WriterTrainer(made_by, base, tmp_path, lambda _: None).write(tmp_path)
    assert (tmp_path / "adapter_model.safetensors").exists()
    assert not (tmp_path / ADAPTER_FILE).exists()


def test_a_base_or_layers_that_are_not_there_are_named(
    base: Base, folder: Path, tmp_path: Path, settings: Settings
) -> None:
    nowhere = recipe(tmp_path, tmp_path / "none")
    with pytest.raises(ConfigurationError, match="Set `base`"):
        load_base(nowhere.training, settings)
    odd = recipe(tmp_path, folder, training={"targets": ["nothing"]})
    with pytest.raises(ConfigurationError, match="Correct `targets`"):
        WriterTrainer(odd, base, tmp_path, lambda _: None)


# -- as it is used -------------------------------------------------------------------------------


def test_a_model_that_can_think_aloud_is_asked_not_to(base: Base) -> None:
    base.tokenizer.chat_template = (
        "{{ messages[0]['content'] }}{% if enable_thinking is not false %}想{% endif %}"
    )
    assert base.tokenizer.decode(base.prompt_tokens("年假")).endswith("年假")


def test_a_models_own_penalty_does_not_keep_a_writer_from_copying(base: Base) -> None:
    said = write_by(base.model.eval(), base, SHOWN[0], 40)
    assert len(set(said)) < len(said), "it repeats itself"
    base.model.generation_config.repetition_penalty = 9.0
    assert write_by(base.model, base, SHOWN[0], 40) == said


def test_rows_count_what_is_read() -> None:
    tail = Tail(SAMPLES[0], (4, 5), (6, 7, 1))  # nothing is read after the last token
    assert len(Row((1, 2, 3), (tail, tail))) == 3 + 4 + 4
