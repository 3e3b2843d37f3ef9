"""Conversations as files: Markdown, JSON, and a Word document.

The same conversation gives the same bytes; times are those of this machine's time zone.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import PurePath, PureWindowsPath
from typing import TYPE_CHECKING

from assistant.text import detect_language
from assistant.types import Citation, Conversation, Language, Message

if TYPE_CHECKING:
    from docx.document import Document
    from docx.text.paragraph import Paragraph

_WORDS = {
    "zh": {
        "user": "提问",
        "assistant": "回答",
        "sources": "来源",
        "count": "共{}个问题",
        "date": "{0.year}年{0.month}月{0.day}日",
    },
    "en": {
        "user": "Question",
        "assistant": "Answer",
        "sources": "Sources",
        "count": "Questions: {}",
        "date": "{0.day} {0:%B} {0.year}",
    },
}
_UNITS = {
    "zh": {"page": "第{}页", "slide": "第{}张幻灯片", "row": "第{}行"},
    "en": {"page": "p. {}", "slide": "slide {}", "row": "row {}"},
}
_HEADING_CHARS = {"zh": 48, "en": 110}
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INLINE = re.compile(r"(\*\*[^*\n]+\*\*|\s?\[\d{1,2}\])")
_BULLET = re.compile(r"^\s*[-*•]\s+")


def export_markdown(conversation: Conversation) -> str:
    """Return a conversation as Markdown, each answer followed by its sources."""
    words = _WORDS[detect_language(conversation.title)]
    lines = [f"# {conversation.title}", ""]
    for message in conversation.messages:
        lines += [f"## {words[message.role]} · {_time(message)}", "", message.text, ""]
        for citation in message.citations:
            lines.append(f"- [{citation.marker}] {_place(citation)}")
            lines.append(f"  > {' '.join(citation.quote.split())}")
        if message.citations:
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def export_json(conversation: Conversation) -> str:
    """Return a conversation as JSON, all fields included."""
    return json.dumps(asdict(conversation), ensure_ascii=False, indent=2, default=str)


def place(citation: Citation) -> str:
    """Return where a citation points, for a person: title, headings, page, and file."""
    language = detect_language(citation.title)
    title = f"《{citation.title}》" if language == "zh" else citation.title
    path = " > ".join(part for part in citation.heading if part != citation.title)
    page = _UNITS[language][citation.page_unit].format(citation.page) if citation.page else ""
    return " · ".join(part for part in (title, path, page, citation.source) if part)


def export_docx(conversation: Conversation, language: Language) -> bytes:
    """Return a conversation as a Word document, its headings and labels in ``language``."""
    from assistant.word import blank_document, saved

    words, title = _WORDS[language], _legal(conversation.title)
    document = blank_document(title, conversation.updated_at, language)
    document.add_paragraph(title, "Title")
    count = sum(message.role == "user" for message in conversation.messages)
    dated = words["date"].format(conversation.updated_at.astimezone())
    document.add_paragraph(f"{dated} · {words['count'].format(count)}", "Subtitle")
    for message in conversation.messages:
        if message.role == "user":
            _add_question(document, message)
        else:
            _add_answer(document, message, words["sources"])
    return saved(document)


def _add_question(document: Document, message: Message) -> None:
    question = _legal(message.text).strip()
    first = " ".join(question.split())
    most = _HEADING_CHARS[detect_language(first)]
    is_long = len(first) > most
    document.add_heading(f"{first[:most].rstrip()}…" if is_long else first, 1)
    document.add_paragraph(_time(message), "Meta")
    if is_long:
        for line in question.splitlines():
            document.add_paragraph(line, "Question")


def _add_answer(document: Document, message: Message, sources: str) -> None:
    for line in _legal(message.text).splitlines():
        if line.strip():
            style = "List Bullet" if _BULLET.match(line) else "Normal"
            _add_inline(document.add_paragraph(style=style), _BULLET.sub("", line))
    if message.citations:
        document.add_paragraph(sources, "Sources")
    for citation in message.citations:
        document.add_paragraph(f"[{citation.marker}]\t{_legal(_place(citation))}", "Source")
        document.add_paragraph(" ".join(_legal(citation.quote).split()), "Quotation")


def _add_inline(paragraph: Paragraph, text: str) -> None:
    """Add text with its ``**strong**`` words, and its marks raised."""
    for part in _INLINE.split(text):
        if part.startswith("**"):
            paragraph.add_run(part.strip("*")).bold = True
        elif _INLINE.fullmatch(part):
            paragraph.add_run(part.strip(), "Mark")
        elif part:
            paragraph.add_run(part)


def _place(citation: Citation) -> str:
    """Return `place` without the folders of a file: they mean something on one machine alone."""
    source = citation.source
    name = source if "://" in source else PureWindowsPath(PurePath(source).name).name
    return place(replace(citation, source=name))


def _time(message: Message) -> str:
    return f"{message.at.astimezone():%Y-%m-%d %H:%M}"


def _legal(text: str) -> str:
    """Return text without the characters that no XML file can hold."""
    return _NO_XML.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
