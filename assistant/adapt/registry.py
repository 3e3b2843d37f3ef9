"""Where taught models are kept: each in a folder of its own, and which of them is in use.

``<root>/<kind>/<name>-<number>/`` holds the adapter, its recipe, its scores and its card;
``<root>/<kind>/current`` lists the adopted ones, the last of them in use. Both appear whole
or not at all. It measures nothing and decides nothing.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from assistant.errors import ConfigurationError, NotFoundError

CURRENT_FILE = "current"
_FOLDER = "adapters"


def registry_folder(data_dir: Path) -> Path:
    """Return where the registry of a data directory is."""
    return data_dir / _FOLDER


class Registry:
    """The adapters below a folder; safe to share between processes.

    Args:
        root: is made when it is first written to.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def add(self, kind: str, name: str, adapter: Path, files: Mapping[str, str]) -> Path:
        """Keep an adapter under the next free number and return its folder; it is not in use yet.

        Args:
            kind: ``reader`` or ``writer``.
            name: the recipe's.
            adapter: the folder whose files are copied.
            files: further texts by their names, such as the card.
        """
        home = self._root / kind
        home.mkdir(parents=True, exist_ok=True)
        with self._locked(kind):
            target = home / f"{name}-{self._last_number(kind, name) + 1}"
            partial = home / f".{target.name}.part"
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(adapter, partial)
            for file, text in files.items():
                (partial / file).write_text(text, "utf-8")
            os.utime(partial)  # `all` goes by it, and a copy has the time of what it copies
            partial.rename(target)
        return target

    def all(self, kind: str) -> list[Path]:
        """Return the folders of all adapters, oldest first."""
        home = self._root / kind
        if not home.is_dir():
            return []
        folders = [p for p in home.iterdir() if p.is_dir() and not p.name.startswith(".")]
        return sorted(folders, key=lambda path: (path.stat().st_mtime, path.name))

    def folder(self, kind: str, name: str) -> Path:
        """Return the folder of an adapter.

        Raises:
            NotFoundError: there is none of that name.
        """
        folders = {path.name: path for path in self.all(kind)}
        if name not in folders:
            known = ", ".join(folders) or "none yet"
            raise NotFoundError(f"There is no {kind} {name!r}. There are: {known}.")
        return folders[name]

    def adopt(self, kind: str, folder: Path) -> None:
        """Put an adapter of the registry to use.

        Raises:
            NotFoundError: it is not in the registry.
        """
        if folder.parent != self._root / kind or not folder.is_dir():
            raise NotFoundError(
                f"{folder} is not a {kind} of {self._root}. Register it first: "
                "assistant adapt run RECIPE."
            )
        with self._locked(kind):
            self._write(kind, [*self._adopted(kind), folder.name])

    def current(self, kind: str) -> Path | None:
        """Return the folder of the adapter in use; None where none was adopted.

        Raises:
            ConfigurationError: its folder is gone.
        """
        adopted = self._adopted(kind)
        if not adopted:
            return None
        folder = self._root / kind / adopted[-1]
        if not folder.is_dir():
            raise ConfigurationError(
                f"The {kind} in use, {folder}, is gone. Go back to the one before it: "
                f"assistant adapt roll-back {kind}."
            )
        return folder

    def roll_back(self, kind: str) -> Path | None:
        """Put the adapter to use that was in use before; return it, None where none was.

        Raises:
            NotFoundError: none is in use.
        """
        with self._locked(kind):
            adopted = self._adopted(kind)
            if not adopted:
                raise NotFoundError(f"No {kind} of {self._root} is in use: nothing to roll back.")
            self._write(kind, adopted[:-1])
        return self.current(kind)

    def adopted(self, kind: str) -> list[Path]:
        """Return the folders of the adapters that were put to use and are there, oldest first."""
        folders = [self._root / kind / name for name in self._adopted(kind)]
        return [folder for folder in folders if folder.is_dir()]

    def _adopted(self, kind: str) -> list[str]:
        """Return the names of the adapters adopted, oldest first."""
        try:
            return (self._root / kind / CURRENT_FILE).read_text("utf-8").split()
        except FileNotFoundError:
            return []

    def _write(self, kind: str, adopted: list[str]) -> None:
        file = self._root / kind / CURRENT_FILE
        partial = file.with_name(f"{CURRENT_FILE}.part")
        with partial.open("w", encoding="utf-8") as stream:
            stream.writelines(f"{name}\n" for name in adopted)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)

    def _last_number(self, kind: str, name: str) -> int:
        pattern = re.compile(re.escape(name) + r"-(\d+)")
        names = (pattern.fullmatch(path.name) for path in (self._root / kind).iterdir())
        return max((int(match[1]) for match in names if match), default=0)

    def _locked(self, kind: str) -> FileLock:
        return FileLock(self._root / kind / ".lock")
