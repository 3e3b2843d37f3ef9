from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from web_service import (
    PACKAGE,
)

from assistant.surfaces.http.receiving import ELSEWHERE
from assistant.surfaces.web.administration import (
    ACTIONS,
)
from assistant.surfaces.web.plain import PATTERNS, noted, plain
from assistant.surfaces.web.wording import load_texts

# -- the core's messages, reworded ----------------------------------------------------------------


def told() -> Iterator[tuple[str, str]]:
    """Yield the messages that the core raises where a page can show them, with 7 for a value."""
    for folder in ("ingest", "ingest/formats", "accounts"):
        yield from (found for file in (PACKAGE / folder).glob("*.py") for found in raised(file))
    for name in ("editing", "receiving", "jobs", "limits"):
        yield from raised(PACKAGE / "surfaces" / "http" / f"{name}.py")


def raised(file: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        is_error = str(getattr(node.func, "id", "")).endswith("Error")
        if is_error and isinstance(node.args[0], (ast.Constant, ast.JoinedStr)):
            yield file.name, literal(node.args[0])


def literal(node: Any) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    values = (
        each.value if isinstance(each, ast.Constant) else "'7'" if each.conversion == 114 else "7"
        for each in node.values
    )
    return "".join(values)


# Said to programs and at the command line; no page of these leads there.
NOT_HERE = re.compile(
    "does not exist|outside the folders|field `files`|One title cannot|There is no such job|"
    "is no role|key is unknown|^413$|^7 (cannot be read|is not valid|must hold|Its title)|^7: write"
)


SIGNING_IN = ("passwords.py", "sessions.py", "invitations.py")


def test_every_message_of_the_core_is_reworded_for_the_page() -> None:
    zh = load_texts("zh")
    messages = [
        (file, said)
        for file, said in told()
        if file not in SIGNING_IN and not NOT_HERE.search(said)
    ]
    assert len(messages) > 40
    assert [(file, said) for file, said in messages if plain(said, zh) == said] == []


def test_messages_keep_their_values() -> None:
    zh, en = load_texts("zh"), load_texts("en")
    too_large = "It is 120 MB; the limit is 100 MB. Split it, or raise ASSISTANT_MAX_FILE_MB."
    assert "100 MB" in plain(too_large, zh)
    assert "ASSISTANT" not in plain(too_large, en)
    assert ".xlsx" in plain("`.xls` files are not read. Save it as .xlsx and ingest that.", zh)
    assert plain(ELSEWHERE, zh).startswith("这份文档从服务器的文件夹导入")
    nested = "vllm is passed over: No model server is set. Set ASSISTANT_VLLM_BASE_URL, for …"
    assert plain(nested, zh).startswith("引擎 vllm 暂时停用：没有设置模型服务器")
    assert plain("Something that nobody foresaw.", zh) == "Something that nobody foresaw."


def test_each_wording_is_there_with_its_values() -> None:
    for language in ("zh", "en"):
        texts = load_texts(language)
        for key, pattern in PATTERNS:
            values = dict.fromkeys(re.compile(pattern).groupindex, "7")
            assert texts(f"plain.{key}", **values)
        for action in ACTIONS:
            assert texts(f"settings.action_{action}")


def test_what_the_log_notes_of_accounts_is_told_and_of_documents_left_alone() -> None:
    zh = load_texts("zh")
    assert (
        noted("user-created", "role reader; groups hr, 财务", zh) == "角色：读者；用户组：hr, 财务"
    )
    changed = "role reader -> editor; deactivated"
    assert noted("user-changed", changed, zh) == "角色由“读者”改为“编辑”；停用"
    assert noted("key-created", "for li; ask, delegate", zh) == "属于 li；权限：提问、代他人提问"
    assert noted("delete", "role reader; password", zh) == "role reader; password"
