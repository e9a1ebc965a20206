"""A collector of OpenTelemetry on loopback, which takes spans and metrics over OTLP/HTTP and keeps them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span as it was received."""

    name: str
    id: bytes
    parent: bytes
    trace: str
    kind: int
    begun: int
    ended: int
    about: Mapping[str, Any]
    error: str | None
    """None: it ended well."""
    events: tuple[str, ...]
    service: str


@dataclass(slots=True)
class Collector:
    """Answers `status`, after `gate` has been opened."""

    url: str = ""
    status: int = 200
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that bring what is told here."""
        return {"MIGRATION_OTEL": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": self.url}

    def forget(self) -> None:
        self.bodies.clear()

    def spans(self) -> list[Span]:
        """In the order in which they began."""
        found = []
        for path, body in tuple(self.bodies):
            if path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    service = _about(resource.resource.attributes)["service.name"]
                    found += [_span(each, service) for scope in resource.scope_spans for each in scope.spans]
        return sorted(found, key=lambda span: (span.begun, -span.ended))

    def tree(self) -> list[str]:
        """Names, indented by depth."""
        spans = self.spans()
        depth: dict[bytes, int] = {}
        lines = []
        for span in spans:
            depth[span.id] = depth.get(span.parent, -1) + 1
            lines.append("  " * depth[span.id] + span.name)
        return lines

    def metrics(self) -> dict[str, list[tuple[dict[str, Any], float]]]:
        """Name → values with their labels, the newest of each."""
        found: dict[str, list[tuple[dict[str, Any], float]]] = {}
        for path, body in tuple(self.bodies):
            if path == "/v1/metrics":
                for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
                        data = metric.sum if metric.HasField("sum") else metric.gauge
                        found[metric.name] = [
                            (_about(point.attributes), point.as_double or float(point.as_int))
                            for point in data.data_points
                        ]
        return found

    def holds(self, words: str) -> bool:
        """Whether these stand anywhere in what was sent."""
        return any(words.encode() in body for _, body in self.bodies)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port, open."""
    collector = Collector()
    collector.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.gate.wait(60)
            collector.bodies.append((self.path, body))
            try:
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                # Whoever sent it has not waited.
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _span(given: Any, service: str) -> Span:
    return Span(
        name=given.name,
        id=given.span_id,
        parent=given.parent_span_id,
        trace=given.trace_id.hex(),
        kind=given.kind,
        begun=given.start_time_unix_nano,
        ended=given.end_time_unix_nano,
        about=_about(given.attributes),
        error=given.status.message if given.status.code == 2 else None,
        events=tuple(event.name for event in given.events),
        service=service,
    )


def _about(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
