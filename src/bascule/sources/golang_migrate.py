"""golang-migrate folders: ``{version}_{title}.up.sql`` and ``.down.sql``.

Versions are integers, so ``1_a`` and ``01_b`` are the same one and are refused; gaps are normal. The two directions are
paired by version alone, the name is the up file's. An empty file is a direction that changes nothing.
golang-migrate sends a file as one simple query; here it is one transaction, unless a statement in it cannot run in one.
"""

from __future__ import annotations

import re

from bascule.domain.migration import Migration, MigrationRef, Script
from bascule.errors import SourceError
from bascule.sources.comments import leading, nothing_in, prose
from bascule.sources.folder import HOOKS, NO_HOOKS, Folder, duplicate, require_names, shown
from bascule.sources.foreign import is_sqlx
from bascule.sources.reader import FolderReader
from bascule.sources.reading import decode, digest, read_bytes

SHAPE = re.compile(r"([0-9]+)_(.*)\.(down|up)\.(.*)\Z", re.DOTALL)

# The tool reads a version into an unsigned 64-bit integer and does not see a file whose number is larger.
_LARGEST = 2**64 - 1


def recognises(folder: Folder) -> tuple[int, str]:
    """How surely a listing is golang-migrate's, 0 to 100, and the file that shows it."""
    example = min((name for name in folder.files if SHAPE.match(name)), default=None)
    return (90, example) if example else (0, "no file is named <number>_<title>.up.sql")


class GolangMigrateSource(FolderReader):
    """Reads a golang-migrate folder."""

    format = "golang-migrate"

    def survey(self, folder: Folder) -> tuple[tuple[MigrationRef, ...], list[str]]:
        """By integer version. Raises `SourceError` for a version met twice, and for migrations that are not SQL."""
        found: dict[str, dict[int, str]] = {"up": {}, "down": {}}
        passed_over = [f"{shown(name)}: {_why_no_migration(name)}" for name in folder.folders]
        for name in sorted(folder.files):
            match = SHAPE.match(name)
            if match is None:
                passed_over.append(f"{shown(name)}: not a migration")
                continue
            version = int(match[1])
            if version > _LARGEST:
                passed_over.append(f"{shown(name)}: its number is larger than golang-migrate can hold")
                continue
            if match[4] != "sql":
                raise _not_sql(folder, name)
            other = found[match[3]].setdefault(version, name)
            if other != name:
                raise duplicate(folder, other, name, f"have the same version, {version}")
        ups, downs = found["up"], found["down"]
        require_names(folder, ups.values())
        require_names(folder, downs.values())
        passed_over += [
            f"{shown(name)}: there is no up file of version {version}"
            for version, name in sorted(downs.items())
            if version not in ups
        ]
        return tuple(_ref(folder, version, ups[version], downs.get(version)) for version in sorted(ups)), passed_over

    def read(self, ref: MigrationRef) -> Migration:
        """One migration with its scripts. Raises `SourceError`."""
        data = read_bytes(ref.path)
        up = _script(data, ref.path)
        return Migration(
            ref=ref,
            up=up,
            down=_script(read_bytes(ref.down_path), ref.down_path) if ref.down_path else None,
            exact_hash=digest(data),
            description=prose(leading(up.text)),
        )


def _ref(folder: Folder, version: int, up: str, down: str | None) -> MigrationRef:
    return MigrationRef(
        name=up[: -len(".up.sql")],
        version=str(version),
        order=(version,),
        path=f"{folder.path}/{up}",
        down_path=f"{folder.path}/{down}" if down else None,
    )


def _script(data: bytes, path: str) -> Script:
    text = decode(data, path)
    if is_sqlx(text):
        raise SourceError(
            f"{path} begins with `-- no-transaction`, a word of sqlx, a format that Bascule does not read yet.",
            code="unsupported_format",
            hint="Remove that line: statements that cannot run in a transaction are found by themselves.",
            details={"path": path, "format": "sqlx"},
        )
    return Script(text=text, path=path, empty=nothing_in(text))


def _why_no_migration(name: str) -> str:
    return NO_HOOKS if name == HOOKS else "a folder"


def _not_sql(folder: Folder, name: str) -> SourceError:
    return SourceError(
        f"{folder.join(shown(name))} is a migration to golang-migrate, but not SQL.",
        code="unsupported_format",
        hint="Move it out of the folder, or write it as a .sql file.",
        details={"path": folder.join(shown(name))},
    )
