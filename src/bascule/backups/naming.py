"""Names in a backup store: made here, never taken from user input.

A backup is a folder named by its id, ``20261123T020000Z-1f2e3d4c5b6a7988``: the moment it was begun, for people, and 64
random bits, so that two of the same second differ. In it stand ``manifest.json`` and the streams.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime

from bascule.errors import Refused

MANIFEST = "manifest.json"

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{16}")
# No name begins with a dot: those are the stores' own.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DEPTH = 8


def new_backup_id(moment: datetime) -> str:
    """A name that no other backup has. `moment` must be aware of its time zone."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}"


def is_backup_id(text: str) -> bool:
    """Whether it is one of `new_backup_id`."""
    return _ID.fullmatch(text) is not None


def begun_at(backup_id: str) -> datetime:
    """The moment in the id, UTC."""
    return datetime.strptime(backup_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def manifest_path(backup_id: str) -> str:
    """Where a backup's manifest stands. Raises `Refused` where it is no id."""
    return f"{_checked(backup_id)}/{MANIFEST}"


def stream_path(backup_id: str, name: str, *, encrypted: bool) -> str:
    """Where a stream stands; ``age -d FILE | zstd -d`` reads it, or ``zstd -d FILE``. Raises `Refused`."""
    path = f"{_checked(backup_id)}/{name}.zst{'.age' if encrypted else ''}"
    segments(path)
    return path


def backup_of(path: str) -> str:
    """The id of the backup that a path in the store belongs to. Raises `Refused` where it belongs to none."""
    first = segments(path)[0]
    if not is_backup_id(first):
        raise Refused(
            f"{path!r} is no backup.",
            code="backup_path",
            hint="`bascule backup list` shows the backups; name one by its id or its folder.",
        )
    return first


def segments(path: str) -> tuple[str, ...]:
    """The names in a path of the store. Raises `Refused` where it is none that Bascule makes."""
    parts = tuple(path.split("/"))
    if len(parts) > _DEPTH or not all(_NAME.fullmatch(part) for part in parts):
        raise Refused(
            f"{path!r} is not a path of a backup store.",
            code="backup_path",
            hint="Paths in a store are made by Bascule. If this one stands in a manifest, the manifest was rewritten.",
        )
    return parts


def _checked(backup_id: str) -> str:
    if not is_backup_id(backup_id):
        raise Refused(
            f"{backup_id!r} is not the id of a backup.", code="backup_path", hint="`bascule backup list` shows the ids."
        )
    return backup_id
