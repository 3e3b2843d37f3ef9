from __future__ import annotations

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from account_fixtures import HOME, PASSWORD, Clock, actions, with_password

from assistant.accounts.names import InvalidError
from assistant.accounts.store import ACCESS_FILE, Accounts
from assistant.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnauthenticatedError,
)


class TestFile:
    def test_only_its_owner_can_read_it(self, accounts: Accounts, tmp_path: Path) -> None:
        for file in tmp_path.glob(f"{ACCESS_FILE}*"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file

    def test_a_file_open_to_others_is_closed_to_them(self, tmp_path: Path) -> None:
        (tmp_path / ACCESS_FILE).touch(0o644)
        (tmp_path / ACCESS_FILE).chmod(0o644)
        Accounts(tmp_path).close()
        assert stat.S_IMODE((tmp_path / ACCESS_FILE).stat().st_mode) == 0o600

    def test_everything_outlives_a_restart(self, accounts: Accounts, tmp_path: Path) -> None:
        with_password(accounts, "wang", "admin")
        session = accounts.sign_in("wang", PASSWORD)
        _, secret = accounts.create_key("wang", "ci", ["ask"])
        signing = accounts.signing_key()
        reopened = Accounts(tmp_path, clock=accounts._clock)
        assert reopened.session(session).user.id == "wang"
        assert reopened.key(secret).scopes == {"ask"}
        assert reopened.signing_key() == signing
        reopened.close()

    def test_no_secret_is_kept(self, accounts: Accounts, tmp_path: Path) -> None:
        first = accounts.first_link()
        assert first
        accounts.accept_first(first, "boss", "", PASSWORD)
        link = accounts.invite("boss")
        session = accounts.sign_in("boss", PASSWORD)
        _, secret = accounts.create_key("boss", "ci", ["ask"])
        with pytest.raises(UnauthenticatedError):
            accounts.sign_in("typed in the wrong field", "x")
        accounts.close()
        kept = b"".join(file.read_bytes() for file in tmp_path.glob(f"{ACCESS_FILE}*"))
        secrets = (first, link, session, secret.rsplit("_", 1)[1], PASSWORD, "wrong field")
        assert b"boss" in kept
        for text in secrets:
            assert text.encode() not in kept, text


class TestUsers:
    def test_a_user_is_made_changed_and_deleted(self, accounts: Accounts) -> None:
        made = accounts.create_user("Wang.Fang", " 王芳\n", "editor", ["hr", "everyone", "ａｂ"])
        assert (made.id, made.name, made.role) == ("wang.fang", "王芳", "editor")
        assert made.groups == ("ab", "hr")
        changed = accounts.update_user("WANG.FANG", name="王 芳", groups=["it"], actor="boss")
        assert (changed.name, changed.groups, changed.role) == ("王 芳", ("it",), "editor")
        assert accounts.groups() == ["it"]
        assert accounts.users() == [changed]
        accounts.delete_user("wang.fang")
        assert accounts.users() == []
        with pytest.raises(NotFoundError):
            accounts.user("wang.fang")

    @pytest.mark.parametrize(
        "name", ["", "  ", "a" * 65, "a,b", "a，b", "a\x00b", "a\u202eb", "a\ud800", "a/b", "local"]
    )
    def test_an_id_that_cannot_be_one(self, accounts: Accounts, name: str) -> None:
        with pytest.raises(InvalidError):
            accounts.create_user(name)
        with pytest.raises(NotFoundError):
            accounts.user(name)
        with pytest.raises(UnauthenticatedError):
            accounts.sign_in(name, PASSWORD)

    @pytest.mark.parametrize("group", ["", "a,b", "x" * 65, "a\nb", "a\u200bb"])
    def test_a_group_that_cannot_be_one(self, accounts: Accounts, group: str) -> None:
        with pytest.raises(InvalidError):
            accounts.create_user("wang", groups=[group])
        assert accounts.users() == []

    def test_one_id_in_any_case_and_width(self, accounts: Accounts) -> None:
        accounts.create_user("Straße")
        for same in ("STRASSE", "straße", "ｓｔｒａｓｓｅ"):
            with pytest.raises(ConflictError):
                accounts.create_user(same)

    def test_the_last_admin_stays(self, accounts: Accounts) -> None:
        accounts.create_user("a", role="admin")
        accounts.create_user("b", role="admin")
        accounts.update_user("b", active=False)
        for last_step in (
            lambda: accounts.update_user("a", role="editor"),
            lambda: accounts.update_user("a", active=False),
            lambda: accounts.delete_user("a"),
        ):
            with pytest.raises(ConflictError):
                last_step()
        accounts.update_user("b", active=True)
        assert accounts.update_user("a", role="reader").role == "reader"

    def test_two_admins_who_demote_each_other_at_once(self, accounts: Accounts) -> None:
        accounts.create_user("a", role="admin")
        accounts.create_user("b", role="admin")

        def demote(user_id: str) -> bool:
            try:
                accounts.update_user(user_id, role="reader")
            except ConflictError:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(demote, "ab")) == [False, True]

    def test_a_bad_role_changes_nothing(self, accounts: Accounts) -> None:
        accounts.create_user("a")
        with pytest.raises(InvalidError):
            accounts.update_user("a", name="x", role="root")  # type: ignore[arg-type]
        assert accounts.user("a").name == ""


class TestProvision:
    def test_new_then_changed(self, accounts: Accounts) -> None:
        made = accounts.provision("Li@Example.com", "李", ["hr"], False)
        assert (made.id, made.role, made.groups) == ("li@example.com", "reader", ("hr",))
        assert accounts.provision("li@example.com", "", None, False).groups == ("hr",)
        changed = accounts.provision("li@example.com", "", [], True)
        assert (changed.name, changed.role, changed.groups) == ("李", "admin", ())
        assert accounts.provision("li@example.com", "", None, False).role == "admin"

    def test_nothing_is_written_while_nothing_changes(
        self, accounts: Accounts, clock: Clock, tmp_path: Path
    ) -> None:
        accounts.provision("li", "李", ["hr"], False)
        watcher = sqlite3.connect(tmp_path / ACCESS_FILE)
        version = lambda: watcher.execute("PRAGMA data_version").fetchone()[0]  # noqa: E731
        before = version()
        for _ in range(50):
            accounts.provision("li", "李", ["hr"], False)
        assert version() == before
        clock.now += 61
        seen = accounts.provision("li", "李", ["hr"], False).last_seen
        assert version() != before
        assert seen == datetime.fromtimestamp(clock.now, UTC)
        watcher.close()

    def test_a_deactivated_user_is_refused(self, accounts: Accounts) -> None:
        accounts.provision("li")
        accounts.update_user("li", active=False)
        with pytest.raises(ForbiddenError):
            accounts.provision("li", admin=True)
        assert accounts.user("li").role == "reader"

    def test_unusable_groups_give_no_right(self, accounts: Accounts) -> None:
        assert accounts.provision("li", groups=["CN=a,OU=b", "", "ok"]).groups == ("ok",)
        assert accounts.provision("li", groups=["CN=a,OU=b", "hr"]).groups == ("hr",)

    def test_many_first_requests_at_once_make_one_user(self, accounts: Accounts) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: accounts.provision("li", "李", ["hr"]), range(32)))
        assert [a for a in actions(accounts) if a[1] == "user-created"] == [
            ("li", "user-created", "li")
        ]

    def test_the_servers_own_names_are_nobodys(self, accounts: Accounts) -> None:
        with pytest.raises(InvalidError):
            accounts.provision("Anonymous")


class TestAudit:
    def test_what_is_done_is_written_down(self, accounts: Accounts) -> None:
        accounts.create_user("boss", role="admin")
        accounts.create_user("wang", actor="boss", address=HOME)
        accounts.accept(accounts.invite("wang", actor="boss"), PASSWORD)
        token = accounts.sign_in("wang", PASSWORD, HOME)
        accounts.sign_out(token)
        with pytest.raises(UnauthenticatedError):
            accounts.sign_in("wang", "a wrong password", HOME)
        key, _ = accounts.create_key("wang", "ci", ["ask"], actor="boss")
        accounts.revoke_key(key.id, actor="boss")
        accounts.update_user("wang", role="editor", groups=["hr"], actor="boss")
        accounts.update_user("wang", role="editor", actor="boss")  # changes nothing
        accounts.delete_user("wang", actor="boss")
        assert actions(accounts) == [
            ("", "user-created", "boss"),
            ("boss", "user-created", "wang"),
            ("boss", "invited", "wang"),
            ("wang", "password-set", "wang"),
            ("wang", "sign-in", "wang"),
            ("wang", "sign-out", "wang"),
            ("wang", "sign-in-refused", "wang"),
            ("boss", "key-created", key.id),
            ("boss", "key-revoked", key.id),
            ("boss", "user-changed", "wang"),
            ("boss", "user-deleted", "wang"),
        ]
        changed = next(e for e in accounts.audit_log() if e.action == "user-changed")
        assert changed.detail == "role reader -> editor; groups - -> hr"

    def test_page_by_page(self, accounts: Accounts, clock: Clock) -> None:
        for number in range(7):
            clock.now += 0.25
            accounts.audit("boss", "upload", f"{number}.pdf", address=HOME)
        pages, before = [], None
        while page := accounts.audit_log(limit=3, before=before):
            pages.append([entry.target for entry in page])
            before = page[-1].at
        assert pages == [["6.pdf", "5.pdf", "4.pdf"], ["3.pdf", "2.pdf", "1.pdf"], ["0.pdf"]]

    def test_any_text_can_be_written(self, accounts: Accounts) -> None:
        accounts.audit("boss", "upload", "\ud800" + "x" * 2000)
        assert accounts.audit_log()[0].target.startswith("?xxx")


def test_a_token_is_spent_once(accounts: Accounts, clock: Clock) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: accounts.spend("t", 60), range(4))) == [False] * 3 + [True]
    clock.now += 61
    assert accounts.spend("other", 60)
    assert accounts._db.execute("SELECT count(*) FROM spent").fetchone()[0] == 1
