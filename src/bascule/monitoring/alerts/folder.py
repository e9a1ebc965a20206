"""The alerts as files, one each, for whoever watches a folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from bascule.domain.alert import Alert
from bascule.services.concealed import concealed


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
