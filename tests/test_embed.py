"""Every embedder keeps one contract; the embedded model finds the passage that answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings

from assistant import e5
from assistant.adapted import AdaptedEmbedder, HashEmbedder, adapt_embeddings
from assistant.embed import Embedder, Vectors, embedded_model_dir, load_embedder
from assistant.errors import ModelError
from assistant.settings import Settings

LIGATURES = "\ufdfa" * 50  # each is 18 characters once normalised
AWKWARD = {
    "empty": "",
    "white": " \n\t",
    "control": "\x00\x07\x1b[31m",
    "surrogate": "a\ud800b",
    "ligatures": LIGATURES,
    "emoji": "👩‍👩‍👧‍👦😀" * 40,
    "endless": "数" * 100_000,
}
TEXTS = [
    "训练大模型需要大量高质量的数据。",
    "The server room has eight GPUs.",
    "短",
    "年度预算由财务部门在十一月提交给董事会审批，金额不得超过上一年度的一倍半。" * 6,
    "a",
]


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The model in one cache for the whole test run: whichever test file comes first unpacks it."""
    settings = Settings(cache_dir=tmp_path_factory.getbasetemp() / "models")
    embedded_model_dir(settings)
    return settings


@pytest.fixture(scope="session")
def embedded(unpacked: Settings) -> Embedder:
    return Embedder(unpacked)


@pytest.fixture(params=["embedded", "hash", "adapted"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    if request.param == "hash":
        return load_embedder(Settings(embedding_model="hash"))
    if request.param == "adapted":
        return adapt_embeddings(DeterministicFakeEmbedding(size=32))
    model: Embedder = request.getfixturevalue("embedded")
    return model


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    return float(left @ right)


# -- the contract, kept by every embedder -----------------------------------------------------


def test_vectors_are_float32_of_length_one(embedder: Embedder) -> None:
    vectors = embedder.embed_passages(TEXTS)
    dimension = embedder.fingerprint["dimension"]
    assert vectors.shape == (len(TEXTS), dimension)
    assert vectors.dtype == np.float32
    question = embedder.embed_question(TEXTS[0])
    assert question.shape == (dimension,)
    assert question.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm([*vectors, question], axis=1), 1, atol=1e-5)


def test_vectors_keep_the_order_of_the_texts(embedder: Embedder) -> None:
    together = embedder.embed_passages(TEXTS)
    alone = np.vstack([embedder.embed_passages([text]) for text in TEXTS])
    assert (np.sum(together * alone, axis=1) > 0.999).all()


def test_the_same_text_has_the_same_vector(embedder: Embedder) -> None:
    np.testing.assert_array_equal(embedder.embed_passages(TEXTS), embedder.embed_passages(TEXTS))
    first = embedder.embed_question(TEXTS[0]).copy()
    for number in range(20):  # more than are remembered
        embedder.embed_question(f"{number}")
    np.testing.assert_array_equal(embedder.embed_question(TEXTS[0]), first)


def test_a_question_is_embedded_once_for_all_who_ask_in_turn() -> None:
    class Counting(HashEmbedder):
        asked = 0

        def _encode(self, texts: list[str], prefix: str, *, question: bool = False) -> Vectors:
            self.asked += question * len(texts)
            return super()._encode(texts, prefix, question=question)

    embedder = Counting()
    vector = embedder.embed_question("年假几天？")
    assert embedder.embed_question("年假几天？") is vector and embedder.asked == 1
    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 1.0
    assert embedder.gives_tokens  # from here on a vector without its tokens is not enough
    assert len(embedder.encode_question("年假几天？")[1].spans) > 0
    asked = embedder.asked
    assert embedder.encode_question("年假几天？")[1] is embedder.encode_question("年假几天？")[1]
    assert embedder.asked == asked
    for number in range(20):
        embedder.embed_question(f"{number}")
    embedder.embed_question("年假几天？")
    assert embedder.asked == asked + 21


def test_lists_hold_the_same_numbers(embedder: Embedder) -> None:
    assert embedder.embed_documents(TEXTS) == embedder.embed_passages(TEXTS).tolist()
    assert embedder.embed_query("GPU") == embedder.embed_question("GPU").tolist()


def test_no_texts_are_no_vectors(embedder: Embedder) -> None:
    assert embedder.embed_passages([]).shape == (0, embedder.fingerprint["dimension"])
    assert embedder.embed_documents([]) == []
    assert embedder.count_tokens([]) == []


def test_progress_ends_at_the_number_of_texts(embedder: Embedder) -> None:
    told: list[int] = []
    embedder.embed_passages(TEXTS, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == len(TEXTS)


@pytest.mark.parametrize("text", AWKWARD.values(), ids=AWKWARD)
def test_awkward_text_is_embedded_and_counted(embedder: Embedder, text: str) -> None:
    for vector in (embedder.embed_question(text), embedder.embed_passages([text])[0]):
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    (count,) = embedder.count_tokens([text])
    assert 0 <= count <= 18 * len(text)


def test_tokens_grow_with_the_text(embedder: Embedder) -> None:
    once, twice, english = embedder.count_tokens(["数据治理", "数据治理" * 2, "data governance"])
    assert 0 < once < twice
    assert english > 0
    assert embedder.max_tokens >= 128


def test_threads_get_what_one_thread_gets(embedder: Embedder) -> None:
    texts = [f"第{n}条：{text}" for n, text in enumerate(TEXTS * 3)]
    expected = [embedder.embed_question(text) for text in texts]
    counts = embedder.count_tokens(texts)
    with ThreadPoolExecutor(8) as pool:
        vectors = list(pool.map(embedder.embed_question, texts))
        counted = list(pool.map(lambda text: embedder.count_tokens([text])[0], texts))
    # Those that waited together were embedded together, which rounds a little otherwise.
    assert (np.sum(np.array(vectors) * np.array(expected), axis=1) > 0.9995).all()
    assert counted == counts


def test_fingerprint_is_plain_and_stable(embedder: Embedder) -> None:
    fingerprint = embedder.fingerprint
    assert set(fingerprint) == {
        "model", "revision", "dimension", "query_prefix", "passage_prefix",
    }  # fmt: skip
    assert json.loads(json.dumps(fingerprint)) == fingerprint


# -- the embedded model means what it should --------------------------------------------------

ZH = [
    "训练一个大模型通常需要数千亿到数万亿个词元的语料，数据质量比数量更重要。",
    "公司的机房里有八块 NVIDIA A100 显卡，用于内部推理服务。",
    "员工每年享有十五天带薪年假，须提前两周向主管申请。",
]
EN = [
    "Mixed precision and gradient checkpointing lower the compute cost of training.",
    "The board approved a budget of 12 million for the next fiscal year.",
    "Customers may return a product within thirty days of purchase.",
]


@pytest.mark.parametrize(
    ("question", "passages", "answer"),
    [
        ("大模型训练需要多少数据？", [*ZH, *EN], 0),
        ("我们有哪些GPU？", [*ZH, *EN], 1),
        ("年假有几天？", [*ZH, *EN], 2),
        ("How can we cut the compute cost of training?", [*ZH, *EN], 3),
        ("What is the budget for next year?", [*ZH, *EN], 4),
        ("Can I send a purchase back?", [*ZH, *EN], 5),
        ("How many vacation days do employees have?", ZH, 2),
        ("Which graphics cards are in the server room?", ZH, 1),
        ("怎样降低训练的算力成本？", EN, 0),
        ("顾客多久之内可以退货？", EN, 2),
    ],
)
def test_a_question_finds_its_passage(
    embedded: Embedder, question: str, passages: list[str], answer: int
) -> None:
    scores = embedded.embed_passages(passages) @ embedded.embed_question(question)
    assert int(np.argmax(scores)) == answer


def test_prefixes_come_from_the_model_unless_set(unpacked: Settings, embedded: Embedder) -> None:
    assert embedded.fingerprint["query_prefix"] == "query: "
    assert embedded.fingerprint["passage_prefix"] == "passage: "
    text = "数据治理政策"
    as_passage = embedded.embed_passages([text])[0]
    assert cosine(embedded.embed_question(text), as_passage) < 0.995
    swapped = Embedder(unpacked.model_copy(update={"query_prefix": "passage: "}))
    swapped._model, swapped._counter = embedded._model, embedded._counter
    assert cosine(swapped.embed_question(text), as_passage) > 0.9999
    assert swapped.fingerprint != embedded.fingerprint


def test_text_beyond_the_limit_does_not_count(embedded: Embedder) -> None:
    head = "预算" * 600
    assert embedded.count_tokens([head])[0] > embedded.max_tokens == 512
    first, second = embedded.embed_passages([head, head + "The cat sat on the mat. " * 50])
    assert cosine(first, second) > 0.9999


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello world!", 3),
        ("  Hello \n\t world!  ", 3),
        ("你好，世界", 4),
        ("passage: ", 2),
        (LIGATURES, 200),  # four Arabic words each
        ("", 0),
    ],
)
def test_tokens_are_counted_as_the_model_counts(embedded: Embedder, text: str, tokens: int) -> None:
    assert embedded.count_tokens([text]) == [tokens]


def test_counting_is_the_same_before_and_after_the_model_is_loaded(
    unpacked: Settings, embedded: Embedder
) -> None:
    texts = [*TEXTS, *ZH, *EN, *AWKWARD.values(), "</s> <mask> and so on", "～10–20％"]
    embedded.embed_question("load the model")
    assert Embedder(unpacked).count_tokens(texts) == embedded.count_tokens(texts)


def test_every_weight_of_the_model_comes_from_the_file(embedded: Embedder) -> None:
    model = embedded._open_model()
    assert sum(parameter.numel() for parameter in model.parameters()) == e5.PARAMETERS


def test_the_package_itself_is_never_loaded(embedded: Embedder) -> None:
    embedded.embed_question("its C tokenizer overruns its heap")
    assert e5.PACKAGE not in sys.modules
    if sys.platform == "linux":
        assert e5.PACKAGE not in Path("/proc/self/maps").read_text(encoding="utf-8")


# -- other models -----------------------------------------------------------------------------


@pytest.fixture
def copied(unpacked: Settings, tmp_path: Path) -> Path:
    """The embedded model as somebody's own folder: hard links, but files that can be replaced."""
    folder = tmp_path / "own-model"
    shutil.copytree(embedded_model_dir(unpacked), folder, copy_function=os.link)
    return folder


def replace_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.unlink()
    path.write_text(json.dumps(content), encoding="utf-8")


def test_a_folder_is_a_model(copied: Path, embedded: Embedder) -> None:
    replace_json(
        copied / "config_sentence_transformers.json",
        lambda content: content.update(prompts={"query": "query: ", "document": "passage: "}),
    )
    replace_json(
        copied / "sentence_bert_config.json", lambda content: content.update(max_seq_length=128)
    )
    own = load_embedder(Settings(embedding_model=str(copied)))
    np.testing.assert_allclose(
        own.embed_passages(TEXTS[:3]), embedded.embed_passages(TEXTS[:3]), atol=1e-2
    )
    expected = {**embedded.fingerprint, "model": "own-model", "revision": None}
    assert {**own.fingerprint, "revision": None} == expected
    assert own.max_tokens == 128


def test_a_damaged_folder_says_what_to_do(copied: Path) -> None:
    weights = copied / "model.safetensors"
    half = weights.read_bytes()[: 1 << 20]
    weights.unlink()
    weights.write_bytes(half)
    with pytest.raises(ModelError, match="Check the folder"):
        Embedder(Settings(embedding_model=str(copied))).embed_question("?")


def test_a_model_that_fails_while_embedding_is_a_model_error(
    unpacked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Exhausted:
        def encode_query(self, *_: object, **__: object) -> None:
            raise RuntimeError("CUDA out of memory")

    embedder = Embedder(unpacked)
    monkeypatch.setattr(embedder, "_model", Exhausted())
    with pytest.raises(ModelError, match=r"out of memory.*ASSISTANT_EMBEDDING_BATCH"):
        embedder.embed_question("?")


def test_an_unknown_device_is_named(unpacked: Settings) -> None:
    settings = unpacked.model_copy(update={"embedding_device": "abacus"})
    with pytest.raises(ModelError, match=r"'abacus'.*ASSISTANT_EMBEDDING_DEVICE"):
        Embedder(settings).embed_question("?")


def test_counting_and_the_fingerprint_load_no_model(unpacked: Settings) -> None:
    script = """
import sys
from pathlib import Path
from assistant.embed import load_embedder
from assistant.settings import Settings
embedder = load_embedder(Settings(cache_dir=Path(sys.argv[1])))
assert embedder.fingerprint["dimension"] == 384 and embedder.max_tokens == 512
assert "tokenizers" not in sys.modules
assert embedder.count_tokens(["Hello world!"]) == [3]
assert not {"torch", "transformers", "sentence_transformers"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script, str(unpacked.cache_dir)], check=True)


# -- the other embedders ----------------------------------------------------------------------


def test_hashed_terms_are_arithmetic() -> None:
    embedder = HashEmbedder()
    (place,) = np.flatnonzero(embedder.embed_question("数据"))
    assert place == 30  # the same in every process: no salted hash
    one, two, other = embedder.embed_passages(["数据治理政策", "数据治理办法", "annual leave"])
    assert cosine(one, two) > 0.5 > cosine(one, other)
    assert embedder.fingerprint["model"] == "hash"
    assert embedder.count_tokens(["数据 governance"]) == [2 + 4]


def test_any_langchain_embeddings_can_take_the_place(embedded: Embedder) -> None:
    assert adapt_embeddings(embedded) is embedded

    class Named(Embeddings):
        model = "some-model"

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[3.0, 4.0] for _ in texts]

        def embed_query(self, text: str) -> list[float]:
            return [0.0, float("nan")]

    adapted = AdaptedEmbedder(Named())
    np.testing.assert_allclose(adapted.embed_passages(["x"]), [[0.6, 0.8]])
    assert adapted.fingerprint["model"] == "Named:some-model"
    with pytest.raises(ModelError, match="ASSISTANT_EMBEDDING_DTYPE"):
        adapted.embed_question("x")
