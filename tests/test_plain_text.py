"""Plain text: encodings, structure, wrapped lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.ingest.formats.text import decode
from assistant.ingest.load import Block, Parsed, parse

Write = Callable[..., Parsed]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a text under a name and parse it."""

    def write_and_parse(name: str, text: str | bytes) -> Parsed:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return parse(path)

    return write_and_parse


def texts(parsed: Parsed) -> list[str]:
    return [block.text for block in parsed.blocks]


ENCODED = {
    "公司员工每年享有十五天带薪年假，试用期员工除外。": (
        "utf-8",
        "utf-8-sig",
        "gb18030",
        "gbk",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
    ),
    "資料庫的備份每天凌晨兩點執行，保留三十天，超過時間將自動刪除。": ("utf-8", "big5", "gb18030"),
    "The company’s “pilot” runs – as planned – until May, in all offices.": ("utf-8", "cp1252"),
    "短": ("utf-8", "gb18030"),
    "plain": ("ascii", "utf-16-le"),
    "GPU 型号 A100，数量 8，单价 120,000 元；㐀𠀀": ("gb18030",),
}


@pytest.mark.parametrize(
    ("text", "encoding"), [(text, name) for text, names in ENCODED.items() for name in names]
)
def test_decode(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_decode_survives_a_file_cut_in_mid_character() -> None:
    data = ("员工每年享有带薪年假。" * 20).encode()
    assert decode(data[:-1]).startswith("员工每年享有带薪年假。")
    assert "\ufffd" in decode(data[:-1])


def test_stray_control_characters_do_not_make_text_binary() -> None:
    assert decode("第一\x00行\x07文字".encode()) == "第一\x00行\x07文字"


def test_text_structure(write: Write) -> None:
    parsed = write(
        "faq.txt",
        "澄川公司 服务台常见问题\r\n更新日期：2026年9月\r\n\r\n一、账号\r\n问：忘记密码怎么办？\r\n"
        "答：在自助页面重置。\r\n问：账号锁定了？\r\n答：等30分钟。\r\n\r\n第二章 设备\r\n\r\n"
        "1. 鼠标\r\n2. 键盘\r\n",
    )
    title = "澄川公司 服务台常见问题"
    assert parsed.metadata.title == title
    assert parsed.blocks == (
        Block("更新日期：2026年9月", (title,)),
        Block("答：在自助页面重置。", (title, "一、账号", "问：忘记密码怎么办？")),
        Block("答：等30分钟。", (title, "一、账号", "问：账号锁定了？")),
        Block("1. 鼠标", (title, "第二章 设备")),
        Block("2. 键盘", (title, "第二章 设备")),
    )


def test_hand_wrapped_lines_are_joined(write: Write) -> None:
    parsed = write(
        "mail.txt",
        "The pilot of the customer-service assistant starts in Novem-\n"
        "ber and runs until the end of May. During that time each\n"
        "answer is checked by an agent before it is sent to anyone.\n"
        "It ends.\n"
        "\n"
        "Agents keep a log of every correction they make, however\n"
        "small it is, so that the answers improve.\n",
    )
    assert texts(parsed) == [
        "The pilot of the customer-service assistant starts in November and runs until the end of "
        "May. During that time each answer is checked by an agent before it is sent to anyone. "
        "It ends.",
        "Agents keep a log of every correction they make, however small it is, so that the "
        "answers improve.",
    ]


def test_chinese_lines_that_are_paragraphs_stay_apart(write: Write) -> None:
    assert texts(write("a.txt", "　　第一段话到此为止。\n　　第二段话，短。\n")) == [
        "第一段话到此为止。",
        "第二段话，短。",
    ]
