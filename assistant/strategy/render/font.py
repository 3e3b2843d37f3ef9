"""The one font of charts and PDF: it holds Chinese and Latin, and is embedded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from assistant.errors import ConfigurationError
from assistant.strategy.render.extra import INSTALL

# A package taken for its data file alone, the font under the SIL Open Font License.
_PACKAGE, _FILE = "zhplot", "fonts/NotoSansSC-Regular.ttf"


def chinese_font(settings_path: Path | None = None) -> Path:
    """Return the file of a font that holds Chinese: the one given, else the extra's.

    Raises:
        ConfigurationError: the file given does not exist, or the extra is not installed.
    """
    if settings_path is not None:
        if settings_path.is_file():
            return settings_path
        raise ConfigurationError(
            f"The font {settings_path} does not exist. Name the file of a TrueType or OpenType "
            f"font that holds Chinese, or leave the setting empty and run {INSTALL}"
        )
    spec = find_spec(_PACKAGE)  # found, not imported: its code would change matplotlib's settings
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder) / _FILE).is_file():
            return path
    raise ConfigurationError(f"No font that holds Chinese is installed. Get one with {INSTALL}")
