"""The page as people use it, in Chromium, on a real server with the embedded model.

Run with `make browser`; pictures of every view are left in build/screenshots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from browser import PHONE, WIDE, Visitor, chromium, visitor
from playwright.sync_api import Browser, expect
from serving import Server, serving

from assistant.gate import Gate

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]

PASSWORD = "一个足够长的密码 2026"
LEAVE = (
    "# 休假制度\n\n员工每年享有十五天带薪年假。病假需要提交医院证明。\n\n"
    "## 婚假\n\n婚假为十天，应在登记后一年内休完。\n"
)
BUDGET = "# 大模型预算\n\n2026年大模型专项预算为三百二十万元，由财务部管理。\n"
ANSWER_MS = 30_000
CALIBRATED = f"{Gate.load('reading').threshold}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    settings = {
        "auth": "password",
        "company_name": "瑞通泵业",
        "embedding_model": "embedded",
        "gate_threshold": CALIBRATED,
        "requests_per_minute": "10000",
    }
    with serving(folder / "data", **settings) as running:
        yield running


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def boss(server: Server, chrome: Browser) -> Iterator[Visitor]:
    """The administrator, who came in by the one-time link."""
    with visitor(chrome, server.address) as someone:
        page = someone.page
        page.goto(server.first_link)
        someone.shot("welcome-zh")
        page.fill("#user", "boss")
        page.fill("#name", "吴总")
        page.fill("#password", PASSWORD)
        page.fill("#again", PASSWORD)
        page.click("button[type=submit]:not([name])")
        page.wait_for_url("**/zh/")
        yield someone


@pytest.fixture(scope="module")
def people(server: Server, boss: Visitor, chrome: Browser) -> Iterator[dict[str, Visitor]]:
    """An editor of finance and a reader, each in a window of their own."""
    with ExitStack() as stack:
        found = {}
        for name, role, groups in (("lin", "editor", ["finance"]), ("wu", "reader", [])):
            made = boss.context.request.post(
                f"{server.address}/v1/users",
                data={"id": name, "name": name, "role": role, "groups": groups},
                headers={"Origin": server.address},
            )
            assert made.ok, made.text()
            someone = stack.enter_context(visitor(chrome, server.address))
            page = someone.page
            page.goto(made.json()["link"])
            page.fill("#password", PASSWORD)
            page.fill("#again", PASSWORD)
            page.click("button[type=submit]:not([name])")
            page.wait_for_url("**/zh/")
            found[name] = someone
        yield found


def ask(someone: Visitor, question: str) -> str:
    """Ask on the chat view and return the text of the finished answer."""
    page = someone.page
    page.fill("[data-test=question-box]", question)
    page.click("[data-test=send]")
    done = page.locator("#reply [data-state=done]").filter(has_text=re.compile("."))
    page.wait_for_function(
        "q => document.querySelector('#reply [data-state=done]')?.dataset.question === q",
        arg=question,
        timeout=ANSWER_MS,
    )
    return done.locator(".text").inner_text()


def upload(someone: Visitor, files: list[Path], group: str = "") -> None:
    """Send files on the documents view and wait until they are taken in."""
    page = someone.page
    someone.open("/zh/documents/")
    page.click("[data-test=upload-open]")
    page.set_input_files("[data-test=files]", [str(file) for file in files])
    if group:
        page.uncheck("input[name=groups][value=everyone]")
        page.check(f"input[name=groups][value={group}]")
    page.click("[data-test=upload-send]")
    page.wait_for_selector("[data-test=job][data-state=done]", timeout=60_000)


def written(folder: Path, **texts: str) -> list[Path]:
    """Write files and return their paths."""
    paths = []
    for name, text in texts.items():
        path = folder / f"{name}.md"
        path.write_text(text, "utf-8")
        paths.append(path)
    return paths


def test_an_editor_uploads_good_and_bad_files_and_everybody_is_answered(
    people: dict[str, Visitor], tmp_path: Path
) -> None:
    lin, wu = people["lin"], people["wu"]
    bad = tmp_path / "坏文件.pdf"
    bad.write_bytes(b"%PDF-1.7 this is not a document")
    lin.open("/zh/documents/")
    lin.shot("documents-empty-zh")
    upload(lin, [*written(tmp_path, leave=LEAVE), bad])
    lin.shot("documents-uploaded-zh")
    expect(lin.page.locator("[data-test=document]")).to_have_count(1)
    expect(lin.page.locator("[data-test=quarantined]")).to_have_count(1)
    expect(lin.page.locator("[data-test=job-file]").filter(has_text="坏文件.pdf")).to_be_visible()
    upload(lin, written(tmp_path, budget=BUDGET), group="finance")
    expect(lin.page.locator("[data-test=document]")).to_have_count(2)

    wu.open("/zh/")
    wu.shot("chat-welcome-zh")
    answer = ask(wu, "员工每年有几天年假？")
    assert "十五天" in answer
    wu.shot("chat-answer-zh")


def test_a_chip_opens_the_passage_with_its_evidence_marked(people: dict[str, Visitor]) -> None:
    wu = people["wu"]
    wu.open("/zh/")
    ask(wu, "婚假有几天？")
    page = wu.page
    page.locator("#reply [data-test=chip]").first.focus()
    page.keyboard.press("Enter")
    marked = page.locator("[data-test=panel] mark")
    expect(marked).to_contain_text("婚假为十天")
    expect(page.locator("[data-test=panel]")).to_contain_text("休假制度")
    wu.shot("chat-source-zh")
    page.keyboard.press("Escape")
    expect(page.locator("[data-test=panel]")).not_to_be_visible()


def test_who_may_not_read_a_paper_is_refused_and_is_not_told_of_it(
    people: dict[str, Visitor],
) -> None:
    lin, wu = people["lin"], people["wu"]
    question = "2026年大模型专项预算是多少？"
    lin.open("/zh/")
    assert "三百二十万元" in ask(lin, question)
    wu.open("/zh/")
    answer = ask(wu, question)
    assert "三百二十万" not in answer and "大模型预算" not in answer
    expect(wu.page.locator("#reply [data-test=refused]")).to_be_visible()
    wu.shot("chat-refused-zh")
    assert wu.context.request.get(f"{wu.address}/zh/documents/").status == 403


def test_nobody_sees_another_persons_conversations(people: dict[str, Visitor]) -> None:
    lin, wu = people["lin"], people["wu"]
    lin.open("/zh/")
    ask(lin, "年假最多有多少天？")
    conversation = re.search(r"c=(\w+)", lin.page.url)
    assert conversation
    expect(lin.page.locator("[data-test=conversation]").first).to_be_visible()
    wu.open(f"/zh/?c={conversation[1]}")
    expect(wu.page.locator("#thread")).not_to_contain_text("年假最多有多少天")
    wu.shot("chat-not-yours-zh")
    reply = wu.context.request.get(f"{wu.address}/v1/conversations/{conversation[1]}")
    assert reply.status == 404


def test_an_address_that_leads_nowhere_says_so(people: dict[str, Visitor]) -> None:
    wu = people["wu"]
    for path, language in (("/zh/nowhere", "zh"), ("/source/nope/1?lang=en", "en")):
        wu.open(path)
        expect(wu.page.locator("a.button")).to_have_attribute("href", "/")
        expect(wu.page.locator("html")).to_have_attribute("lang", re.compile(f"^{language}"))
        wu.shot(f"missing-{language}")
    wu.open("/login?lang=zh")  # the choice of a language is remembered


def test_an_address_without_its_last_slash_leads_to_the_view(people: dict[str, Visitor]) -> None:
    wu = people["wu"]
    wu.open("/en/strategy")
    assert wu.page.url.endswith("/en/strategy/")


def test_conversations_come_back_are_renamed_and_deleted(people: dict[str, Visitor]) -> None:
    wu = people["wu"]
    page = wu.page
    wu.open("/zh/")
    ask(wu, "请病假要交什么？")
    page.reload()
    expect(page.locator("#thread")).to_contain_text("医院证明")
    expect(page.locator("#thread [data-test=chip]").first).to_be_visible()
    page.locator("[data-test=conversation] [data-test=rename]").first.click()
    page.fill("[data-test=name]", "病假手续")
    page.click("[data-test=save]")
    first = page.locator("[data-test=conversation]").filter(has_text="病假手续")
    expect(first).to_be_visible()
    first.hover()
    first.locator("[data-test=delete]").click()
    page.click("[data-test=confirm]")
    expect(first).to_have_count(0)


def test_the_language_switch_keeps_the_conversation(people: dict[str, Visitor]) -> None:
    wu = people["wu"]
    page = wu.page
    wu.open("/zh/")
    ask(wu, "员工每年有几天年假？")
    page.click("[data-test=language]")
    page.wait_for_url("**/en/?c=*")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#thread")).to_contain_text("十五天")
    expect(page.locator("[data-test=send]")).to_contain_text("Send")
    wu.shot("chat-answer-en")
    page.click("[data-test=language]")
    page.wait_for_url("**/zh/?c=*")


def test_feedback_and_export(people: dict[str, Visitor]) -> None:
    wu = people["wu"]
    page = wu.page
    wu.open("/zh/")
    ask(wu, "婚假要在多久内休完？")
    page.click("#reply [data-test=down]")
    page.fill("#reply form.reason textarea", "想要法规原文")
    page.click("#reply form.reason button[type=submit]")
    page.wait_for_function("document.querySelector('.toast')")
    page.reload()
    expect(page.locator("#thread [data-test=down]").last).to_have_attribute("aria-pressed", "true")
    with page.expect_download() as saved:
        page.click("[data-test=export-docx]")
    assert saved.value.suggested_filename.endswith(".docx")
    assert Path(saved.value.path()).read_bytes().startswith(b"PK")


def test_a_deleted_document_answers_no_more(people: dict[str, Visitor], tmp_path: Path) -> None:
    lin, wu = people["lin"], people["wu"]
    upload(lin, written(tmp_path, canteen="# 食堂\n\n食堂午餐供应时间为十一点半到一点。\n"))
    question = "食堂午餐几点供应？"
    wu.open("/zh/")
    assert "十一点半" in ask(wu, question)
    page = lin.page
    page.locator("[data-test=document]").filter(has_text="食堂").locator("[data-test=open]").click()
    expect(page.locator("[data-test=detail] [data-test=chunk]")).to_have_count(1)
    lin.shot("documents-detail-zh")
    page.click("[data-test=detail] [data-test=delete]")
    lin.shot("documents-delete-zh")
    page.click("[data-test=confirm-yes]")
    expect(page.locator("[data-test=document]").filter(has_text="食堂")).to_have_count(0)
    wu.open("/zh/")
    assert "十一点半" not in ask(wu, question)


def test_the_administrator_sees_quality_users_and_keys(boss: Visitor) -> None:
    page = boss.page
    boss.open("/zh/quality/")
    expect(page.locator("#usage-title")).to_be_visible()
    boss.shot("quality-zh")
    boss.open("/zh/settings/")
    expect(page.locator("[data-test=user]").filter(has_text="boss")).to_be_visible()
    boss.shot("settings-users-zh")
    for tab, holds in (
        ("groups", "[data-test=group]"),
        ("keys", "[data-test=new-key]"),
        ("system", "[data-test=reindex]"),
        ("audit", "[data-test=entry]"),
    ):
        page.click(f"[data-test=tab-{tab}]")
        expect(page.locator(holds).first).to_be_visible()
        boss.shot(f"settings-{tab}-zh")
    page.click("[data-test=tab-keys]")
    page.click("[data-test=new-key] summary")
    page.fill("[data-test=new-key-form] input[name=name]", "报表程序")
    page.click("[data-test=create-key]")
    secret = page.locator("[data-test=once-value]")
    expect(secret).to_be_visible()
    boss.shot("settings-key-made-zh")
    shown = (
        secret.input_value()
        if secret.evaluate("e => e.tagName") == "INPUT"
        else secret.inner_text()
    )
    asked = boss.context.request.get(
        f"{boss.address}/v1/me", headers={"Authorization": f"Bearer {shown.strip()}"}
    )
    assert asked.ok and asked.json()["via"] == "key"
    boss.open("/en/settings/")
    boss.shot("settings-users-en")


def test_on_a_phone_everything_is_reached(
    server: Server, chrome: Browser, people: dict[str, Visitor]
) -> None:
    with visitor(chrome, server.address, viewport=PHONE, dark=True) as phone:
        page = phone.page
        phone.open("/")
        page.wait_for_url("**/login**")
        phone.shot("phone-login-zh-dark")
        page.fill("#user", "lin")
        page.fill("#password", "wrong password")
        page.click("button[type=submit]:not([name])")
        expect(page.locator("[role=alert]")).to_be_visible()
        page.fill("#password", PASSWORD)
        page.click("button[type=submit]:not([name])")
        page.wait_for_url("**/zh/")
        ask(phone, "员工每年有几天年假？")
        phone.shot("phone-answer-zh-dark")
        page.locator("#reply [data-test=chip]").first.click()
        expect(page.locator("[data-test=panel] mark")).to_be_visible()
        phone.shot("phone-source-zh-dark")
        page.click("[data-test=close]")
        page.click("[data-test=drawer]")
        expect(page.locator("[data-test=conversation]").first).to_be_visible()
        phone.shot("phone-conversations-zh-dark")
        phone.open("/zh/documents/")
        phone.shot("phone-documents-zh-dark")
        for path in ("/zh/", "/zh/documents/"):
            phone.open(path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_signing_out_shuts_the_page(
    server: Server, chrome: Browser, people: dict[str, Visitor]
) -> None:
    with visitor(chrome, server.address, viewport=WIDE, locale="en-GB") as someone:
        page = someone.page
        someone.open("/login")
        someone.shot("login-en")
        page.fill("#user", "wu")
        page.fill("#password", PASSWORD)
        page.click("button[type=submit]:not([name])")
        page.wait_for_url("**/en/")
        page.wait_for_load_state("networkidle")  # its scripts may not be cut off in loading
        page.click("[data-test=sign-out]")
        page.wait_for_url("**/login**")
        assert someone.context.request.get(f"{someone.address}/v1/me").status == 401
