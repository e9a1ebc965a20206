"""A migrations folder as one look at its listing shows it: names only, no file opened."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bascule.errors import SourceError

NOWHERE = "leads to nothing"
"""Where a broken link points, as `Folder.escaping` says it."""
HOOKS = "hooks"
"""The folder of the native format's hooks."""
NO_HOOKS = "a folder; hooks belong to the native format, so what is in it does not run here"
"""Why that folder counts for nothing beside another tool's migrations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What a folder holds. Hidden entries are nobody's migrations, in no format, and not even mentioned."""

    path: str
    """As the user named it."""
    files: tuple[str, ...]
    """Names of regular files (or links to such), in no order."""
    folders: tuple[str, ...]
    """Names of sub-folders (or links to such), in no order."""
    aside: tuple[str, ...] = ()
    """Pipes, sockets, devices: one sentence for each."""
    escaping: Mapping[str, str]
    """Links that lead out of the folder or to nothing, and where they point. They are in `files` or `folders` too."""

    def join(self, name: str) -> str:
        """The path of an entry."""
        return f"{self.path}/{name}"


def scan(path: str) -> Folder:
    """Read the listing of `path`. Raises `SourceError` when there is no such folder or it cannot be listed."""
    path = path.rstrip("/") or "/"
    files: list[str] = []
    folders: list[str] = []
    aside: list[str] = []
    escaping: dict[str, str] = {}
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                if name[0] == ".":
                    continue
                if entry.is_file(follow_symlinks=False):
                    files.append(name)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                elif entry.is_symlink():
                    if _is_special(entry):
                        aside.append(f"{shown(name)}: neither a file nor a folder")
                    else:
                        _follow(path, entry, files, folders, escaping)
                else:
                    aside.append(f"{shown(name)}: neither a file nor a folder")
    except (OSError, ValueError) as exc:
        raise _cannot_list(path, exc) from exc
    return Folder(path=path, files=tuple(files), folders=tuple(folders), aside=tuple(aside), escaping=escaping)


def shown(name: str) -> str:
    """A file name as it can be printed: as it is, or quoted where it holds something that does not print."""
    return name if name.isprintable() else ascii(name)


def require_names(folder: Folder, names: Iterable[str]) -> None:
    """The names of migrations must be writable in a ledger and typeable by a person, and their links stay inside.

    Raises `SourceError` for control characters (line breaks too), for bytes that are not UTF-8, and for such links.
    """
    for name in names:
        if not name.isprintable() and any(unicodedata.category(char) in _UNSPEAKABLE for char in name):
            raise SourceError(
                f"{folder.path}: {name!a} cannot be the name of a migration: it holds control characters or "
                "bytes that are not UTF-8.",
                hint="Rename the file.",
                details={"path": ascii(folder.join(name))},
            )
        if folder.escaping and name in folder.escaping:
            raise SourceError(
                f"{folder.join(name)} is a link that {folder.escaping[name]}.",
                hint="Put the file itself into the migrations folder; links are followed inside it only.",
                details={"path": folder.join(name)},
            )


def require_distinct(folder: Folder, names: Iterable[str]) -> None:
    """Names that differ only in the case of letters are one file on some machines. Raises `SourceError` naming both."""
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(name.casefold(), name)
        if first != name:
            raise duplicate(folder, first, name, "differ only in upper and lower case")


def duplicate(folder: Folder, first: str, second: str, why: str) -> SourceError:
    """The error for two migrations that cannot be told apart."""
    return SourceError(
        f"{folder.path}: {first} and {second} {why}.",
        code="duplicate_version",
        hint="Give one of them another version; if it has been applied somewhere, keep that one as it is.",
        details={"files": [first, second]},
    )


_UNSPEAKABLE = {"Cc", "Cs", "Zl", "Zp"}


def _is_special(link: os.DirEntry[str]) -> bool:
    """A link to a pipe or a device: opening it could wait for ever."""
    return os.path.exists(link.path) and not link.is_file() and not link.is_dir()


def _follow(path: str, entry: os.DirEntry[str], files: list[str], folders: list[str], escaping: dict[str, str]) -> None:
    root = os.path.realpath(path)
    target = os.path.realpath(entry.path)
    (folders if os.path.isdir(entry.path) else files).append(entry.name)
    if not os.path.exists(target) or os.path.islink(target):
        escaping[entry.name] = NOWHERE
    elif not target.startswith(root.rstrip("/") + "/"):
        escaping[entry.name] = "leads out of the migrations folder"


def _cannot_list(path: str, exc: OSError | ValueError) -> SourceError:
    if isinstance(exc, FileNotFoundError):
        message = f"There is no migrations folder {shown(path)}."
    elif isinstance(exc, NotADirectoryError):
        message = f"{shown(path)} is a file, not a migrations folder."
    else:
        message = f"The migrations folder {shown(path)} cannot be listed: {getattr(exc, 'strerror', None) or exc}."
    return SourceError(
        message,
        code="no_folder",
        hint="Name the folder with --migrations-dir or MIGRATION_DIR; `bascule init` makes one.",
        details={"path": shown(path)},
    )
