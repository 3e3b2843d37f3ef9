"""Token vectors on disk: found again, whole or missing, never another text's."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.index import tokens
from assistant.index.tokens import TokenFiles, text_digest

WIDTH = 8
EVERYONE, FINANCE = ("everyone",), ("finance", "board")


def vectors(seed: int, count: int = 5) -> NDArray[np.int8]:
    drawn = np.random.default_rng(seed).integers(-127, 128, (count, WIDTH))
    return drawn.astype(np.int8)


def records(*names: int) -> dict[bytes, NDArray[np.int8]]:
    return {text_digest(f"text {name}"): vectors(name, 1 + name % 7) for name in names}


def opened(folder: Path) -> TokenFiles:
    return TokenFiles(folder, "space", WIDTH)


def holds(
    files: TokenFiles, groups: tuple[str, ...], wanted: dict[bytes, NDArray[np.int8]]
) -> bool:
    found = files.get(groups, list(wanted))
    return all(
        got is not None and np.array_equal(got, want)
        for got, want in zip(found, wanted.values(), strict=True)
    )


def file_of(folder: Path) -> Path:
    (path,) = folder.glob("*.tokens")
    return path


def test_what_was_added_is_found_by_whoever_opens_the_folder(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.add(EVERYONE, records(1, 2, 3))
    first.add(EVERYONE, records(3, 4))
    assert holds(first, EVERYONE, records(1, 2, 3, 4))
    assert holds(opened(tmp_path), EVERYONE, records(1, 2, 3, 4))


def test_an_audience_never_reads_another_ones_file(tmp_path: Path) -> None:
    files = opened(tmp_path)
    files.add(FINANCE, records(1))
    assert files.get(EVERYONE, list(records(1))) == [None]
    assert holds(files, ("board", "finance"), records(1)), "the order of groups means nothing"


def test_a_text_kept_twice_is_stored_once(tmp_path: Path) -> None:
    files = opened(tmp_path)
    files.add(EVERYONE, records(1))
    size = files.size(EVERYONE)
    files.add(EVERYONE, records(1))
    assert files.size(EVERYONE) == size == file_of(tmp_path).stat().st_size


def test_a_reader_sees_what_another_process_appends(tmp_path: Path) -> None:
    reader, writer = opened(tmp_path), opened(tmp_path)
    assert reader.get(EVERYONE, list(records(1))) == [None]
    writer.add(EVERYONE, records(1))
    assert holds(reader, EVERYONE, records(1))


@pytest.mark.parametrize("cut", [1, 10, 30, 41])
def test_a_torn_end_is_cut_off_and_what_came_before_stays(tmp_path: Path, cut: int) -> None:
    files = opened(tmp_path)
    files.add(EVERYONE, records(1, 2))
    whole = file_of(tmp_path).read_bytes()
    files.add(EVERYONE, records(4))
    path = file_of(tmp_path)
    path.write_bytes(path.read_bytes()[: len(whole) + cut])
    again = opened(tmp_path)
    assert again.missing(EVERYONE, records(1, 2, 4)) == set(records(4))
    again.add(EVERYONE, records(4, 5))
    assert holds(opened(tmp_path), EVERYONE, records(1, 2, 4, 5))


def test_a_damaged_record_counts_as_missing_and_can_be_made_anew(tmp_path: Path) -> None:
    opened(tmp_path).add(EVERYONE, records(1, 2))
    path = file_of(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    files = opened(tmp_path)
    assert holds(files, EVERYONE, records(1))
    assert files.get(EVERYONE, list(records(2))) == [None]
    files.add(EVERYONE, records(2))
    assert holds(opened(tmp_path), EVERYONE, records(1, 2))


def test_compaction_keeps_what_lives_and_what_came_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "LEAST_COMPACTED", 100)
    files, reader = opened(tmp_path), opened(tmp_path)
    files.add(EVERYONE, records(*range(20)))
    held = reader.get(EVERYONE, list(records(7)))[0]
    known = files.size(EVERYONE)
    files.add(EVERYONE, records(30))
    assert files.compact(EVERYONE, set(records(1, 2)), known)
    assert files.size(EVERYONE) < known / 2
    assert holds(files, EVERYONE, records(1, 2, 30))
    assert files.get(EVERYONE, list(records(7))) == [None]
    assert np.array_equal(held, records(7).popitem()[1]), "a map in use stays as it was"
    assert holds(reader, EVERYONE, records(1, 2, 30))


def test_nothing_is_compacted_while_most_of_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "LEAST_COMPACTED", 100)
    files = opened(tmp_path)
    files.add(EVERYONE, records(*range(20)))
    assert not files.compact(EVERYONE, set(records(*range(15))), files.size(EVERYONE))
    assert holds(files, EVERYONE, records(*range(20)))


def test_files_of_another_space_are_deleted_when_asked(tmp_path: Path) -> None:
    TokenFiles(tmp_path, "older", WIDTH).add(EVERYONE, records(1))
    files = opened(tmp_path)
    files.add(EVERYONE, records(2))
    files.forget_others()
    assert file_of(tmp_path).name.startswith("space-")
    assert holds(files, EVERYONE, records(2))


def test_threads_that_add_and_read_lose_nothing(tmp_path: Path) -> None:
    files = opened(tmp_path)
    failed: list[int] = []

    def work(turn: int) -> None:
        mine = records(*range(turn * 50, turn * 50 + 50))
        for digest, each in mine.items():
            files.add(EVERYONE, {digest: each})
        if not holds(files, EVERYONE, mine):
            failed.append(turn)

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert holds(opened(tmp_path), EVERYONE, records(*range(200)))
