from __future__ import annotations

import os
from pathlib import Path

import pytest

from assistant import Assistant, Principal, Settings
from assistant.errors import SourceError
from assistant.types import Progress

FINANCE = Principal("wu", ["finance"])


def titles(assistant: Assistant, principal: Principal = FINANCE) -> set[str]:
    return {document.title for document in assistant.documents(principal)}


def test_a_folder_is_taken_in_with_titles_groups_and_passages(
    assistant: Assistant, papers: Path
) -> None:
    report = assistant.ingest(papers)
    assert len(report.added) == 3
    assert report.chunks == 4
    assert titles(assistant) == {"休假制度", "Pump catalogue", "预算"}
    assert titles(assistant, Principal("lin")) == {"休假制度", "Pump catalogue"}


def test_the_same_content_again_is_a_no_op(assistant: Assistant, papers: Path) -> None:
    assistant.ingest(papers)
    again = assistant.ingest(papers)
    assert len(again.unchanged) == 3
    assert not (again.added or again.updated or again.removed)
    assert again.chunks == 0


def test_a_changed_file_becomes_a_new_version(assistant: Assistant, papers: Path) -> None:
    assistant.ingest(papers)
    (papers / "leave.md").write_text("# 休假制度\n\n员工每年享有二十天带薪年假。\n", "utf-8")
    report = assistant.ingest(papers)
    assert [Path(source).name for source in report.updated] == ["leave.md"]
    found = [hit.chunk.text for hit in assistant.search("带薪年假")]
    assert any("二十天" in text for text in found)
    assert not any("十五天" in text for text in found)


def test_a_vanished_file_is_removed_when_its_folder_is_ingested_again(
    assistant: Assistant, papers: Path
) -> None:
    assistant.ingest(papers)
    (papers / "pumps.md").unlink()
    report = assistant.ingest(papers)
    assert [Path(source).name for source in report.removed] == ["pumps.md"]
    assert "Pump catalogue" not in titles(assistant)


def test_ingesting_one_file_removes_nothing(assistant: Assistant, papers: Path) -> None:
    assistant.ingest(papers)
    report = assistant.ingest(papers / "leave.md")
    assert report.removed == ()
    assert len(titles(assistant)) == 3


def test_a_file_is_the_same_document_however_it_is_named(
    assistant: Assistant, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assistant.ingest(papers)
    monkeypatch.chdir(papers)
    assert assistant.ingest("leave.md").unchanged == ("leave.md",)
    assert len(titles(assistant)) == 3


def test_bad_files_are_named_and_do_not_stop_the_others(assistant: Assistant, papers: Path) -> None:
    (papers / "empty.txt").touch()
    (papers / "fake.pdf").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    (papers / "broken.docx").write_bytes(b"PK\x03\x04" + b"0" * 100)
    (papers / "photo.heic").write_bytes(b"0" * 100)
    report = assistant.ingest(papers)
    assert {Path(q.source).name for q in report.quarantined} == {
        "empty.txt",
        "fake.pdf",
        "broken.docx",
        "photo.heic",
    }
    assert all(len(q.reason) > 15 for q in report.quarantined)
    assert len(report.added) == 3
    assert len(assistant.quarantined()) == 4


def test_quarantine_ends_when_the_file_is_mended_or_gone(
    assistant: Assistant, papers: Path
) -> None:
    bad = papers / "empty.txt"
    bad.touch()
    assistant.ingest(papers)
    bad.write_text("现在有内容了。", "utf-8")
    assistant.ingest(papers)
    assert assistant.quarantined() == []
    bad.write_text("", "utf-8")
    assistant.ingest(papers)
    assert len(assistant.quarantined()) == 1
    bad.unlink()
    assistant.ingest(papers)
    assert assistant.quarantined() == []


def test_a_file_that_turned_bad_keeps_its_earlier_version(
    assistant: Assistant, papers: Path
) -> None:
    assistant.ingest(papers)
    (papers / "pumps.md").write_bytes(b"\x00\x01\x02" * 100)
    report = assistant.ingest(papers)
    assert "earlier version stays" in report.quarantined[0].reason
    assert "Pump catalogue" in titles(assistant)


def test_a_file_too_large_is_quarantined(settings: Settings, papers: Path) -> None:
    (papers / "large.txt").write_bytes(b"x" * 1_200_000)
    with Assistant(settings.model_copy(update={"max_file_mb": 1})) as assistant:
        report = assistant.ingest(papers)
    assert [Path(q.source).name for q in report.quarantined] == ["large.txt"]


def test_the_callers_groups_restrict_and_a_document_may_only_narrow_them(
    assistant: Assistant, papers: Path
) -> None:
    assistant.ingest(papers, groups=["finance", "board"])
    assert titles(assistant, Principal("lin")) == set()
    assert titles(assistant, Principal("zhou", ["board"])) == {"休假制度", "Pump catalogue"}
    assert titles(assistant) == {"休假制度", "Pump catalogue", "预算"}


def test_ingesting_the_parent_folder_does_not_widen_who_may_read(
    assistant: Assistant, papers: Path
) -> None:
    assistant.ingest(papers / "leave.md", groups=["hr"])
    report = assistant.ingest(papers.parent)
    assert "休假制度" not in titles(assistant, Principal("lin"))
    assert len(report.unchanged) == 1
    assert assistant.ingest(papers.parent).updated == ()
    assert assistant.ingest(papers / "leave.md", groups=["everyone"]).updated


def test_a_name_that_is_no_text_is_quarantined(assistant: Assistant, papers: Path) -> None:
    with open(os.fsencode(papers) + b"/\xb2\xe2.txt", "wb") as file:
        file.write("内容".encode())
    report = assistant.ingest(papers)
    assert "Rename it" in report.quarantined[0].reason
    assert len(report.added) == 3


def test_quarantine_of_a_file_that_is_gone_is_cleared(assistant: Assistant, papers: Path) -> None:
    (papers / "never.txt").touch()
    assistant.ingest(papers)
    (papers / "never.txt").unlink()
    assistant.ingest(papers)
    assert assistant.quarantined() == []


def test_a_document_nobody_could_read_is_quarantined(assistant: Assistant, papers: Path) -> None:
    report = assistant.ingest(papers, groups=["hr"])
    assert [Path(q.source).name for q in report.quarantined] == ["budget.md"]
    assert "nobody could read it" in report.quarantined[0].reason


def test_changing_the_groups_is_a_new_version(assistant: Assistant, papers: Path) -> None:
    assistant.ingest(papers / "leave.md")
    assert assistant.ingest(papers / "leave.md", groups=["hr"]).updated
    assert assistant.search("年假") == []


def test_a_manifest_speaks_for_files_that_cannot(assistant: Assistant, papers: Path) -> None:
    (papers / "pay.csv").write_text("职级,月薪\nP4,15500\n", "utf-8")
    (papers / "manifest.yaml").write_text(
        "files:\n  pay.csv:\n    title: 薪酬\n    language: zh\n    groups: [hr]\n", "utf-8"
    )
    assistant.ingest(papers)
    assert "薪酬" not in titles(assistant)
    assert "薪酬" in titles(assistant, Principal("he", ["hr"]))
    assert assistant.ingest(papers / "pay.csv").unchanged


def test_a_broken_manifest_keeps_its_whole_folder_out(assistant: Assistant, papers: Path) -> None:
    (papers / "manifest.yaml").write_text("files: [", "utf-8")
    report = assistant.ingest(papers)
    assert report.added == ()
    assert len(report.quarantined) == 3


def test_a_source_that_does_not_exist_is_an_error(assistant: Assistant, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        assistant.ingest(tmp_path / "nowhere")


def test_only_allowed_folders_are_read(settings: Settings, papers: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("不该被读到的内容。", "utf-8")
    os.symlink(tmp_path / "secret.txt", papers / "link.txt")
    with Assistant(settings.model_copy(update={"allowed_folders": (papers,)})) as assistant:
        with pytest.raises(SourceError, match="allowed_folders"):
            assistant.ingest(tmp_path / "secret.txt")
        report = assistant.ingest(papers)
        assert [Path(q.source).name for q in report.quarantined] == ["link.txt"]


def test_copies_are_reported_and_answered_once(assistant: Assistant, papers: Path) -> None:
    text = (papers / "leave.md").read_text("utf-8")
    (papers / "copy.md").write_text(text, "utf-8")
    report = assistant.ingest(papers)
    assert [twin.similarity for twin in report.duplicates] == [1.0]
    texts = [hit.chunk.text for hit in assistant.search("婚假")]
    assert len(texts) == len(set(texts))


def test_progress_counts_to_the_end(assistant: Assistant, papers: Path) -> None:
    steps: list[Progress] = []
    assistant.ingest(papers, progress=steps.append)
    assert steps[-1] == Progress("done", 3, 3)
    assert {step.stage for step in steps} == {"read", "embed", "done"}


@pytest.mark.parametrize(
    ("name", "text", "title"),
    [
        ("员工手册.txt", "第一条，适用范围。", "员工手册"),
        ("travel_policy.txt", "Article one.", "travel policy"),
        ("doc_00012.txt", "产品保修期为两年。\n其他。", "产品保修期为两年。"),
        ("x.md", "# 标题\n\n正文。", "标题"),
    ],
)
def test_a_document_without_a_title_is_named_sensibly(
    assistant: Assistant, tmp_path: Path, name: str, text: str, title: str
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    assistant.ingest(tmp_path / name)
    assert titles(assistant) == {title}


def test_the_source_is_the_path_as_it_was_given(
    assistant: Assistant, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(papers.parent)
    assistant.ingest("papers")
    assert {d.source for d in assistant.documents()} == {"papers/leave.md", "papers/pumps.md"}
