"""`b.monitoring`: metrics, health, performance, reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bascule.errors import UsageError
from bascule.services.metrics import Kept

if TYPE_CHECKING:
    from bascule.config.settings import Settings
    from bascule.domain.alert import Alert
    from bascule.domain.event import Event
    from bascule.domain.health import Health
    from bascule.domain.metrics import Metrics
    from bascule.domain.performance import Performance
    from bascule.domain.period import PeriodReport
    from bascule.services.cleanup import Cleaned
    from bascule.services.context import Context

FORMATS = ("json", "csv", "html")


class MigrationMonitoringService:
    """What the stored history and the target say of themselves. Calls from several threads are safe."""

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        publish: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._settings = settings
        self._say = say
        self._publish = publish
        self._custom: dict[str, Callable[[], float]] = {}
        self._kept = Kept()

    def get_metrics(self) -> Metrics:
        """Counted from the journal: a restart or a second host changes nothing. Raises `TargetUnreachable`,
        `Refused`.
        """
        from bascule.services.metrics import metrics

        with self._context() as context:
            return metrics(context, kept=self._kept, custom=self._custom)

    def register_metric(self, name: str, ask: Callable[[], float]) -> None:
        """A metric of your own: `ask` is called whenever metrics are read. One of the same name takes its place."""
        if not name.isidentifier():
            raise UsageError(f"{name!r} cannot be a metric's name.", hint="Letters, digits and underscores.")
        self._custom[name] = ask

    def get_health_status(self) -> Health:
        """Looked at now, and told to listeners as ``migration.health_check``. A target that is not there is unhealthy,
        and no error.
        """
        from bascule import wiring
        from bascule.services.health_told import tell

        with self._context() as context:
            found = wiring.health(self._settings, context)
            tell(context, found)
            return found

    def get_performance_data(self, limit: int = 100) -> tuple[Performance, ...]:
        """What runs took of host and server, newest first (0: all). Raises as `get_metrics`."""
        from bascule.services.performance import performance

        with self._context() as context:
            return performance(context, limit=limit)

    def record_performance(self, record: Mapping[str, Any]) -> Performance:
        """Keep what somebody else measured: ``migrationName`` and ``executionTime`` (ms) at least. Raises `UsageError`,
        and as `get_metrics`.
        """
        from bascule.services.performance import record_performance

        with self._context(changing=True) as context:
            return record_performance(context, record)

    def get_alerts(
        self, include_acknowledged: bool = False, *, include_resolved: bool = False, limit: int = 100
    ) -> tuple[Alert, ...]:
        """What somebody ought to know, newest first (0: all): alerts that nobody has acknowledged. Raises as
        `get_metrics`.
        """
        from bascule.services.alerts import alerts

        with self._context() as context:
            return alerts(
                context, include_acknowledged=include_acknowledged, include_resolved=include_resolved, limit=limit
            )

    def acknowledge_alert(self, id: str, by: str) -> Alert:  # noqa: A002 - the contract's name
        """Somebody has taken note of it: nobody is told again unless it gets worse. Raises `UsageError` (code
        ``unknown_alert``), and as `get_metrics`.
        """
        from bascule.services.alerts import acknowledge

        with self._audited("alerts ack", id=id, by=by) as context:
            return acknowledge(context, id, by)

    def resolve_alert(self, id: str, by: str) -> Alert:  # noqa: A002
        """Somebody says that it is over. Raises as `acknowledge_alert`."""
        from bascule.services.alerts import resolve

        with self._audited("alerts resolve", id=id, by=by) as context:
            return resolve(context, id, by)

    def clean_up(self) -> Cleaned:
        """Remove what was kept long enough. Raises as `get_metrics`."""
        from bascule import wiring

        with self._audited("cleanup") as context:
            return wiring.clean_up(self._settings, context)

    def generate_report(self, start: datetime | None = None, end: datetime | None = None) -> PeriodReport:
        """Of a period; without an end up to now, without a start the thirty days before. Raises `UsageError`, and as
        `get_metrics`.
        """
        from bascule import wiring
        from bascule.services.period import period_report

        with self._context() as context:
            health = wiring.health(self._settings, context)
            return period_report(context, start=start, end=end, health=health, kept=self._kept)

    def export_data(self, format: str = "json", *, start: datetime | None = None, end: datetime | None = None) -> str:  # noqa: A002
        """The same report as a text: ``json``, ``csv`` (a line a run) or ``html`` (one page that needs nothing else).
        Raises as `generate_report`.
        """
        if format not in FORMATS:
            raise UsageError(f"There is no format {format!r}.", hint=f"One of {', '.join(FORMATS)}.")
        from bascule import wiring

        return wiring.exported(self._settings, self.generate_report(start, end), format)

    @contextmanager
    def _audited(self, action: str, **what: str) -> Iterator[Context]:
        from bascule import wiring
        from bascule.services.trail import audited

        with self._context(changing=True) as context:
            with audited(context, action, what):
                yield context
            wiring.keep_watch(self._settings, context)

    @contextmanager
    def _context(self, *, changing: bool = False) -> Iterator[Context]:
        from bascule import wiring

        context = wiring.context(
            self._settings, publish=self._publish, say=self._say, read_only=not changing, where="python"
        )
        try:
            yield context
        finally:
            context.target.close()
