"""Metrics as Prometheus reads them: text, one line a value."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from bascule.domain.family import Family
from bascule.domain.health import CHECKS, Health
from bascule.domain.metrics import Metrics
from bascule.domain.performance import Performance
from bascule.errors import Refused

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_RANK = {"healthy": 0, "degraded": 1, "unhealthy": 2}


def exposition(
    metrics: Metrics,
    *,
    health: Health | None = None,
    performance: Sequence[Performance] = (),
    pending: int | None = None,
    labels: Mapping[str, str] | None = None,
) -> str:
    """The text of ``/metrics``. `labels` stand at each value."""
    found = families(metrics, health=health, performance=performance, pending=pending)
    return "".join(_written(family, labels or {}) for family in found)


def families(
    metrics: Metrics,
    *,
    health: Health | None = None,
    performance: Sequence[Performance] = (),
    pending: int | None = None,
) -> tuple[Family, ...]:
    """All metrics, for whoever is told of them."""
    found = [*_runs(metrics), *_own(metrics), *_custom(metrics)]
    if pending is not None:
        found.append(_one("bascule_migrations_pending", "gauge", "Migrations that are not applied.", pending))
    if health is not None:
        found += _health(health)
    if performance:
        found += _last_run(performance[0])
    return tuple(found)


def write_textfile(folder: Path, text: str, *, name: str = "bascule") -> Path:
    """Put it where the node exporter's textfile collector finds it, whole or not at all. Raises `Refused`."""
    path = folder / f"{name}.prom"
    half = folder / f".{name}.{os.getpid()}.half"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    except OSError as problem:
        with contextlib.suppress(OSError):
            half.unlink()
        raise Refused(
            f"The metrics could not be written to {path}: {problem.strerror}.",
            code="metrics_file",
            hint="Name a folder that can be written: MIGRATION_METRICS_DIR.",
        ) from problem
    return path


def _runs(metrics: Metrics) -> Iterable[Family]:
    yield Family(
        name="bascule_runs_total",
        kind="counter",
        help="Runs that have ended, by direction and outcome.",
        values=(
            ({"direction": "up", "outcome": "completed"}, metrics.successful_migrations),
            ({"direction": "up", "outcome": "failed"}, metrics.failed_migrations),
            ({"direction": "down", "outcome": "completed"}, metrics.rollback_count),
            ({"direction": "down", "outcome": "failed"}, metrics.rollback_failures),
        ),
    )
    seconds = metrics.total_execution_time / 1000
    yield _one("bascule_run_seconds_total", "counter", "Time that migrations which ended well have taken.", seconds)
    yield _one(
        "bascule_validation_failures_total",
        "counter",
        "Runs that data rules or needs refused, or that broke them, and looks that found errors.",
        metrics.validation_failures,
    )
    if metrics.validation_failures_by_rule:
        yield Family(
            name="bascule_validation_rule_failures_total",
            kind="counter",
            help="The same by rule.",
            values=tuple(({"rule": rule}, count) for rule, count in metrics.validation_failures_by_rule.items()),
        )
    if metrics.last_migration_time is not None:
        at = metrics.last_migration_time.timestamp()
        yield _one("bascule_last_run_timestamp_seconds", "gauge", "When the last migration was applied.", at)


def _own(metrics: Metrics) -> Iterable[Family]:
    own = metrics.monitoring
    if own:
        share = float(own.get("sharePercent", 0.0)) / 100
        yield _one(
            "bascule_monitoring_share_ratio", "gauge", "Share of the newest runs' time that watching took.", share
        )
        dropped = own.get("droppedEvents", 0)
        yield _one("bascule_monitoring_dropped", "gauge", "Looks that were lost in the newest runs.", dropped)


def _custom(metrics: Metrics) -> Iterable[Family]:
    for name, value in metrics.custom.items():
        plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
        yield _one(f"bascule_custom_{plain}", "gauge", "A metric of the application's own.", value)


def _health(health: Health) -> Iterable[Family]:
    checks = health.checks
    yield Family(
        name="bascule_health",
        kind="gauge",
        help="0 healthy, 1 degraded, 2 unhealthy.",
        values=tuple(({"check": check}, _RANK[checks[check]]) for check in CHECKS),
    )
    at = health.last_check.timestamp()
    yield _one("bascule_health_check_timestamp_seconds", "gauge", "When health was looked at.", at)


def _last_run(record: Performance) -> Iterable[Family]:
    for name, unit, factor, what in (
        ("execution_ms", "seconds", 0.001, "Time"),
        ("cpu_ms", "cpu_seconds", 0.001, "Processor time of Bascule's process"),
        ("memory_bytes", "memory_bytes", 1, "Memory of Bascule's process"),
        ("lock_wait_ms", "lock_wait_seconds", 0.001, "Time waited for locks"),
        ("rows", "rows", 1, "Rows affected"),
        ("wal_bytes", "wal_bytes", 1, "Bytes of WAL"),
        ("temp_bytes", "temp_bytes", 1, "Bytes of temporary files"),
    ):
        value = getattr(record, name)
        if value is not None:
            yield _one(f"bascule_last_run_{unit}", "gauge", f"{what} of the newest run.", value * factor)


def _one(name: str, kind: Literal["counter", "gauge"], words: str, value: float | int) -> Family:
    return Family(name=name, kind=kind, help=words, values=(({}, value),))


def _written(family: Family, labels: Mapping[str, str]) -> str:
    lines = [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
    for own, value in family.values:
        if value is not None:
            given = ",".join(f'{key}="{_escaped(word)}"' for key, word in {**labels, **own}.items())
            lines.append(f"{family.name}{'{' + given + '}' if given else ''} {_number(value)}")
    return "\n".join(lines) + "\n"


def _number(value: float | int) -> str:
    return str(value) if isinstance(value, int) else repr(round(value, 6))


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
