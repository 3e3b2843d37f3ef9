"""How good a ranking of passages is, by the grades that people gave them.

A ranking is a sequence of passage indices without repetition, best first; a passage that
was not judged counts as grade 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Grades = Mapping[int, int]


def hit_at(k: int, ranked: Sequence[int], grades: Grades) -> float:
    """Return 1.0 when a passage of grade 1 or more is among the first ``k``.

    Where one passage answers a question, the mean of this is recall at ``k``.
    """
    return float(any(grades.get(index, 0) > 0 for index in ranked[:k]))


def reciprocal_rank(k: int, ranked: Sequence[int], grades: Grades) -> float:
    """Return 1 / rank of the first passage of grade 1 or more; 0.0 beyond rank ``k``."""
    ranks = (rank for rank, index in enumerate(ranked[:k], 1) if grades.get(index, 0) > 0)
    first = next(ranks, None)
    return 1.0 / first if first else 0.0


def ndcg_at(k: int, ranked: Sequence[int], grades: Grades) -> float:
    """Return nDCG at ``k`` with the grade itself as gain, as BEIR's trec_eval computes it.

    Source: K. Järvelin and J. Kekäläinen, "Cumulated gain-based evaluation of IR
    techniques", 2002.
    """
    from sklearn.metrics import ndcg_score

    found = [max(grades.get(index, 0), 0) for index in ranked[:k]]
    missed = [max(grade, 0) for index, grade in grades.items() if index not in ranked[:k]]
    # What was not found stands behind k places: it counts in the ideal order alone.
    gains = [*found, *([0] * (k - len(found) + 1)), *missed]
    return float(ndcg_score([gains], [[-place for place in range(len(gains))]], k=k))
