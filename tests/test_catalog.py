from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from assistant.errors import StorageFullError, StoreError
from assistant.index.catalog import Catalog
from assistant.index.database import translated_errors
from assistant.index.records import Draft
from assistant.ingest.chunk import Passage
from assistant.text import terms


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog(tmp_path / "catalog.sqlite")
    yield opened
    opened.close()


def draft(document: str, *texts: str, groups: tuple[str, ...] = ("everyone",)) -> Draft:
    return Draft(
        document_id=document,
        title=f"title {document}",
        source=f"{document}.md",
        path=f"/papers/{document}.md",
        language="zh",
        groups=groups,
        provenance="",
        content_hash="".join(texts),
        signature=b"",
        blocks="[]",
        passages=tuple(Passage(t, ("节",), 3, "page", 0, len(t)) for t in texts),
        vectors=np.eye(8, dtype=np.float32)[: len(texts)],
    )


def publish(catalog: Catalog, *drafts: Draft) -> None:
    catalog.publish([w.version_id for w in catalog.write(drafts)])


def find(catalog: Catalog, query: str, groups: tuple[str, ...] = ("everyone",)) -> list[str]:
    hits = catalog.lexical(terms(query), catalog.audiences(groups), 10)
    found = catalog.chunks([rowid for rowid, _ in hits])
    return [found[rowid][0].text for rowid, _ in hits if rowid in found]


def test_a_written_version_is_invisible_until_it_is_published(catalog: Catalog) -> None:
    written = catalog.write([draft("a", "大模型训练")])
    assert find(catalog, "训练") == []
    assert catalog.documents(catalog.audiences()) == []
    catalog.publish([written[0].version_id])
    assert find(catalog, "训练") == ["大模型训练"]
    assert catalog.documents(catalog.audiences())[0].chunks == 1


def test_a_new_version_replaces_the_old_one_at_once(catalog: Catalog) -> None:
    publish(catalog, draft("a", "旧的内容"))
    publish(catalog, draft("a", "新的内容"))
    assert find(catalog, "内容") == ["新的内容"]
    assert find(catalog, "旧的") == []
    assert [d.version for d in catalog.documents(catalog.audiences())] == [2]
    assert len(catalog.leftovers()) == 1


def test_the_full_text_index_forgets_what_is_retired(catalog: Catalog) -> None:
    publish(catalog, draft("a", "独特词语出现", "另外一段"))
    catalog.publish([], retire=["a"])
    catalog.purge([v.version_id for v in catalog.leftovers()])
    assert catalog.document_frequencies(terms("独特词语")) == {}
    assert catalog.lexical(terms("独特"), catalog.audiences(), 5) == []


def test_a_search_stays_inside_its_audiences(catalog: Catalog) -> None:
    publish(catalog, draft("a", "公开的预算"), draft("b", "机密的预算", groups=("finance",)))
    assert find(catalog, "预算") == ["公开的预算"]
    assert set(find(catalog, "预算", ("everyone", "finance"))) == {"公开的预算", "机密的预算"}
    assert find(catalog, "预算", ("hr",)) == []


def test_vectors_and_places_come_back_as_they_went_in(catalog: Catalog) -> None:
    publish(catalog, draft("a", "一", "二"))
    (rowid, _), *_ = catalog.lexical(["二"], catalog.audiences(), 1)
    chunk, document = catalog.chunks([rowid])[rowid]
    assert (chunk.heading, chunk.page, chunk.id) == (("节",), 3, "a.1.1")
    assert document.source == "a.md"
    np.testing.assert_array_equal(catalog.vectors([rowid])[rowid], np.eye(8)[1])


def test_two_threads_see_one_truth(catalog: Catalog) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: publish(catalog, draft(f"d{i}", f"第{i}份文件")), range(20)))
        counts = list(pool.map(lambda _: len(catalog.documents(catalog.audiences())), range(8)))
    assert set(counts) == {20}


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(b"this is no database at all, not even nearly" * 100)
    with pytest.raises(StoreError, match="move it away"):
        Catalog(path)


def test_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageFullError, match="Free some space"),
        translated_errors(tmp_path),
    ):
        raise sqlite3.OperationalError("database or disk is full")


def test_a_full_disk_in_the_middle_of_a_write_loses_nothing(catalog: Catalog) -> None:
    publish(catalog, draft("a", "原来的内容"))
    pages = catalog._db.execute("PRAGMA page_count").fetchone()[0]
    catalog._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StorageFullError):
        catalog.write([draft("b", *["很长的内容" * 4000] * 8)])
    assert find(catalog, "内容") == ["原来的内容"]
    assert catalog.leftovers() == []


def test_a_document_is_read_by_its_audiences_alone(catalog: Catalog) -> None:
    publish(catalog, draft("a", "一", "二", groups=("finance",)))
    mine, theirs = catalog.audiences(["finance"]), catalog.audiences(["everyone"])
    found = catalog.document("a", mine)
    assert found is not None and (found.title, found.chunks) == ("title a", 2)
    assert catalog.document("a", theirs) is None
    assert catalog.document("b", mine) is None
    assert [chunk.text for chunk in catalog.document_chunks("a", mine)] == ["一", "二"]
    assert catalog.document_chunks("a", theirs) == []


def test_a_passage_stands_between_its_neighbours(catalog: Catalog) -> None:
    publish(catalog, draft("a", "零", "一", "二", "三", "四"), draft("b", "别的文件"))
    audiences = catalog.audiences()
    middle = catalog.context("a.1.2", audiences, 2)
    assert middle is not None
    assert middle.document.id == middle.chunk.document_id == "a"
    assert [c.text for c in middle.before] == ["零", "一"]
    assert middle.chunk.text == "二"
    assert [c.text for c in middle.after] == ["三", "四"]
    last = catalog.context("a.1.4", audiences, 1)
    assert last is not None
    assert ([c.text for c in last.before], last.after) == (["三"], ())


def test_a_passage_of_an_earlier_version_or_another_audience_is_not_found(catalog: Catalog) -> None:
    publish(catalog, draft("a", "旧"), draft("s", "机密", groups=("hr",)))
    publish(catalog, draft("a", "新"))
    everyone = catalog.audiences(["everyone"])
    assert catalog.context("a.1.0", everyone, 1) is None
    assert catalog.context("a.2.0", everyone, 1) is not None
    assert catalog.context("s.1.0", everyone, 1) is None
    assert catalog.context("s.1.0", catalog.audiences(["hr"]), 1) is not None
