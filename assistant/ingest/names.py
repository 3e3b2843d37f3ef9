"""File names as people send them, made such that any system can hold them.

They stay readable: a Chinese name stays what it is.
"""

from __future__ import annotations

import os
import re
import unicodedata

from assistant.ingest.find import MANIFEST
from assistant.ingest.load import SUFFIXES

MAX_NAME_BYTES = 200
UNNAMED = "unnamed"

# Windows cannot hold files of these names, and a data directory may be moved there.
_DEVICES = {"CON", "PRN", "AUX", "NUL"} | {f"{n}{i}" for n in ("COM", "LPT") for i in range(1, 10)}
_FORBIDDEN = str.maketrans(dict.fromkeys('<>:"|?*', "_"))
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control characters, direction marks, surrogates


def safe_name(name: str) -> str:
    """Return a file name that any system can hold and a person still recognises."""
    last = re.split(r"[/\\]", name)[-1]
    seen = "".join(char for char in last if unicodedata.category(char) not in _INVISIBLE)
    text = " ".join(unicodedata.normalize("NFC", seen).translate(_FORBIDDEN).split())
    # Office's own lock files begin with ~$ and are passed over when a folder is read.
    text = text.strip(". ").removeprefix("~$").strip(". ")
    if f".{text.lower()}" in SUFFIXES:
        text = f"{UNNAMED}.{text}"
    stem, suffix = os.path.splitext(text or UNNAMED)
    if stem.split(".")[0].upper() in _DEVICES or text.casefold() == MANIFEST:
        stem = f"_{stem}"
    if len(suffix.encode()) > MAX_NAME_BYTES // 4:
        stem, suffix = stem + suffix, ""
    room = MAX_NAME_BYTES - len(suffix.encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ") + suffix
