"""Where spans and metrics go: the application's own providers, else one of ours made as the OTEL_* variables say.

Loads OpenTelemetry's SDK, and belongs into the thread that sends.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

from opentelemetry import metrics, trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource

from bascule import __version__
from bascule.domain.family import Family
from bascule.monitoring.otel.measures import Measures

_NAME: Final = "bascule"
_KNOWN: Final = ("otlp", "console", "none")
_SPOKEN: Final = "http/protobuf"


@cache
def providers() -> Providers:
    """Those of this process."""
    return Providers()


class Providers:
    """Made once in a process: a provider knows its own threads and connections."""

    def __init__(self) -> None:
        self.lost = 0
        """Spans and metrics that were not taken, in batches."""
        self._guard = threading.Lock()
        self._traces: Any = None
        self._own_traces: Any = None
        self._measures: Measures | None = None
        self._meters: Any = None
        self._wrong: list[str] = []
        self._words: _LastWords | None = None

    def tracer(self) -> trace.Tracer:
        """Who makes spans."""
        with self._guard:
            given = trace.get_tracer_provider()
            own = isinstance(given, trace.ProxyTracerProvider)
            self._traces = self._make_traces() if own else given
            return trace.get_tracer(_NAME, __version__, tracer_provider=self._traces)

    def flush_spans(self) -> None:
        """Send those that have ended. Takes as long as the other end takes."""
        flush = getattr(self._traces, "force_flush", None)
        if flush is not None:
            flush()

    def tell(self, families: Iterable[Family]) -> None:
        """Send these metrics. Takes as long as the other end takes."""
        with self._guard:
            if self._measures is None:
                self._measures = self._make_measures()
        if self._measures is not None:
            self._measures.tell(families)
            flush = getattr(self._meters, "force_flush", None)
            if flush is not None:
                flush()

    def problem(self, *, since: int) -> str | None:
        """What has gone wrong since `lost` had that value, in words."""
        if self._wrong:
            return "; ".join(self._wrong)
        if self.lost == since:
            return None
        return (self._words.last.rstrip(".") if self._words is not None else "") or "nobody took it"

    # Ours

    def _make_traces(self) -> Any:
        if self._own_traces is None:
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            self._own_traces = TracerProvider(resource=_resource(), shutdown_on_exit=False)
            for name in self._exporters("TRACES"):
                self._own_traces.add_span_processor(BatchSpanProcessor(self._span_exporter(name)))
        return self._own_traces

    def _span_exporter(self, name: str) -> Any:
        if name == "console":
            from opentelemetry.sdk.trace.export import ConsoleSpanExporter

            # Standard output is the answer's.
            return ConsoleSpanExporter(out=sys.stderr)
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SpanExportResult

        told = self._not_taken

        class Spans(OTLPSpanExporter):
            def export(self, spans: Sequence[Any]) -> SpanExportResult:
                result = super().export(spans)
                if result is not SpanExportResult.SUCCESS:
                    told()
                return result

        return Spans()

    def _make_measures(self) -> Measures | None:
        """None: nobody has said where metrics go."""
        given: Any = metrics.get_meter_provider()
        if type(given).__name__.startswith("_Proxy"):
            if self._traces is not self._own_traces and not _says_where():
                return None
            given = self._make_meters()
        self._meters = given
        return Measures(given.get_meter(_NAME, __version__))

    def _make_meters(self) -> Any:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        # Without a thread of its own: it is told when to send.
        readers = [
            PeriodicExportingMetricReader(self._metric_exporter(name), export_interval_millis=math.inf)
            for name in self._exporters("METRICS")
        ]
        return MeterProvider(readers, resource=_resource(), shutdown_on_exit=False)

    def _metric_exporter(self, name: str) -> Any:
        if name == "console":
            from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

            return ConsoleMetricExporter(out=sys.stderr)
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

        told = self._not_taken

        class Numbers(OTLPMetricExporter):
            def export(
                self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
            ) -> MetricExportResult:
                result = super().export(metrics_data, timeout_millis, **kwargs)
                if result is not MetricExportResult.SUCCESS:
                    told()
                return result

        return Numbers()

    def _exporters(self, signal: str) -> list[str]:
        # Only for exporters of ours: what an application's own have to say is not kept from it.
        self._words = self._words or _LastWords()
        variable = f"OTEL_{signal}_EXPORTER"
        names = [each.strip().lower() for each in (os.environ.get(variable) or "otlp").split(",") if each.strip()]
        if unknown := [name for name in names if name not in _KNOWN]:
            self._wrong.append(f"{variable} names {', '.join(unknown)}, where {', '.join(_KNOWN)} are known")
        spoken = _first(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL") or _SPOKEN
        if "otlp" in names and spoken != _SPOKEN:
            self._wrong.append(f"OTEL_EXPORTER_OTLP_PROTOCOL is {spoken}, where only {_SPOKEN} is spoken")
            names.remove("otlp")
        return [name for name in names if name in _KNOWN and name != "none"]

    def _not_taken(self) -> None:
        self.lost += 1


class _LastWords(logging.Handler):
    """Keeps what OpenTelemetry has said last. Where nobody has set a log up, its lines would go to the terminal, each
    of them several times.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        logging.getLogger("opentelemetry").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        words = record.getMessage()
        # The last line of all says only that it was given up; what came before says why.
        if not self.last or "due to timeout" not in words:
            self.last = words


def _resource() -> Resource:
    found = Resource.create()
    if str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        found = found.merge(Resource({SERVICE_NAME: _NAME, "service.version": __version__}))
    return found


def _says_where() -> bool:
    names = ("OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return _first(*names) is not None


def _first(*names: str) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)
