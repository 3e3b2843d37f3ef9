"""Drift: the index against figures worked by hand, and questions of another kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assistant import Answer, Principal
from assistant.adapt.watch import Drift, Reference, drift, stability_index
from assistant.adapted import HashEmbedder
from assistant.conversation import ConversationStore
from assistant.errors import ConfigurationError
from assistant.usage import first_day

EMBED = HashEmbedder().embed_question
TAUGHT = [f"年假第{n}条规定怎么休？" for n in range(120)]
HELD_BACK = [f"年假第{n}条规定能休几天？" for n in range(120, 200)]
LIKE_THEM = [f"年假第{n}条规定能休几天？" for n in range(200, 300)]
OTHERS = [f"How loud is pump number {n} under load?" for n in range(100)]


def test_the_index_is_the_one_worked_by_hand() -> None:
    # Two classes from 70 and 30 to 50 and 50 per cent: (.5-.7)ln(.5/.7) + (.5-.3)ln(.5/.3).
    before = np.repeat([0.0, 1.0], [70, 30])
    after = np.repeat([0.0, 1.0], [50, 50])
    assert stability_index(before, after) == pytest.approx(0.1695, abs=1e-3)
    assert stability_index(before, before) == 0.0


def test_questions_of_another_kind_are_a_drift_and_like_ones_are_none() -> None:
    reference = Reference.of(TAUGHT, HELD_BACK, EMBED)
    steady = [0.5 + 0.001 * (n % 10) for n in range(100)]
    same = drift(reference, list(zip(LIKE_THEM, steady, strict=True)), EMBED)
    other = drift(reference, list(zip(OTHERS, steady, strict=True)), EMBED)
    assert same.nearness < other.nearness
    assert other.verdict == "teach again"


def test_falling_confidence_is_a_drift() -> None:
    reference = Reference.of(TAUGHT, HELD_BACK, EMBED)
    falling = [0.9 - 0.008 * n for n in range(100)]
    found = drift(reference, list(zip(LIKE_THEM, falling, strict=True)), EMBED)
    assert found.confidence > 0.25 and found.verdict == "teach again"


def test_few_questions_say_nothing() -> None:
    reference = Reference.of(TAUGHT, HELD_BACK, EMBED)
    assert drift(reference, [(OTHERS[0], 0.1)] * 49, EMBED).verdict == "too few"
    assert Drift(50, 0.09, 0.01).verdict == "stable"
    assert Drift(50, 0.09, 0.2).verdict == "look into it"


def test_a_reference_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    reference = Reference.of(TAUGHT, HELD_BACK, EMBED)
    reference.save(tmp_path / "reference.npz")
    again = Reference.read(tmp_path / "reference.npz")
    assert np.allclose(again.vectors, reference.vectors, atol=1e-3)
    assert np.array_equal(again.nearness, reference.nearness)
    with pytest.raises(ConfigurationError, match="assistant adapt run"):
        Reference.read(tmp_path / "other" / "reference.npz")


def test_watched_are_the_first_questions_of_conversations_without_greetings(
    tmp_path: Path,
) -> None:
    store = ConversationStore(tmp_path)
    asker = Principal("li")
    said = [("a", "你好", "none", False), ("b", "年假几天？", "extractive", False)]
    said += [("b", "病假呢？", "extractive", False), ("c", "谁是董事长？", "none", True)]
    for number, (conversation, question, engine, refused) in enumerate(said):
        answer = Answer("答", (), refused, 0.25, engine, conversation, f"answer-{number}")
        store.append(asker, question, answer)
    found = store.questions_since(first_day(1))
    store.close()
    assert found == (("年假几天？", 0.25), ("谁是董事长？", 0.25))
