from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import gradio as gr
import pytest
from web_service import (
    HOSTILE,
    NOW,
    Open,
    assert_inert,
    event,
    request,
    somebody,
)

from assistant.accounts.records import ApiKey, AuditEntry, Role
from assistant.surfaces.http.records import Job
from assistant.surfaces.http.service import Service
from assistant.surfaces.web import administration, desk, documents, quality, strategy
from assistant.surfaces.web.administration import (
    Administration,
    counted,
    found_entries,
    found_users,
    key_state,
    paged,
)
from assistant.surfaces.web.documents import Documents
from assistant.surfaces.web.quality import Quality
from assistant.surfaces.web.wording import load_texts
from assistant.types import Language, Progress

# -- what all three keep --------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(
    "build", [documents.build, quality.build, administration.build, strategy.build]
)
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
