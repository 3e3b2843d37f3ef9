"""The topic router: what a question is about, one of nine topics, from its vector alone.

A logistic regression over the embedder's question vectors; ``evals/bench/topics.py`` trains it,
writes ``topics.npz`` and measures it. What a topic is good for is its callers' business.
"""

from __future__ import annotations

from dataclasses import dataclass

from assistant.embed import Embedder, Vectors
from assistant.linear import LinearClassifier

OFF_TOPIC = "off-topic"
TOPICS = (
    "data",
    "cost",
    "security",
    "use-cases",
    "training",
    "deployment",
    "people",
    "company-facts",
    OFF_TOPIC,
)


@dataclass(frozen=True)
class Routed:
    """The likeliest topic of a question, and its probability."""

    topic: str
    probability: float


@dataclass(frozen=True, eq=False)
class TopicRouter:
    """Routes by the vectors of ``embedder``; safe to share between threads.

    The classes of ``classifier`` are `TOPICS`, in their order.
    """

    embedder: Embedder
    classifier: LinearClassifier

    @classmethod
    def load(cls, embedder: Embedder) -> TopicRouter:
        """Return the router that ships with the package.

        Raises:
            ConfigurationError: it was trained on the vectors of another embedding model.
        """
        return cls(embedder, LinearClassifier.load("topics", embedder.fingerprint))

    def route(self, question: str) -> Routed:
        """Return the topic of a question, which is embedded for it."""
        return self.route_vector(self.embedder.embed_question(question))

    def route_vector(self, vector: Vectors) -> Routed:
        """Return the topic of a question whose vector (dimension,) is there already."""
        probabilities = self.classifier.probabilities(vector)
        best = int(probabilities.argmax())
        return Routed(TOPICS[best], float(probabilities[best]))

    def topic(self, question: str) -> str:
        """Return the topic of a question, ``""`` where none is sure.

        The threshold is such that one in a hundred questions that do belong here is called
        off-topic at most, as measured on the questions that it was chosen with.
        """
        return self.sure(self.route(question))

    def sure(self, routed: Routed) -> str:
        """Return the topic where its probability is over the threshold, else ``""``."""
        return routed.topic if routed.probability > self.classifier.threshold else ""
