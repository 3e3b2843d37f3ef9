"""Passwords: what they must be, and how they are kept (argon2id)."""

from __future__ import annotations

import secrets
import threading
import unicodedata
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from assistant.accounts.names import InvalidError, clean_id

MIN_CHARS = 10
MAX_CHARS = 256
# Each hash takes 64 MiB and four lanes: a crowd at the door must not take all memory.
_AT_ONCE = 2


def check_password(password: str, user_id: str) -> None:
    """Make sure that a new password may be one.

    Raises:
        InvalidError: it is too short, too long, or the user's own name.
    """
    length = len(_normal(password))
    if length < MIN_CHARS:
        raise InvalidError(
            f"The password is too short. Choose one of at least {MIN_CHARS} characters; a few "
            "words are easy to remember.",
            "password-short",
        )
    if length > MAX_CHARS:
        raise InvalidError(
            f"The password is too long. Choose one of at most {MAX_CHARS} characters.",
            "password-long",
        )
    if _normal(password).strip().casefold() == clean_id(user_id).casefold():
        raise InvalidError(
            "The password is the user name, which anybody would try first. Choose another.",
            "password-name",
        )


class Passwords:
    """Hashes and verifies, a few at a time; each takes some 50 ms of a processor."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    def hash(self, password: str) -> str:
        """Return what is kept of a password."""
        with self._turns:
            return self._hasher.hash(_encoded(password))

    def verify(self, kept: str | None, password: str) -> bool:
        """Tell whether a password is the one kept; the time taken is the same if none is."""
        decoy = self._decoy  # made at the first sign-in, whoever tries it
        against = decoy if kept is None else kept
        if len(_normal(password)) > MAX_CHARS:
            password = ""  # cannot be right, and is not worth its hashing
        with self._turns:
            try:
                self._hasher.verify(against, _encoded(password))
            except VerifyMismatchError:
                return False
        return kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Tell whether a hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    @cached_property
    def _decoy(self) -> str:
        return self._hasher.hash(secrets.token_bytes(16))


def _normal(password: str) -> str:
    # The same keys give different code points on different systems (NIST SP 800-63B, 5.1.1.2).
    return unicodedata.normalize("NFKC", password)


def _encoded(password: str) -> bytes:
    return _normal(password).encode("utf-8", "surrogatepass")
