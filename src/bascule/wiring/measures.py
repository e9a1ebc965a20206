"""Metrics and reports as texts and files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from bascule.config.settings import Settings
    from bascule.domain.metrics import Metrics
    from bascule.domain.period import PeriodReport
    from bascule.services.context import Context


def prometheus(settings: Settings, context: Context, found: Metrics) -> str:
    """The metrics as Prometheus reads them, with health and the newest run."""
    from bascule.monitoring.prometheus import exposition
    from bascule.services.performance import performance
    from bascule.wiring.looking import health, status_of

    report = status_of(context)
    return exposition(
        found,
        health=health(settings, context, report=report),
        performance=performance(context, limit=1, measured=True),
        pending=len(report.pending),
        labels={"target": settings.target or context.target.describe().database},
    )


def exported(settings: Settings, report: PeriodReport, form: str) -> str:
    """A report as a text: ``json``, ``csv`` or ``html``, without secrets."""
    if form == "csv":
        from bascule.monitoring.report_csv import as_csv

        return settings.clean(as_csv(report))
    if form == "html":
        from bascule.monitoring.report_html import as_html

        return settings.clean(as_html(report))
    import json

    from bascule.services.concealed import concealed

    return json.dumps(concealed(report.as_dict(), settings.clean), ensure_ascii=False, indent=2, default=str) + "\n"


def write_text(path: str, text: str) -> None:
    """A file of ours, whole or not at all. Raises `Refused`."""
    import contextlib
    from pathlib import Path

    from bascule.errors import Refused

    place = Path(path)
    half = place.with_name(f".{place.name}.{os.getpid()}.half")
    try:
        half.write_text(text, encoding="utf-8", newline="")
        half.replace(place)
    except OSError as problem:
        with contextlib.suppress(OSError):
            half.unlink()
        raise Refused(
            f"{path} could not be written: {problem.strerror}.", code="export_file", hint="Name another file."
        ) from problem


def keep_textfile(settings: Settings, context: Context) -> None:
    """Bring the textfile of the metrics up to date, where its folder was named. Never raises: the run is done."""
    if not (settings.metrics_dir_named and settings.monitoring_enabled):
        return
    from bascule.errors import BasculeError
    from bascule.services.metrics import metrics

    try:
        write_metrics(settings, prometheus(settings, context, metrics(context)))
    except BasculeError as problem:
        import logging

        logging.getLogger("bascule.metrics").warning("%s", problem.message)


def write_metrics(settings: Settings, text: str) -> Path:
    """Put it into the folder of the metrics. Raises `Refused`."""
    from bascule.monitoring.prometheus import write_textfile

    return write_textfile(
        settings.metrics_dir, text, name=f"bascule-{settings.target}" if settings.target else "bascule"
    )
