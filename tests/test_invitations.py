from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from account_fixtures import PASSWORD, Clock, with_password

from assistant.accounts.names import InvalidError
from assistant.accounts.store import Accounts
from assistant.errors import (
    ConflictError,
    ForbiddenError,
    UnauthenticatedError,
)


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
