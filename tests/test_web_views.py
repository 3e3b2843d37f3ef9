"""The views for documents, quality and administration without a browser."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from eval_records import good_record, made_run, refused_record
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from assistant import Assistant
from assistant.accounts.records import ROLE_SCOPES, ApiKey, AuditEntry, Identity, Role, User
from assistant.errors import AssistantError
from assistant.surfaces.http import evaluation
from assistant.surfaces.http.editing import Editor
from assistant.surfaces.http.receiving import ELSEWHERE, File
from assistant.surfaces.http.records import FileProgress, Job
from assistant.surfaces.http.service import Service, opened_service
from assistant.surfaces.web import administration, desk, documents, quality
from assistant.surfaces.web.administration import (
    ACTIONS,
    Administration,
    counted,
    found_entries,
    found_users,
    key_state,
    paged,
)
from assistant.surfaces.web.charts import Bars
from assistant.surfaces.web.documents import Documents, recent
from assistant.surfaces.web.documents_table import ROWS, Row, Wanted, select
from assistant.surfaces.web.plain import PATTERNS, noted, plain
from assistant.surfaces.web.quality import Quality, topics
from assistant.surfaces.web.wording import load_texts
from assistant.types import Document, Language, Progress, Reviewable, Topic, UsageDay, UsageReport

HOSTILE = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>"
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
PACKAGE = Path(__file__).resolve().parents[1] / "assistant"
Open = Callable[..., Service]


@pytest.fixture
def open_service(assistant: Assistant) -> Iterator[Open]:
    def open_one(**changed: Any) -> Service:
        settings = assistant.settings.model_copy(update={"auth": "password", **changed})
        return stack.enter_context(opened_service(assistant, settings, "http://test"))

    with ExitStack() as stack:
        yield open_one


@pytest.fixture
def service(open_service: Open) -> Service:
    return open_service()


def somebody(role: Role = "admin", *groups: str, name: str = "li") -> Identity:
    return Identity(User(name, "", role, groups, True, NOW), ROLE_SCOPES[role], "session")


def request(identity: Identity) -> gr.Request:
    return gr.Request(Request({"type": "http", "headers": [], "state": {"identity": identity}}))


def event(**sent: Any) -> gr.EventData:
    return gr.EventData(None, sent)


def upload(service: Service, asker: Identity, text: str, name: str, *groups: str) -> Job:
    job = Editor(service, asker, "").upload([File(name, BytesIO(text.encode()))], groups)
    *_, done = service.jobs.watch(job.id)
    return done


def document(n: int = 0, **changed: Any) -> Document:
    known = Document(f"d{n}", f"第{n:04d}号制度", f"/papers/{n}.md", 1, "zh", chunks=n)
    return replace(known, ingested_at=NOW + timedelta(minutes=n), **changed)


def rows(*found: Document) -> list[Row]:
    return [Row(each, Path(each.source).name, "ready") for each in found]


def assert_inert(html: str) -> None:
    """Make sure that what a person or a file said stands in the page as text."""
    assert "&lt;img" in html
    assert "<img" not in html
    assert "<script" not in html


# -- what all three keep --------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("build", [documents.build, quality.build, administration.build])
def test_handlers_are_private_and_have_lines_of_their_own(
    service: Service, build: Callable[..., gr.Blocks], language: Language
) -> None:
    async def built() -> gr.Blocks:  # Gradio makes a loop of its own where none runs
        return build(service, load_texts(language))

    blocks = asyncio.run(built())
    handlers = list(blocks.fns.values())
    assert handlers
    assert {fn.api_visibility for fn in handlers} == {"private"}
    lines = [fn.concurrency_id for fn in handlers]
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize("role", ["reader", "editor"])
def test_each_handler_asks_for_the_right_itself(service: Service, role: Role) -> None:
    texts, asked = load_texts("zh"), request(somebody(role))
    views: list[tuple[Any, tuple[str, ...]]] = [
        (Quality(service, texts), ("show", "evaluation", "failed")),
        (Administration(service, texts), ("show", "open", "jobs", "failed")),
    ]
    if role == "reader":
        views.append((Documents(service, texts), ("begin", "show", "open", "jobs", "failed")))
    for shown, handlers in views:
        for name in handlers:
            handler = getattr(shown, name)
            given = (event(id="li"), asked) if name in ("show", "open", "failed") else (asked,)
            with pytest.raises(gr.Error, match="权限"):
                handler(*given)


def test_too_many_requests_are_told(open_service: Open) -> None:
    shown = Documents(open_service(requests_per_minute=1), load_texts("en"))
    asked = request(somebody())
    shown.show(event(), asked)
    with pytest.raises(gr.Error, match="Try again in"):
        shown.show(event(), asked)


@pytest.mark.parametrize("sent", [{}, {"page": "-1", "sort": "x"}, {"page": 7, "query": ["x"]}])
def test_what_a_browser_sends_amiss_is_as_if_left_out(service: Service, sent: Any) -> None:
    asked = request(somebody())
    assert "没有" in Documents(service, load_texts("zh")).show(event(**sent), asked)[0]
    assert Administration(service, load_texts("zh")).show(event(section="x"), asked)


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


# -- documents ------------------------------------------------------------------------------------


def test_a_thousand_documents_are_searched_filtered_sorted_and_paged() -> None:
    found = rows(*(document(n) for n in range(1000)))
    first = select(found, Wanted())
    assert (first.found, first.total, first.pages, len(first.rows)) == (1000, 1000, 20, ROWS)
    assert first.rows[0].document.id == "d999"
    assert select(found, Wanted(page=99)).page == 20
    assert [r.document.id for r in select(found, Wanted(query="制度 0777")).rows] == ["d777"]
    assert [r.document.id for r in select(found, Wanted(query="12.MD")).rows][-1] == "d12"
    rising = select(found, Wanted(sort="chunks", descending=False))
    assert [row.document.chunks for row in rising.rows[:3]] == [0, 1, 2]


def test_filters_hold_together() -> None:
    found = rows(
        document(1, groups=("hr",)), document(2, groups=("hr", "it"), language="en"), document(3)
    )
    shown = select(found, Wanted(group="hr", language="en"))
    assert [row.document.id for row in shown.rows] == ["d2"]


def test_an_editor_sees_only_what_they_may_read(service: Service) -> None:
    upload(
        service, somebody("admin", "finance"), "# 预算\n\n三百二十万元。", "budget.md", "finance"
    )
    [budget] = service.assistant.documents(somebody("editor", "finance").principal)
    shown = Documents(service, load_texts("zh"))
    for groups, seen in ((("finance",), True), (("hr",), False)):
        asked = request(somebody("editor", *groups))
        assert ("预算" in shown.show(event(), asked)[0]) == seen
        assert ("三百二十万元" in shown.open(event(id=budget.id), asked)) == seen
        assert ("finance" in shown.begin(asked)[0]) == seen


def test_titles_names_and_passages_are_text(service: Service) -> None:
    asker = somebody("admin")
    upload(service, asker, f"# {HOSTILE}\n\n## {HOSTILE}\n\n{HOSTILE}", "a.md")
    [hostile] = service.assistant.documents()
    Editor(service, asker, "").retag(hostile.id, [HOSTILE.replace("'", "")], HOSTILE)
    asker = somebody("admin", HOSTILE.replace("'", ""))
    shown, asked = Documents(service, load_texts("en")), request(asker)
    table, _, jobs = shown.show(event(), asked)
    upload_form, filters = shown.begin(asked)
    for html in (table, upload_form, filters, shown.open(event(id=hostile.id), asked)):
        assert_inert(html)
    assert "a.md" in jobs


def test_a_document_is_opened_a_few_passages_at_a_time(service: Service) -> None:
    text = "\n\n".join(f"## 第{n}节\n\n{'这一节讲制度的内容。' * 30}" for n in range(40))
    upload(service, somebody(), text, "long.md")
    [long] = service.assistant.documents()
    shown, asked = Documents(service, load_texts("zh")), request(somebody())
    first = shown.open(event(id=long.id), asked)
    assert first.count('data-test="chunk"') == documents.PASSAGES < long.chunks
    assert 'data-test="more"' in first
    whole = shown.open(event(id=long.id, shown="500"), asked)
    assert whole.count('data-test="chunk"') == long.chunks
    assert whole.index("第3节") < whole.index("第30节")
    assert 'data-test="more"' not in whole


def test_closing_a_document_or_opening_a_deleted_one_shows_nothing(service: Service) -> None:
    shown, asked = Documents(service, load_texts("zh")), request(somebody())
    assert shown.open(event(id=""), asked) == shown.open(event(id="gone"), asked) == ""


def test_a_bad_file_is_in_quarantine_with_its_reason_and_what_to_do(service: Service) -> None:
    done = upload(service, somebody(), "   ", "空.txt")
    shown = Documents(service, load_texts("zh"))
    _, quarantine, jobs = shown.show(event(), request(somebody()))
    for html in (quarantine, jobs):
        assert "空.txt" in html
        assert "没有可读的文字" in html
    assert f'data-send="POST /v1/quarantine/{done.files[0].document_id}/ingest"' in quarantine
    assert "空.txt" not in shown.show(event(), request(somebody("editor", name="wu")))[2]


def test_a_document_from_a_folder_says_where_it_is_changed(
    service: Service, assistant: Assistant, papers: Path
) -> None:
    assistant.ingest(papers)
    shown, asked = Documents(service, load_texts("zh")), request(somebody())
    [pumps] = [each for each in assistant.documents() if each.source.endswith("pumps.md")]
    html = shown.open(event(id=pumps.id), asked)
    assert "从服务器的文件夹导入" in html
    assert 'data-test="replace"' not in html


def test_many_files_that_went_well_are_counted_and_bad_ones_named() -> None:
    good = tuple(FileProgress(f"{n}.md", "added", "", f"d{n}") for n in range(30))
    bad = FileProgress("x.png", "quarantined", "It is an image. Run OCR on it.", "b")
    job = Job("j", "upload", "li", "done", NOW, (*good, bad), finished_at=NOW)
    html = str(desk.parts("documents", load_texts("zh")).jobs([job]))
    before, after = html.split("<details")
    assert "已收录 <b>30</b>" in before
    assert "x.png" in before
    assert "17.md" in after


def test_jobs_are_shown_while_they_run_and_a_while_after() -> None:
    def job(name: str, finished: datetime | None, kind: Any = "upload") -> Job:
        return Job(name, kind, "li", "done", NOW, finished_at=finished)

    listed = [
        job("running", None),
        job("now", NOW),
        job("old", NOW - timedelta(hours=1)),
        job("index", None, "reindex"),
    ]
    assert [each.id for each in recent(listed, NOW)] == ["running", "now"]


# -- quality --------------------------------------------------------------------------------------


def usage(days: int = 14) -> UsageReport:
    first = date(2026, 11, 11)
    return UsageReport(
        days=tuple(UsageDay(first + timedelta(days=n), n, n // 4, 1, 0) for n in range(days)),
        engines={"extractive": 3},
        topics=(
            Topic(date(2026, 11, 9), HOSTILE, 5),
            Topic(date(2026, 11, 16), HOSTILE, 2),
            Topic(date(2026, 11, 16), "", 4),
        ),
    )


def test_bars_say_their_numbers_in_three_ways() -> None:
    bars = Bars(
        "q", HOSTILE, "All in all.", ("11-01", "11-02"), (("good", (3, 0)), ("bad", (1, 2)))
    )
    svg = str(bars.svg())
    assert_inert(svg)
    assert "<desc id=" in svg
    assert "11-01 · good 3 · bad 1" in svg
    assert bars.top == 4
    assert bars.rows == [("11-02", [0, 2]), ("11-01", [3, 1])]
    tall = [float(y) for y in re.findall(r'class="s\d".*?height="([\d.]+)"', svg)]
    assert tall == [75.0, 25.0, 50.0]


@pytest.mark.parametrize(("most", "top"), [(0, 2), (5, 6), (7, 10), (11, 20), (61, 100)])
def test_scales_end_at_a_round_number(most: int, top: int) -> None:
    assert Bars("x", "", "", ("a",), (("n", (most,)),)).top == top


def test_topics_stand_by_week_and_the_rest_is_summed_up() -> None:
    bars = topics(usage(), load_texts("en"))
    assert bars.labels == ("11-09", "11-16", "11-23")
    assert bars.layers == ((HOSTILE, (5, 2, 0)), ("Other documents", (0, 4, 0)))


def test_use_is_shown_and_titles_in_it_are_text(service: Service) -> None:
    shown = Quality(service, load_texts("zh"))
    html = str(shown.parts.usage(usage(), 30, (7, 30, 90), shown._charts(usage())))
    assert_inert(html)
    assert "91 个问题中的 18 个" in html
    assert html.count("<table") == 3


def test_questions_and_comments_are_text() -> None:
    each = Reviewable(HOSTILE, (HOSTILE,), (), HOSTILE, True, "down", HOSTILE, NOW)
    html = str(desk.parts("quality", load_texts("en")).review([each], 1, "all", ()))
    assert_inert(html)


def test_asked_and_disliked_answers_come_up_in_their_kind(
    service: Service, assistant: Assistant, papers: Path
) -> None:
    assistant.ingest(papers)
    asker = somebody()
    given = assistant.ask("婚假有几天？", principal=asker.principal)
    assistant.feedback(given.answer_id, "down", "过时了", asker.principal)
    shown = Quality(service, load_texts("zh"))
    use, review = shown.show(event(days="7", kind="down"), request(asker))
    assert "1 个问题中的 0 个" in use
    assert "婚假有几天？" in review
    assert "过时了" in review
    assert "婚假有几天？" not in shown.show(event(kind="refused"), request(asker))[1]


def test_without_an_evaluation_the_page_says_how_to_make_one(service: Service) -> None:
    html = Quality(service, load_texts("en")).evaluation(request(somebody()))
    assert f"assistant eval run --out {service.settings.data_dir}/evals/run-1" in html


def test_the_latest_evaluation_is_summed_up_and_its_report_is_for_administrators(
    service: Service, socket_enabled: None
) -> None:
    root = service.settings.data_dir / "evals"
    made_run(root / "old", refused_record(), finished="2026-11-01T00:00:00+00:00")
    made_run(root / "new", good_record(), finished="2026-11-02T00:00:00+00:00")
    (root / "new" / "report.html").write_text("<h1>The report</h1>", "utf-8")
    shown = Quality(service, load_texts("zh")).evaluation(request(somebody()))
    assert "100.0 %" in shown
    assert 'href="/evaluation"' in shown

    asker = somebody()
    app = FastAPI()
    app.state.service = service
    app.include_router(evaluation.router)

    @app.middleware("http")
    async def known(asked: Request, answer: Any) -> Any:
        asked.state.identity = asker
        return await answer(asked)

    @app.exception_handler(AssistantError)
    async def refused(asked: Request, error: AssistantError) -> Any:
        return evaluation.HTMLResponse(str(error), 403)

    client = TestClient(app)
    page = client.get("/evaluation")
    assert page.text == "<h1>The report</h1>"
    assert "sandbox" in page.headers["content-security-policy"]
    asker = somebody("editor")
    assert client.get("/evaluation").status_code == 403


def test_a_run_that_cannot_be_read_is_told(service: Service) -> None:
    folder = service.settings.data_dir / "evals" / "bad"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}", "utf-8")
    assert 'role="alert"' in Quality(service, load_texts("zh")).evaluation(request(somebody()))


# -- administration -------------------------------------------------------------------------------


def test_each_section_is_shown_in_both_languages(service: Service) -> None:
    asked = request(somebody())
    for language, words in (
        ("zh", ("新建用户", "不用单独创建", "新建密钥", "切换引擎", "创建用户")),
        ("en", ("New user", "need not be made", "New key", "Switch", "Created user")),
    ):
        service.accounts.create_user(f"u-{language}", actor="li")
        shown = Administration(service, load_texts(language))  # type: ignore[arg-type]
        for section, word in zip(administration.SECTIONS, words, strict=True):
            assert word in shown.show(event(section=section), asked)[0], section


def test_names_groups_keys_and_the_log_are_text(service: Service) -> None:
    group = HOSTILE.replace("'", "")
    service.accounts.create_user("wu", name=HOSTILE, groups=[group], actor=HOSTILE)
    service.accounts.create_key("wu", HOSTILE, ["ask"], actor=HOSTILE)
    service.accounts.audit(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    shown, asked = Administration(service, load_texts("zh")), request(somebody())
    for section in ("users", "groups", "keys", "audit"):
        assert_inert(shown.show(event(section=section), asked)[0])
    assert_inert(shown.open(event(id="wu"), asked))


@pytest.mark.parametrize(
    ("auth", "said"), [("none", "没有启用登录"), ("header", "前置代理"), ("oidc", "统一登录")]
)
def test_users_managed_elsewhere_are_not_made_here(
    open_service: Open, auth: str, said: str
) -> None:
    service = open_service(auth=auth)
    service.accounts.create_user("wu")
    shown, asked = Administration(service, load_texts("zh")), request(somebody())
    users = shown.show(event(section="users"), asked)[0]
    assert said in users
    assert 'data-test="new-user"' not in users
    assert 'data-test="invite"' not in shown.open(event(id="wu"), asked)


def test_no_handler_ever_holds_a_secret(service: Service) -> None:
    service.accounts.create_user("wu")
    link = service.accounts.invite("wu")
    _, secret = service.accounts.create_key("wu", "report", ["ask"])
    shown, asked = Administration(service, load_texts("zh")), request(somebody())
    pages = [shown.show(event(section=each), asked)[0] for each in administration.SECTIONS]
    whole = "".join([*pages, shown.open(event(id="wu"), asked)])
    assert link not in whole
    assert secret not in whole


def test_an_index_of_another_model_can_still_be_built_anew(open_service: Open) -> None:
    service = open_service()
    service.assistant.documents()
    catalog = service.assistant._open_store().catalog
    catalog.set_meta("fingerprint", '{"model": "other"}')
    shown = Administration(service, load_texts("zh"))
    html = shown.show(event(section="system"), request(somebody()))[0]
    assert "需要管理员重建索引" in html
    assert 'data-send="POST /v1/reindex"' in html


def test_a_rebuild_under_way_is_followed() -> None:
    job = Job("j", "reindex", "li", "running", NOW, progress=Progress("reindex", 3, 10))
    html = str(desk.parts("settings", load_texts("zh"), auth="none").jobs([job]))
    assert "data-busy" in html
    assert 'max="10" value="3"' in html


def test_groups_are_counted() -> None:
    users = [somebody("reader", "hr", name="a").user, somebody("reader", name="b").user]
    found = counted(["everyone", "hr"], users, [("everyone",), ("hr", "it")])
    assert [(each.name, each.users, each.documents) for each in found] == [
        ("everyone", 2, 1),
        ("hr", 1, 1),
    ]


def test_users_and_entries_are_found_by_every_word() -> None:
    users = [somebody("reader", "财务部", name="wang").user, somebody(name="wu").user]
    assert [user.id for user in found_users(users, "W 财务")] == ["wang"]
    entries = [AuditEntry(NOW, "li", "delete", "d1", "预算", "10.0.0.7")]
    assert found_entries(entries, "预算 10.0", "delete") == entries
    assert found_entries(entries, "预算", "upload") == []


def test_long_lists_are_paged() -> None:
    page = paged(range(120), range(120), 9)
    assert (page.page, page.pages, page.rows[0], len(page.rows)) == (3, 3, 100, 20)


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({}, "active"),
        ({"expires_at": NOW}, "expired"),
        ({"expires_at": NOW + timedelta(1)}, "active"),
        ({"expires_at": NOW, "revoked": True}, "revoked"),
    ],
)
def test_a_key_is_active_expired_or_revoked(changed: dict[str, Any], state: str) -> None:
    key = ApiKey("1", "report", "wu", ("ask",), NOW)
    assert key_state(replace(key, **changed), NOW) == state
