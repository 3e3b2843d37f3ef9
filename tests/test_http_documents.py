from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from http_desk import LEAVE, PEOPLE, Desk, folders

from assistant import Principal
from assistant.surfaces.problems import MEDIA_TYPE

# -- uploads --------------------------------------------------------------------------------


def test_an_upload_is_read_listed_and_found(desk: Desk) -> None:
    document = desk.upload("年假.md", LEAVE)
    (listed,) = desk("GET", "/documents").json()
    assert (listed["id"], listed["title"], listed["source"]) == (document, "休假制度", "年假.md")
    assert listed["groups"] == ["everyone"]
    assert listed["provenance"].startswith("he · ")
    assert desk("GET", f"/documents/{document}").json() == listed
    (chunk,) = desk("GET", f"/documents/{document}/chunks").json()
    assert "十五天" in chunk["text"]
    assert desk.audit() == [("he", "upload", "年假.md → everyone")]


def test_bad_files_among_many_do_not_stop_the_others(desk: Desk) -> None:
    good = [(f"{i:02d}.md", f"# 第{i}章\n\n内容{i}。".encode()) for i in range(28)]
    bad = [("broken.pdf", b"%PDF-1.7 nothing"), ("empty.txt", b"")]
    job = desk.done(desk.send(*good[:14], *bad, *good[14:], groups=["hr"]))
    assert job.state == "done"
    assert [f.name for f in job.files] == [name for name, _ in (*good[:14], *bad, *good[14:])]
    states = {f.name: f.state for f in job.files}
    assert [states.pop(name) for name, _ in bad] == ["quarantined", "quarantined"]
    assert set(states.values()) == {"added"}
    assert all(len(f.reason) > 15 for f in job.files if f.state == "quarantined")
    assert len(desk("GET", "/documents").json()) == 28
    assert desk("GET", "/documents", "wu").json() == []
    assert desk.service.uploads.pending() == []


def test_a_title_names_the_one_file_it_comes_with(desk: Desk) -> None:
    desk.upload("a.md", LEAVE, title="年假\n规定")
    assert desk.titles("he") == {"年假 规定"}
    refused = desk.send(("b.md", b"# b"), ("c.md", b"# c"), title="both")
    assert refused.status_code == 422


def test_no_file_is_told_with_the_remedy(desk: Desk) -> None:
    for response in (desk("POST", "/documents", data={"groups": "hr"}), desk("POST", "/documents")):
        assert response.status_code == 422
        assert "`files`" in response.json()["detail"]


def test_a_file_too_large_is_named_with_the_limit(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(max_file_mb=1)
    large = ("large.txt", b"x" * 1_000_001)
    alone = desk.send(large)
    assert alone.status_code == 413
    assert alone.headers["content-type"] == MEDIA_TYPE
    assert "1 MB" in alone.json()["detail"]
    job = desk.done(desk.send(large, ("small.md", LEAVE.encode())))
    assert [f.state for f in job.files] == ["quarantined", "added"]
    assert "1 MB" in job.files[0].reason
    document = job.files[1].document_id
    put = desk("PUT", f"/documents/{document}/file", files={"file": ("s.md", large[1])})
    assert put.status_code == 413
    assert len(folders(desk)) == 1
    assert not desk.service.jobs.is_claimed(document)


def test_hostile_names_stay_in_their_folder(desk: Desk) -> None:
    names = [
        "../../etc/passwd.md",
        "a\\b.md",
        "长" * 300 + ".md",
        "🚀.md",
        "x\u202efdp.md",
        "CON.md",
    ]
    job = desk.done(desk.send(*((name, f"# {i}".encode()) for i, name in enumerate(names))))
    assert {f.state for f in job.files} == {"added"}
    root = desk.service.settings.data_dir / "uploads"
    found = [path for path in root.rglob("*.md")]
    assert len(found) == len(names)
    assert all(path.parent.parent == root for path in found)
    sources = {d["source"] for d in desk("GET", "/documents").json()}
    assert {"passwd.md", "b.md", "🚀.md", "xfdp.md", "_CON.md"} < sources


# -- names that are taken ---------------------------------------------------------------------


def test_a_taken_name_is_refused_replaced_or_kept_beside(desk: Desk) -> None:
    first = desk.upload("年假.md", LEAVE)
    newer = ("年假.md", LEAVE.replace("十五", "二十").encode())
    refused = desk.done(desk.send(newer)).files[0]
    assert (refused.state, refused.document_id) == ("conflict", first)
    replaced = desk.done(desk.send(newer, existing="replace")).files[0]
    assert (replaced.state, replaced.document_id) == ("updated", first)
    (document,) = desk("GET", "/documents").json()
    assert document["version"] == 2
    kept = desk.done(desk.send(newer, existing="keep")).files[0]
    assert (kept.state, kept.document_id == first) == ("added", False)
    unclear = desk.done(desk.send(newer, existing="replace")).files[0]
    assert unclear.state == "conflict"
    assert "by its id" in unclear.reason


def test_the_same_name_twice_in_one_upload_is_a_conflict(desk: Desk) -> None:
    job = desk.done(desk.send(("a.md", b"# one"), ("A.MD", b"# two")))
    assert [f.state for f in job.files] == ["added", "conflict"]
    assert job.files[1].document_id == job.files[0].document_id


def test_a_name_is_taken_from_the_moment_its_file_is_there(desk: Desk) -> None:
    with ThreadPoolExecutor(6) as pool:
        editors = ["he", "wu"] * 3
        sent = list(pool.map(lambda by: desk.send(("同名.md", LEAVE.encode()), by=by), editors))
    states = [desk.done(each).files[0].state for each in sent]
    assert sorted(states) == ["added", *["conflict"] * 5]
    assert len(desk("GET", "/documents").json()) == 1


def test_names_of_documents_one_may_not_see_are_free(desk: Desk) -> None:
    desk.upload("薪酬.md", "# 薪酬\n\n甲", groups=["hr"])
    job = desk.done(desk.send(("薪酬.md", "# 薪酬\n\n乙".encode()), by="wu", existing="replace"))
    assert job.files[0].state == "added"
    assert [d["version"] for d in desk("GET", "/documents", "he").json()] == [1, 1]


def test_a_replacement_meant_for_fewer_readers_is_refused(desk: Desk) -> None:
    desk.upload("a.md", LEAVE)
    secret = ("a.md", "# 机密\n\n只给人事。".encode())
    job = desk.done(desk.send(secret, existing="replace", groups=["hr"]))
    assert job.files[0].state == "conflict"
    assert "everyone" in job.files[0].reason
    assert desk.titles("wu") == {"休假制度"}


def test_a_document_of_a_folder_is_not_replaced_by_an_upload(desk: Desk, papers: Path) -> None:
    desk.service.assistant.ingest(papers)
    job = desk.done(desk.send(("leave.md", b"# new"), existing="replace"))
    assert job.files[0].state == "conflict"
    put = desk(
        "PUT", f"/documents/{job.files[0].document_id}/file", files={"file": ("leave.md", b"x")}
    )
    assert put.status_code == 422


# -- replacing --------------------------------------------------------------------------------


def test_a_corrupt_replacement_leaves_the_old_one_answering(desk: Desk) -> None:
    document = desk.upload("年假.md", LEAVE)
    path = desk.service.uploads.find(document)
    assert path is not None
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    job = desk.done(
        desk("PUT", f"/documents/{document}/file", files={"file": ("x.md", b"\0\1" * 500)})
    )
    assert (job.kind, job.state, job.files[0].state) == ("replace", "done", "quarantined")
    assert "earlier version stays" in job.files[0].reason
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
    (hit,) = desk.service.assistant.search("带薪年假")
    assert "十五天" in hit.chunk.text
    assert desk("GET", f"/documents/{document}").json()["version"] == 1
    assert desk("GET", "/quarantine").json() == []


def test_a_corrupt_pdf_in_the_place_of_a_good_one(desk: Desk) -> None:
    from reportlab.pdfgen.canvas import Canvas

    page = io.BytesIO()
    canvas = Canvas(page)
    canvas.drawString(72, 700, "The CP-2150B pump delivers 45 cubic metres an hour.")
    canvas.save()
    job = desk.done(desk.send(("pump.pdf", page.getvalue()), title="Pump"))
    document = job.files[0].document_id
    bad = desk.done(desk.send(("pump.pdf", b"%PDF-1.4 broken"), existing="replace"))
    assert bad.files[0].state == "quarantined"
    path = desk.service.uploads.find(document)
    assert path is not None
    assert path.read_bytes() == page.getvalue()
    assert "45 cubic" in desk.service.assistant.search("pump")[0].chunk.text


def test_a_replacement_is_of_the_same_kind(desk: Desk) -> None:
    document = desk.upload("a.md", LEAVE)
    put = desk("PUT", f"/documents/{document}/file", files={"file": ("a.docx", b"PK")})
    assert put.status_code == 422
    assert ".md" in put.json()["detail"]


# -- who may ----------------------------------------------------------------------------------


def test_a_document_one_may_not_see_does_not_exist(desk: Desk) -> None:
    hidden = desk.upload("薪酬.md", "# 薪酬\n\n月薪。", groups=["hr"])
    for by in ("wu", "root"):
        answers = [
            desk("GET", f"/documents/{hidden}", by),
            desk("GET", f"/documents/{hidden}/chunks", by),
            desk("PATCH", f"/documents/{hidden}", by, json={"groups": ["everyone"]}),
            desk("PUT", f"/documents/{hidden}/file", by, files={"file": ("a.md", b"x")}),
            desk("POST", f"/documents/{hidden}/ingest", by),
            desk("DELETE", f"/documents/{hidden}", by),
        ]
        unknown = desk("DELETE", "/documents/0000000000000000", by)
        for answer in answers:
            assert answer.status_code == unknown.status_code == 404
            said = answer.json()["detail"].replace(hidden, "0000000000000000")
            assert said == unknown.json()["detail"]
        assert desk("GET", "/documents", by).json() == []
    assert desk.titles("he") == {"薪酬"}


def test_readers_change_nothing(desk: Desk) -> None:
    document = desk.upload("a.md", LEAVE)
    assert desk.send(("b.md", b"# b"), by="lin").status_code == 403
    for method, path, given in (
        ("PATCH", f"/documents/{document}", {"json": {"title": "x"}}),
        ("PUT", f"/documents/{document}/file", {"files": {"file": ("a.md", b"x")}}),
        ("POST", f"/documents/{document}/ingest", {}),
        ("DELETE", f"/documents/{document}", {}),
        ("GET", "/quarantine", {}),
        ("POST", f"/quarantine/{document}/ingest", {}),
        ("DELETE", f"/quarantine/{document}", {}),
        ("GET", "/jobs", {}),
        ("POST", "/reindex", {}),
    ):
        assert desk(method, path, "lin", **given).status_code == 403, path
    assert desk("POST", "/reindex", "he").status_code == 403
    assert desk("GET", f"/documents/{document}", "lin").json()["title"] == "休假制度"


def test_an_editor_gives_documents_to_their_own_groups_only(desk: Desk) -> None:
    refused = desk.send(("a.md", LEAVE.encode()), groups=["hr", "finance"])
    assert refused.status_code == 403
    assert "finance" in refused.json()["detail"]
    assert not (desk.service.settings.data_dir / "uploads").exists()
    document = desk.upload("a.md", LEAVE, groups=["hr"])
    assert desk("PATCH", f"/documents/{document}", json={"groups": ["board"]}).status_code == 403
    assert desk("PATCH", f"/documents/{document}", json={"groups": []}).status_code == 422
    assert desk("PATCH", f"/documents/{document}", json={"groups": ["a,b"]}).status_code == 422
    given = desk.upload("b.md", "# b\n\n乙。", by="root", groups=["finance", "hr"])
    kept = desk("PATCH", f"/documents/{given}", "wu", json={"groups": ["hr", "finance"]})
    assert kept.json()["groups"] == ["finance", "hr"], "what it has, it may keep"


# -- retagging, deleting ----------------------------------------------------------------------


def test_a_retag_moves_a_document_at_once(desk: Desk) -> None:
    document = desk.upload("a.md", LEAVE)
    assert desk.titles("wu") == {"休假制度"}
    changed = desk("PATCH", f"/documents/{document}", json={"groups": ["hr"], "title": "年假"})
    assert (changed.json()["groups"], changed.json()["title"]) == (["hr"], "年假")
    assert desk.titles("wu") == set()
    assert desk.service.assistant.search("年假", principal=Principal("wu", ["finance"])) == []
    assert desk.titles("lin") == {"年假"}
    assert desk("PATCH", f"/documents/{document}", json={"groups": ["everyone", "hr"]}).json()[
        "groups"
    ] == ["everyone"]
    assert desk.titles("wu") == {"年假"}
    assert desk.audit()[-1] == ("he", "retag", "年假 → everyone")
    again = desk.done(desk("POST", f"/documents/{document}/ingest"))
    assert again.files[0].state == "unchanged"


def test_a_retag_that_the_file_forbids_changes_nothing(desk: Desk) -> None:
    text = "---\ngroups: [hr]\n---\n# 薪酬\n\n月薪。"
    document = desk.upload("a.md", text)
    desk.upload("b.md", "# b\n\n乙。", by="root", groups=["finance"])
    before = desk("GET", f"/documents/{document}").json()
    refused = desk.client.patch(
        f"/v1/documents/{document}", headers={"x-as": "he"}, json={"groups": ["hr"]}
    )
    assert refused.status_code == 200
    PEOPLE["both"] = ("editor", ("hr", "finance"))
    try:
        refused = desk("PATCH", f"/documents/{document}", "both", json={"groups": ["finance"]})
    finally:
        del PEOPLE["both"]
    assert refused.status_code == 422
    assert "nobody could read it" in refused.json()["detail"]
    assert desk("GET", f"/documents/{document}").json()["groups"] == before["groups"]
    assert desk("GET", "/quarantine").json() == []
    assert desk.service.uploads.pending() == []


def test_a_document_of_a_folder_is_retagged_and_deleted(desk: Desk, papers: Path) -> None:
    desk.service.assistant.ingest("papers")
    by_title = {d["title"]: d for d in desk("GET", "/documents").json()}
    document = by_title["休假制度"]["id"]
    changed = desk("PATCH", f"/documents/{document}", json={"groups": ["hr"]})
    assert changed.json()["groups"] == ["hr"]
    assert changed.json()["source"] == "papers/leave.md"
    assert desk("PATCH", f"/documents/{document}", json={"title": "x"}).status_code == 422
    removed = desk("DELETE", f"/documents/{document}").json()
    assert "brings the document back" in removed["detail"]
    assert (papers / "leave.md").exists()
    assert desk.titles("he") == {"Pump catalogue"}
    pumps = by_title["Pump catalogue"]["id"]
    (papers / "pumps.md").unlink()
    for answer in (
        desk("PATCH", f"/documents/{pumps}", json={"groups": ["hr"]}),
        desk("POST", f"/documents/{pumps}/ingest"),
    ):
        assert answer.status_code == 422
        assert "papers/pumps.md" in answer.json()["detail"]


def test_a_deleted_upload_answers_nothing_and_is_off_the_disk(desk: Desk) -> None:
    document = desk.upload("a.md", LEAVE)
    removed = desk("DELETE", f"/documents/{document}")
    assert removed.json()["title"] == "休假制度"
    assert desk("DELETE", f"/documents/{document}").status_code == 404
    assert desk.service.assistant.search("年假") == []
    assert folders(desk) == []
    assert desk.audit()[-1] == ("he", "delete", "休假制度")


# -- quarantine -------------------------------------------------------------------------------


def test_quarantine_is_seen_by_those_it_belongs_to(desk: Desk, papers: Path) -> None:
    (papers / "never.txt").touch()
    desk.service.assistant.ingest(papers)
    job = desk.done(desk.send(("bad.pdf", b"nothing"), groups=["hr"]))
    upload = job.files[0].document_id
    (mine,) = desk("GET", "/quarantine").json()
    assert (mine["source"], mine["id"], mine["groups"]) == ("bad.pdf", upload, ["hr"])
    assert desk("GET", "/quarantine", "wu").json() == []
    (other,) = desk("GET", "/quarantine", "root").json()
    assert (other["source"].endswith("never.txt"), other["id"]) == (True, "")
    assert desk("DELETE", f"/quarantine/{upload}", "wu").status_code == 404
    assert desk("POST", f"/quarantine/{upload}/ingest", "wu").status_code == 404
    again = desk.done(desk("POST", f"/quarantine/{upload}/ingest"))
    assert again.files[0].state == "quarantined"
    assert desk("DELETE", f"/quarantine/{upload}").status_code == 204
    assert desk("GET", "/quarantine").json() == []
    assert folders(desk) == []
    assert len(desk.service.assistant.quarantined()) == 1


def test_a_good_document_is_not_discarded_as_if_in_quarantine(desk: Desk) -> None:
    document = desk.upload("a.md", LEAVE)
    assert desk("DELETE", f"/quarantine/{document}").status_code == 404
    assert desk.titles("he") == {"休假制度"}


def test_the_schema_names_its_operations_and_problems(desk: Desk) -> None:
    schema = desk.client.get("/openapi.json").json()
    operations = [o for path in schema["paths"].values() for o in path.values()]
    mine = [o for o in operations if "documents" in o.get("tags", [])]
    assert len(mine) == 15
    assert len({o["operationId"] for o in mine}) == 15
    assert all("v1" not in o["operationId"] for o in mine)
    for operation in mine:
        assert MEDIA_TYPE in operation["responses"]["403"]["content"]
