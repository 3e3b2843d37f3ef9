"""A file becomes blocks of text with their place, or a reason why it cannot.

Each format has a module in `assistant.ingest.formats`. `parse` works in this
process; `IsolatedParser` does the same in a process of its own with limits, which
is how files of unknown origin are to be read. Cleaning and chunking come later.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from assistant.errors import SourceError
from assistant.ingest.checks import check_content, check_file, check_size, unsupported
from assistant.ingest.find import MANIFEST
from assistant.ingest.formats.html import parse_html
from assistant.ingest.formats.markdown import parse_markdown
from assistant.ingest.formats.pdf import parse_pdf
from assistant.ingest.formats.sheets import parse_delimited, parse_workbook
from assistant.ingest.formats.slides import parse_slides
from assistant.ingest.formats.text import parse_text
from assistant.ingest.formats.word import parse_word
from assistant.ingest.isolate import IsolatedParser
from assistant.ingest.parsed import METADATA_KEYS, Block, Metadata, Parsed, metadata_from

__all__ = [
    "SUFFIXES",
    "Block",
    "IsolatedParser",
    "Metadata",
    "Parsed",
    "check_size",
    "parse",
    "read_manifest",
]

MAX_CHARACTERS = 50_000_000  # of one document
MAX_BLOCK = 8_000  # characters; a longer block is cut, so that no later stage meets a giant

SUFFIXES: Mapping[str, Callable[[Path], Parsed]] = MappingProxyType(
    {
        ".md": parse_markdown,
        ".markdown": parse_markdown,
        ".txt": parse_text,
        ".html": parse_html,
        ".htm": parse_html,
        ".pdf": parse_pdf,
        ".docx": parse_word,
        ".pptx": parse_slides,
        ".xlsx": parse_workbook,
        ".csv": parse_delimited,
        ".tsv": parse_delimited,
    }
)


def parse(path: Path) -> Parsed:
    """Return what a file holds, read in this process and without a limit on time or memory.

    Raises:
        SourceError: the file is not what its name says, damaged, encrypted, empty of
            text, or too large; the text is the reason and the remedy.
    """
    check_file(path)
    parser = SUFFIXES.get(path.suffix.lower())
    if parser is None:
        raise unsupported(path.suffix.lower(), " ".join(SUFFIXES))
    try:
        check_content(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # libraries' remarks on styles they do not know
            parsed = parser(path)
    except (SourceError, MemoryError):
        raise
    except RecursionError as error:
        raise SourceError("It is nested too deeply. Save it in a simpler form.") from error
    except Exception as error:  # the libraries raise nearly anything on a damaged file
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise SourceError(
            f"The file is damaged or unusual ({detail}). Open it in its own program, save it "
            "again, and ingest that."
        ) from error
    return _checked(parsed)


def read_manifest(folder: Path) -> dict[str, Metadata]:
    """Return what a folder's ``manifest.yaml`` says of its files, by name; {} without one.

    Raises:
        SourceError: the manifest is not valid. Nothing in its folder may then be
            taken in, because who may read it is unknown.
    """
    import yaml

    path = folder / MANIFEST
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read ({error}). Save it as UTF-8.") from error
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SourceError(f"{path} is not valid YAML: {error}. Correct it.") from error
    files = values.get("files") if isinstance(values, dict) else None
    if not isinstance(files, dict) or len(values) != 1:
        raise SourceError(f"{path} must hold `files:` and below it the files' names. Correct it.")
    return {str(name): _entry(said, f"{path}, {name}") for name, said in files.items()}


def _entry(said: Any, where: str) -> Metadata:
    if not isinstance(said, dict):
        raise SourceError(f"{where}: write {', '.join(METADATA_KEYS)} below the name.")
    metadata = metadata_from(said, where)
    unknown = [str(key) for key in said if key not in METADATA_KEYS]
    if unknown:
        raise SourceError(
            f"{where}: `{unknown[0]}` is not known. The keys are {', '.join(METADATA_KEYS)}."
        )
    return metadata


def _checked(parsed: Parsed) -> Parsed:
    """Return what was parsed in blocks of bounded size, with a title of one clean line."""
    if sum(len(block.text) for block in parsed.blocks) > MAX_CHARACTERS:
        raise SourceError(
            f"It holds more than {MAX_CHARACTERS // 1_000_000} million characters. Split it."
        )
    blocks = tuple(piece for block in parsed.blocks for piece in _pieces(block))
    if not blocks:
        raise SourceError("It holds no text. If it shows pictures of text, run OCR on it first.")
    title = " ".join(parsed.metadata.title.encode("utf-8", "ignore").decode().split())
    return Parsed(replace(parsed.metadata, title=title), blocks)


def _pieces(block: Block) -> Iterator[Block]:
    """Yield a block, cut at line or sentence ends, or anywhere, where it is too long."""
    text = block.text
    while len(text) > MAX_BLOCK:
        ends = [text.rfind(mark, MAX_BLOCK // 2, MAX_BLOCK) + len(mark) for mark in _ENDS]
        cut = next((end for end, mark in zip(ends, _ENDS, strict=True) if end > len(mark)), 0)
        cut = cut or MAX_BLOCK
        yield replace(block, text=text[:cut])
        text = text[cut:]
    if text.strip():
        yield replace(block, text=text)


_ENDS = ("\n", "。", "！", "？", ". ", "；", "; ", "，", ", ", " ")
