"""Order candidates anew by a cross-encoder, for those who have one: `reranker = "cross"`.

It scores pairs of texts and knows nothing of how they were found.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from assistant.errors import ConfigurationError, ModelError
from assistant.model_files import cpu_dtype, prepare_environment
from assistant.settings import Settings

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_BATCH = 16


class CrossReranker:
    """A `sentence_transformers.CrossEncoder`, loaded on first use; one thread at a time.

    Raises:
        ConfigurationError: the settings name no model.
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.reranker_model:
            raise ConfigurationError(
                "`reranker` is `cross`, but no cross-encoder is named. Set "
                "ASSISTANT_RERANKER_MODEL to a folder or a sentence-transformers name, or "
                "ASSISTANT_RERANKER=late."
            )
        self._settings = settings
        self._model: CrossEncoder | None = None
        self._lock = threading.Lock()

    def scores(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return how well each passage answers the question; higher is better.

        Raises:
            ModelError: the model does not load, or fails.
        """
        if not passages:
            return []
        with self._lock:
            model = self._model = self._model or self._load()
            try:
                scores = model.predict(
                    [(question, passage) for passage in passages],
                    batch_size=_BATCH,
                    show_progress_bar=False,
                )
            except RuntimeError as error:
                raise ModelError(
                    f"The cross-encoder failed ({error}). Lower ASSISTANT_RERANKED, or set "
                    "ASSISTANT_RERANKER=late."
                ) from error
        return [float(score) for score in scores]

    def _load(self) -> CrossEncoder:
        prepare_environment()
        import torch
        from sentence_transformers import CrossEncoder

        device = self._settings.embedding_device
        try:
            model: CrossEncoder = CrossEncoder(
                self._settings.reranker_model,
                device=None if device == "auto" else device,
                model_kwargs={"dtype": getattr(torch, cpu_dtype(self._settings))},
            )
            return model
        except Exception as error:  # each library raises its own
            raise ModelError(
                f"The cross-encoder {self._settings.reranker_model} does not load: {error}. Set "
                "ASSISTANT_RERANKER_MODEL to a folder that holds one, or ASSISTANT_RERANKER=late."
            ) from error
