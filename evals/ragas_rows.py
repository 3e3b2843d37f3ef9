"""A run's answers as RAGAS wants them, for those who use its metrics; an optional extra.

RAGAS asks a language model for most of its metrics. Nothing else here depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from assistant.errors import ConfigurationError
from evals.record import Record
from evals.scorers import said


def ragas_rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return one row an answer that has a reference, with the columns of a RAGAS sample."""
    return [
        {
            "user_input": record.case.question,
            "retrieved_contexts": [hit.chunk.text for hit in record.hits],
            "response": said(record.answer),
            "reference": record.case.reference,
        }
        for record in records
        if record.case.reference and said(record.answer)
    ]


def ragas_dataset(records: Iterable[Record]) -> Any:
    """Return the rows as a ``ragas.EvaluationDataset``.

    Raises:
        ConfigurationError: RAGAS cannot be imported.
    """
    try:
        from ragas import EvaluationDataset
    except ImportError as error:
        raise ConfigurationError(
            f"RAGAS cannot be imported ({error}). Run: pip install 'strategy-assistant[ragas]'"
        ) from None
    return EvaluationDataset.from_list(ragas_rows(records))
