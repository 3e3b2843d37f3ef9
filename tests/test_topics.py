"""The router: clear questions go where they belong, and another model's vectors are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

import evals
from assistant import Settings
from assistant.adapted import HashEmbedder
from assistant.embed import load_embedder
from assistant.errors import ConfigurationError
from assistant.topics import OFF_TOPIC, TOPICS, Routed, TopicRouter

LABELLED = Path(evals.__file__).parent / "topics"
CLEAR = [
    ("训练数据要怎么清洗和标注？", "data"),
    ("How should we clean and label our training data?", "data"),
    ("一年的总费用大概要多少钱？", "cost"),
    ("How much will the API cost us per month?", "cost"),
    ("怎么防止客户的个人信息泄露？", "security"),
    ("How do we protect personal data from leaking?", "security"),
    ("零售行业适合从哪个应用场景做起？", "use-cases"),
    ("Which use cases suit a retailer?", "use-cases"),
    ("梯度下降是怎么工作的？", "training"),
    ("How does gradient descent work?", "training"),
    ("推理服务部署在几台GPU服务器上合适？", "deployment"),
    ("How many GPUs does vLLM need to serve a 13B model?", "deployment"),
    ("团队里需要哪些岗位？员工怎么培训？", "people"),
    ("How do we train our employees and win over sceptical staff?", "people"),
    ("我们公司的年假有几天？", "company-facts"),
    ("How many days of annual leave does our handbook grant?", "company-facts"),
    ("明天会下雨吗？", OFF_TOPIC),
    ("How do I cook spaghetti carbonara?", OFF_TOPIC),
]
ODD = {
    "empty": "",
    "white": " \n\t",
    "control": "\x00\x07\x1b[31m",
    "surrogate": "a\ud800b",
    "emoji": "👩‍👩‍👧‍👦😀" * 40,
    "endless": "费用要多少钱" * 20_000,
}


@pytest.fixture(scope="module")
def router() -> TopicRouter:
    return TopicRouter.load(load_embedder(Settings()))


@pytest.mark.parametrize(("question", "topic"), CLEAR)
def test_a_clear_question_goes_where_it_belongs(
    router: TopicRouter, question: str, topic: str
) -> None:
    routed = router.route(question)
    assert routed.topic == topic
    assert router.sure(routed) == router.topic(question) == topic


def test_the_probabilities_are_those_of_all_topics_and_sum_to_one(router: TopicRouter) -> None:
    vector = router.embedder.embed_question("预算怎么分配？")
    probabilities = router.classifier.probabilities(vector)
    assert probabilities.shape == (len(TOPICS),) and (probabilities >= 0).all()
    assert probabilities.sum() == pytest.approx(1.0)
    assert router.route_vector(vector) == Routed(
        TOPICS[int(probabilities.argmax())], probabilities.max()
    )


def test_vectors_far_from_any_question_overflow_nothing(router: TopicRouter) -> None:
    probabilities = router.classifier.probabilities(1e4 * np.sign(router.classifier.weights[0]))
    assert probabilities.sum() == pytest.approx(1.0) and probabilities.argmax() == 0


def test_a_topic_is_given_only_where_it_is_sure(router: TopicRouter) -> None:
    assert 0.5 < router.classifier.threshold < 1.0
    assert router.sure(Routed(OFF_TOPIC, router.classifier.threshold)) == ""
    assert router.sure(Routed(OFF_TOPIC, 1.0)) == OFF_TOPIC


@pytest.mark.parametrize("question", ODD.values(), ids=ODD)
def test_a_question_of_odd_shape_is_routed(router: TopicRouter, question: str) -> None:
    routed = router.route(question)
    assert routed.topic in TOPICS and 1 / len(TOPICS) <= routed.probability <= 1.0


def test_another_embedding_model_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigurationError, match=r"'hash'.*evals/bench/topics\.py"):
        TopicRouter.load(HashEmbedder())


def test_another_prefix_before_questions_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="query_prefix 'passage: '"):
        TopicRouter.load(load_embedder(Settings(query_prefix="passage: ")))


def test_the_files_name_all_topics_and_share_no_question() -> None:
    train, test = (
        yaml.safe_load((LABELLED / name).read_text("utf-8")) for name in ("train.yaml", "test.yaml")
    )
    assert set(train) == set(test) == set(TOPICS)
    questions = [q for labelled in (train, test) for asked in labelled.values() for q in asked]
    assert len(questions) == len(set(questions))
