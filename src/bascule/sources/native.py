"""The native format: ``<digits>_<name>.sql`` and ``.py`` in one folder, ``R__<name>.sql`` repeatables, and ``hooks/``.

The order is that of the numbers; one number names one migration, whatever its zeros, its name or its language.
A file without a number in front is passed over with a word, as dbmate does.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

from bascule.domain.migration import Migration, MigrationRef
from bascule.sources.folder import Folder, duplicate, require_distinct, require_names, shown
from bascule.sources.foreign import flyway_versioned
from bascule.sources.reader import FolderReader
from bascule.sources.reading import read_bytes
from bascule.sources.variables import require_usable

VERSIONED = re.compile(r"([0-9]+).*\.(sql|py)\Z", re.DOTALL)
REPEATABLE = re.compile(r"R__.+\.sql\Z", re.DOTALL)
_TWO_WAY = re.compile(r"[0-9]+_.*\.(?:up|down)\.", re.DOTALL)


def recognises(folder: Folder) -> tuple[int, str]:
    """How surely a listing is native, 0 to 100, and the file that shows it."""
    versioned = min((name for name in folder.files if is_versioned(name)), default=None)
    if versioned:
        return 80, versioned
    repeatable = min((name for name in folder.files if REPEATABLE.match(name)), default=None)
    if repeatable and not flyway_versioned(folder.files):
        return 60, repeatable
    return 0, "no file begins with a number"


def is_versioned(name: str) -> bool:
    """Whether a file is named like a versioned native migration, and not like one direction of golang-migrate's."""
    return VERSIONED.match(name) is not None and _TWO_WAY.match(name) is None


class NativeSource(FolderReader):
    """Reads the native format, SQL and Python side by side."""

    format = "bascule"

    def __init__(self, folder: str, *, variables: Mapping[str, str] | None = None, seen: Folder | None = None) -> None:
        """`variables`: what ``${name}`` in SQL stands for; none declared: nothing is replaced. Raises `ConfigError`."""
        super().__init__(folder, seen=seen)
        self.variables = dict(variables or {})
        require_usable(self.variables)

    def survey(self, folder: Folder) -> tuple[tuple[MigrationRef, ...], list[str]]:
        """Versioned ones by number, then repeatables by name. Raises `SourceError` for numbers met twice."""
        numbered: list[tuple[int, str, str, str]] = []
        repeatables: list[str] = []
        passed_over: list[str] = []
        for name in folder.files:
            if match := VERSIONED.match(name):
                numbered.append((int(match[1]), name, match[1], match[2]))
            elif REPEATABLE.match(name):
                repeatables.append(name)
            else:
                passed_over.append(f"{shown(name)}: {_why_not(name)}")
        numbered.sort()
        repeatables.sort()
        require_names(folder, (name for _, name, _, _ in numbered))
        require_names(folder, repeatables)
        require_distinct(folder, repeatables)
        for first, second in itertools.pairwise(numbered):
            if first[0] == second[0]:
                raise duplicate(folder, first[1], second[1], f"have the same version, {first[0]}")
        passed_over += [f"{shown(name)}: a folder" for name in folder.folders if name != "hooks"]
        if "hooks" in folder.folders:
            from bascule.sources.hooks import unknown_hooks  # few folders have them

            passed_over += unknown_hooks(folder.path)
        return tuple(_versioned(folder, *entry) for entry in numbered) + tuple(
            _repeatable(folder, name) for name in repeatables
        ), sorted(passed_over)

    def read(self, ref: MigrationRef) -> Migration:
        """One migration with its scripts. Python is parsed, never run. Raises `SourceError`."""
        data = read_bytes(ref.path)
        # Each reader is loaded when the first file of its kind is read: `ast` is 8 ms that a SQL history need not pay.
        if ref.language == "python":
            from bascule.sources.native_python import read_python

            return read_python(ref, data)
        from bascule.sources.native_sql import read_sql

        return read_sql(ref, data, self.variables)


def _versioned(folder: Folder, number: int, file: str, digits: str, extension: str) -> MigrationRef:
    python = extension == "py"
    name = file[: -3 if python else -4]
    return MigrationRef(
        name=name,
        version=digits,
        order=(number, name),
        path=f"{folder.path}/{file}",
        language="python" if python else "sql",
    )


def _repeatable(folder: Folder, file: str) -> MigrationRef:
    name = file.removesuffix(".sql")
    return MigrationRef(
        # Behind every number a file name can hold.
        name=name,
        version="",
        order=(_BEHIND_ALL, name),
        path=f"{folder.path}/{file}",
        repeatable=True,
    )


_BEHIND_ALL = 10**300


def _why_not(name: str) -> str:
    if name.startswith("R__") and name.endswith(".py"):
        return "repeatable migrations are SQL"
    if name.endswith((".sql", ".py")):
        return "no version number in front"
    return "not a migration"
