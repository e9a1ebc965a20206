"""Who writes the audit log, and with which key."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bascule.config.settings import Settings
    from bascule.ports.database import Target
    from bascule.ports.state import StateDoor
    from bascule.services.trail import Trail


def trail(settings: Settings, target: Target, *, where: str = "command line", who: str | None = None) -> Trail:
    """Who writes what is asked of this target into its audit log. Nothing is asked of key or store yet."""
    from bascule.wiring.process import owner

    return trail_of(settings, lambda: target.state(beside=False), who=who or owner(), where=where)


def trail_of(settings: Settings, door: Callable[[], StateDoor], *, who: str, where: str) -> Trail:
    """As `trail`, through that door to the state store."""
    from bascule.monitoring.audit_heads import HeadFolder
    from bascule.monitoring.clock import SystemClock
    from bascule.services.trail import Trail

    return Trail(
        door=door,
        key=lambda: audit_key(settings),
        clock=SystemClock(),
        who=who,
        where=where,
        heads=HeadFolder(settings.audit_dir, _whereabouts(settings)),
        clean=settings.clean,
    )


def _whereabouts(settings: Settings) -> str:
    """Database and schema, whoever asks for them with whatever password."""
    if settings.address is None:
        return ""
    url = settings.address.url
    database = os.path.realpath(url.database) if url.dialect == "sqlite" and url.database else url.database
    return " ".join((url.dialect, url.host or "", database or "", settings.schema))


def audit_key(settings: Settings) -> bytes | None:
    """The key of the audit log, None where none is set. Raises ConfigError when its file cannot be read."""
    return None if settings.audit_key is None else settings.audit_key.reveal().encode()
