"""Debian's Chromium for the browser suite, and what every test of the page looks for.

A page under test may load nothing from outside the server and may log no error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS = Path(__file__).resolve().parents[1] / "build" / "screenshots"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """One person's browser window: its page, and what it loaded and logged."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context = context
        self.address = address
        self.page: Page = context.new_page()
        self.foreign: list[str] = []
        self.errors: list[str] = []
        host = urlsplit(address).netloc
        context.on(
            "request",
            lambda request: (
                self.foreign.append(request.url)
                if request.url.startswith(("http", "ws")) and urlsplit(request.url).netloc != host
                else None
            ),
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, path: str) -> None:
        """Go to a page of the server and wait until it is there."""
        self.page.goto(self.address + path)
        self.page.wait_for_load_state("networkidle")

    def shot(self, name: str) -> None:
        """Keep a picture of the page as it is."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SCREENSHOTS / f"{name}.png"))


@contextmanager
def visitor(
    browser: Browser,
    address: str,
    *,
    viewport: dict[str, int] = WIDE,
    locale: str = "zh-CN",
    dark: bool = False,
) -> Iterator[Visitor]:
    """Open a window of its own: own cookies, own size, own language."""
    context = browser.new_context(
        viewport=viewport,  # type: ignore[arg-type]
        locale=locale,
        color_scheme="dark" if dark else "light",
        accept_downloads=True,
    )
    try:
        someone = Visitor(context, address)
        yield someone
        assert someone.foreign == []
        assert someone.errors == []
    finally:
        context.close()
