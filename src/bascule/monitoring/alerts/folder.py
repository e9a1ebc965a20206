"""The alerts as files, one each, for whoever watches a folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from bascule.domain.alert import Alert
from bascule.ports.state import StateDoor
from bascule.services.concealed import concealed
from bascule.state import alerts as state

_OLD: Final = 60.0
"""Seconds after which nobody is still writing half a file."""


def keep_folder(folder: Path, door: StateDoor, clean: Callable[[str], str] = str) -> int:
    """Bring the folder up to what the state store says, whatever a killed process left undone; answers how many files
    were written. Beside the alerts a hidden file keeps the turn of the alerts that was written last: while it has not
    changed, nothing is read. Raises OSError, and as the state store.
    """
    about = door.about()
    if not about or (state.places(door.read, about).turn == 0 and not folder.exists()):
        return 0
    mark = folder / f".{about}.turn"
    if _marked(mark).get("turn") == state.places(door.read, about).turn:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        # In this order: alerts that change meanwhile have a greater turn, and are written the next time.
        turn = state.places(door.read, about).turn
        alerts = state.newest(door, acknowledged=True, resolved=True, limit=0)
        ids = [each.id for each in alerts]
        written = write_alerts(folder, alerts, clean)
        remove_alerts(folder, set(_marked(mark).get("ids", ())) - set(ids))
        _remove_halves(folder)
        _write(mark, json.dumps({"turn": turn, "ids": ids}))
    return written


def _marked(mark: Path) -> dict[str, Any]:
    try:
        found = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Missing or damaged: everything is compared.
        return {}
    return found if isinstance(found, dict) else {}


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        # A file system without locks: the turn tells the next one that something is missing.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _remove_halves(folder: Path) -> None:
    for half in folder.glob(".*.half"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - half.stat().st_mtime > _OLD:
                half.unlink()


def write_alerts(folder: Path, alerts: Iterable[Alert], clean: Callable[[str], str] = str) -> int:
    """Bring the files of these alerts up to date; answers how many were written. Each is there whole or not at all,
    and for its owner only. Raises OSError.
    """
    written = 0
    for alert in alerts:
        text = json.dumps(concealed(alert.as_dict(), clean), indent=2, default=str) + "\n"
        place = folder / f"{alert.id}.json"
        try:
            if place.read_text(encoding="utf-8") == text:
                continue
        except FileNotFoundError:
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, UnicodeDecodeError):
            # Whatever stands there is replaced, or that fails and says why.
            pass
        _write(place, text)
        written += 1
    return written


def remove_alerts(folder: Path, ids: Iterable[str]) -> int:
    """Remove the files of alerts that are kept no longer; answers how many. Raises OSError."""
    removed = 0
    for each in ids:
        with contextlib.suppress(FileNotFoundError):
            (folder / f"{each}.json").unlink()
            removed += 1
    return removed


def _write(place: Path, text: str) -> None:
    half = place.with_name(f".{place.name}.{os.getpid()}.half")
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        half.replace(place)
    except BaseException:
        with contextlib.suppress(OSError):
            half.unlink()
        raise
