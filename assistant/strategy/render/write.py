"""The brief's files in a folder: each is whole or not there, an old one stays until then."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from assistant.errors import StorageFullError, StoreError
from assistant.strategy.render.charts import draw
from assistant.strategy.render.docx import to_docx
from assistant.strategy.render.markdown import to_markdown
from assistant.strategy.render.pdf import to_pdf
from assistant.strategy.types import Brief, Chart

BriefForm = Literal["md", "docx", "pdf"]
FORMS: tuple[BriefForm, ...] = ("md", "docx", "pdf")
_CHARTS = "charts"


def write_brief(
    brief: Brief,
    folder: str | Path,
    stem: str,
    forms: Sequence[BriefForm] = FORMS,
    font: Path | None = None,
) -> tuple[Path, ...]:
    """Write a brief and return its files, the charts of the Markdown form after it.

    Args:
        brief: the document.
        folder: where the files go; made if it is not there.
        stem: the name of the files without their endings.
        forms: which of ``md``, ``docx`` and ``pdf``.
        font: the file of a font that holds Chinese; the extra's when None.

    Raises:
        ConfigurationError: a form is unknown, or the extra is not installed.
        StorageFullError: the disk is full.
        StoreError: the folder cannot be written.
    """
    files: dict[Path, bytes] = {}
    makers: Mapping[BriefForm, Callable[[], Mapping[str, bytes]]] = {
        "md": lambda: _markdown(brief, stem, font),
        "docx": lambda: {f"{stem}.docx": to_docx(brief, font)},
        "pdf": lambda: {f"{stem}.pdf": to_pdf(brief, font)},
    }
    for form in forms:
        files |= {Path(folder) / name: content for name, content in makers[form]().items()}
    for path, content in files.items():
        _write(path, content)
    return tuple(files)


def _markdown(brief: Brief, stem: str, font: Path | None) -> dict[str, bytes]:
    charts = {index: block for index, block in enumerate(brief.blocks) if isinstance(block, Chart)}
    names = {
        index: f"{_CHARTS}/{stem}-{number}.png" for number, index in enumerate(charts, start=1)
    }
    text = to_markdown(brief, names)
    files = {f"{stem}.md": text.encode()}
    for index, chart in charts.items():
        files[names[index]] = draw(chart, brief.language, "png", font)
    return files


def _write(path: Path, content: bytes) -> None:
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # a temporary file is its maker's alone
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFullError(f"The disk that holds {path.parent} is full. Free some space.")
    return StoreError(
        f"{path} cannot be written ({error.strerror or error}). Give this user the right to, "
        "close the file where it is open, or name another folder."
    )
