from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from http_desk import Desk, someone

from assistant import Settings
from assistant.errors import RateLimitedError
from assistant.surfaces.http.limits import Limits
from assistant.surfaces.problems import MEDIA_TYPE

# -- limits -----------------------------------------------------------------------------------


def test_requests_and_questions_are_counted_for_each_user(settings: Settings) -> None:
    limits = Limits(settings.model_copy(update={"requests_per_minute": 8}))
    he, wu = someone("he"), someone("wu")
    for _ in range(8):
        limits.count_request(he)
    with pytest.raises(RateLimitedError, match="8 requests") as caught:
        limits.count_request(he)
    assert 55 <= caught.value.retry_after <= 60
    limits.count_request(wu)
    for _ in range(2):
        limits.count_question(he)
    with pytest.raises(RateLimitedError, match="2 questions"):
        limits.count_question(he)
    for _ in range(50):
        limits.count_request(someone("he", via="local"))


def test_a_limit_of_one_still_lets_a_question_in(settings: Settings) -> None:
    limits = Limits(settings.model_copy(update={"requests_per_minute": 1}))
    limits.count_question(someone("he"))
    with pytest.raises(RateLimitedError):
        limits.count_question(someone("he"))


def test_too_many_requests_are_told_when_to_come_back(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(requests_per_minute=2)
    answers = [desk("GET", "/documents") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json()["retry_after"] > 50


def test_bodies_are_limited_whether_announced_or_not(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(max_file_mb=1)

    def chunks(size: int) -> Iterator[bytes]:
        for _ in range(size // 1000):
            yield b"x" * 1000

    post = desk.client.post
    assert post("/echo", content=b"x" * (1 << 20)).json() == 1 << 20
    assert post("/echo", content=chunks(1_000_000)).json() == 1_000_000
    for content in (b"x" * ((1 << 20) + 1), chunks(1_100_000)):
        refused = post("/echo", content=content)
        assert refused.status_code == 413
        assert refused.headers["content-type"] == MEDIA_TYPE
        assert "1 MB" in refused.json()["detail"]
    boundary = {"content-type": "multipart/form-data; boundary=b"}
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'

    def form(size: int) -> Iterator[bytes]:
        yield head
        yield from chunks(size)
        yield b"\r\n--b--\r\n"

    refused = post("/v1/documents", content=form(20_100_000), headers=boundary)
    assert (refused.status_code, "20 MB" in refused.text) == (413, True)
    single = post("/v1/documents", content=form(19_000_000), headers=boundary)
    assert (single.status_code, "1 MB" in single.text) == (413, True)
    passed = post("/v1/documents", content=form(900_000), headers=boundary)
    assert passed.status_code == 202
