"""Records to spans of OpenTelemetry. Loads its API, and belongs into the thread that sends."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bascule.monitoring.otel.records import Begun, Ended, Happened, Queries, Record, Value
from bascule.sql.without_literals import LONGEST, operation_name, without_literals

AT_ONCE: Final = 256
"""Spans that have ended, after which they are handed to whoever sends: its queue is not long."""


class Spans:
    """The spans of one run."""

    def __init__(self, tracer: Tracer, *, clean: Callable[[str], str], around: Any, flush: Callable[[], None]) -> None:
        self._tracer = tracer
        self._clean = clean
        self._outside = _parent(around)
        self._flush = flush
        self._open: dict[int, Span] = {}
        self._ended = 0

    def take(self, record: Record) -> None:
        """Make of it what it is."""
        if isinstance(record, Begun):
            self._begin(record)
        elif isinstance(record, Happened):
            if (span := self._open.get(record.key)) is not None:
                span.add_event(record.name, self._cleaned(record.attributes), timestamp=record.at)
        else:
            self._end(record)

    def _begin(self, record: Begun) -> None:
        parent = self._open.get(record.parent) if record.parent is not None else None
        around = trace.set_span_in_context(parent) if parent is not None else self._outside
        about = self._cleaned(record.attributes)
        name = record.name
        if record.queries is not None and record.queries.texts:
            about |= _queries(record.queries, self._clean)
            name = name or str(about["db.operation.name"])
        self._open[record.key] = self._tracer.start_span(
            name or "statement",
            context=around,
            kind=SpanKind.CLIENT if record.queries is not None else SpanKind.INTERNAL,
            attributes=about,
            start_time=record.at,
        )

    def _end(self, record: Ended) -> None:
        span = self._open.pop(record.key, None)
        if span is None:
            return
        span.set_attributes(self._cleaned(record.attributes))
        if record.error:
            span.set_attribute("error.type", record.error)
            span.set_status(Status(StatusCode.ERROR, record.error))
        span.end(record.at)
        self._ended += 1
        if self._ended % AT_ONCE == 0:
            self._flush()

    def _cleaned(self, given: Any) -> dict[str, Value]:
        return {name: self._clean(value) if isinstance(value, str) else value for name, value in given.items()}


def _queries(queries: Queries, clean: Callable[[str], str]) -> dict[str, Value]:
    names = tuple(dict.fromkeys(operation_name(text, queries.dialect) for text in queries.texts))
    shown, length = [], 0
    for text in queries.texts:
        # A secret may be a name or a word too, which stays.
        words = clean(without_literals(text, queries.dialect))
        shown.append(words)
        length += len(words)
        if length > LONGEST:
            shown.append("…")
            break
    about: dict[str, Value] = {"db.query.text": "; ".join(shown), "db.operation.name": names[0]}
    if len(queries.texts) > 1:
        about["db.operation.name"] = f"BATCH {names[0]}" if len(names) == 1 else "BATCH"
        about["db.operation.batch.size"] = len(queries.texts)
    return about


def _parent(around: Any) -> Any:
    """The trace that the run is part of: the application's own, else that of whoever started this process."""
    if around is not None and trace.get_current_span(around).get_span_context().is_valid:
        return around
    given = {name.lower(): os.environ[name] for name in ("TRACEPARENT", "TRACESTATE") if os.environ.get(name)}
    return TraceContextTextMapPropagator().extract(given)
