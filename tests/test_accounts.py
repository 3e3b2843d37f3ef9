"""The accounts without HTTP: users, links, sign-ins, keys, the audit log."""

from __future__ import annotations

import sqlite3
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from assistant.accounts.names import InvalidError
from assistant.accounts.store import ACCESS_FILE, Accounts
from assistant.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    UnauthenticatedError,
)

PASSWORD = "correct horse battery"
HOME = "192.0.2.7"


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    opened = Accounts(tmp_path, session_hours=12, clock=clock)
    yield opened
    opened.close()


def with_password(accounts: Accounts, user_id: str, role: str = "reader") -> str:
    accounts.create_user(user_id, role=role)  # type: ignore[arg-type]
    accounts.accept(accounts.invite(user_id), PASSWORD)
    return user_id


def actions(accounts: Accounts) -> list[tuple[str, str, str]]:
    return [(e.actor, e.action, e.target) for e in reversed(accounts.audit_log())]


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


class TestLinks:
    def test_a_password_is_set_once(self, accounts: Accounts) -> None:
        accounts.create_user("wang")
        token = accounts.invite("wang")
        assert accounts.invited(token).id == "wang"
        assert accounts.accept(token, PASSWORD).has_password
        for again in (lambda: accounts.invited(token), lambda: accounts.accept(token, PASSWORD)):
            with pytest.raises(UnauthenticatedError):
                again()

    def test_two_who_use_a_link_at_once(self, accounts: Accounts) -> None:
        accounts.create_user("wang")
        token = accounts.invite("wang")

        def use(password: str) -> str:
            try:
                accounts.accept(token, password)
            except UnauthenticatedError:
                return ""
            return password

        with ThreadPoolExecutor(4) as pool:
            used = [p for p in pool.map(use, [f"password no. {n}" for n in range(4)]) if p]
        assert len(used) == 1
        assert accounts.sign_in("wang", used[0])

    def test_a_newer_link_a_late_one_and_none(self, accounts: Accounts, clock: Clock) -> None:
        accounts.create_user("wang")
        old, new = accounts.invite("wang"), accounts.invite("wang", hours=1)
        with pytest.raises(UnauthenticatedError):
            accounts.accept(old, PASSWORD)
        assert accounts.invited(new)
        clock.now += 3601
        for token in (new, "", "x"):
            with pytest.raises(UnauthenticatedError):
                accounts.accept(token, PASSWORD)

    @pytest.mark.parametrize(
        ("password", "reason"),
        [
            ("123456789", "password-short"),
            ("Wang.Fang.Shanghai", "password-name"),
            ("ＷＡＮＧ.fang.shanghai", "password-name"),
            ("x" * 257, "password-long"),
        ],
    )
    def test_a_bad_password_leaves_the_link(
        self, accounts: Accounts, password: str, reason: str
    ) -> None:
        accounts.create_user("wang.fang.shanghai")
        token = accounts.invite("wang.fang.shanghai")
        with pytest.raises(InvalidError) as error:
            accounts.accept(token, password)
        assert error.value.reason == reason
        assert accounts.accept(token, PASSWORD).has_password

    def test_a_new_password_ends_sign_ins_and_the_old_one(self, accounts: Accounts) -> None:
        with_password(accounts, "wang")
        session = accounts.sign_in("wang", PASSWORD)
        accounts.accept(accounts.invite("wang"), "another password")
        with pytest.raises(UnauthenticatedError):
            accounts.session(session)
        with pytest.raises(UnauthenticatedError):
            accounts.sign_in("wang", PASSWORD)
        assert accounts.sign_in("wang", "another password")

    def test_a_deactivated_users_link(self, accounts: Accounts) -> None:
        accounts.create_user("wang")
        token = accounts.invite("wang")
        accounts.update_user("wang", active=False)
        with pytest.raises(ForbiddenError):
            accounts.invite("wang")
        accounts.update_user("wang", active=True)
        with pytest.raises(UnauthenticatedError):
            accounts.accept(token, PASSWORD)


class TestFirstLink:
    def test_used_once_and_never_again(self, accounts: Accounts) -> None:
        old, new = accounts.first_link(), accounts.first_link()
        assert old and new and not accounts.is_first(old) and accounts.is_first(new)
        with pytest.raises(UnauthenticatedError):
            accounts.accept_first(old, "eve", "", PASSWORD)
        made = accounts.accept_first(new, "Boss", "老板", PASSWORD)
        assert (made.id, made.name, made.role, made.has_password) == ("boss", "老板", "admin", True)
        assert accounts.first_link() is None
        with pytest.raises(UnauthenticatedError):
            accounts.accept_first(new, "eve", "", PASSWORD)

    def test_two_at_once(self, accounts: Accounts) -> None:
        token = accounts.first_link() or ""

        def use(name: str) -> bool:
            try:
                accounts.accept_first(token, name, "", PASSWORD)
            except UnauthenticatedError:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(use, ["one", "two"])) == [False, True]
        assert len(accounts.users()) == 1

    def test_it_ends_where_there_is_an_admin_meanwhile(self, accounts: Accounts) -> None:
        token = accounts.first_link() or ""
        accounts.create_user("a", role="admin")
        assert not accounts.is_first(token)
        with pytest.raises(UnauthenticatedError):
            accounts.accept_first(token, "eve", "", PASSWORD)
        assert accounts.first_link() is None

    def test_a_bad_name_leaves_it(self, accounts: Accounts) -> None:
        token = accounts.first_link() or ""
        accounts.create_user("taken")
        for name, error in (("", InvalidError), ("local", InvalidError), ("taken", ConflictError)):
            with pytest.raises(error):
                accounts.accept_first(token, name, "", PASSWORD)
        assert accounts.accept_first(token, "boss", "", PASSWORD)


class TestSessions:
    def test_it_lasts_while_it_is_used(self, accounts: Accounts, clock: Clock) -> None:
        with_password(accounts, "wang")
        token = accounts.sign_in("WANG", PASSWORD)
        for _ in range(4):
            clock.now += 11 * 3600
            assert accounts.session(token).via == "session"
        clock.now += 12 * 3600
        with pytest.raises(UnauthenticatedError):
            accounts.session(token)

    def test_renewed_at_most_once_a_minute(
        self, accounts: Accounts, clock: Clock, tmp_path: Path
    ) -> None:
        token = accounts.start_session(with_password(accounts, "wang"))
        watcher = sqlite3.connect(tmp_path / ACCESS_FILE)
        version = lambda: watcher.execute("PRAGMA data_version").fetchone()[0]  # noqa: E731
        before = version()
        clock.now += 59
        accounts.session(token)
        assert version() == before
        clock.now += 2
        accounts.session(token)
        assert version() != before
        watcher.close()

    def test_rights_change_at_the_next_request(self, accounts: Accounts) -> None:
        token = accounts.start_session(with_password(accounts, "wang"))
        assert accounts.session(token).scopes == {"ask"}
        accounts.update_user("wang", role="editor", groups=["hr"])
        now = accounts.session(token)
        assert now.scopes == {"ask", "documents"} and "hr" in now.principal.groups
        accounts.update_user("wang", active=False)
        accounts.update_user("wang", active=True)
        with pytest.raises(UnauthenticatedError):
            accounts.session(token)

    def test_sign_out_here_and_everywhere(self, accounts: Accounts) -> None:
        with_password(accounts, "wang")
        here, there, other = (accounts.start_session("wang") for _ in range(3))
        accounts.sign_out(here)
        accounts.sign_out("never was")
        assert accounts.session(there)
        accounts.sign_out_everywhere("wang")
        for token in (here, there, other):
            with pytest.raises(UnauthenticatedError):
                accounts.session(token)

    def test_nobody_deactivated_comes_in(self, accounts: Accounts) -> None:
        with_password(accounts, "wang")
        accounts.update_user("wang", active=False)
        with pytest.raises(UnauthenticatedError):
            accounts.sign_in("wang", PASSWORD)
        with pytest.raises(ForbiddenError):
            accounts.start_session("wang")

    def test_an_old_hash_is_renewed(self, accounts: Accounts) -> None:
        with_password(accounts, "wang")
        weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
        accounts._db.execute("UPDATE users SET password = ?", (weak,))
        accounts.sign_in("wang", PASSWORD)
        kept = accounts._db.execute("SELECT password FROM users").fetchone()[0]
        assert kept != weak and "m=65536" in kept and kept.startswith("$argon2id$")
        assert accounts.sign_in("wang", PASSWORD)

    def test_the_same_password_typed_on_another_system(self, accounts: Accounts) -> None:
        accounts.create_user("wang")
        accounts.accept(accounts.invite("wang"), "caf\u00e9 au lait")
        assert accounts.sign_in("wang", "cafe\u0301 au lait")

    def test_unknown_users_take_as_long(self, accounts: Accounts) -> None:
        with_password(accounts, "wang")
        accounts.create_user("no-password")

        def took(name: str, address: str) -> float:
            times = []
            for n in range(4):
                began = time.perf_counter()
                with pytest.raises(UnauthenticatedError) as error:
                    accounts.sign_in(name, "a wrong password", f"{address}.{n}")
                times.append(time.perf_counter() - began)
                assert str(error.value).startswith("The user name or the password")
            return min(times)

        known, unknown = took("wang", "10.0.0"), took("nobody", "10.0.1")
        assert 0.5 < known / unknown < 2
        assert 0.5 < known / took("no-password", "10.0.2") < 2


class TestLock:
    def test_five_tries_for_a_name_from_an_address(self, accounts: Accounts, clock: Clock) -> None:
        with_password(accounts, "wang")
        for _ in range(5):
            with pytest.raises(UnauthenticatedError):
                accounts.sign_in("wang", "a wrong password", HOME)
            clock.now += 10
        with pytest.raises(RateLimitedError) as error:
            accounts.sign_in("Wang", PASSWORD, HOME)
        assert error.value.retry_after == 15 * 60 - 50
        assert accounts.sign_in("wang", PASSWORD, "192.0.2.8"), "others are not locked out"
        with pytest.raises(RateLimitedError):
            accounts.sign_in("wang", PASSWORD, HOME)
        clock.now += error.value.retry_after
        assert accounts.sign_in("wang", PASSWORD, HOME)

    def test_names_that_are_nobodys_lock_alike(self, accounts: Accounts) -> None:
        for _ in range(5):
            with pytest.raises(UnauthenticatedError):
                accounts.sign_in("nobody", "a wrong password", HOME)
        with pytest.raises(RateLimitedError):
            accounts.sign_in("NOBODY", "a wrong password", HOME)

    def test_success_clears_the_count(self, accounts: Accounts) -> None:
        with_password(accounts, "wang")
        for _ in range(3):
            for _ in range(4):
                with pytest.raises(UnauthenticatedError):
                    accounts.sign_in("wang", "a wrong password", HOME)
            assert accounts.sign_in("wang", PASSWORD, HOME)

    def test_many_addresses_lock_a_name_too(self, accounts: Accounts) -> None:
        with_password(accounts, "wang")
        accounts._db.executemany(
            "INSERT INTO attempts VALUES ('wang', ?, ?)",
            [(f"10.0.{n}.1", accounts._clock()) for n in range(30)],
        )
        with pytest.raises(RateLimitedError):
            accounts.sign_in("wang", PASSWORD, HOME)

    def test_an_address_that_tries_many_names(self, accounts: Accounts) -> None:
        accounts._db.executemany(
            "INSERT INTO attempts VALUES (?, ?, ?)",
            [(f"user {n}", HOME, accounts._clock()) for n in range(100)],
        )
        with pytest.raises(RateLimitedError):
            accounts.sign_in("another", PASSWORD, HOME)

    def test_guesses_at_once_count_each(self, accounts: Accounts) -> None:
        with_password(accounts, "wang")

        def guess(number: int) -> str:
            try:
                accounts.sign_in("wang", f"guess number {number}", HOME)
            except (RateLimitedError, UnauthenticatedError) as error:
                return type(error).__name__
            return "in"

        with ThreadPoolExecutor(8) as pool:
            ends = list(pool.map(guess, range(16)))
        assert ends.count("UnauthenticatedError") == 5
        assert ends.count("RateLimitedError") == 11

    def test_a_lock_is_written_down_once(self, accounts: Accounts) -> None:
        with_password(accounts, "wang")
        for _ in range(12):
            with pytest.raises((UnauthenticatedError, RateLimitedError)):
                accounts.sign_in("wang", "a wrong password", HOME)
        done = [action for _, action, _ in actions(accounts)]
        assert done.count("sign-in-refused") == 5
        assert done.count("sign-in-locked") == 1


class TestKeys:
    def test_made_used_and_revoked(self, accounts: Accounts, clock: Clock) -> None:
        accounts.create_user("wang", role="editor", groups=["hr"])
        key, secret = accounts.create_key("Wang", "ci", ["documents", "ask", "admin"])
        assert secret.startswith(f"sa_{key.id}_") and key.last_used is None
        identity = accounts.key(secret)
        assert identity.via == "key" and identity.user.groups == ("hr",)
        assert identity.scopes == {"ask", "documents"}, "what the role has not, the key has not"
        assert accounts.keys("wang")[0].last_used == datetime.fromtimestamp(clock.now, UTC)
        accounts.update_user("wang", role="reader")
        assert accounts.key(secret).scopes == {"ask"}
        accounts.revoke_key(key.id)
        with pytest.raises(UnauthenticatedError):
            accounts.key(secret)
        assert accounts.keys()[0].revoked

    def test_a_wrong_secret(self, accounts: Accounts) -> None:
        accounts.create_user("wang")
        key, secret = accounts.create_key("wang", "ci", ["ask"])
        for wrong in ("", "sa_", f"sa_{key.id}_", f"sa_{key.id}", secret[:-1], secret + "0", "x"):
            with pytest.raises(UnauthenticatedError):
                accounts.key(wrong)

    def test_it_expires(self, accounts: Accounts, clock: Clock) -> None:
        accounts.create_user("wang")
        end = datetime.fromtimestamp(clock.now + 60, UTC)
        _, secret = accounts.create_key("wang", "ci", ["ask"], expires_at=end)
        assert accounts.key(secret)
        clock.now += 60
        with pytest.raises(UnauthenticatedError):
            accounts.key(secret)
        with pytest.raises(InvalidError):
            accounts.create_key("wang", "ci", ["ask"], expires_at=end)

    def test_whose_it_is(self, accounts: Accounts) -> None:
        accounts.create_user("wang")
        accounts.create_user("li")
        key, secret = accounts.create_key("wang", "ci", ["ask"])
        assert accounts.keys("li") == [] and accounts.keys("wang") == [key]
        for owner in ("li", "nobody"):
            with pytest.raises(NotFoundError):
                accounts.revoke_key(key.id, owner)
        accounts.update_user("wang", active=False)
        with pytest.raises(UnauthenticatedError):
            accounts.key(secret)
        accounts.update_user("wang", active=True)
        assert accounts.key(secret)
        accounts.delete_user("wang")
        with pytest.raises(UnauthenticatedError):
            accounts.key(secret)

    def test_delegation_ends_with_its_owners_office(self, accounts: Accounts) -> None:
        for name in ("a", "b"):
            accounts.create_user(name, role="admin")
        accounts.create_user("slack")
        _, own = accounts.create_key("a", "mine", ["ask", "delegate"])
        _, plain = accounts.create_key("a", "plain", ["ask"])
        _, bots = accounts.create_key("slack", "bot", ["delegate"])
        assert accounts.key(bots).scopes == {"delegate"}
        accounts.update_user("a", role="editor")
        with pytest.raises(UnauthenticatedError):
            accounts.key(own)
        assert accounts.key(plain).scopes == {"ask"}
        assert accounts.key(bots)

    @pytest.mark.parametrize(
        ("name", "scopes"), [("", ["ask"]), ("ci", []), ("ci", ["ask", "root"])]
    )
    def test_one_that_cannot_be(self, accounts: Accounts, name: str, scopes: list[str]) -> None:
        accounts.create_user("wang")
        with pytest.raises(InvalidError):
            accounts.create_key("wang", name, scopes)  # type: ignore[arg-type]


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
