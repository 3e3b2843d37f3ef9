from __future__ import annotations

from pathlib import Path

import pytest
from loopback import LOCAL_TOKEN, Served, serving_here
from served_client import LIN, WU

from assistant import Assistant, Client, Settings
from assistant.errors import (
    ForbiddenError,
    RateLimitedError,
    SourceError,
)
from assistant.ingest.sources import found_in
from assistant.surfaces import sending
from assistant.surfaces.finding import find_files
from assistant.types import Progress

pytestmark = pytest.mark.enable_socket

# -- documents on their way ---------------------------------------------------------------------


def test_files_are_found_as_the_pipeline_finds_them(tmp_path: Path) -> None:
    for name in ("b.md", "a/x.md", "a/.hidden.md", ".git/c.md", "~$lock.docx", "a/报告　终稿.md"):
        (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / name).write_text("text")
    (tmp_path / "f" / "manifest.yaml").write_text("files: {}\n")
    files, bad = find_files([tmp_path / "f"], None)
    assert [f.source for f in files] == [f.source for f in found_in(tmp_path / "f", [])]
    assert [f.name for f in files] == ["b.md", "a - x.md", "a - 报告　终稿.md"]
    assert bad == []


def test_files_of_one_name_are_not_mixed_up(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    for year, days in (("2024", "十"), ("2025", "十五")):
        (folder / year / "制度").mkdir(parents=True)
        (folder / year / "制度" / "休假.md").write_text(f"# 休假\n\n年假{days}天。\n", "utf-8")
    report = client.ingest(folder / "2024", folder / "2025")
    assert report.added == (str(folder / "2024" / "制度" / "休假.md"),)
    assert "same name" in report.quarantined[0].reason
    report = client.ingest(folder)
    assert len(report.added) == 2
    assert [d.source for d in client.documents()] == [
        "2024 - 制度 - 休假.md",
        "2025 - 制度 - 休假.md",
        "制度 - 休假.md",
    ]
    assert len(client.ingest(folder).unchanged) == 2


def test_a_manifest_is_heeded(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "plan.md").write_text("# 计划\n\n二零二六年上线。\n", "utf-8")
    (folder / "menu.md").write_text("# 菜单\n\n周五吃面。\n", "utf-8")
    manifest = "files:\n  plan.md:\n    title: 绝密计划\n    groups: [finance]\n"
    (folder / "manifest.yaml").write_text(manifest, "utf-8")
    assert len(client.ingest(folder).added) == 2
    assert [document.title for document in client.documents(LIN)] == ["菜单"]
    assert {document.title for document in client.documents(WU)} == {"菜单", "绝密计划"}
    assert len(client.ingest(folder).unchanged) == 2
    report = client.ingest(folder / "plan.md", groups=["人事部"])
    assert "nobody could read it" in report.quarantined[0].reason


def test_the_readers_of_a_known_document_change_with_the_groups_given(
    client: Client, papers: Path
) -> None:
    def readers() -> tuple[str, ...]:
        return next(d.groups for d in client.documents() if d.title == "休假制度")

    source = papers / "leave.md"
    client.ingest(source)
    assert readers() == ("everyone",)
    assert client.ingest(source, groups=["finance"]).updated == (str(source),)
    assert readers() == ("finance",)
    assert client.ingest(source).unchanged == (str(source),)
    assert client.ingest(source, groups=["finance"]).unchanged == (str(source),)
    assert client.ingest(source, groups=["finance", "人事部"]).updated == (str(source),)
    assert set(readers()) == {"finance", "人事部"}
    assert client.ingest(source, groups=["everyone"]).updated == (str(source),)
    assert readers() == ("everyone",)


def test_more_files_than_one_request_takes(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(45):
        (folder / f"{number:02}.md").write_text(f"# Paper {number}\n\nIt is number {number}.\n")
    (folder / "07.md").write_bytes(b"")
    steps: list[Progress] = []
    report = client.ingest(folder, progress=steps.append)
    assert len(report.added) == 44
    assert report.chunks == 44
    assert [Path(bad.source).name for bad in report.quarantined] == ["07.md"]
    assert [s.done for s in steps if s.stage == "send"] == [0, 20, 40]
    assert {"read", "embed"} <= {step.stage for step in steps}
    client.ingest(folder)
    assert [bad.source for bad in client.quarantined()] == ["07.md"]  # and not twice


def test_files_that_the_server_refuses_whole(settings: Settings, tmp_path: Path) -> None:
    small = settings.model_copy(update={"max_file_mb": 1})
    (tmp_path / "big.txt").write_bytes(b"x" * 1_500_000)
    (tmp_path / "bigger.txt").write_bytes(b"x" * 2_500_000)
    (tmp_path / "fine.txt").write_text("All is well here.")
    with Assistant(small) as assistant, serving_here(assistant) as served:
        client = Client(served.url, served.key("ask", "documents"))
        files = [tmp_path / name for name in ("big.txt", "bigger.txt", "fine.txt")]
        report = client.ingest(*files)
        assert report.added == (str(tmp_path / "fine.txt"),)
        assert all("larger than 1 MB" in bad.reason for bad in report.quarantined)
        alone = client.ingest(*files[:2])
        client.close()
    assert len(alone.quarantined) == 2


def test_what_is_not_uploaded_is_not_replaced(filled: Client, papers: Path) -> None:
    report = filled.ingest(papers / "leave.md")
    assert "from a folder of the server" in report.quarantined[0].reason


def test_a_limit_is_waited_for(
    settings: Settings, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    served: list[Served] = []

    def wait(seconds: float) -> None:
        """Let a minute go by."""
        waits.append(seconds)
        served[0].service.limits._counter.storage.reset()

    monkeypatch.setattr(sending, "_sleep", wait)
    few = settings.model_copy(update={"requests_per_minute": 4})
    with Assistant(few) as assistant, serving_here(assistant) as running:
        served.append(running)
        key = running.key("ask", "documents", groups=["finance"])
        with Client(running.url, key) as client:
            assert len(client.ingest(papers).added) == 3
            assert waits
            with pytest.raises(RateLimitedError) as caught:
                for _ in range(10):
                    client.documents()
    assert caught.value.retry_after > 0


# -- files in their place -----------------------------------------------------------------------


def test_the_machine_itself_takes_files_in_where_they_are(
    served: Served, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(papers.parent)
    steps: list[Progress] = []
    with Client(served.url, LOCAL_TOKEN) as client:
        report = client.ingest("papers", progress=steps.append)
        assert report.added == ("papers/budget.md", "papers/leave.md", "papers/pumps.md")
        assert steps[-1] == Progress("done", 3, 3)
        (papers / "pumps.md").unlink()
        (papers / "twin.md").write_bytes((papers / "leave.md").read_bytes())
        again = client.ingest("papers")
        assert again.removed == ("papers/pumps.md",)
        assert again.duplicates[0].source == "papers/twin.md"
        with pytest.raises(SourceError, match="nowhere does not exist"):
            client.ingest("nowhere")
        # Who holds the directory may take away what only others may read.
        secret = next(d.id for d in client.documents(WU) if d.title == "预算")
        client.remove(secret)
        assert all(d.title != "预算" for d in client.documents(WU))


def test_nobody_else_names_files_of_the_server(client: Client, served: Served) -> None:
    for key in ("", served.key("documents", "admin", name="other")):
        door = Client(served.url, key)._connection
        with pytest.raises(ForbiddenError, match="command line"):
            list(door.events("POST", "/v1/ingest", json={"sources": ["/etc/passwd"]}))
        door.close()
    local = Client(served.url, LOCAL_TOKEN)._connection
    with pytest.raises(ForbiddenError):
        list(local.events("POST", "/v1/ingest", principal=WU, json={"sources": ["/etc"]}))
    local.close()
