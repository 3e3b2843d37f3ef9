"""The door of loading: what is refused and why, manifests, and what every parse promises."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import docx
import openpyxl
import pytest

from assistant import Settings
from assistant.errors import SourceError
from assistant.ingest.load import (
    SUFFIXES,
    Block,
    Metadata,
    check_size,
    parse,
    read_manifest,
)

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)


def archive(**parts: str | bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in parts.items():
            file.writestr(name, data)
    return buffer.getvalue()


def word_file() -> bytes:
    buffer = io.BytesIO()
    document = docx.Document()
    document.add_paragraph("公司每年组织一次安全培训。" * 200)
    document.save(buffer)
    return buffer.getvalue()


def workbook() -> bytes:
    buffer = io.BytesIO()
    openpyxl.Workbook().save(buffer)
    return buffer.getvalue()


ENTITIES = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
BAD = {
    "empty.md": (b"", "empty"),
    "blank.txt": (b" \n\t\n", "no text"),
    "only-front-matter.md": (b"---\ntitle: T\n---\n", "no text"),
    "image.pdf": (PNG, "PNG image"),
    "image.txt": (PNG, "PNG image"),
    "text.docx": ("只是文字".encode(), "content is text"),
    "text.pdf": (b"just text", "content is text"),
    "random.txt": (bytes(range(256)) * 40, "not text"),
    "random.csv": (bytes(range(256)) * 40, "not text"),
    "pdf.md": (b"%PDF-1.7\n", "a PDF"),
    "zip.docx": (archive(a="b"), "ZIP archive"),
    "sheet.docx": (workbook(), r"is a \.xlsx\. Rename"),
    "cut.docx": (word_file()[:9000], "damaged"),
    "squeezed.docx": (word_file()[:60] + b"\xff" * 40 + word_file()[100:], "damaged: its archive"),
    "hollow.docx": (archive(**{"word/document.xml": "<x/>"}), "damaged or unusual"),
    "old.docx": (OLE, "old format.*save it as .docx"),
    "locked.xlsx": (OLE + "EncryptedPackage".encode("utf-16-le"), "password"),
    "bomb.docx": (archive(**{"word/document.xml": bytes(60_000_000)}), "zip bomb"),
    "entities.docx": (archive(**{"word/document.xml": ENTITIES}), "entities"),
    "entities.xlsx": (
        archive(**{"xl/workbook.xml": ENTITIES.encode("utf-16")}),
        "entities",
    ),
    "cut.pdf": (b"%PDF-1.7\n1 0 obj\n<<", "damaged"),
    "letter.doc": (OLE, r"\.doc.*[Ss]ave it as \.docx"),
    "table.xls": (OLE, r"[Ss]ave it as \.xlsx"),
    "deck.ppt": (OLE, r"[Ss]ave it as \.pptx"),
    "macro.xlsm": (workbook(), r"[Ss]ave it as \.xlsx"),
    "photo.jpeg": (b"\xff\xd8\xff", "OCR"),
    "data.parquet": (b"PAR1", r"not read.*\.md"),
    "README": (b"text", "without a suffix"),
    "deep.html": (b"<div>" * 50_000 + b"x", "nested"),
    "colon.md": (b"---\ntitle: a: b\n---\nx", "front matter.*line 2"),
    "groups.md": (b"---\ngroups: []\n---\nx", "at least one group"),
    "nobody.md": (b"---\ngroups:\n---\nx", "at least one group"),
    "nested.md": (b"---\ngroups: [[hr]]\n---\nx", "at least one group"),
    "typo.md": (b"---\nGroup: hr\n---\nx", "`groups` is meant"),
    "french.md": (b"---\nlanguage: fr\n---\nx", "zh or en"),
    "title.md": (b"---\ntitle: [a, b]\n---\nx", "title"),
    "field.csv": (b"a,b\n" + b"x" * 1_500_000, "Record"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    content, reason = BAD[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=reason) as caught:
        parse(path)
    assert str(caught.value).endswith((".", "`."))
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    real = tmp_path / "real.md"
    real.write_text("text", "utf-8")
    link, pipe = tmp_path / "link.md", tmp_path / "pipe.md"
    link.symlink_to(real)
    os.mkfifo(pipe)
    for path, reason in {
        link: "symbolic link",
        pipe: "pipe",
        tmp_path: "folder",
        Path("/dev/zero"): "device",
        tmp_path / "missing.md": "no such file",
        tmp_path / ("n" * 300 + ".md"): "cannot be read",
    }.items():
        with pytest.raises(SourceError, match=reason):
            parse(path)


def test_an_unreadable_file_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret.md"
    path.write_text("text", "utf-8")

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)  # the tests may run as root, who may read all
    with pytest.raises(SourceError, match=r"Permission denied.*right"):
        parse(path)


def test_check_size(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    with path.open("wb") as file:
        file.truncate(500_000_000)  # sparse: takes no room
    with pytest.raises(SourceError, match=r"500 MB.*limit is 100 MB.*ASSISTANT_MAX_FILE_MB"):
        check_size(path, Settings())
    check_size(path, Settings(max_file_mb=500))
    with pytest.raises(SourceError, match="folder"):
        check_size(tmp_path, Settings())


def test_every_suffix_is_read_in_upper_case_too(tmp_path: Path) -> None:
    path = tmp_path / "NOTE.MD"
    path.write_text("# A\n\ntext", "utf-8")
    assert parse(path).blocks == (Block("text", ("A",)),)
    assert {".md", ".txt", ".html", ".pdf", ".docx", ".pptx", ".xlsx", ".csv", ".tsv"} <= set(
        SUFFIXES
    )


@pytest.mark.parametrize("suffix", ["txt", "md", "html", "csv"])
def test_one_huge_line_becomes_bounded_blocks(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"line.{suffix}"
    sentence = "采购部负责供应商评审和合同归档。"
    path.write_text(sentence * 50_000 if suffix != "csv" else sentence * 5_000, "utf-8")
    blocks = parse(path).blocks
    assert max(len(block.text) for block in blocks) <= 8_000
    assert all(block.text.endswith("。") for block in blocks)  # cut at sentence ends
    assert sum(block.text.count("评审") for block in blocks) == (
        5_000 if suffix == "csv" else 50_000
    )


def test_text_without_any_end_is_cut_anyway(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("x" * 100_001, "utf-8")
    assert "".join(block.text for block in parse(path).blocks) == "x" * 100_001


def test_a_library_failure_becomes_a_reason(tmp_path: Path) -> None:
    document = zipfile.ZipFile(io.BytesIO(word_file()))
    parts = {name: document.read(name) for name in document.namelist()}
    parts["word/document.xml"] = parts["word/document.xml"][:-40]  # sound archive, broken XML
    path = tmp_path / "broken.docx"
    path.write_bytes(archive(**parts))
    with pytest.raises(SourceError, match=r"damaged or unusual \(XMLSyntaxError") as caught:
        parse(path)
    assert caught.value.__cause__ is not None


def test_titles_are_one_clean_line(tmp_path: Path) -> None:
    path = tmp_path / "t.html"
    path.write_text("<title> 产品 \n 目录 </title><p>泵</p>", "utf-8")
    assert parse(path).metadata.title == "产品 目录"


MANIFEST = """
files:
  budget.xlsx:
    title: 2026年预算
    language: zh-CN
    groups: finance
    source: 财务部
  handbook.pdf:
    groups: [everyone, hr]
"""


def test_read_manifest(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) == {}
    (tmp_path / "manifest.yaml").write_text(MANIFEST, "utf-8")
    assert read_manifest(tmp_path) == {
        "budget.xlsx": Metadata("2026年预算", "zh", ("finance",), "财务部"),
        "handbook.pdf": Metadata("", None, ("everyone", "hr"), ""),
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("files: [a, b]", "must hold `files:`"),
        ("- a", "must hold `files:`"),
        ("", "must hold `files:`"),
        ("files: {}\ngroups: [hr]", "must hold `files:`"),
        ("files:\n  a.md:\n", "below the name"),
        ("files:\n  a.md:\n    group: hr\n", "`groups` is meant"),
        ("files:\n  a.md:\n    readers: [hr]\n", "`readers` is not known"),
        ("files:\n  a.md:\n    groups: ['']\n", "at least one group"),
        ("files:\n  a.md:\n    language: de\n", "zh or en"),
        ("files: {a: [}", "not valid YAML"),
        ("files:\n  a.md: !!python/object/apply:os.getpid []\n", "not valid YAML"),
    ],
)
def test_a_bad_manifest_is_an_error(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.yaml").write_text(text, "utf-8")
    with pytest.raises(SourceError, match=reason):
        read_manifest(tmp_path)


def test_a_manifest_in_another_encoding_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "manifest.yaml").write_bytes("files: {预算.md: {}}".encode("gb18030"))
    with pytest.raises(SourceError, match="UTF-8"):
        read_manifest(tmp_path)
