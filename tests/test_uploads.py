from __future__ import annotations

import errno
import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assistant import Assistant, Principal, Settings
from assistant.errors import StorageFullError
from assistant.ingest.find import document_id
from assistant.ingest.load import MANIFEST
from assistant.ingest.names import MAX_NAME_BYTES, safe_name
from assistant.ingest.uploads import FileTooLargeError, Uploads

ROOT = Path(__file__).parents[1]
TEXT = "# 休假制度\n\n员工每年享有十五天带薪年假。\n"


def stream(text: str = TEXT) -> io.BytesIO:
    return io.BytesIO(text.encode())


@pytest.fixture
def uploads(settings: Settings) -> Uploads:
    return Uploads(settings)


def add(uploads: Uploads, name: str = "leave.md", groups: tuple[str, ...] = ("everyone",)) -> Path:
    return uploads.add(stream(), name, groups, "", "wei")


def everything(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


# -- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\wei\\计划.docx", "计划.docx"),
        ("a/b\\c", "c"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("", "unnamed"),
        ("...", "unnamed"),
        ("a/", "unnamed"),
        (".pdf", "unnamed.pdf"),
        (".hidden.md", "hidden.md"),
        ("~$报告.docx", "报告.docx"),
        ("manifest.yaml", "_manifest.yaml"),
        ("Manifest.YAML", "_Manifest.YAML"),
        ("🚀 火箭.md", "🚀 火箭.md"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\x00b\nc\u2028.txt", "abc.txt"),
        ("cafe\u0301.md", "café.md"),
        ("what: now?.md", "what_ now_.md"),
        ("年度\u3000报告 .pdf", "年度 报告.pdf"),
        ("\ud800.txt", "unnamed.txt"),
    ],
)
def test_a_name_becomes_one_that_any_system_holds(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert safe_name(safe) == safe


@pytest.mark.parametrize("name", ["长" * 300 + ".docx", "长" * 300, "a." + "长" * 300, "." * 500])
def test_a_long_name_is_cut_between_characters_and_keeps_its_suffix(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe.encode()) <= MAX_NAME_BYTES
    assert safe.endswith(".docx") == name.endswith(".docx")
    assert "�" not in safe


@pytest.mark.parametrize(
    "name", ["预算: 'a' #1 {x}.md", "true.md", "2026-01-01", "🚀.md", "- a.md"]
)
def test_a_manifest_names_any_file(uploads: Uploads, name: str) -> None:
    path = uploads.add(stream(), name, ["hr", "yes", "123"], "是: 否 #\n标题", "wei")
    said = uploads.described(path)
    assert said.groups == ("hr", "yes", "123")
    assert said.title == "是: 否 # 标题"
    assert said.provenance.startswith("wei · 2")


# -- keeping --------------------------------------------------------------------------------


def test_an_upload_is_a_document_known_by_its_plain_name(
    assistant: Assistant, uploads: Uploads
) -> None:
    path = add(uploads, "年假.md", ("hr",))
    report = assistant.ingest(path, groups=uploads.groups(path))
    assert report.added == (str(path),)
    assert assistant.documents() == []
    (document,) = assistant.documents(Principal("he", ["hr"]))
    assert document.source == "年假.md"
    assert document.provenance.startswith("wei · ")
    assert uploads.find(document.id) == path
    assert uploads.owns(path)
    assert not uploads.owns(path.parent)


def test_uploads_are_allowed_where_only_some_folders_are(
    settings: Settings, tmp_path: Path
) -> None:
    narrow = settings.model_copy(update={"allowed_folders": (tmp_path / "elsewhere",)})
    with Assistant(narrow) as assistant:
        path = add(Uploads(narrow))
        assert assistant.ingest(path).added


def test_the_limit_holds_while_streaming(settings: Settings) -> None:
    uploads = Uploads(settings.model_copy(update={"max_file_mb": 1}))
    path = uploads.add(io.BytesIO(b"x" * 1_000_000), "a.txt", ["everyone"], "", "wei")
    before = everything(path)
    with pytest.raises(FileTooLargeError, match="1 MB"):
        uploads.add(io.BytesIO(b"x" * 1_000_001), "b.txt", ["everyone"], "", "wei")
    with pytest.raises(FileTooLargeError):
        uploads.replace(path, io.BytesIO(b"y" * 1_000_001), "wei")
    assert everything(path) == before
    assert [folder.name for folder in path.parent.parent.iterdir()] == [path.parent.name]


class _Full(io.RawIOBase):
    """Gives a block, and then what a write to a full disk gives."""

    def __init__(self) -> None:
        self._blocks = [b"x" * 1000]

    def read(self, size: int = -1) -> bytes:
        if self._blocks:
            return self._blocks.pop()
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_nothing_half_written(uploads: Uploads) -> None:
    path = add(uploads)
    uploads.settle(path, ok=True)
    before = everything(path)
    with pytest.raises(StorageFullError, match="Free some space"):
        uploads.add(_Full(), "b.txt", ["hr"], "", "wei")  # type: ignore[arg-type]
    with pytest.raises(StorageFullError):
        uploads.replace(path, _Full(), "wei")  # type: ignore[arg-type]
    assert everything(path) == before
    assert len(list(path.parent.parent.iterdir())) == 1


FULL = """
import io, resource, sys
from assistant import Settings
from assistant.errors import StorageFullError
from assistant.ingest.uploads import Uploads
uploads = Uploads(Settings(data_dir=sys.argv[1]))
path = uploads.add(io.BytesIO(b"old" * 100), "a.txt", ["hr"], "", "wei")
uploads.settle(path, ok=True)
size = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
for change in (
    lambda: uploads.add(io.BytesIO(b"x" * 9000), "b.txt", ["hr"], "", "wei"),
    lambda: uploads.replace(path, io.BytesIO(b"x" * 9000), "wei"),
    *([lambda: uploads.retag(path, ["everyone"], "t" * 90)] if size < 90 else []),
):
    try:
        change()
    except StorageFullError:
        print("full", flush=True)
"""


@pytest.mark.parametrize(("size", "refused"), [(5000, 2), (20, 3)])
def test_a_disk_that_takes_no_more_changes_nothing(tmp_path: Path, size: int, refused: int) -> None:
    """At 20 bytes not even a manifest can be written."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), str(size)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stdout == "full\n" * refused, done.stderr
    (folder,) = (tmp_path / "uploads").iterdir()
    assert sorted(file.name for file in folder.iterdir()) == ["a.txt", MANIFEST]
    assert (folder / "a.txt").read_bytes() == b"old" * 100
    assert "hr" in (folder / MANIFEST).read_text("utf-8")


# -- replacing and settling -----------------------------------------------------------------


def test_a_replacement_is_kept_or_undone(uploads: Uploads) -> None:
    path = add(uploads, groups=("hr",))
    assert not uploads.settle(path, ok=False), "a new file has nothing before it"
    before = everything(path)
    uploads.replace(path, stream("新"), "lin")
    assert uploads.pending() == [path]
    assert uploads.settle(path, ok=False)
    assert everything(path) == before
    uploads.replace(path, stream("新"), "lin")
    assert not uploads.settle(path, ok=True)
    assert path.read_text("utf-8") == "新"
    assert uploads.described(path).provenance.startswith("lin · ")
    assert uploads.groups(path) == ("hr",)
    assert set(everything(path)) == {path.name, MANIFEST}
    assert uploads.pending() == []


def test_replacing_twice_before_settling_keeps_what_the_index_holds(uploads: Uploads) -> None:
    path = add(uploads)
    uploads.settle(path, ok=True)
    before = everything(path)
    uploads.replace(path, stream("第二"), "wei")
    uploads.replace(path, stream("第三"), "wei")
    uploads.settle(path, ok=False)
    assert everything(path) == before


def test_a_retag_is_kept_or_undone(uploads: Uploads) -> None:
    path = add(uploads)
    uploads.settle(path, ok=True)
    before = everything(path)
    uploads.retag(path, ["hr"], "名")
    assert uploads.groups(path) == ("hr",)
    assert uploads.pending() == [path]
    uploads.settle(path, ok=False)
    assert everything(path) == before
    uploads.retag(path, ["hr"], "名")
    uploads.settle(path, ok=True)
    assert (uploads.groups(path), uploads.described(path).title) == (("hr",), "名")


def test_a_discarded_upload_is_gone_from_disk_and_index(
    assistant: Assistant, uploads: Uploads
) -> None:
    path = add(uploads)
    assistant.ingest(path)
    uploads.discard(path.parent, assistant.ingest)
    assert assistant.documents() == []
    assert not path.parent.exists()
    assert uploads.find(document_id(path)) is None


# -- killed in between ----------------------------------------------------------------------


def test_killed_between_manifest_and_file(settings: Settings, uploads: Uploads) -> None:
    path = add(uploads, groups=("hr",))
    os.rename(path, path.parent / ".incoming")
    again = Uploads(settings)
    again.recover()
    assert again.pending() == []
    assert again.emptied() == [path.parent]
    assert not (path.parent / ".incoming").exists()


def test_killed_between_file_and_index(settings: Settings, uploads: Uploads) -> None:
    path = add(uploads)
    again = Uploads(settings)
    again.recover()
    assert again.pending() == [path]


def test_killed_while_replacing(settings: Settings, uploads: Uploads) -> None:
    path = add(uploads, groups=("hr",))
    uploads.settle(path, ok=True)
    before = everything(path)
    uploads.replace(path, stream("新"), "lin")
    os.rename(path, path.parent / ".incoming")  # as it is before the last step
    again = Uploads(settings)
    again.recover()
    assert everything(path) == before
    assert again.pending() == []


def test_killed_while_putting_back(settings: Settings, uploads: Uploads) -> None:
    path = add(uploads)
    uploads.settle(path, ok=True)
    before = everything(path)
    uploads.replace(path, stream("新"), "lin")
    os.replace(path.parent / ".previous.yaml", path.parent / MANIFEST)
    again = Uploads(settings)
    again.recover()
    assert again.pending() == [path]
    assert again.settle(path, ok=False)
    assert everything(path) == before


def test_a_restricted_file_is_never_without_its_manifest(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the moment, an ingest of the whole folder shows it to its readers alone."""
    moments = []
    move = os.replace

    def watched(source: Path, target: Path) -> None:
        move(source, target)
        folder = Path(target).parent
        bare = [f.name for f in folder.iterdir() if not f.name.startswith(".")]
        moments.append(bare)

    monkeypatch.setattr(os, "replace", watched)
    path = add(uploads, groups=("hr",))
    uploads.replace(path, stream("新"), "lin")
    uploads.settle(path, ok=False)
    assert len(moments) > 6
    assert all(MANIFEST in names for names in moments if path.name in names)


CHILD = """
import io, itertools, sys
from assistant import Settings
from assistant.ingest.uploads import Uploads
uploads = Uploads(Settings(data_dir=sys.argv[1]))
uploads.recover()
print("ready", flush=True)
for turn in itertools.count():
    path = uploads.add(io.BytesIO(b"first " * 2000), f"{turn}.txt", ["hr"], "", "wei")
    uploads.settle(path, ok=True)
    uploads.replace(path, io.BytesIO(b"second " * 2000), "wei")
    uploads.settle(path, ok=turn % 2 == 0)
    uploads.retag(path, ["board"], "t")
    uploads.settle(path, ok=False)
    if turn % 3 == 0:
        uploads.discard(path.parent, lambda folder: None)
    print(turn, flush=True)
"""


TURNS = [b"0\n", b"1\n", b"2\n"]


def test_killed_at_any_moment_nothing_is_torn(tmp_path: Path) -> None:
    rng = random.Random(5)
    settings = Settings(data_dir=tmp_path)
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT
        ) as child:
            assert child.stdout is not None
            assert [child.stdout.readline() for _ in range(4)] == [b"ready\n", *TURNS]
            time.sleep(rng.uniform(0, 0.1))
            child.send_signal(signal.SIGKILL)
        uploads = Uploads(settings)
        uploads.recover()
        for folder in uploads.emptied():
            uploads.discard(folder, lambda folder: None)
        for path in uploads.pending():
            uploads.settle(path, ok=True)
        folders = list((tmp_path / "uploads").iterdir())
        for folder in folders:
            (name,) = {file.name for file in folder.iterdir()} - {MANIFEST}
            content = (folder / name).read_bytes()
            assert content in (b"first " * 2000, b"second " * 2000)
            assert uploads.groups(folder / name) in (("hr",), ("board",))
    assert len(folders) >= 16, "of three turns in each round, two leave a file"
