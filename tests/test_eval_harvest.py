from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from assistant import Assistant, Principal, Settings
from assistant.conversation import ConversationStore
from assistant.errors import ConfigurationError, NotFoundError
from assistant.surfaces.cli import app
from evals.case import load_cases
from evals.harvest import drafts, reviewable

LIN, WU = Principal("lin-jia"), Principal("wu-bei", ["finance"])


@pytest.fixture
def data_dir(settings: Settings, papers: Path) -> Path:
    """Conversations: one answer disliked, one follow-up refused, one answer nobody minds."""
    opened = settings.model_copy(update={"gate_threshold": 0.0})
    with Assistant(opened) as assistant:
        assistant.ingest(papers)
        bad = assistant.ask("婚假有几天？", principal=WU)
        assistant.feedback(bad.answer_id, "down", "too  short", WU)
        fine = assistant.ask("病假要什么？", principal=LIN)
        assistant.feedback(fine.answer_id, "up", principal=LIN)
    with Assistant(opened.model_copy(update={"gate_threshold": 1.0})) as assistant:
        assistant.ask("它在哪里办？", conversation_id=fine.conversation_id, principal=LIN)
    return settings.data_dir


def test_disliked_and_refused_answers_are_found_with_their_context(data_dir: Path) -> None:
    disliked, refused = reviewable(data_dir)
    assert (disliked.question, disliked.verdict, disliked.comment) == (
        "婚假有几天？",
        "down",
        "too  short",
    )
    assert disliked.groups == ("everyone", "finance")
    assert (disliked.history, disliked.refused) == ((), False)
    assert (refused.question, refused.refused, refused.verdict) == ("它在哪里办？", True, "")
    assert refused.history == ("病假要什么？",)


def test_a_draft_loads_only_after_a_person_filled_it_in(data_dir: Path, tmp_path: Path) -> None:
    text, count = drafts(reviewable(data_dir))
    assert count == 2
    assert "lin-jia" not in text and "wu-bei" not in text  # who asked is nobody's business
    assert "# too short" in text
    path = tmp_path / "drafts.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match="needs a reference, facts and documents"):
        load_cases([path])
    first, second = text.split("- id:")[1:]
    for sign in ("reference", "facts", "documents", "  - ["):
        first = first.replace(f"  # {sign}", f"  {sign}")
    first = first.replace('reference: ""', "reference: 婚假为十天。")
    second = second.replace("  # expect", "  expect")
    path.write_text(f"- id:{first}- id:{second}", "utf-8")
    answered, refused = load_cases([path])
    assert answered.groups == ("finance",)
    assert answered.facts == (("one spelling", "another spelling"),)
    assert (refused.expect, refused.history) == ("refuse", ("病假要什么？",))


def test_what_is_a_case_already_is_not_drafted_again(data_dir: Path, tmp_path: Path) -> None:
    found = reviewable(data_dir)
    assert drafts([*found, *found])[1] == 2
    text, _ = drafts(found[1:])
    path = tmp_path / "cases.yaml"
    path.write_text(text.replace("  # expect", "  expect"), "utf-8")
    assert drafts(found, load_cases([path]))[1] == 1


def test_a_directory_without_conversations_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="ASSISTANT_DATA_DIR"):
        reviewable(tmp_path)
    assert not (tmp_path / "conversations.sqlite").exists()


def test_an_empty_store_has_nothing_to_review(tmp_path: Path) -> None:
    store = ConversationStore(tmp_path)
    assert store.to_review() == ()
    store.close()


def test_the_command_overwrites_nothing(data_dir: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["eval", "harvest", "drafts.yaml"])
    assert done.exit_code == 0, done.exception
    assert "2 drafts" in done.output
    again = CliRunner().invoke(app, ["eval", "harvest", "drafts.yaml"])
    assert isinstance(again.exception, ConfigurationError)
