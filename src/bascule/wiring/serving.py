"""What a server does by itself beside its requests."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bascule.config.settings import Settings
    from bascule.domain.event import Event
    from bascule.monitoring.rounds import Duty, Rounds
    from bascule.services.cleanup import Cleaned
    from bascule.services.context import Context

_WATCH_EVERY = 5.0
"""Seconds between two looks of a server at what alerts call for."""
_ENDED, _WELL = frozenset({"ended"}), frozenset({"well"})
"""What wakes a server's duties: a run has ended, and health is better than the alerts say."""


def _metrics_interval() -> float:
    """Seconds between two times at which a server sends its metrics."""
    given = os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")
    return max(1.0, int(given) / 1000) if given.isascii() and given.isdigit() else 60.0


def _tell_measures(settings: Settings) -> None:
    """What a server does again and again: send all metrics, health among them. Raises what goes wrong."""
    from bascule.errors import BasculeError
    from bascule.monitoring.otel.providers import providers
    from bascule.monitoring.prometheus import families
    from bascule.services.metrics import metrics
    from bascule.services.performance import performance
    from bascule.wiring.contexts import context
    from bascule.wiring.looking import health, status_of
    from bascule.wiring.otel import labelled

    opened = context(settings, publish=lambda event: None, say=lambda words: None, read_only=True)
    try:
        report = status_of(opened)
        found = families(
            metrics(opened),
            health=health(settings, opened, report=report),
            performance=performance(opened, limit=1, measured=True),
            pending=len(report.pending),
        )
        told = labelled(settings, opened, found)
    finally:
        opened.target.close()
    known = providers()
    lost = known.lost
    known.tell(told)
    if (problem := known.problem(since=lost)) is not None:
        raise BasculeError(f"OpenTelemetry was not told all of it: {settings.clean(problem)}.")


def rounds(settings: Settings, publish: Callable[[Event], None] = lambda event: None) -> Rounds:
    """What a server does by itself beside its requests: look after alerts every few seconds, look at health and clean
    up as often as the settings say. Raises ConfigError.
    """
    from bascule.monitoring.alerts.rounds import AlertRounds
    from bascule.monitoring.rounds import Duty, Rounds
    from bascule.services.broken_off import settle
    from bascule.wiring.alerting import alert_policy, look_for_alerts, outbox
    from bascule.wiring.contexts import context
    from bascule.wiring.looking import health
    from bascule.wiring.otel import missing_of_otel, otel_is_on

    if not settings.monitoring_enabled:
        return Rounds(duties=(_settling(lambda: _settled_alone(settings), every=60.0),))
    policy = alert_policy(settings)
    mine = AlertRounds(
        open_context=lambda: context(settings, publish=publish, say=_into_the_log(settings), where="server"),
        look=lambda context, door, health: look_for_alerts(settings, context, door, policy, health=health),
        judge=lambda context: health(settings, context),
        clean_up=lambda context: clean_up(settings, context),
        outbox=outbox(settings, policy),
        about={"environment": settings.environment} | ({"name": settings.target} if settings.target else {}),
        clean=settings.clean,
        between_clean_ups=settings.cleanup_interval,
        settle=settle,
    )
    duties = [
        _settling(mine.tell_ends, every=_WATCH_EVERY),
        Duty(name="Looking after alerts", work=mine.watch, every=_WATCH_EVERY, wakes=_ENDED),
        Duty(name="Looking at health", work=mine.check, every=max(1.0, settings.health_check_interval), wakes=_WELL),
        Duty(name="Cleaning up", work=mine.tidy, every=min(3600.0, max(1.0, settings.cleanup_interval))),
    ]
    if otel_is_on(settings) and not missing_of_otel():
        from functools import partial

        duties.append(
            Duty(name="Telling OpenTelemetry", work=partial(_tell_measures, settings), every=_metrics_interval())
        )
    return Rounds(
        duties=tuple(duties),
        close=mine.close,
    )


def _settling(work: Callable[[], None], *, every: float) -> Duty:
    """What killed processes have left is written down whether or not anybody watches: the journal is no monitoring."""
    from bascule.monitoring.rounds import Duty

    return Duty(name="Settling what was broken off", work=work, every=every, wakes=_ENDED)


def _settled_alone(settings: Settings) -> None:
    from contextlib import closing

    from bascule.services.broken_off import settle
    from bascule.wiring.contexts import context

    opened = context(settings, publish=lambda event: None, say=_into_the_log(settings), where="server")
    with closing(opened.target):
        settle(opened)


def _into_the_log(settings: Settings) -> Callable[[str], None]:
    import logging

    log = logging.getLogger("bascule.rounds")
    return lambda words: log.info("%s", settings.clean(words))


def clean_up(settings: Settings, context: Context) -> Cleaned:
    """Remove what was kept long enough. Raises as the state store does."""
    from bascule.services.cleanup import clean_up as clean

    rules = any(settings.backup[name] is not None for name in ("max_age", "max_count", "max_bytes"))
    cleaned = clean(context, retention=settings.retention, backups=rules)
    if settings.alerts_dir_named and cleaned.alerts:
        import contextlib

        from bascule.monitoring.alerts.folder import remove_alerts

        with contextlib.suppress(OSError):
            remove_alerts(settings.alerts_dir, cleaned.alerts)
    return cleaned
