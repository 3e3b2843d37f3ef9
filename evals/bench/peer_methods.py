"""Ours and other frameworks' ways from passages to a ranking, each with the same embedder.

Each is built as its own documentation builds it, with its defaults; only the embedding
model and the depth are ours. Nothing is timed or printed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant import Assistant, Settings
from assistant.embed import Embedder

# Frameworks return pieces of passages; this many hold ten passages and more.
DEPTH = 20


@dataclass(frozen=True)
class Passages:
    """The passages as texts, and the same ones as files named by their index."""

    texts: tuple[str, ...]
    files: Path


Rank = Callable[[str], Sequence[int]]
Build = Callable[[Passages, Embedder], Rank]


@dataclass(frozen=True)
class Method:
    """A way to rank: how it is called, what it imports, how that is installed, how it is built."""

    label: str
    modules: tuple[str, ...]
    packages: str
    build: Build


def ours(passages: Passages, embedder: Embedder) -> Rank:
    """`Assistant.ingest` of the files and `Assistant.search`; the index lies on disk."""
    settings = Settings(data_dir=passages.files.parent / "data", engine="extractive")
    assistant = Assistant(settings, embedder=embedder)
    assistant.ingest(passages.files)
    return lambda question: _distinct(
        Path(hit.document.source).stem for hit in assistant.search(question, k=DEPTH)
    )


# -- LangChain -----------------------------------------------------------------------------------


def langchain_dense(passages: Passages, embedder: Embedder) -> Rank:
    """The textbook: `RecursiveCharacterTextSplitter`, Chroma in memory, a similarity retriever."""
    retriever = _langchain_vectors(_langchain_chunks(passages), embedder)
    return lambda question: _langchain_order(retriever.invoke(question))


def langchain_ensemble(passages: Passages, embedder: Embedder) -> Rank:
    """`EnsembleRetriever` as in its example: `BM25Retriever`, by white space, and the same."""
    return _langchain_fused(passages, embedder, lexical_first=True)


def langchain_dense_first(passages: Passages, embedder: Embedder) -> Rank:
    """The same with the legs the other way round: equal ranks go to the leg named first."""
    return _langchain_fused(passages, embedder, lexical_first=False)


def _langchain_fused(passages: Passages, embedder: Embedder, *, lexical_first: bool) -> Rank:
    from langchain_classic.retrievers import EnsembleRetriever
    from langchain_community.retrievers import BM25Retriever

    chunks = _langchain_chunks(passages)
    legs = [
        BM25Retriever.from_documents(chunks, k=DEPTH),
        _langchain_vectors(chunks, embedder),
    ]
    ordered = legs if lexical_first else legs[::-1]
    retriever = EnsembleRetriever(retrievers=ordered, weights=[0.5, 0.5])
    return lambda question: _langchain_order(retriever.invoke(question))


def _langchain_chunks(passages: Passages) -> list[Any]:
    from langchain_core.documents import Document
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    documents = [
        Document(text, metadata={"passage": index}) for index, text in enumerate(passages.texts)
    ]
    return list(RecursiveCharacterTextSplitter().split_documents(documents))


def _langchain_vectors(chunks: list[Any], embedder: Embedder) -> Any:
    from langchain_chroma import Chroma

    return Chroma.from_documents(chunks, embedder).as_retriever(search_kwargs={"k": DEPTH})


def _langchain_order(documents: Sequence[Any]) -> Sequence[int]:
    return _distinct(document.metadata["passage"] for document in documents)


# -- LlamaIndex ----------------------------------------------------------------------------------


def llamaindex_vectors(passages: Passages, embedder: Embedder) -> Rank:
    """`VectorStoreIndex.from_documents` with its default splitter and store."""
    retriever = _llamaindex(passages, embedder).as_retriever(similarity_top_k=DEPTH)
    return lambda question: _llamaindex_order(retriever.retrieve(question))


def llamaindex_fusion(passages: Passages, embedder: Embedder) -> Rank:
    """`QueryFusionRetriever` of the same and BM25, by reciprocal rank as its example does."""
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import QueryFusionRetriever
    from llama_index.retrievers.bm25 import BM25Retriever

    index = _llamaindex(passages, embedder)
    lexical = BM25Retriever.from_defaults(docstore=index.docstore, similarity_top_k=DEPTH)
    retriever = QueryFusionRetriever(
        [index.as_retriever(similarity_top_k=DEPTH), lexical],
        llm=MockLLM(),  # it wants one even where no further queries are written
        mode="reciprocal_rerank",
        similarity_top_k=DEPTH,
        num_queries=1,
        use_async=False,
    )
    return lambda question: _llamaindex_order(retriever.retrieve(question))


def _llamaindex(passages: Passages, embedder: Embedder) -> Any:
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.core.embeddings import BaseEmbedding

    class Ours(BaseEmbedding):  # type: ignore[misc]
        def _get_query_embedding(self, query: str) -> list[float]:
            return embedder.embed_query(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return embedder.embed_query(query)

        def _get_text_embedding(self, text: str) -> list[float]:
            return embedder.embed_documents([text])[0]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return embedder.embed_documents(texts)

    documents = [Document(text=text, id_=str(i)) for i, text in enumerate(passages.texts)]
    # The embedder makes its own batches, for all methods alike.
    return VectorStoreIndex.from_documents(documents, embed_model=Ours(embed_batch_size=2048))


def _llamaindex_order(nodes: Sequence[Any]) -> Sequence[int]:
    return _distinct(each.node.ref_doc_id for each in nodes)


# -- Haystack ------------------------------------------------------------------------------------


def haystack_bm25(passages: Passages, embedder: Embedder) -> Rank:
    """`InMemoryBM25Retriever`; no embedding model takes part."""
    from haystack import Pipeline
    from haystack.components.retrievers.in_memory import InMemoryBM25Retriever

    pipeline = Pipeline()
    store = _haystack_store(passages, [None] * len(passages.texts))
    pipeline.add_component("bm25", InMemoryBM25Retriever(store, top_k=DEPTH))

    def rank(question: str) -> Sequence[int]:
        return _haystack_order(pipeline.run({"bm25": {"query": question}})["bm25"])

    return rank


def haystack_hybrid(passages: Passages, embedder: Embedder) -> Rank:
    """BM25 and `InMemoryEmbeddingRetriever`, by `DocumentJoiner` with reciprocal rank fusion."""
    from haystack import Pipeline, component
    from haystack.components.joiners import DocumentJoiner
    from haystack.components.retrievers.in_memory import (
        InMemoryBM25Retriever,
        InMemoryEmbeddingRetriever,
    )

    @component
    class OurTextEmbedder:
        @component.output_types(embedding=list[float])  # type: ignore[untyped-decorator]
        def run(self, text: str) -> dict[str, list[float]]:
            return {"embedding": embedder.embed_query(text)}

    store = _haystack_store(passages, embedder.embed_documents(list(passages.texts)))
    pipeline = Pipeline()
    pipeline.add_component("embedder", OurTextEmbedder())
    pipeline.add_component("dense", InMemoryEmbeddingRetriever(store, top_k=DEPTH))
    pipeline.add_component("bm25", InMemoryBM25Retriever(store, top_k=DEPTH))
    pipeline.add_component("joiner", DocumentJoiner(join_mode="reciprocal_rank_fusion"))
    pipeline.connect("embedder.embedding", "dense.query_embedding")
    pipeline.connect("dense", "joiner")
    pipeline.connect("bm25", "joiner")

    def rank(question: str) -> Sequence[int]:
        asked = {"embedder": {"text": question}, "bm25": {"query": question}}
        return _haystack_order(pipeline.run(asked)["joiner"])

    return rank


def _haystack_store(passages: Passages, vectors: Sequence[list[float] | None]) -> Any:
    from haystack import Document
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    store = InMemoryDocumentStore()
    store.write_documents(
        [
            Document(content=text, meta={"passage": index}, embedding=vector)
            for index, (text, vector) in enumerate(zip(passages.texts, vectors, strict=True))
        ]
    )
    return store


def _haystack_order(answer: Any) -> Sequence[int]:
    return _distinct(document.meta["passage"] for document in answer["documents"])


def _distinct(indices: Iterable[Any]) -> Sequence[int]:
    """Return each passage once, where its first piece stands."""
    return list(dict.fromkeys(int(index) for index in indices))


_LANGCHAIN = ("langchain_chroma", "langchain_text_splitters")
_ENSEMBLE = (
    *_LANGCHAIN,
    "langchain_classic.retrievers",
    "langchain_community.retrievers",
    "rank_bm25",
)
_ENSEMBLE_PACKAGES = (
    "langchain-chroma langchain-text-splitters langchain-classic langchain-community rank-bm25"
)
_LLAMAINDEX = ("llama_index.core",)
_HAYSTACK = ("haystack", "haystack.components.retrievers.in_memory")

METHODS: dict[str, Method] = {
    "ours": Method("Ours, `Assistant.search`", ("chromadb",), "strategy-assistant", ours),
    "langchain": Method(
        "LangChain textbook: Chroma, dense",
        _LANGCHAIN,
        "langchain-chroma langchain-text-splitters",
        langchain_dense,
    ),
    "langchain-ensemble": Method(
        "LangChain ensemble, BM25 first",
        _ENSEMBLE,
        _ENSEMBLE_PACKAGES,
        langchain_ensemble,
    ),
    "langchain-dense-first": Method(
        "LangChain ensemble, dense first",
        _ENSEMBLE,
        _ENSEMBLE_PACKAGES,
        langchain_dense_first,
    ),
    "llamaindex": Method(
        "LlamaIndex default: vectors", _LLAMAINDEX, "llama-index-core", llamaindex_vectors
    ),
    "llamaindex-fusion": Method(
        "LlamaIndex fusion retriever with BM25",
        (*_LLAMAINDEX, "llama_index.retrievers.bm25"),
        "llama-index-core llama-index-retrievers-bm25",
        llamaindex_fusion,
    ),
    "haystack-bm25": Method("Haystack BM25", _HAYSTACK, "haystack-ai", haystack_bm25),
    "haystack-hybrid": Method(
        "Haystack hybrid: dense and BM25",
        (*_HAYSTACK, "haystack.components.joiners"),
        "haystack-ai",
        haystack_hybrid,
    ),
}
