"""How answers look in Slack: markup, limits, and what people's messages say."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block as SdkBlock

from assistant import errors
from assistant.surfaces.slack import blocks as shapes
from assistant.surfaces.slack.heard import in_context, is_from_person, mentioned, question_text
from assistant.surfaces.slack.mrkdwn import escape, has_layout, to_mrkdwn
from assistant.surfaces.slack.wording import texts
from assistant.types import Answer, Citation

TABLE = "| 名称 | 数量 |\n|--|--|\n| 水泵 | 3 |\n| valve | 12 |\n"


def citation(marker: int, **changed: Any) -> Citation:
    values: dict[str, Any] = {
        "marker": marker,
        "chunk_id": f"chunk-{marker}",
        "document_id": "d",
        "title": "休假制度",
        "source": "/srv/papers/leave.md",
        "heading": ("休假制度", "婚假"),
        "page": 3,
        "page_unit": "page",
        "quote": "婚假为十天",
    }
    return Citation(**values | changed)


def answer(text: str, citations: int = 1, **changed: Any) -> Answer:
    values: dict[str, Any] = {
        "text": text,
        "citations": tuple(citation(marker) for marker in range(1, citations + 1)),
        "refused": False,
        "confidence": 0.9,
        "engine": "stub",
        "conversation_id": "c",
        "answer_id": "a",
    }
    return Answer(**values | changed)


def messages(given: Answer) -> list[list[dict[str, Any]]]:
    words = texts("zh")
    return shapes.answer_messages(given, words, shapes.answer_foot(given, words, shareable=True))


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("**粗** 和 *斜* 与 ~~删~~", "*粗* 和 _斜_ 与 ~删~"),
        ("# 标题", "*标题*"),
        ("第一句[1]。第二句[2][3]", "第一句[1]。第二句[2][3]"),
        ("[1](说明)见下", "[1](说明)见下"),
        ("[1]: 不是定义", "[1]: 不是定义"),
        ("- 甲\n- 乙", "• 甲\n• 乙"),
        ("3. 甲\n4. 乙", "3. 甲\n4. 乙"),
        ("[页](https://a.example/?x=1&y=2)", "<https://a.example/?x=1&amp;y=2|页>"),
        ("a < b && c > d", "a &lt; b &amp;&amp; c &gt; d"),
        ("<!channel> <@U1> <script>", "&lt;!channel&gt; &lt;@U1&gt; &lt;script&gt;"),
        ("`a<b`", "`a&lt;b`"),
        ("> 引用", "> 引用"),
        ("```py\nx < 1\n```", "```\nx &lt; 1\n```"),
        (TABLE, "```\n名称   数量\n─────  ────\n水泵   3\nvalve  12\n```"),
    ],
)
def test_markdown_becomes_what_slack_shows(markdown: str, shown: str) -> None:
    assert to_mrkdwn(markdown) == shown


def test_tables_are_noticed() -> None:
    assert has_layout(TABLE)
    assert not has_layout("a | b")


@given(st.text(alphabet=string.printable + "中文。", max_size=400))
@settings(max_examples=150, deadline=None)
def test_no_text_of_a_document_becomes_a_mention_or_a_call(text: str) -> None:
    shown = to_mrkdwn(text)
    for sign in ("<@", "<!", "<#"):
        assert sign not in shown


@given(st.text(alphabet="中文 a.。\n`", min_size=1, max_size=9000))
@settings(max_examples=100, deadline=None)
def test_pieces_hold_all_words_within_the_limit(text: str) -> None:
    parts = shapes.pieces(text)
    assert all(len(part) <= shapes.SECTION_CHARS for part in parts)

    def words(said: str) -> str:
        return "".join(said.replace("`", "").split())

    assert words("".join(parts)) == words(text)


def test_code_that_is_split_stays_code() -> None:
    parts = shapes.pieces("```\n" + "x = 1\n" * 1500 + "```")
    assert len(parts) > 1
    assert all(part.startswith("```") and part.endswith("```") for part in parts)


def test_an_answer_has_sources_buttons_and_feedback() -> None:
    [blocks] = messages(answer("十天[1]。"))

    shown = json.dumps(blocks, ensure_ascii=False)
    assert "[1] 《休假制度》 · 婚假 · 第3页 · leave.md" in shown
    assert "/srv" not in shown
    assert [b["type"] for b in blocks][-2:] == ["actions", "context_actions"]


def test_a_huge_answer_is_split_and_every_block_is_one_that_slack_takes() -> None:
    pages = messages(answer("很长的一段话。" * 40_000, citations=40))

    assert len(pages) > 1
    for blocks in pages:
        assert len(blocks) <= shapes.MESSAGE_BLOCKS
        for block in blocks:
            parsed = SdkBlock.parse(block)
            assert parsed is not None
            parsed.validate_json()
    assert "太长" in json.dumps(pages[-1], ensure_ascii=False)
    assert "其余出处" in json.dumps(pages[-1], ensure_ascii=False)


def test_a_modal_title_is_cut_to_what_slack_takes() -> None:
    view = shapes.modal("x", texts("en"), "a very long title that does not fit", [])
    assert len(view["title"]["text"]) <= 24


def test_the_texts_are_the_same_in_both_languages_and_fit() -> None:
    zh, en = texts("zh")._values, texts("en")._values
    assert zh.keys() == en.keys()
    for key in zh:
        holes = [{f for _, f, _, _ in string.Formatter().parse(t[key]) if f} for t in (zh, en)]
        assert holes[0] == holes[1], key
    for words in (zh, en):
        for title in ("reason_title", "passage_title", "ask_title", "send", "cancel", "close"):
            assert len(words[title]) <= 24
        for label in ("passage", "share", "helpful", "unhelpful"):
            assert len(words[label]) <= 75


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (errors.EngineBusyError("x", position=2), "前面还有 2 个问题"),
        (errors.RateLimitedError("x", retry_after=9), "9 秒后"),
        (errors.QuestionError("x"), "最多 4000 字"),
        (errors.ForbiddenError("x"), "没有权限"),
        (errors.ServerError("x"), "连不上服务器"),
        (errors.StoreLockedError("x"), "资料库"),
        (ValueError("x"), "程序出错了"),
    ],
)
def test_every_error_has_words_of_its_own(error: Exception, told: str) -> None:
    assert told in texts("zh").failure(error, 4000)


# -- what messages say ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("<@U0BOT> 年假几天？", "年假几天？"),
        ("<@U0BOT|bot>  a &lt; b &amp; c", "a < b & c"),
        ("<@U2> 和 <#C1|general> 见 <https://a.example|这页>", "@U2 和 #general 见 这页"),
        ("<https://a.example/x> <!here>", "https://a.example/x"),
        ("<@U0BOT>", ""),
    ],
)
def test_a_message_is_read_as_people_see_it(text: str, asked: str) -> None:
    assert question_text(text, "U0BOT") == asked


def test_mentions_are_found() -> None:
    assert mentioned("<@U1> <@U2|li> @U3") == {"U1", "U2"}


@pytest.mark.parametrize(
    "event",
    [
        {"user": "U0BOT"},
        {"user": "USLACKBOT"},
        {"user": "U1", "bot_id": "B1"},
        {"user": "U1", "subtype": "channel_join"},
        {"subtype": "bot_message"},
    ],
)
def test_bots_and_notices_are_nobody(event: dict[str, Any]) -> None:
    assert not is_from_person(event, "U0BOT")
    assert is_from_person({"user": "U1", "subtype": "file_share"}, "U0BOT")


def test_only_what_people_said_completes_a_question() -> None:
    earlier = [
        {"user": "U1", "text": "婚假是怎么规定的？我想了解一下。"},
        {"user": "UB", "bot_id": "B1", "text": "广告"},
    ]
    understood = in_context("那要怎么申请呢？", earlier, "U0BOT")
    assert understood == "婚假是怎么规定的？我想了解一下。 那要怎么申请呢？"
    assert in_context("年假有多少天，怎么申请？", earlier, "U0BOT") == "年假有多少天，怎么申请？"


def test_the_manifest_asks_for_what_the_bot_uses() -> None:
    from importlib import resources

    file = resources.files("assistant.surfaces.slack") / "manifest.yaml"
    manifest = yaml.safe_load(file.read_text("utf-8"))
    assert manifest["features"]["slash_commands"][0]["command"] == "/ask"
    assert manifest["features"]["shortcuts"][0]["callback_id"] == "ask_about"
    assert len(manifest["display_information"]["name"]) <= 35
    assert len(manifest["display_information"]["description"]) <= 140
    assert len(manifest["features"]["shortcuts"][0]["name"]) <= 24
    assert manifest["settings"]["socket_mode_enabled"] is True
    for scope in ("app_mentions:read", "chat:write", "im:history", "users:read.email"):
        assert scope in manifest["oauth_config"]["scopes"]["bot"]


def test_escaping_is_what_slack_documents() -> None:
    assert escape("a & b < c > d") == "a &amp; b &lt; c &gt; d"
