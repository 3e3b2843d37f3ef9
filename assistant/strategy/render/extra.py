"""The extra that draws and typesets: what is said where it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from assistant.errors import ConfigurationError

INSTALL = "pip install 'strategy-assistant[brief]'"


@contextmanager
def brief_extra() -> Iterator[None]:
    """Import a package of the extra within it.

    Raises:
        ConfigurationError: the package is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            f"The brief cannot be drawn or typeset here: {error}. Install what it needs with "
            f"{INSTALL}"
        ) from error
