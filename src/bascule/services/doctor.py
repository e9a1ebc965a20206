"""Look whether everything is there that a run will need, and say what is not. Changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bascule.errors import BasculeError
from bascule.ports.database import Target, TargetInfo, WorkFailed
from bascule.ports.source import Source

Status = Literal["ok", "warning", "problem"]

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "postgres": ("psycopg", "postgast"),
    "alembic": ("sqlalchemy", "alembic"),
    "django": ("django",),
    "server": ("fastapi", "uvicorn", "jwt"),
    "encryption": ("pyrage",),
    "s3": ("obstore",),
    "alerts": ("apprise",),
    "otel": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
}
"""Extras of the package, with the modules that each brings."""

OLDEST_SQLITE = (3, 35)
OLDEST_POSTGRES = 140000


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    message: str
    hint: str = ""

    def as_dict(self) -> dict[str, str]:
        """The JSON form."""
        return {"name": self.name, "status": self.status, "message": self.message, "hint": self.hint}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All checks."""

    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        """Nothing would keep a run from working."""
        return not any(check.status == "problem" for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"healthy": self.healthy, "checks": [check.as_dict() for check in self.checks]}


def diagnose(
    *,
    version: str,
    source: Callable[[], Source],
    target: Callable[[], Target],
    environment: str | None,
    schema: str,
    backups: Callable[[], Iterable[Check]] = tuple,
    tools: Callable[[int], str] | None = None,
) -> Diagnosis:
    """Everything, in the order in which one thing needs the other.

    `source` and `target` open what they are called for; `environment` is the setting, None where it was not set.
    `backups` looks at their store and keys; `tools` names the pg_dump for a major version of the server, or raises.
    Raises nothing: what goes wrong becomes a check.
    """
    checks = [*installation(version), *_soundly("migrations", lambda: _folder(source()))]
    checks += _soundly("target", lambda: _target(target, environment, schema, tools))
    checks += _soundly("backups", backups)
    return Diagnosis(checks=tuple(checks))


def installation(version: str) -> Iterator[Check]:
    """The parts on this machine."""
    import sqlite3

    python = ".".join(map(str, sys.version_info[:3]))
    yield Check(name="bascule", status="ok", message=f"Bascule {version} on Python {python}")
    new_enough = sqlite3.sqlite_version_info >= OLDEST_SQLITE
    yield Check(
        name="sqlite",
        status="ok" if new_enough else "problem",
        message=f"SQLite {sqlite3.sqlite_version}",
        hint="" if new_enough else "SQLite 3.35 or newer is needed.",
    )
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if not _installed(module)]
        yield Check(
            name=f"extra {extra}",
            status="ok",
            message="installed" if not missing else f"not installed ({', '.join(missing)})",
            hint=f"pip install 'bascule[{extra}]'" if missing else "",
        )


def _installed(module: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _soundly(name: str, look: Callable[[], Iterable[Check]]) -> list[Check]:
    """The checks, as far as they come; what breaks them off is the last one."""
    found: list[Check] = []
    try:
        found.extend(look())
    except BasculeError as error:
        found.append(Check(name=name, status="problem", message=error.message, hint=error.hint))
    except WorkFailed as failure:
        found.append(
            Check(name=name, status="problem", message=failure.message, hint=failure.hint or failure.server_hint)
        )
    return found


def _folder(source: Source) -> Iterator[Check]:
    listing = source.listing()
    yield Check(
        name="migrations", status="ok", message=f"{len(listing)} migrations in {source.folder}, format {source.format}"
    )
    for words in source.passed_over():
        yield Check(name="migrations", status="warning", message=f"passed over: {words}")


def _target(
    open_target: Callable[[], Target], environment: str | None, schema: str, tools: Callable[[int], str] | None
) -> Iterable[Check]:
    target = open_target()
    found: list[Check] = []
    try:
        info = target.describe()
        found += _soundly("target", lambda: _server(info))
        found += _soundly("environment", lambda: _environment(info, environment))
        found += _soundly("rights", lambda: _rights(target, info, schema))
        found += _soundly("ledger", lambda: _ledger(target, info))
        found += _soundly("connections", lambda: _second_connection(open_target))
        if tools is not None and info.dialect == "postgresql":
            found.append(_backup_tools(tools, info.version // 10000))
    finally:
        target.close()
    return found


def _backup_tools(tools: Callable[[int], str], major: int) -> Check:
    """Without pg_dump everything works but backups, which is worth a warning."""
    try:
        return Check(name="backup tools", status="ok", message=tools(major))
    except BasculeError as error:
        return Check(name="backup tools", status="warning", message=error.message, hint=error.hint)


def _server(info: TargetInfo) -> Iterator[Check]:
    old = info.dialect == "postgresql" and info.version < OLDEST_POSTGRES
    yield Check(
        name="target",
        status="warning" if old else "ok",
        message=f"{info.server}, database {info.database}" + (f", as {info.user}" if info.user else ""),
        hint="PostgreSQL 14 or newer is supported." if old else "",
    )
    if info.pooled:
        yield Check(
            name="pooler",
            status="ok",
            message="a transaction-mode pooler stands between; only what holds inside a transaction is used",
            hint="MIGRATION_DIRECT_URL names a way past it, which backups need.",
        )


def _environment(info: TargetInfo, setting: str | None) -> Iterator[Check]:
    if info.environment is None:
        yield Check(
            name="environment",
            status="ok",
            message="the target has no mark of its environment",
            hint="bascule init --environment production protects it.",
        )
        return
    differs = setting != info.environment and (setting is not None or info.environment == "production")
    yield Check(
        name="environment",
        status="problem" if differs else "ok",
        message=f"the target says {info.environment}, the setting says {setting or 'nothing'}",
        hint=f"Set MIGRATION_ENVIRONMENT={info.environment}, if this is the right target." if differs else "",
    )


def _rights(target: Target, info: TargetInfo, schema: str) -> Iterator[Check]:
    if info.dialect != "postgresql":
        return
    literal = "'" + schema.replace("'", "''") + "'"
    create, there, use, standby = target.query(
        "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), "
        f"EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = {literal}), "
        f"(SELECT pg_catalog.has_schema_privilege(oid, 'CREATE, USAGE') FROM pg_catalog.pg_namespace "
        f"WHERE nspname = {literal}), pg_catalog.pg_is_in_recovery()"
    )[0]
    if standby:
        yield Check(
            name="rights",
            status="problem",
            message="the server is a standby: nothing can be changed there",
            hint="Name the primary; several hosts with target_session_attrs=read-write find it.",
        )
    allowed = use if there else create
    yield Check(
        name="rights",
        status="ok" if allowed else "problem",
        message=f"{info.user} may {'' if allowed else 'not '}{'use' if there else 'create'} the schema {schema}",
        hint=""
        if allowed
        else f"GRANT CREATE ON DATABASE {info.database} TO {info.user}; or let an owner run init once.",
    )


def _ledger(target: Target, info: TargetInfo) -> Iterator[Check]:
    if not info.prepared:
        yield Check(name="ledger", status="ok", message="Bascule has not run here yet")
        return
    applied = target.ledger()
    target.journal(limit=1)
    if info.dialect == "sqlite":
        yield from _sidecar(info)
    half_done = sorted({name for name, _ in target.marks()})
    yield Check(
        name="ledger",
        status="warning" if half_done else "ok",
        message=f"{len(applied)} applied; ledger and journal can be read"
        + (f"; half done: {', '.join(half_done)}" if half_done else ""),
        hint="bascule recover finishes it." if half_done else "",
    )


def _sidecar(info: TargetInfo) -> Iterator[Check]:
    """The journal of an SQLite database is a file beside it; who moves one has to move both."""
    from pathlib import Path

    beside = Path(info.location.removeprefix("sqlite:///") + ".bascule")
    there = beside.is_file()
    yield Check(
        name="sidecar",
        status="ok" if there else "warning",
        message=f"{beside}" if there else f"{beside} is missing, and with it the journal",
        hint="" if there else "Bring it back if the database was moved; the next run begins a new one.",
    )


def _second_connection(open_target: Callable[[], Target]) -> Iterator[Check]:
    """A run needs two connections at once: one works, the other renews the lease."""
    second = open_target()
    try:
        second.describe()
    finally:
        second.close()
    yield Check(name="connections", status="ok", message="two are to be had at once")
