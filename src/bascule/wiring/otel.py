"""What OpenTelemetry is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bascule.config.settings import Settings
    from bascule.domain.family import Family
    from bascule.monitoring.otel.recorder import Recorder
    from bascule.ports.database import Target
    from bascule.services.context import Context


def recorder(settings: Settings, target: Target, say: Callable[[str], None]) -> Recorder | None:
    """Who writes down for OpenTelemetry what is done; None where that is switched off, or cannot be had, which is said.
    Loads nothing of OpenTelemetry.
    """
    if not otel_is_on(settings):
        return None
    missing = missing_of_otel()
    if missing:
        say(
            f"OpenTelemetry is told nothing: `otel` is switched on, and {missing} is not installed. "
            "pip install 'bascule[otel]' brings it."
        )
        return None
    from bascule.monitoring.otel.recorder import Recorder

    about: dict[str, str] = {"bascule.environment": settings.environment}
    if settings.target is not None:
        about["bascule.target"] = settings.target
    address = settings.address
    if address is not None and address.url.host:
        about["server.address"] = address.url.host
    return Recorder(target, about=about, clean=settings.clean)


def otel_is_on(settings: Settings) -> bool:
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return settings.otel and settings.monitoring_enabled and not disabled


def missing_of_otel() -> str:
    from importlib.util import find_spec

    for module in ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"):
        try:
            if find_spec(module) is not None:
                continue
        except ModuleNotFoundError:
            pass
        return module
    return ""


def tell_otel(settings: Settings, context: Context) -> None:
    """After something was done: hand its trace and the metrics over. Never raises, and waits for two seconds at most:
    what was done is done.
    """
    telemetry = context.telemetry
    if telemetry is None:
        return
    from bascule.config.url import mask

    problem = telemetry.hand_over(lambda: _measures(settings, context))
    if problem is not None:
        context.say(f"OpenTelemetry was not told all of it: {mask(settings.clean(problem))}.")


def _measures(settings: Settings, context: Context) -> tuple[Family, ...]:
    """What `prometheus` tells, but for health: to look at that takes longer than a short run. Empty where it cannot be
    had.
    """
    from bascule.errors import BasculeError
    from bascule.monitoring.prometheus import families
    from bascule.ports.database import WorkFailed
    from bascule.services.metrics import metrics
    from bascule.services.performance import performance
    from bascule.wiring.looking import status_of

    try:
        found = families(
            metrics(context),
            performance=performance(context, limit=1, measured=True),
            pending=len(status_of(context).pending),
        )
        return labelled(settings, context, found)
    except (BasculeError, WorkFailed):
        return ()


def labelled(settings: Settings, context: Context, found: Sequence[Family]) -> tuple[Family, ...]:
    from dataclasses import replace

    target = settings.target or context.target.describe().database
    return tuple(
        replace(each, values=[({"target": target, **labels}, value) for labels, value in each.values]) for each in found
    )
