from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from account_fixtures import HOME, PASSWORD, Clock, actions, with_password
from argon2 import PasswordHasher

from assistant.accounts.store import ACCESS_FILE, Accounts
from assistant.errors import (
    ForbiddenError,
    RateLimitedError,
    UnauthenticatedError,
)


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
