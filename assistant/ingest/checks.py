"""Is a file what its name says, and safe to hand to the library that reads it?

It looks at the first bytes and at archive directories; it parses nothing.
"""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.errors import SourceError

if TYPE_CHECKING:
    from assistant.settings import Settings

_MEGABYTE = 1_000_000
_MAX_UNPACKED = 500 * _MEGABYTE
_MAX_RATIO = 150  # text packs 5 to 30 times, a bomb a thousand times
_RATIO_MATTERS = 20 * _MEGABYTE
_MAX_PARTS = 20_000
_HEAD = 4096

OFFICE = {".docx": "word/", ".pptx": "ppt/", ".xlsx": "xl/"}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SIGNATURES = {
    b"%PDF-": "a PDF",
    b"PK\x03\x04": "a ZIP archive or an Office file",
    _OLE: "an Office file of the old format",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"II*\0": "a TIFF image",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x7fELF": "a program",
    b"{\\rtf": "a rich-text (RTF) file",
}
_REPLACEMENTS = {
    **dict.fromkeys((".doc", ".docm", ".dot", ".dotx", ".rtf", ".odt", ".wps", ".pages"), ".docx"),
    **dict.fromkeys((".xls", ".xlsm", ".xlsb", ".xltx", ".ods", ".et", ".numbers"), ".xlsx"),
    **dict.fromkeys((".ppt", ".pptm", ".pps", ".ppsx", ".odp", ".dps", ".key"), ".pptx"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp"), ".pdf"),
}
_IMAGE_REMEDY = "It is an image. Run OCR on it (for example `ocrmypdf`) and ingest the .pdf."
# What `zipfile` raises on a damaged archive.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError)
_DOCUMENT_TYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def check_size(path: Path, settings: Settings) -> None:
    """Check that ``path`` is a readable, filled file of at most ``max_file_mb`` megabytes.

    Raises:
        SourceError: it is not; the text says what it is and what to do.
    """
    size = check_file(path)
    if size > settings.max_file_mb * _MEGABYTE:
        raise SourceError(
            f"It is {size / _MEGABYTE:,.0f} MB; the limit is {settings.max_file_mb} MB. "
            "Split it, or raise ASSISTANT_MAX_FILE_MB."
        )


def check_file(path: Path) -> int:
    """Return the size of a regular, readable, filled file, in bytes.

    Raises:
        SourceError: the path is something else.
    """
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            raise SourceError("It is a symbolic link. Ingest the file it points to.")
        if stat.S_ISDIR(status.st_mode):
            raise SourceError("It is a folder. Ingest the files in it.")
        if not stat.S_ISREG(status.st_mode):
            raise SourceError("It is a device, pipe or socket. Ingest an ordinary file.")
        if status.st_size == 0:
            raise SourceError("The file is empty. Save it again from its program.")
        with path.open("rb") as handle:
            handle.read(1)
    except FileNotFoundError as error:
        raise SourceError("There is no such file. Check the path.") from error
    except OSError as error:
        raise SourceError(
            f"It cannot be read ({error.strerror}). Give the assistant's user the right to."
        ) from error
    return status.st_size


def unsupported(suffix: str, supported: str) -> SourceError:
    """Return the error for a suffix that no parser reads, naming what to save it as."""
    target = _REPLACEMENTS.get(suffix)
    if target == ".pdf":
        return SourceError(_IMAGE_REMEDY)
    if target:
        return SourceError(f"`{suffix}` files are not read. Save it as {target} and ingest that.")
    name = f"`{suffix}` files" if suffix else "Files without a suffix"
    return SourceError(f"{name} are not read. Give it one of these forms: {supported}.")


def check_content(path: Path) -> None:
    """Check that a file's first bytes are what its suffix promises, and its archive sound.

    Raises:
        SourceError: it is another kind of file, encrypted, damaged, or a bomb.
    """
    suffix = path.suffix.lower()
    with path.open("rb") as handle:
        head = handle.read(_HEAD)
    kind = next((name for mark, name in _SIGNATURES.items() if head.startswith(mark)), "text")
    if suffix in OFFICE:
        if head.startswith(_OLE):
            raise SourceError(_ole_reason(path, suffix))
        if not head.startswith(b"PK"):
            raise _mismatch(kind, suffix)
        _check_archive(path, suffix)
    elif suffix == ".pdf":
        if b"%PDF-" not in head[:1024]:
            raise _mismatch(kind, suffix)
    elif kind != "text":
        raise _mismatch(kind, suffix)


def _mismatch(kind: str, suffix: str) -> SourceError:
    return SourceError(
        f"Its name says {suffix}, but its content is {kind}. Save it in the form its name "
        "says, or give it the suffix of what it is."
    )


def _ole_reason(path: Path, suffix: str) -> str:
    """Tell an encrypted Office file from one of the old format; both are OLE containers."""
    if "EncryptedPackage".encode("utf-16-le") in path.read_bytes():
        return "It is encrypted with a password. Remove the password and ingest it again."
    return f"It is an Office file of the old format. Open it, save it as {suffix}, ingest that."


def _check_archive(path: Path, suffix: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            _check_bomb(parts)
            if any(part.flag_bits & 1 for part in parts):
                raise SourceError("It is encrypted. Remove the password and ingest it again.")
            inside = [s for s, folder in OFFICE.items() if _holds(parts, folder)]
            if inside and suffix not in inside:
                raise SourceError(f"Its name says {suffix}, but it is a {inside[0]}. Rename it.")
            if not inside:
                raise _mismatch("a ZIP archive", suffix)
            for part in parts:
                if part.filename.lower().endswith((".xml", ".rels", ".vml")):
                    _check_entities(archive, part)
    except _DAMAGE as error:
        raise SourceError(
            "The file is damaged: its archive is incomplete. Open it in its own program and "
            "save it again, or copy it anew."
        ) from error


def _holds(parts: list[zipfile.ZipInfo], folder: str) -> bool:
    return any(part.filename.startswith(folder) for part in parts)


def _check_bomb(parts: list[zipfile.ZipInfo]) -> None:
    unpacked = sum(part.file_size for part in parts)
    packed = sum(part.compress_size for part in parts) or 1
    dense = unpacked > _RATIO_MATTERS and unpacked > _MAX_RATIO * packed
    if dense or unpacked > _MAX_UNPACKED or len(parts) > _MAX_PARTS:
        raise SourceError(
            f"It unpacks to {unpacked / _MEGABYTE:,.0f} MB in {len(parts)} parts, like a zip "
            "bomb. Split it, or save it without its pictures and embedded files."
        )


def _check_entities(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Refuse document types: Office never writes one, and entity bombs need one."""
    with archive.open(part) as handle:
        head = handle.read(_HEAD).replace(b"\0", b"")  # UTF-16 reads like ASCII so
    if _DOCUMENT_TYPE.search(head):
        raise SourceError(
            "Its XML declares entities, which no Office program writes. Open it in its own "
            "program and save it again."
        )
