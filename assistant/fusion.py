"""How the scores of a candidate become one: the legs, and what orders the best of them anew.

It knows numbers only: no question, no passage and no index. Weights: evals/LOG.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Ranked = list[tuple[int, float]]

# Share of a cross-encoder in the score; the rest is the legs'.
_RERANKER_SHARE = 0.85
# Share of MaxSim in the semantic score, the rest being the dense leg's: of a passage in the
# question's own language, and of one in another, which the dense leg knows less well.
_OWN_SHARE = 0.6
_ABROAD_SHARE = 0.85
# Share of the lexical leg beside the semantic score.
_LEXICAL_SHARE = 0.4
# A passage in another language than the question shares no terms with it. What its lexical
# score lacks is taken to be this share of its semantic score.
_FOREIGN_SHARE = 0.9
# Of two passages that say the same in two languages the asker wants the one in their own.
_ABROAD_DISCOUNT = 0.05


def fuse(dense: Mapping[int, float], lexical: Mapping[int, float], dense_weight: float) -> Ranked:
    """Return ``(rowid, score)`` of the union, best first, by convex combination.

    Each leg is min-max-normalised over the union; a chunk that
    the lexical leg did not return scores 0 there. DESIGN §5, "Fusion", has the measurements.
    """
    rowids = sorted(dense.keys() | lexical.keys())
    if not rowids:
        return []
    legs = (_stretched([leg.get(rowid, 0.0) for rowid in rowids]) for leg in (dense, lexical))
    first, second = legs
    return _ranked(rowids, dense_weight * first + (1.0 - dense_weight) * second)


def fuse_languages(
    dense: Mapping[int, float],
    lexical: Mapping[int, float],
    foreign: set[int],
    mass: float,
    compared: Mapping[int, float],
) -> Ranked:
    """Return ``(rowid, score)``, best first, where some passages are in another language.

    Args:
        dense: a cosine that favours no language, of every candidate.
        lexical: BM25, of those that share a term.
        foreign: candidates in another language than the question.
        mass: the idf of all that the question is about. A lexical score far below it is a weak
            one, though it be the best.
        compared: MaxSim of the best candidates; the others count as the least alike. Empty
            before any is compared.
    """
    rowids = sorted(dense)
    if not rowids:
        return []
    semantic = _stretched([dense[rowid] for rowid in rowids])
    abroad = np.array([rowid in foreign for rowid in rowids])
    if compared:
        least = min(compared.values())
        late = _stretched([compared.get(rowid, least) for rowid in rowids])
        share = np.where(abroad, _ABROAD_SHARE, _OWN_SHARE).astype(np.float32)
        semantic = share * late + (1.0 - share) * semantic
    terms = np.array([lexical.get(rowid, 0.0) for rowid in rowids], np.float32)
    terms /= max(float(terms.max()), mass, 1e-9)
    terms = terms + abroad * _FOREIGN_SHARE * semantic * (1.0 - terms)
    scores = (1.0 - _LEXICAL_SHARE) * semantic + _LEXICAL_SHARE * terms
    scores[abroad] *= 1.0 - _ABROAD_DISCOUNT
    return _ranked(rowids, scores)


def rescore(ranked: Ranked, compared: Mapping[int, float]) -> Ranked:
    """Return ``ranked`` blended with another model's scores for the best of it."""
    rowids = [rowid for rowid, _ in ranked]
    least = min(compared.values(), default=0.0)
    other = _stretched([compared.get(rowid, least) for rowid in rowids])
    own = np.array([score for _, score in ranked], np.float32)
    return _ranked(rowids, _RERANKER_SHARE * other + (1.0 - _RERANKER_SHARE) * own)


def _stretched(values: Sequence[float]) -> Scores:
    """Return the values spread over 0 to 1; all of them 1 where they are equal."""
    scores = np.array(values, np.float32)
    low, spread = scores.min(), float(np.ptp(scores))
    return (scores - low) / spread if spread > 0.0 else np.ones_like(scores)


def _ranked(rowids: Sequence[int], scores: Scores) -> Ranked:
    order = np.argsort(-scores, kind="stable")
    return [(rowids[i], float(scores[i])) for i in order]
