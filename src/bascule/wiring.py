"""The one place where settings become objects. Only what a command needs is imported, when it needs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bascule.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from bascule.backups.encryption import Encryption
    from bascule.config.address import Address
    from bascule.config.settings import Settings
    from bascule.domain.event import Event
    from bascule.domain.migration import Hook
    from bascule.domain.statement import ObjectName, Touch
    from bascule.ports.backup_store import BackupStore
    from bascule.ports.database import Target
    from bascule.ports.dump import Dumper
    from bascule.ports.python import PythonScripts
    from bascule.ports.source import Source
    from bascule.ports.validation import DataReader, Declaration, ValidationRule
    from bascule.services.backups import Backups
    from bascule.services.context import Context
    from bascule.services.validate import Validation
    from bascule.validation.passes import Passes

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
            strict=settings.validation_strict,
            on_failure=settings.on_failure,
            variables=settings.variables,
            preimage_retention=settings.preimage_retention,
            plan_lifetime=settings.plan_lifetime,
            own_schema=settings.schema,
            plan_key=settings.secret_key.reveal if settings.secret_key is not None else None,
            outside=outside(settings.fingerprint_ignore),
        ),
        clock=SystemClock(),
        publish=publish,
        say=say,
        confirm=confirm,
        python=python_scripts,
        hooks=lambda: _hooks(settings, source.format),
        rules=lambda: validation(settings, stopping=stopping),
        backups=lambda: backups(settings),
        save=settings.backup["enabled"],
        owner=owner(),
        stopping=stopping,
        conceal=settings.conceal if settings.hidden_variables else str,
    )


def validation(
    settings: Settings,
    *,
    progress: Callable[[int, int], None] = lambda done, of: None,
    stopping: Callable[[], str | None] = lambda: None,
) -> Validation:
    """The data rules and who reads for them; the caller closes the reader.

    Raises ConfigError for a declaration that cannot be read, and as `open_target`. Rules of the project that cannot be
    loaded are in `Validation.broken`.
    """
    from bascule.monitoring.clock import SystemClock
    from bascule.ports.validation import ValidationOptions
    from bascule.services.validate import Validation, with_rules

    chosen = settings.validation
    declared, own = _declared_rules(settings)
    brought, broken = _brought_rules(settings)
    found = Validation(
        reader=_data_reader(settings),
        clock=SystemClock(),
        declared=declared,
        options=ValidationOptions(
            seconds=chosen["timeout"],
            sample_above=chosen["sample_above"],
            large_table=chosen["large_table"],
            trust_catalog=chosen["trust_catalog"],
        ),
        strict=settings.validation_strict,
        passes=lambda: _passes(settings),
        broken=broken,
        progress=progress,
        stopping=stopping,
    )
    return with_rules(found, [*brought, *own])


def _passes(settings: Settings) -> Passes:
    import hashlib
    from pathlib import Path

    from bascule.sources.cache import cache_home
    from bascule.validation.passes import Passes

    folder = hashlib.sha256(os.fsencode(os.path.realpath(settings.folder))).hexdigest()
    return Passes(path=Path(cache_home()) / f"validate-{folder[:40]}.json")


def _data_reader(settings: Settings) -> DataReader:
    # Says what is missing, in the words of every other command.
    open_target(settings, read_only=True).close()
    address = settings.address
    assert address is not None, "open_target has refused that"
    if address.url.dialect == "sqlite":
        from bascule.databases.sqlite.validation import SqliteReader

        return SqliteReader(address.reveal())
    from bascule.databases.postgres.validation import PostgresReader

    return PostgresReader(
        _opener(settings.direct or address), own_schema=settings.schema, search_path=settings.search_path
    )


def _declared_rules(settings: Settings) -> tuple[dict[str, tuple[Declaration, ...]], list[ValidationRule]]:
    """Declarations by rule, and rules written as SQL. Raises ConfigError."""
    from bascule.config.values import duration
    from bascule.ports.validation import Declaration
    from bascule.validation.declared import read_rule

    found: dict[str, tuple[Declaration, ...]] = {}
    own: list[ValidationRule] = []
    for number, said in enumerate(settings.validation["rules"] or (), 1):
        try:
            read = read_rule(said, duration=lambda value: duration(value, unit=86_400.0))
        except ValueError as wrong:
            raise ConfigError(
                f"Setting validation.rules, table {number}: {wrong}.",
                hint="Correct it there.",
                details={"setting": "validation.rules"},
            ) from None
        if isinstance(read, Declaration):
            found[read.rule] = (*found.get(read.rule, ()), read)
        else:
            own.append(read)
    return found, own


def _brought_rules(settings: Settings) -> tuple[list[ValidationRule], tuple[str, ...]]:
    """Rules of the project's modules and of plugins, and in words those that cannot be had."""
    from functools import partial
    from importlib.metadata import entry_points
    from types import ModuleType

    from bascule.validation.custom import as_rule, rules_in

    base = settings.config_file.parent if settings.config_file else settings.folder
    sources: list[tuple[str, Callable[[], object]]] = [
        (name, partial(_imported, name, str(base))) for name in settings.validation["custom"] or ()
    ]
    sources += [(f"the plugin {entry.name}", entry.load) for entry in entry_points(group="bascule.validation_rules")]
    found: list[ValidationRule] = []
    broken = []
    for name, load_it in sources:
        try:
            given = load_it()
            found += rules_in(given) if isinstance(given, ModuleType) else [as_rule(given)]
        except Exception as exc:  # noqa: BLE001 - somebody else's code, whatever it raises
            broken.append(f"the rules of {name} cannot be loaded: {type(exc).__name__}: {exc}")
    return found, tuple(broken)


def _imported(name: str, folder: str) -> object:
    """A module, or what it calls by a name, looked for in the project's folder first."""
    import importlib
    import sys

    module, _, attribute = name.partition(":")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    found: object = importlib.import_module(module)
    for part in attribute.split(".") if attribute else ():
        found = getattr(found, part)
    return found


def backups(settings: Settings) -> Backups:
    """Where backups of the settings' target are kept, and who takes them. Raises ConfigError for a wrong store or key;
    nothing is asked of store or server yet.
    """
    from datetime import timedelta

    from bascule import __version__
    from bascule.backups.retention import RetentionPolicy
    from bascule.services.backups import Backups

    chosen = settings.backup
    return Backups(
        store=backup_store(settings),
        dumper=_dumper(settings),
        elsewhere=lambda given: _elsewhere(settings, given),
        encryption=backup_encryption(settings),
        verify=chosen["verify"],
        retention=RetentionPolicy(
            max_age=None if chosen["max_age"] is None else timedelta(seconds=chosen["max_age"]),
            max_count=chosen["max_count"],
            max_bytes=chosen["max_bytes"],
        ),
        version=__version__,
        schema=settings.schema,
    )


def backup_store(settings: Settings) -> BackupStore:
    """Where backups are kept. Raises ConfigError for a wrong address."""
    from bascule.backups.stores.opening import open_store

    return open_store(_store_address(settings))


def backup_encryption(settings: Settings) -> Encryption | None:
    """The keys for backups, None where none is set. Raises ConfigError for a wrong or exposed one."""
    secret, recipient = settings.backup_key, settings.backup["recipient"]
    if secret is None and recipient is None:
        return None
    from bascule.backups.encryption import Encryption

    found = []
    if secret is not None and secret.file is not None:
        found.append(Encryption.from_file(str(secret.file), origin=secret.setting))
    elif secret is not None:
        found.append(Encryption.from_text(secret.reveal(), origin=secret.setting))
    if recipient is not None:
        found.append(Encryption.from_text(recipient.replace(",", "\n"), origin="backup.recipient"))
    return Encryption(
        recipients=tuple(dict.fromkeys(each for one in found for each in one.recipients)),
        identities=tuple(each for one in found for each in one.identities),
    )


def backup_tools(major: int) -> str:
    """The pg_dump for a server of that version, in words. Raises Refused with what to install."""
    from bascule.databases.postgres.pg_tools import find_tools

    tools, own = find_tools(major)
    return f"{tools.pg_dump}, version {tools.version}" + (
        "" if own else f"; none of version {major}, so a round trip has to prove it before each backup"
    )


def _store_address(settings: Settings) -> str:
    named: str | None = settings.backup["store"]
    if named is None:
        return str(settings.backup_dir)
    return named if "://" in named else str(settings.folder / os.path.expanduser(named))


def _dumper(settings: Settings) -> Dumper:
    address = settings.address
    assert address is not None, "the target was opened, so there is an address"
    if address.url.dialect == "sqlite":
        from bascule.databases.sqlite.dumper import SqliteDumper

        return SqliteDumper(address.reveal())
    from bascule.databases.postgres.dumper import PostgresDumper

    # pg_dump needs a session of its own, so past a pooler where there is a way.
    return PostgresDumper(_opener(settings.direct or address), schema=settings.schema)


def _elsewhere(settings: Settings, given: str) -> tuple[Dumper, str]:
    """Who makes a new database, and its name there. Raises ConfigError for an address that cannot be read."""
    from dataclasses import replace

    from bascule.config.url import parse_url

    if "://" not in given:
        return _dumper(settings), given
    url = parse_url(given, folder=settings.folder)
    if url.dialect == "sqlite":
        from bascule.databases.sqlite.dumper import SqliteDumper

        return SqliteDumper(given), str(url.database)
    from bascule.databases.postgres.dumper import PostgresDumper

    if not url.database:
        raise ConfigError("--to names a server and no database.", hint="End the address with the new database's name.")
    # One has to be connected to some database to make another: every server has this one.
    return PostgresDumper(replace(url, database="postgres").text(), schema=settings.schema), url.database


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
