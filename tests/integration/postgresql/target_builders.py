"""Targets, jobs and statements for the tests of the PostgreSQL target, and children that hold a lease."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg

from bascule.databases.postgres.lease import PostgresLease
from bascule.databases.postgres.target import PostgresTarget
from bascule.domain.history import Fact, LedgerEntry
from bascule.domain.statement import ObjectName, Statement, Touch
from bascule.ports.database import Job, LedgerChange, Limits, TargetOptions


@contextmanager
def opened(url: str | Callable[[], str], *, limits: Limits | None = None, **options: Any) -> Iterator[PostgresTarget]:
    target = PostgresTarget(url, TargetOptions(limits=limits or Limits(), **options))
    try:
        yield target
    finally:
        target.close()


@contextmanager
def leased(
    url: str | Callable[[], str], *, limits: Limits | None = None, **options: Any
) -> Iterator[tuple[PostgresTarget, PostgresLease]]:
    with opened(url, limits=limits, **options) as target:
        yield target, lease_of(target)


def lease_of(target: PostgresTarget, owner: str = "me@here:1") -> PostgresLease:
    lease = target.acquire(owner=owner, run="run_1")
    assert isinstance(lease, PostgresLease), lease
    return lease


def statement(text: str, index: int = 0, copy_data: str | None = None) -> Statement:
    return Statement(text=text, index=index, line=index + 1, offset=0, copy_data=copy_data)


def entry(name: str) -> LedgerEntry:
    return LedgerEntry(
        name=name,
        version="1",
        position=0,
        run_id=f"{name}_1",
        applied_at=datetime.now(UTC),
        execution_ms=0,
        exact_hash="e" * 64,
        semantic_hash="s" * 64,
        parser="test-1",
    )


def job(*texts: str | Statement, name: str = "m", **parts: Any) -> Job:
    """A job of these statements with a ledger row and a fact."""
    statements = tuple(
        text if isinstance(text, Statement) else statement(text, index) for index, text in enumerate(texts)
    )
    parts.setdefault("ledger", LedgerChange(entry=entry(name)))
    parts.setdefault("facts", (Fact(kind="run_completed", run_id=f"{name}_1", migration=name),))
    return Job(run_id=f"{name}_1", migration=name, direction="up", statements=statements, **parts)


def touch(*names: str) -> Touch:
    return Touch(objects=frozenset(ObjectName(kind="relation", name=name) for name in names))


def names_of(target: PostgresTarget) -> list[str]:
    return [each.name for each in target.ledger()]


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def wait_for(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


_CHILD = """
import sys, time
from bascule.ports.database import Limits, WorkFailed
from tests.integration.postgresql.target_builders import *

def say(*words):
    print(*words, flush=True)

url = sys.argv[1]
"""


def child(url: str, script: str) -> subprocess.Popen[str]:
    """Another process, which runs the script with the builders of this module, a ``url`` and a ``say``."""
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD + textwrap.dedent(script), url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def line(process: subprocess.Popen[str]) -> str:
    """The next line it says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()
