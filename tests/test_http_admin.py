from __future__ import annotations

import httpx
import pytest
from loopback import LOCAL_TOKEN, Served
from served_client import LEAVE, LIN

from assistant import Client
from assistant.accounts.records import Identity
from assistant.errors import (
    QuestionError,
)
from assistant.surfaces.problems import MEDIA_TYPE

pytestmark = pytest.mark.enable_socket


def test_who_takes_a_deleted_users_name_finds_nothing_of_theirs(served: Served) -> None:
    served.service.accounts.create_user("lin")
    with Client(served.url, LOCAL_TOKEN) as client:
        client.ask(LEAVE, principal=LIN)
        assert len(client.conversations(LIN)) == 1
        accounts, jobs = served.service.accounts, served.service.jobs
        job = jobs.take_in("upload", "lin", [])
        before = Identity(accounts.user("lin"), frozenset({"ask", "documents"}), "session")
        assert jobs.list(before) == [jobs.get(job.id, before)]
        with httpx.Client(base_url=served.url) as http:
            headers = {"Authorization": f"Bearer {LOCAL_TOKEN}"}
            assert http.delete("/v1/users/lin", headers=headers).status_code == 204
            assert http.post("/v1/users", json={"id": "lin"}, headers=headers).status_code == 201
        assert client.conversations(LIN) == []
        after = Identity(accounts.user("lin"), before.scopes, "session")
        assert jobs.list(after) == []


@pytest.mark.parametrize("name", [".", ".."])
def test_a_user_whose_address_would_lead_elsewhere_is_not_made(served: Served, name: str) -> None:
    with pytest.raises(QuestionError, match=r"not `\.` or"):
        served.service.accounts.create_user(name)


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", 5])
def test_a_time_beyond_all_clocks_is_refused_and_breaks_no_list(
    served: Served, moment: object
) -> None:
    headers = {"Authorization": f"Bearer {served.key('ask', 'admin')}"}
    with httpx.Client(base_url=served.url, headers=headers) as http:
        made = http.post("/v1/keys", json={"name": "k", "expires_at": moment})
        assert made.status_code in (403, 422)
        assert http.get("/v1/audit", params={"before": str(moment)}).status_code == 422
        assert http.get("/v1/keys").status_code == 200


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/source/nope/1", 404),
        ("/source/nope/one", 404),
        ("/passage/nope", 404),
        ("/nope", 404),
        ("/evaluation", 403),
    ],
)
def test_a_person_is_told_by_a_page_and_a_program_by_a_problem(
    served: Served, path: str, status: int, language: str
) -> None:
    served.service.accounts.create_user("wu")
    key = served.service.accounts.create_key("wu", "browser", ["ask"])[1]
    with httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {key}"}) as http:
        page = http.get(path, headers={"Accept": "text/html", "Accept-Language": language})
        assert (page.status_code, page.headers["content-type"][:9]) == (status, "text/html")
        assert ("返回首页" if language == "zh" else "Back to the start") in page.text
        assert "urn:" not in page.text and "/v1" not in page.text
        problem = http.get(path)
        assert problem.headers["content-type"] == MEDIA_TYPE
