from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assistant.adapted import HashEmbedder
from assistant.errors import FingerprintError, StoreError, StoreLockedError
from assistant.index.records import Draft
from assistant.index.store import CATALOG_FILE, Store, owner_card
from assistant.ingest.chunk import Passage
from assistant.text import terms
from assistant.types import EVERYONE, Principal

EMBEDDER = HashEmbedder()


def draft(document: str, *texts: str, groups: tuple[str, ...] = ("everyone",)) -> Draft:
    return Draft(
        document_id=document,
        title="",
        source=f"{document}.md",
        path=f"/papers/{document}.md",
        language="zh",
        groups=groups,
        provenance="",
        content_hash="".join(texts),
        signature=b"",
        blocks=json.dumps([{"text": t, "heading": [], "page": None} for t in texts]),
        passages=tuple(Passage(t, (), None, "page", 0, len(t)) for t in texts),
        vectors=EMBEDDER.embed_passages(texts),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path, EMBEDDER.fingerprint)
    yield opened
    opened.close()


def found(store: Store, query: str, principal: Principal = EVERYONE) -> dict[str, list[str]]:
    """Return what each leg finds for a query, as texts."""
    index = store.index
    audiences = index.audiences(principal)
    legs = {
        "dense": index.dense(EMBEDDER.embed_question(query), audiences, 20),
        "lexical": index.catalog.lexical(terms(query), audiences, 20),
    }
    return {
        name: [
            c.text for r, _ in leg for c, _ in [store.catalog.chunks([r]).get(r, (None, None))] if c
        ]
        for name, leg in legs.items()
    }


def test_both_legs_find_what_was_put_in(store: Store) -> None:
    store.replace([draft("a", "大模型训练数据", "显卡采购清单")])
    assert found(store, "训练数据")["dense"][0] == "大模型训练数据"
    assert found(store, "训练数据")["lexical"] == ["大模型训练数据"]
    assert store.size == 2


def test_a_replaced_document_leaves_nothing_behind(store: Store) -> None:
    store.replace([draft("a", "旧的甲", "旧的乙")])
    store.replace([draft("a", "新的甲")])
    assert found(store, "的甲")["dense"] == ["新的甲"]
    assert store.catalog.leftovers() == []
    assert store.vectors.count(store.catalog.audiences()[0]) == 1


def test_a_removed_document_is_gone_from_both_legs(store: Store) -> None:
    store.replace([draft("a", "甲文件"), draft("b", "乙文件")])
    store.replace([], retire=["a"])
    legs = found(store, "文件")
    assert legs == {"dense": ["乙文件"], "lexical": ["乙文件"]}


def test_nobody_searches_beyond_their_audiences(store: Store) -> None:
    store.replace([draft("a", "公开预算"), draft("b", "机密预算", groups=("finance", "board"))])
    assert found(store, "预算") == {"dense": ["公开预算"], "lexical": ["公开预算"]}
    for group in ("finance", "board"):
        legs = found(store, "预算", Principal("wu", [group]))
        assert set(legs["dense"]) == set(legs["lexical"]) == {"公开预算", "机密预算"}


def test_changing_the_groups_moves_a_document(store: Store) -> None:
    store.replace([draft("a", "工资表")])
    store.replace([draft("a", "工资表", groups=("hr",))])
    assert found(store, "工资表") == {"dense": [], "lexical": []}
    assert found(store, "工资表", Principal("wu", ["hr"]))["dense"] == ["工资表"]


def test_a_failed_write_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.replace([draft("a", "原来的")])

    def fail(*_: object) -> None:
        raise StoreError("no more room")

    with monkeypatch.context() as patch:
        patch.setattr(store.catalog, "publish", fail)
        with pytest.raises(StoreError):
            store.replace([draft("a", "后来的")])
    assert found(store, "来的") == {"dense": ["原来的"], "lexical": ["原来的"]}
    assert store.catalog.leftovers() == []


def test_another_process_is_told_who_holds_the_directory(store: Store, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; import assistant.index.store as s; "
        "from assistant.adapted import HashEmbedder; s._LOCK_WAIT_S = 0.1\n"
        "try: s.Store(Path(sys.argv[1]), HashEmbedder().fingerprint)\n"
        "except s.StoreLockedError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert f"process {os.getpid()}" in run.stdout


def test_the_owner_says_where_it_is_reached_to_this_user_alone(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert owner_card(tmp_path) == {"pid": os.getpid(), "host": socket.gethostname()}
    store.announce("http://127.0.0.1:7860", "secret-token")
    card = owner_card(tmp_path)
    assert card is not None
    assert (card["url"], card["token"]) == ("http://127.0.0.1:7860", "secret-token")
    assert (tmp_path / "owner.json").stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr("assistant.index.store._LOCK_WAIT_S", 0.1)
    with pytest.raises(StoreLockedError, match=r"at http://127.0.0.1:7860") as refused:
        Store(tmp_path, EMBEDDER.fingerprint)
    assert "secret-token" not in str(refused.value)


def test_the_card_goes_with_its_owner(store: Store, tmp_path: Path) -> None:
    store.announce("http://127.0.0.1:7860", "secret-token")
    store.close()
    assert not (tmp_path / "owner.json").exists()
    assert owner_card(tmp_path) is None
    assert owner_card(tmp_path / "nowhere") is None


def test_what_a_killed_owner_left_is_nobodys_card(tmp_path: Path) -> None:
    (tmp_path / "owner.json").write_text('{"pid": 1, "host": "h", "url": "u", "token": "old"}')
    (tmp_path / "owner.json").chmod(0o644)
    assert owner_card(tmp_path) is None
    store = Store(tmp_path, EMBEDDER.fingerprint)
    card = owner_card(tmp_path)
    assert card is not None and "token" not in card
    assert (tmp_path / "owner.json").stat().st_mode & 0o777 == 0o600
    store.close()


def test_a_second_store_in_the_same_process_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.index.store._LOCK_WAIT_S", 0.1)
    with pytest.raises(StoreLockedError, match="ASSISTANT_DATA_DIR"):
        Store(tmp_path, EMBEDDER.fingerprint)


def test_another_model_is_refused_with_the_remedy(store: Store, tmp_path: Path) -> None:
    store.close()
    another = Store(tmp_path, {**EMBEDDER.fingerprint, "model": "another"})
    with pytest.raises(FingerprintError, match="assistant reindex"):
        another.check_fingerprint()
    another.close()
    again = Store(tmp_path, EMBEDDER.fingerprint)
    again.check_fingerprint()
    again.close()


def test_lost_vectors_are_rebuilt_from_the_catalogue(tmp_path: Path) -> None:
    import shutil

    first = Store(tmp_path, EMBEDDER.fingerprint)
    first.replace([draft("a", "甲文件", "乙文件")])
    first.close()
    shutil.rmtree(tmp_path / "chroma")
    again = Store(tmp_path, EMBEDDER.fingerprint)
    assert found(again, "乙文件")["dense"][0] == "乙文件"
    again.close()


def test_vectors_without_a_record_are_dropped_at_the_next_start(tmp_path: Path) -> None:
    first = Store(tmp_path, EMBEDDER.fingerprint)
    first.replace([draft("a", "甲文件")])
    audience = first.catalog.audiences()[0]
    first.vectors.add(audience, ["stray"], EMBEDDER.embed_passages(["乙文件"]))
    first.close()
    again = Store(tmp_path, EMBEDDER.fingerprint)
    assert again.vectors.count(audience) == 1
    again.close()


def test_rebuilding_switches_to_the_new_vectors(store: Store, tmp_path: Path) -> None:
    store.replace([draft("a", "甲文件"), draft("b", "机密", groups=("hr",))])
    old = store.catalog.meta("namespace")
    store.rebuild(rewritten("重写"), lambda done, total: None)
    assert found(store, "重写")["dense"] == ["重写"]
    assert store.catalog.meta("namespace") != old
    assert not (tmp_path / "catalog.building.sqlite").exists()
    assert store.size == 2


def rewritten(text: str) -> Callable[[Draft], Draft]:
    return lambda d: replace(
        d,
        passages=(Passage(text, (), None, "page", 0, len(text)),),
        vectors=EMBEDDER.embed_passages([text]),
    )


def test_a_search_under_way_ends_on_the_index_it_began_with(store: Store) -> None:
    store.replace([draft("a", "甲文件")])
    index = store.index
    store.rebuild(rewritten("重写"), lambda done, total: None)
    audiences = index.audiences(EVERYONE)
    (row, _), *_ = index.dense(EMBEDDER.embed_question("甲文件"), audiences, 5)
    assert index.catalog.chunks([row])[row][0].text == "甲文件"
    assert found(store, "重写")["dense"] == ["重写"]


def test_searches_go_on_while_the_index_is_rebuilt(store: Store) -> None:
    store.replace([draft(f"d{i}", f"甲文件{i}") for i in range(20)])
    done = threading.Event()
    counts: list[int] = []

    def search() -> None:
        while not done.is_set():
            counts.append(len(found(store, "文件")["dense"]))

    with ThreadPoolExecutor(2) as pool:
        searches = [pool.submit(search) for _ in range(2)]
        for _ in range(3):
            store.rebuild(rewritten("乙文件"), lambda done, total: None)
        done.set()
        for search_ in searches:
            search_.result()
    assert counts
    assert set(counts) == {20}


def test_the_old_vectors_go_when_the_store_is_opened_again(tmp_path: Path) -> None:
    first = Store(tmp_path, EMBEDDER.fingerprint)
    first.replace([draft("a", "甲文件")])
    old = first.catalog.meta("namespace")
    first.rebuild(rewritten("重写"), lambda done, total: None)
    first.close()
    again = Store(tmp_path, EMBEDDER.fingerprint)
    names = [c.name for c in again.vectors._client.list_collections()]
    assert names
    assert not [name for name in names if name.startswith(old)]
    again.close()


def test_a_directory_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    with pytest.raises(StoreError, match="ASSISTANT_DATA_DIR"):
        Store(tmp_path / "file" / "data", EMBEDDER.fingerprint)


def test_a_rebuild_that_fails_changes_nothing(store: Store, tmp_path: Path) -> None:
    store.replace([draft("a", "甲文件")])

    def fail(_: Draft) -> Draft:
        raise StoreError("no more room")

    with pytest.raises(StoreError):
        store.rebuild(fail, lambda done, total: None)
    assert found(store, "甲文件")["dense"] == ["甲文件"]
    store.close()
    again = Store(tmp_path, EMBEDDER.fingerprint)
    assert again.size == 1
    assert not (tmp_path / "catalog.building.sqlite").exists()
    again.close()


def test_vectors_survive_the_catalogues_half_precision(store: Store) -> None:
    store.replace([draft("a", "甲文件")])
    rowid = store.catalog.rowids(["a.1.0"])["a.1.0"]
    kept = store.catalog.vectors([rowid])[rowid]
    assert float(kept @ EMBEDDER.embed_question("甲文件")) == pytest.approx(1.0, abs=1e-3)
    assert np.isfinite(kept).all()


def test_the_catalogue_is_where_backups_expect_it(store: Store, tmp_path: Path) -> None:
    assert (tmp_path / CATALOG_FILE).exists()
