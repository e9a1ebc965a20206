"""The one place where settings become objects. Only what a command needs is imported, when it needs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bascule.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from bascule.config.address import Address
    from bascule.config.settings import Settings
    from bascule.domain.event import Event
    from bascule.domain.migration import Hook
    from bascule.domain.statement import ObjectName, Touch
    from bascule.ports.database import Target
    from bascule.ports.python import PythonScripts
    from bascule.ports.source import Source
    from bascule.services.context import Context

_KINDS: Mapping[str, str] = {
    "table": "relation",
    "view": "relation",
    "materialized view": "relation",
    "foreign table": "relation",
    "index": "relation",
    "sequence": "relation",
    "function": "routine",
    "procedure": "routine",
    "aggregate": "routine",
    "type": "type",
    "domain": "type",
    "schema": "schema",
    "role": "role",
    "extension": "extension",
}


def open_target(settings: Settings, *, read_only: bool = False) -> Target:
    """The database of the settings; it connects when it is first asked something.

    Raises:
        ConfigError: nothing names a database (code ``no_database``), or its password cannot be had.
        TargetUnreachable: the driver is not installed, or there is no connection.
    """
    from bascule.ports.database import Limits, TargetOptions

    address = settings.address
    if address is None:
        raise ConfigError(
            settings.missing,
            code="no_database",
            hint="Set DATABASE_URL, give --database-url, or let `bascule init` write down an SQLite file. "
            "`bascule demo` needs none.",
        )
    options = TargetOptions(
        schema=settings.schema,
        limits=Limits(**settings.limits),  # type: ignore[arg-type]
        direct_url=_opener(settings.direct) if settings.direct else None,
        search_path=settings.search_path,
        state_url=settings.state.reveal() if settings.state else None,
        read_only=read_only,
    )
    if address.url.dialect == "sqlite":
        from bascule.databases.sqlite.target import SqliteTarget

        return SqliteTarget(address.reveal(), options)
    from bascule.databases.postgres.target import PostgresTarget

    return PostgresTarget(_opener(address), options)


def _opener(address: Address) -> str | Callable[[], str]:
    """The address, or what is asked for it at each connection where its password changes."""
    return address.reveal if address.changes else address.reveal()


def open_source(settings: Settings) -> Source:
    """The migrations folder. Raises SourceError when there is none or its format cannot be told."""
    from bascule.sources.detect import open_source as detect

    return detect(short(settings.migrations_dir), format=settings.format, variables=settings.variables)


def short(path: Path) -> str:
    """As people would type it: relative where it is below the process's working folder."""
    try:
        return str(path.relative_to(os.getcwd()))
    except (ValueError, FileNotFoundError):
        return str(path)


def context(
    settings: Settings,
    *,
    publish: Callable[[Event], None],
    say: Callable[[str], None],
    confirm: Callable[[str], bool] | None = None,
    stopping: Callable[[], str | None] = lambda: None,
    source: Source | None = None,
    target: Target | None = None,
    read_only: bool = False,
) -> Context:
    """Everything a service works through. Raises as `open_source` and `open_target`; the caller closes the target."""
    from bascule.monitoring.clock import SystemClock
    from bascule.ports.database import Limits
    from bascule.services.context import Context, Policy

    source = source or open_source(settings)
    target = target or open_target(settings, read_only=read_only)
    if settings.hidden_variables:
        from bascule.services.concealed import concealing

        target = concealing(target, settings.conceal)
        publish, say = _event_concealer(publish, settings), _concealer(say, settings)
    return Context(
        source=source,
        target=target,
        policy=Policy(
            environment=settings.environment,
            environment_named=settings.environment_named,
            late=settings.late,
            lock_wait=settings.lock_wait,
            limits=Limits(**settings.limits),  # type: ignore[arg-type]
            validate=settings.validation_enabled,
            variables=settings.variables,
            outside=outside(settings.fingerprint_ignore),
        ),
        clock=SystemClock(),
        publish=publish,
        say=say,
        confirm=confirm,
        python=python_scripts,
        hooks=lambda: _hooks(settings, source.format),
        owner=owner(),
        stopping=stopping,
        conceal=settings.conceal if settings.hidden_variables else str,
    )


def _concealer(say: Callable[[str], None], settings: Settings) -> Callable[[str], None]:
    return lambda words: say(settings.conceal(words))


def _event_concealer(publish: Callable[[Event], None], settings: Settings) -> Callable[[Event], None]:
    from dataclasses import replace

    from bascule.services.concealed import concealed

    return lambda event: publish(replace(event, data=concealed(event.data, settings.conceal)))


def _hooks(settings: Settings, format: str) -> Sequence[Hook]:  # noqa: A002
    """None for another tool's folder: what stands in a folder ``hooks`` there was never meant for us."""
    if format != "bascule":
        return ()
    from bascule.sources.hooks import hooks

    return hooks(str(settings.migrations_dir), variables=settings.variables)


def python_scripts() -> PythonScripts | None:
    """Who runs Python migrations; None without the extra ``alembic``."""
    from importlib.util import find_spec

    if find_spec("sqlalchemy") is None or find_spec("alembic") is None:
        return None
    from bascule.databases.operations.port import AuthorScripts

    return AuthorScripts()


def owner() -> str:
    """This process as whoever waits for it reads it: user@host:pid."""
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or _account()
    return f"{user}@{os.uname().nodename}:{os.getpid()}"


def outside(ignored: tuple[str, ...]) -> Touch:
    """The objects that are left out of fingerprints, from words like ``table public.jobs``. Raises ConfigError."""
    from bascule.domain.statement import Touch

    return Touch(objects=frozenset(_object(words) for words in ignored))


def _object(words: str) -> ObjectName:
    from bascule.domain.statement import ObjectName

    kind, _, name = words.strip().rpartition(" ")
    if kind not in _KINDS or not name:
        raise ConfigError(
            f"Setting fingerprint.ignore: {words!r} does not name an object.",
            hint=f'Write a kind and a name, as in "table public.jobs". Kinds: {", ".join(_KINDS)}.',
        )
    parts = _split_name(name)
    return ObjectName(kind=_KINDS[kind], name=parts[-1], schema=parts[-2] if len(parts) > 1 else None)  # type: ignore[arg-type]


def _split_name(name: str) -> list[str]:
    """Parts of a name as the database folds them: quoted ones as they are, the others in lower case."""
    import re

    return [
        quoted.replace('""', '"') if quoted else plain.lower()
        for quoted, plain in re.findall(r'"((?:[^"]|"")+)"|([^."]+)', name)
    ]


def _account() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
