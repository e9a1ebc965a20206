"""Status and health, looked at once or kept for a process that is asked often."""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bascule.config.settings import Settings
    from bascule.domain.health import Health
    from bascule.monitoring.kept import Kept
    from bascule.services.context import Context
    from bascule.services.status import StatusReport


def health(
    settings: Settings,
    context: Context,
    *,
    report: StatusReport | None = None,
    fingerprints: dict[str, str] | None = None,
) -> Health:
    """Look at the target and judge what is found. `report` and `fingerprints`: as `look_at_health`. Raises nothing for
    a target that is not there.
    """
    from dataclasses import replace

    from bascule.domain.health import HealthLimits
    from bascule.monitoring.health.judging import judged
    from bascule.services.health import look_at_health
    from bascule.wiring.rules import brought_rules

    _, broken = brought_rules(settings) if settings.validation["custom"] else ((), ())
    chosen = settings.health
    limits = HealthLimits(
        free_space=chosen["free_space"],
        replication_lag=chosen["replication_lag"],
        connections=chosen["connections"],
        ignore=tuple(chosen["ignore"] or ()),
    )
    seen = look_at_health(context, report=report, free_space=_free_space(settings), fingerprints=fingerprints)
    return judged(replace(seen, validation_broken=broken), limits)


def kept_status(most: float = 10.0) -> Kept[Context, StatusReport]:
    """Status, for a process that is asked often: looked at again when something has changed, and after `most` seconds,
    in which an edited file may not be noticed.
    """
    from bascule.monitoring.kept import Kept

    return Kept(status_of, pulse=status_pulse, most=most)


def kept_health(settings: Settings, statuses: Kept[Context, StatusReport]) -> Kept[Context, Health]:
    """Health, for a process that is asked often: judged again when something has changed, and after the time that the
    settings give.
    """
    from bascule.monitoring.kept import Kept

    def judge(context: Context) -> Health:
        from bascule.errors import BasculeError

        try:
            report = statuses.get(context)
        except BasculeError:
            # It is told as a health then.
            report = None
        return health(settings, context, report=report)

    return Kept(judge, pulse=_pulse_or_none, most=settings.health_check_interval)


def _pulse_or_none(context: Context) -> Hashable:
    from bascule.errors import BasculeError

    try:
        return status_pulse(context)
    except BasculeError:
        # Never the same twice: a target that is not there is looked for each time.
        return object()


def status_of(context: Context) -> StatusReport:
    from bascule.services.status import status
    from bascule.sources.cache import FingerprintCache, fingerprints_cached

    listed = (ref for ref in context.source.listing() if not ref.repeatable)
    return status(context, fingerprints=fingerprints_cached(listed, FingerprintCache(context.source.folder)))


def status_pulse(context: Context) -> Hashable:
    """As `bascule.services.pulse.pulse`, with the files that come to the folder and go from it; not those that are
    edited.
    """
    from bascule.services.pulse import pulse

    try:
        changed = os.stat(context.source.folder).st_mtime_ns
    except OSError:
        changed = 0
    return pulse(context), changed


def _free_space(settings: Settings) -> dict[str, float]:
    """Of the disks that can be seen from here."""
    import contextlib
    import shutil

    places = {"the backups": settings.backup_dir}
    if settings.address is not None and settings.address.url.dialect == "sqlite":
        from bascule.databases.sqlite.location import locate

        places["the database"] = locate(settings.address.reveal()).path.parent
    found = {}
    for words, path in places.items():
        there = next((each for each in (path, *path.parents) if each.exists()), path)
        with contextlib.suppress(OSError):
            usage = shutil.disk_usage(there)
            found[words] = 100.0 * usage.free / usage.total if usage.total else 100.0
    return found
