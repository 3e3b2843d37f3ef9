"""Names of users and groups in the one form they are kept in, and what is wrong with others."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from assistant.errors import QuestionError
from assistant.types import EVERYONE_GROUP

MAX_CHARS = 64
# Who acts where nobody is signed in: the visitor of an open page, and this machine itself.
ANONYMOUS_ID = "anonymous"
LOCAL_ID = "local"
RESERVED_IDS = frozenset({ANONYMOUS_ID, LOCAL_ID})


class InvalidError(QuestionError):
    """A value that cannot be taken; ``reason`` names why, for a page in another language."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def clean_id(name: str) -> str:
    """Return a user's id as it is kept: NFKC, without case.

    Raises:
        InvalidError: it is empty, too long, or holds a character that it may not.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()
    # These would put the user out of reach of addresses such as /v1/users/<id>.
    unreachable = "/" in folded or folded in (".", "..")
    if not folded or len(folded) > MAX_CHARS or not _is_plain(folded) or unreachable:
        raise InvalidError(
            f"A user name has 1 to {MAX_CHARS} characters, no commas, slashes or control "
            "characters, and is not `.` or `..`. Choose another.",
            "user-id",
        )
    return folded


def clean_groups(names: Iterable[str]) -> tuple[str, ...]:
    """Return groups as they are kept: NFKC, sorted, without ``everyone``, which all are in.

    Raises:
        InvalidError: a name is empty, too long, or holds a character that it may not.
    """
    cleaned = {unicodedata.normalize("NFKC", name).strip() for name in names}
    for name in cleaned:
        if not _is_group(name):
            raise InvalidError(
                f"{name[:MAX_CHARS]!r} cannot be a group: a group's name has 1 to {MAX_CHARS} "
                "characters, no commas or control characters. Choose another.",
                "group",
            )
    return tuple(sorted(cleaned - {EVERYONE_GROUP}))


def usable_groups(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of a provider's groups that can be groups here."""
    cleaned = (unicodedata.normalize("NFKC", name).strip() for name in names)
    return clean_groups(name for name in cleaned if _is_group(name))


def clean_name(name: str) -> str:
    """Return a name to be shown: on one line, without control characters, cut to size."""
    plain = "".join(" " if c.isspace() else c for c in name if c.isspace() or not _is_control(c))
    return " ".join(plain.split())[:MAX_CHARS].strip()


def _is_group(name: str) -> bool:
    return 0 < len(name) <= MAX_CHARS and _is_plain(name)


def _is_plain(name: str) -> bool:
    return "," not in name and not any(_is_control(c) for c in name)


def _is_control(character: str) -> bool:
    # C*: control, invisible (joiners, direction marks), surrogate, unassigned. Zl, Zp: line breaks.
    category = unicodedata.category(character)
    return category[0] == "C" or category in ("Zl", "Zp")
