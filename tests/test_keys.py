from __future__ import annotations

from datetime import UTC, datetime

import pytest
from account_fixtures import Clock

from assistant.accounts.names import InvalidError
from assistant.accounts.store import Accounts
from assistant.errors import (
    NotFoundError,
    UnauthenticatedError,
)


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
