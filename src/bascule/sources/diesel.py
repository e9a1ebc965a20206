"""diesel folders: one sub-folder a migration, with ``up.sql``, ``down.sql`` if there is a way back, ``metadata.toml``.

The version is the sub-folder's name up to its first ``_`` without dashes, compared as text: a newer 18-digit version
stands right behind the 14-digit one that it begins with, which is not where sorting by name would put it.
Sub-folders with nothing in them are passed over; one with files but without ``up.sql`` is refused, as diesel does.
"""

from __future__ import annotations

import itertools
import os

from bascule.domain.migration import Migration, MigrationRef, Script
from bascule.errors import SourceError
from bascule.sources.comments import leading, nothing_in, prose
from bascule.sources.folder import HOOKS, NOWHERE, Folder, duplicate, require_distinct, require_names, scan, shown
from bascule.sources.reader import FolderReader
from bascule.sources.reading import decode, digest, read_bytes

_KEY = "run_in_transaction"
"""All that diesel reads from ``metadata.toml``."""
_PARTS = ("up.sql", "down.sql", "metadata.toml")

# What `diesel migration generate` puts into a new up.sql says nothing of the migration.
_BOILERPLATE = "Your SQL goes here"


def recognises(folder: Folder) -> tuple[int, str]:
    """How surely a folder is diesel's, 0 to 100, and what shows it: a sub-folder that holds an ``up.sql``."""
    inner = next((name for name in sorted(folder.folders) if holds(folder, name, "up.sql")), None)
    return (90, f"{inner}/up.sql") if inner else (0, "no sub-folder holds an up.sql")


def holds(folder: Folder, name: str, file: str) -> bool:
    """Whether a sub-folder holds a file of that name."""
    return os.path.isfile(f"{folder.path}/{name}/{file}")


class DieselSource(FolderReader):
    """Reads a diesel folder."""

    format = "diesel"

    def survey(self, folder: Folder) -> tuple[tuple[MigrationRef, ...], list[str]]:
        """By version as text. Raises `SourceError` for a version met twice and for a sub-folder without ``up.sql``."""
        passed_over = [f"{shown(name)}: not a migration" for name in folder.files]
        refs = []
        names = sorted(folder.folders)
        require_names(folder, names)
        # A link to nothing may have been a migration, and diesel stops at it.
        require_names(folder, (name for name in folder.files if folder.escaping.get(name) == NOWHERE))
        require_distinct(folder, names)
        for name in names:
            inner = scan(folder.join(name))
            if not (inner.files or inner.folders):
                passed_over.append(f"{name}: an empty folder")
                continue
            refs.append(_ref(folder, name, inner))
            strangers = sorted((set(inner.files) | set(inner.folders)) - set(_PARTS))
            passed_over += [f"{name}/{shown(stranger)}: not a part of the migration" for stranger in strangers]
        refs.sort(key=lambda ref: ref.order)
        for first, second in itertools.pairwise(refs):
            if first.version == second.version:
                raise duplicate(folder, first.name, second.name, f"have the same version, {first.version}")
        return tuple(refs), sorted(passed_over)

    def read(self, ref: MigrationRef) -> Migration:
        """One migration with its scripts. Raises `SourceError`."""
        data = read_bytes(ref.path)
        transaction, warnings = _in_transaction(f"{ref.path.removesuffix('up.sql')}metadata.toml")
        up = _script(data, ref.path, transaction=transaction)
        down = None
        if ref.down_path:
            down = _script(read_bytes(ref.down_path), ref.down_path, transaction=transaction)
        description = prose(leading(up.text))
        return Migration(
            ref=ref,
            up=up,
            down=down,
            exact_hash=digest(data),
            description="" if description == _BOILERPLATE else description,
            warnings=warnings,
        )


def _ref(folder: Folder, name: str, inner: Folder) -> MigrationRef:
    if "up.sql" not in inner.files:
        raise SourceError(
            f"{inner.path} holds files but no up.sql.",
            code="no_up",
            hint="Hooks belong to the native format, so none runs here: remove the folder."
            if name == HOOKS
            else "Write its up.sql; or remove the folder, or hide it with a dot in front of its name.",
            details={"path": inner.path},
        )
    require_names(inner, [part for part in _PARTS if part in inner.files])
    version = name.split("_", 1)[0].replace("-", "")
    return MigrationRef(
        name=name,
        version=version,
        order=(version,),
        path=inner.join("up.sql"),
        down_path=inner.join("down.sql") if "down.sql" in inner.files else None,
    )


def _script(data: bytes, path: str, *, transaction: bool) -> Script:
    text = decode(data, path)
    return Script(text=text, path=path, transaction=transaction, empty=nothing_in(text))


def _in_transaction(path: str) -> tuple[bool, tuple[str, ...]]:
    """What ``metadata.toml`` says of the transaction, as diesel reads it; warnings where that surprises."""
    if not os.path.exists(path):
        return True, ()
    import tomllib  # most migrations have no metadata

    try:
        metadata = tomllib.loads(decode(read_bytes(path), path))
    except tomllib.TOMLDecodeError as exc:
        return True, (f"{path} is not TOML ({exc}); as in diesel, there is a transaction.",)
    value = metadata.get(_KEY)
    strangers = tuple(_unknown_key(path, key) for key in metadata if key != _KEY)
    if isinstance(value, bool):
        return value, strangers
    if value is None:
        return False, (*strangers, f"{path} has no `{_KEY}`; as in diesel, that turns the transaction off.")
    words = f"{path}: `{_KEY}` is neither true nor false; as in diesel, there is a transaction."
    return True, (*strangers, words)


def _unknown_key(path: str, key: str) -> str:
    from difflib import get_close_matches  # only a mistake needs it

    near = get_close_matches(key.lower().replace("-", "_"), (_KEY,), cutoff=0.6)
    meant = f"; did you mean `{_KEY}`?" if near else "."
    return f"{path}: diesel knows no `{shown(key)}`, so it is passed over{meant}"
