"""Teaching a writer: samples, packed rows, the loss on targets alone, export, the whole chain."""

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
from test_adapt_collect import squad
from tiny_model import tiny_causal
from torch.nn import functional

from assistant import Settings
from assistant.adapt.causal import Base, load_base, with_adapter
from assistant.adapt.measure import ALL
from assistant.adapt.measure_writer import outcome, writer_summary, writer_worse, written
from assistant.adapt.recipe import RECIPES, WriterRecipe, load_recipe
from assistant.adapt.registry import Registry
from assistant.adapt.run import adapt
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


@pytest.mark.parametrize("vocabulary", ["all", "seen"])
def test_the_loss_is_of_the_targets_alone(
    base: Base, folder: Path, tmp_path: Path, vocabulary: str
) -> None:
    made_by = recipe(tmp_path, folder, training={"vocabulary": vocabulary, "epochs": 1})
    trainer = excited(WriterTrainer(made_by, base, tmp_path, lambda _: None))
    rows = packed(SAMPLES[:3], base, "sentence")
    targets = torch.tensor([token for row in rows for t in row.tails for token in t.target])
    with torch.no_grad():
        logits = trainer.logits(Batch.of(rows, trainer.model.device))
        expected = functional.cross_entropy(logits, targets)
        assert trainer.loss(rows) == pytest.approx(float(expected), rel=1e-4)
        trainer._seen = sorted({*targets.tolist(), 5, 7}) if vocabulary == "seen" else None
        del trainer._head
        if vocabulary == "seen":
            chosen = logits[:, trainer._seen]
            numbered = torch.tensor([trainer._seen.index(int(t)) for t in targets])  # type: ignore[union-attr]
            expected = functional.cross_entropy(chosen, numbered)
        assert trainer.loss(rows) == pytest.approx(float(expected), rel=1e-4)


def test_a_bundle_that_is_too_long_becomes_several_rows(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.adapt.train_writer._LONGEST", 120)
    rows = packed(SAMPLES, base, "sentence")
    assert len(rows) > 1
    assert [t.sample for row in rows for t in row.tails] == SAMPLES
    assert all(len(row) <= 120 for row in rows)


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


# -- measures ------------------------------------------------------------------------------------


def test_an_answer_is_held_against_its_passages() -> None:
    trial = sample(1)  # 病假需要证明。, of the first passage
    right = outcome(trial, "病假需要证明。[1]", 0.5)
    assert (right.refused, right.f1, right.found, right.copied, right.cited) == (False, 1, 1, 1, 1)
    other = outcome(trial, "预算是三百万元。[2]", 0.5)
    assert other.f1 is not None and other.f1 < 0.5
    assert (other.found, other.copied, other.cited, other.numbers) == (0, 1, 0, 1)
    wrong = outcome(trial, "病假需要证明，预算是40万元。[1]", 0.5)
    assert (wrong.copied, wrong.numbers, wrong.cited) == (0, 0, 1)
    for text in ("", "资料中没有答案。"):
        refused = outcome(trial, text, 0.5)
        assert (refused.refused, refused.f1, refused.found) == (True, 0, 0)
        assert refused.numbers is refused.copied is refused.cited is None
    asked = outcome(replace(trial, quote=""), "病假需要证明。[1]", 0.5)
    assert (asked.refused, asked.f1, asked.cited, asked.copied) == (False, None, None, 1)


def test_scores_count_both_kinds_of_refusal() -> None:
    answered, refusing = (lambda s: s.target), (lambda s: declined("sentence", "zh"))
    made = written(answered, "sentence", SAMPLES, lambda _: None)
    scores = writer_summary(made)[ALL]
    assert scores.questions == len(SAMPLES)
    assert (scores.f1.value, scores.cited.value, scores.copied.value) == (1, 1, 1)
    assert (scores.wrongly_refused.value, scores.wrongly_answered.value) == (0, 0)
    silent = written(refusing, "sentence", SAMPLES, lambda _: None)
    assert writer_summary(silent)[ALL].wrongly_refused.value == 1
    talking = written(lambda s: SAMPLES[1].target, "sentence", SAMPLES, lambda _: None)
    assert writer_summary(talking)[ALL].wrongly_answered.value == 1
    assert set(writer_worse(made, silent)) == {"F1", "refusal"}
    assert writer_worse(silent, made) == {}


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


# -- the whole chain -----------------------------------------------------------------------------


def test_the_whole_chain_ends_with_a_writer_in_use(
    folder: Path, tmp_path: Path, settings: Settings
) -> None:
    squad(tmp_path / "set.json")
    seven = load_recipe(RECIPES / "writer-7b.yaml")
    assert isinstance(seven, WriterRecipe)
    whole = recipe(
        tmp_path,
        folder,
        training={
            "gradient_checkpointing": seven.training.gradient_checkpointing,
            "targets": seven.training.targets,
            "vocabulary": seven.training.vocabulary,
        },
    )
    said: list[str] = []
    done = adapt(whole, settings, tmp_path / "work", said.append)
    assert done.refusals == {}
    registry = Registry(tmp_path / "data" / "adapters")
    assert registry.current("writer") == done.folder
    assert registry.current("reader") is None
    names = {file.name for file in done.folder.iterdir()}
    assert names >= {
        *("adapter_model.safetensors", "adapter_config.json", ADAPTER_FILE, "writer.json"),
        *("recipe.json", "data.json", "scores.json", "card.md", "reference.npz"),
    }
    assert "NOTICE" not in names  # it is not Gemma's
    card = (done.folder / "card.md").read_text("utf-8")
    assert "CC BY-SA 4.0" in card and "Somebody" in card and "wrongly refused" in card
    scores = json.loads((done.folder / "scores.json").read_text("utf-8"))
    assert scores["after"]["all"]["questions"] > 0
    assert set(scores) == {"before", "after"}

    with pytest.raises(ConfigurationError, match="--resume"):
        adapt(whole, settings, tmp_path / "work", said.append)
    said.clear()
    again = adapt(whole, settings, tmp_path / "work", said.append, resume=True)
    assert again.folder.name == "tiny-2"
    assert not any("tokens/s" in line or "library" in line for line in said)
    assert any("measuring tiny-1" in line for line in said)


def test_rows_count_what_is_read() -> None:
    tail = Tail(SAMPLES[0], (4, 5), (6, 7, 1))  # nothing is read after the last token
    assert len(Row((1, 2, 3), (tail, tail))) == 3 + 4 + 4
