"""The strategy interview as people lead it, in Chromium, on a real server without models.

Run with `make browser`; pictures are left in build/screenshots.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import PHONE, Visitor, chromium, visitor
from playwright.sync_api import Browser, Page, Route, expect
from serving import Server, serving

from assistant.strategy.profile import form

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]

HOSTILE = "<img src=x onerror=alert(1)>"
NAME = f"澄川 Precision {HOSTILE} 有限公司" + "长名" * 20
HANDBOOK = (
    "# 员工手册\n\n## 公司概况\n\n公司主要生产阀门和泵，设有生产制造部。\n\n"
    f"`{HOSTILE}`截至2026年10月31日，公司在册员工418人。\n"
)
TURN_MS = 15_000
FIELDS = len(form().fields)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with serving(folder / "data", requests_per_minute="10000") as running:
        yield running


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def papers(server: Server, chrome: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("papers") / "handbook.md"
    file.write_text(HANDBOOK, "utf-8")
    with visitor(chrome, server.address) as someone:
        someone.open("/zh/documents/")
        someone.page.click("[data-test=upload-open]")
        someone.page.set_input_files("[data-test=files]", [str(file)])
        someone.page.click("[data-test=upload-send]")
        someone.page.wait_for_selector("[data-test=job][data-state=done]", timeout=60_000)


def begin(someone: Visitor, company: str, language: str = "zh") -> Page:
    """Begin a strategy and wait for its first question."""
    someone.open(f"/{language}/strategy/")
    page = someone.page
    page.fill("[data-test=company]", company)
    page.keyboard.press("Enter")
    asked(page, "industry")
    return page


def asked(page: Page, key: str) -> None:
    """Wait until a field is asked for."""
    page.wait_for_selector(f"#turn .turn[data-asking='{key}']:not([hidden])", timeout=TURN_MS)


def test_a_strategy_is_led_left_taken_up_and_downloaded(
    server: Server, chrome: Browser, papers: None
) -> None:
    with visitor(chrome, server.address) as someone:
        page = begin(someone, NAME)
        expect(page.locator("[data-test=title]")).to_contain_text(HOSTILE)
        expect(page.locator("[data-test=lead]")).to_contain_text("我会问")
        expect(page.locator("[data-test=value]")).to_have_text("制造")
        someone.shot("strategy-first-zh")
        page.click("[data-test=why]")
        expect(page.locator("[data-test=lead]")).to_contain_text("行业决定")
        page.click("[data-test=yes]")
        asked(page, "employees")
        expect(page.locator("[data-test=quote]").first).to_contain_text(HOSTILE)
        expect(page.locator("#said")).to_contain_text("公司有多少员工")
        expect(page.locator("#past [data-test=mine]")).to_have_text(["您：为什么问", "您：对"])
        assert page.locator("#view img").count() == 0

        page.fill("[data-test=say]", "约四百")
        for way in ({"isComposing": True}, {"keyCode": 229}):  # an input method takes a word
            page.dispatch_event("[data-test=say]", "keydown", {"key": "Enter", **way})
        assert page.input_value("[data-test=say]") == "约四百"
        page.fill("[data-test=say]", "400")
        page.keyboard.press("Enter")
        asked(page, "regions")
        choices = page.locator("[data-test=choice]")
        expect(page.locator("[data-test=several]")).to_be_disabled()
        for n in (0, 1):
            choices.nth(n).focus()
            page.keyboard.press("Space")
        page.click("[data-test=several]")
        asked(page, "goals")
        known = page.locator("[data-test=known-row]")
        expect(known).to_have_count(3)
        expect(known.nth(2)).to_contain_text("中国、欧盟")
        someone.shot("strategy-known-zh")

        page.reload()
        asked(page, "goals")
        expect(page.locator("#bubbles > *")).to_have_count(0)
        page.locator("[data-key=employees] [data-test=change]").click()
        asked(page, "employees")
        page.fill("[data-test=say]", "300")
        page.click("[data-test=send]")
        asked(page, "goals")
        expect(known.nth(1)).to_contain_text("300")

        for said, told in (("全部确认", "已采用"), ("完成", "记为不清楚")):
            page.fill("[data-test=say]", said)
            page.keyboard.press("Enter")
            expect(page.locator("[data-test=lead]")).to_contain_text(told)
        page.click("[data-test=to-brief]")
        expect(page.locator("#brief-title")).to_be_focused()
        for kind, begins in (("docx", b"PK"), ("pdf", b"%PDF"), ("markdown", b"#")):
            link = page.locator(f"[data-test=brief-{kind}-zh]")
            with page.expect_download(timeout=60_000) as saved:
                link.click()
                expect(link).to_have_attribute("aria-busy", "true")
            assert Path(saved.value.path()).read_bytes().lstrip().startswith(begins)
            assert "澄川" in saved.value.suggested_filename
            expect(link).to_have_attribute("aria-busy", "false")
        someone.shot("strategy-done-zh")

        page.click("[data-test=back]")
        row = page.locator("[data-test=strategy]")
        expect(row).to_contain_text(f"{FIELDS}/{FIELDS}")
        page.go_back()
        asked(page, "")
        page.go_forward()
        row.locator("[data-test=delete]").click()
        page.click("[data-test=confirm-yes]")
        expect(row).to_have_count(0)


def test_what_goes_wrong_is_told_and_nothing_typed_is_lost(
    server: Server, chrome: Browser, papers: None
) -> None:
    def busy(route: Route) -> None:
        detail = "More than 7 requests in a minute. Repeat in 9 s, or ask an administrator to …"
        route.fulfill(status=429, json={"detail": detail})

    with visitor(chrome, server.address, viewport=PHONE, dark=True, locale="en-GB") as phone:
        page = begin(phone, "Ruitong", "en")
        page.route("**/turn", busy)
        page.fill("[data-test=say]", "Manufacturing")
        page.click("[data-test=send]")
        expect(page.locator("[data-test=notice]")).to_contain_text("Try again in 9 seconds")
        assert page.input_value("[data-test=say]") == "Manufacturing"
        expect(page.locator("[data-test=question]")).to_be_visible()
        expect(page.locator("#bubbles > *")).to_have_count(0)
        phone.shot("strategy-refused-phone-en-dark")
        page.unroute("**/turn")
        page.click("[data-test=send]")
        asked(page, "employees")
        expect(page.locator("[data-test=notice]")).to_have_count(0)

        page.route("**/brief?*", lambda route: route.fulfill(status=502, body="<html>"))
        page.locator("[data-test=brief-pdf-en]").click()
        expect(page.locator("[data-test=notice]")).to_contain_text("does not answer")
        page.click("[data-test=notice] [data-dismiss]")
        page.locator("[data-test=brief-pdf-en]").click()
        expect(page.locator("[data-test=notice]")).to_contain_text("does not answer")
        expect(page.locator("[data-test=brief-pdf-en]")).to_have_text("PDF")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.click("[data-test=language]")
        page.wait_for_url("**/zh/strategy/?s=*")
        asked(page, "employees")
        phone.shot("strategy-phone-zh-dark")
