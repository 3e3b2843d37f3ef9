from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from web_service import (
    HOSTILE,
    NOW,
    assert_inert,
    document,
    event,
    request,
    rows,
    somebody,
    upload,
)

from assistant import Assistant
from assistant.surfaces.http.editing import Editor
from assistant.surfaces.http.records import FileProgress, Job
from assistant.surfaces.http.service import Service
from assistant.surfaces.web import desk, documents
from assistant.surfaces.web.documents import Documents, recent
from assistant.surfaces.web.documents_table import ROWS, Wanted, select
from assistant.surfaces.web.wording import load_texts

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
