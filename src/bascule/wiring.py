"""The one place where settings become objects. Only what a command needs is imported, when it needs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from bascule.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from bascule.backups.encryption import Encryption
    from bascule.config.address import Address
    from bascule.config.settings import Settings
    from bascule.domain.event import Event
    from bascule.domain.family import Family
    from bascule.domain.health import Health
    from bascule.domain.metrics import Metrics
    from bascule.domain.migration import Hook
    from bascule.domain.performance import Performance
    from bascule.domain.period import PeriodReport
    from bascule.domain.statement import ObjectName, Touch
    from bascule.monitoring.alerts.policy import AlertPolicy
    from bascule.monitoring.alerts.sending import Hand, Outbox
    from bascule.monitoring.alerts.watching import Looked, Watch
    from bascule.monitoring.kept import Kept
    from bascule.monitoring.otel.recorder import Recorder
    from bascule.monitoring.rounds import Duty, Rounds
    from bascule.ports.backup_store import BackupStore
    from bascule.ports.database import Target
    from bascule.ports.dump import Dumper
    from bascule.ports.python import PythonScripts
    from bascule.ports.source import Source
    from bascule.ports.state import StateDoor
    from bascule.ports.validation import DataReader, Declaration, ValidationRule
    from bascule.services.backups import Backups
    from bascule.services.cleanup import Cleaned
    from bascule.services.context import Context
    from bascule.services.status import StatusReport
    from bascule.services.trail import Trail
    from bascule.services.validate import Validation
    from bascule.validation.passes import Passes

_WATCH_EVERY = 5.0
"""Seconds between two looks of a server at what alerts call for."""
_ENDED, _WELL = frozenset({"ended"}), frozenset({"well"})
"""What wakes a server's duties: a run has ended, and health is better than the alerts say."""
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
    where: str = "command line",
) -> Context:
    """Everything a service works through. `where`: by which door the call came, for the audit log.

    Raises as `open_source` and `open_target`; the caller closes the target.
    """
    from bascule.monitoring.clock import SystemClock
    from bascule.ports.database import Limits
    from bascule.services.context import Context, Policy

    source = source or open_source(settings)
    target = target or open_target(settings, read_only=read_only)
    if _debugging():
        from bascule.services.statement_log import logging_statements

        target = logging_statements(target, settings.clean)
    telemetry = None if read_only else _recorder(settings, target, say)
    if telemetry is not None:
        from bascule.monitoring.otel.performing import recording

        target, publish = recording(target, telemetry), telemetry.listening(publish)
    measured: Callable[[], Sequence[Performance]] = tuple
    if settings.monitoring_enabled and not read_only:
        from bascule.monitoring.sampler import Sampler

        sampler = Sampler(target.vitals)
        publish, measured = sampler.around(publish), sampler.take
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
            approvals=settings.approvals,
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
        trail=None if read_only else trail(settings, target, where=where),
        measured=measured,
        telemetry=telemetry,
        conceal=settings.conceal if settings.hidden_variables else str,
    )


def _debugging() -> bool:
    """Somebody reads the log to the last line. Where nobody has set one up it is not even loaded."""
    import sys

    if "logging" not in sys.modules:
        return False
    import logging

    return logging.getLogger("bascule.sql").isEnabledFor(logging.DEBUG)


def _recorder(settings: Settings, target: Target, say: Callable[[str], None]) -> Recorder | None:
    """Who writes down for OpenTelemetry what is done; None where that is switched off, or cannot be had, which is said.
    Loads nothing of OpenTelemetry.
    """
    if not _otel_is_on(settings):
        return None
    missing = _missing_of_otel()
    if missing:
        say(
            f"OpenTelemetry is told nothing: `otel` is switched on, and {missing} is not installed. "
            "pip install 'bascule[otel]' brings it."
        )
        return None
    from bascule.monitoring.otel.recorder import Recorder

    about: dict[str, str] = {"bascule.environment": settings.environment}
    if settings.target is not None:
        about["bascule.target"] = settings.target
    address = settings.address
    if address is not None and address.url.host:
        about["server.address"] = address.url.host
    return Recorder(target, about=about, clean=settings.clean)


def _otel_is_on(settings: Settings) -> bool:
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return settings.otel and settings.monitoring_enabled and not disabled


def _missing_of_otel() -> str:
    from importlib.util import find_spec

    for module in ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"):
        try:
            if find_spec(module) is not None:
                continue
        except ModuleNotFoundError:
            pass
        return module
    return ""


def tell_otel(settings: Settings, context: Context) -> None:
    """After something was done: hand its trace and the metrics over. Never raises, and waits for two seconds at most:
    what was done is done.
    """
    telemetry = context.telemetry
    if telemetry is None:
        return
    from bascule.config.url import mask

    problem = telemetry.hand_over(lambda: _measures(settings, context))
    if problem is not None:
        context.say(f"OpenTelemetry was not told all of it: {mask(settings.clean(problem))}.")


def _metrics_interval() -> float:
    """Seconds between two times at which a server sends its metrics."""
    given = os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")
    return max(1.0, int(given) / 1000) if given.isascii() and given.isdigit() else 60.0


def _tell_measures(settings: Settings) -> None:
    """What a server does again and again: send all metrics, health among them. Raises what goes wrong."""
    from bascule.errors import BasculeError
    from bascule.monitoring.otel.providers import providers
    from bascule.monitoring.prometheus import families
    from bascule.services.metrics import metrics
    from bascule.services.performance import performance

    opened = context(settings, publish=lambda event: None, say=lambda words: None, read_only=True)
    try:
        report = _status(opened)
        found = families(
            metrics(opened),
            health=health(settings, opened, report=report),
            performance=performance(opened, limit=1, measured=True),
            pending=len(report.pending),
        )
        told = _labelled(settings, opened, found)
    finally:
        opened.target.close()
    known = providers()
    lost = known.lost
    known.tell(told)
    if (problem := known.problem(since=lost)) is not None:
        raise BasculeError(f"OpenTelemetry was not told all of it: {settings.clean(problem)}.")


def _measures(settings: Settings, context: Context) -> tuple[Family, ...]:
    """What `prometheus` tells, but for health: to look at that takes longer than a short run. Empty where it cannot be
    had.
    """
    from bascule.errors import BasculeError
    from bascule.monitoring.prometheus import families
    from bascule.ports.database import WorkFailed
    from bascule.services.metrics import metrics
    from bascule.services.performance import performance

    try:
        found = families(
            metrics(context),
            performance=performance(context, limit=1, measured=True),
            pending=len(_status(context).pending),
        )
        return _labelled(settings, context, found)
    except (BasculeError, WorkFailed):
        return ()


def _labelled(settings: Settings, context: Context, found: Sequence[Family]) -> tuple[Family, ...]:
    from dataclasses import replace

    target = settings.target or context.target.describe().database
    return tuple(
        replace(each, values=[({"target": target, **labels}, value) for labels, value in each.values]) for each in found
    )


def trail(settings: Settings, target: Target, *, where: str = "command line", who: str | None = None) -> Trail:
    """Who writes what is asked of this target into its audit log. Nothing is asked of key or store yet."""
    return trail_of(settings, lambda: target.state(beside=False), who=who or owner(), where=where)


def trail_of(settings: Settings, door: Callable[[], StateDoor], *, who: str, where: str) -> Trail:
    """As `trail`, through that door to the state store."""
    from bascule.monitoring.audit_heads import HeadFolder
    from bascule.monitoring.clock import SystemClock
    from bascule.services.trail import Trail

    return Trail(
        door=door,
        key=lambda: audit_key(settings),
        clock=SystemClock(),
        who=who,
        where=where,
        heads=HeadFolder(settings.audit_dir, _whereabouts(settings)),
        clean=settings.clean,
    )


def _whereabouts(settings: Settings) -> str:
    """Database and schema, whoever asks for them with whatever password."""
    if settings.address is None:
        return ""
    url = settings.address.url
    database = os.path.realpath(url.database) if url.dialect == "sqlite" and url.database else url.database
    return " ".join((url.dialect, url.host or "", database or "", settings.schema))


def audit_key(settings: Settings) -> bytes | None:
    """The key of the audit log, None where none is set. Raises ConfigError when its file cannot be read."""
    return None if settings.audit_key is None else settings.audit_key.reveal().encode()


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


def health(
    settings: Settings,
    context: Context,
    *,
    report: StatusReport | None = None,
    fingerprints: dict[str, str] | None = None,
) -> Health:
    """Look at the target and judge what is found. `report` and `fingerprints`: as `look_at_health`. Raises nothing for
    a target that is not there.
    """
    from dataclasses import replace

    from bascule.domain.health import HealthLimits
    from bascule.monitoring.health.judging import judged
    from bascule.services.health import look_at_health

    _, broken = _brought_rules(settings) if settings.validation["custom"] else ((), ())
    chosen = settings.health
    limits = HealthLimits(
        free_space=chosen["free_space"],
        replication_lag=chosen["replication_lag"],
        connections=chosen["connections"],
        ignore=tuple(chosen["ignore"] or ()),
    )
    seen = look_at_health(context, report=report, free_space=_free_space(settings), fingerprints=fingerprints)
    return judged(replace(seen, validation_broken=broken), limits)


def alert_policy(settings: Settings) -> AlertPolicy:
    """What the project has decided about its alerts. Raises ConfigError."""
    from bascule.monitoring.alerts.declared import policy_of

    return policy_of(
        settings.alerts,
        webhooks=settings.webhooks,
        send_to=settings.alert_urls.reveal() if settings.alert_urls is not None else None,
        secret=settings.webhook_secret.reveal() if settings.webhook_secret is not None else None,
    )


def watch(settings: Settings, context: Context, policy: AlertPolicy) -> Watch:
    """Who makes alerts of what the journal and health tell."""
    import secrets

    from bascule.monitoring.alerts.watching import Watch

    return Watch(
        policy=policy,
        now=context.clock.now,
        new_id=lambda: secrets.token_hex(6),
        clean=settings.clean,
        about=_place(settings, context),
    )


def _place(settings: Settings, context: Context) -> dict[str, str]:
    about = {"environment": settings.environment, "database": context.target.describe().database}
    return about | ({"name": settings.target} if settings.target else {})


def outbox(settings: Settings, policy: AlertPolicy) -> Outbox:
    """Who sends messages about alerts, and events to webhooks."""
    from bascule.monitoring.alerts.sending import Outbox
    from bascule.monitoring.clock import SystemClock

    return Outbox(policy=policy, hands=alert_hands(policy), now=SystemClock().now, clean=settings.clean)


def alert_hands(policy: AlertPolicy) -> dict[str, Hand]:
    """Who takes messages to channels, by their kind. Only what there are channels for is loaded."""
    hands: dict[str, Hand] = {}
    kinds = {each.kind for each in policy.channels}
    if "webhook" in kinds:
        from bascule import __version__
        from bascule.monitoring.alerts.webhook import webhook

        hands["webhook"] = webhook(policy.secret or "", __version__)
    if "apprise" in kinds:
        from bascule.monitoring.alerts.by_apprise import by_apprise

        hands["apprise"] = by_apprise
    return hands


def keep_watch(settings: Settings, context: Context, *, seconds: float = 2.0) -> None:
    """After something was done: make the alerts it calls for, and send what is owed, for so many seconds in all (0:
    somebody else sends it). What is not taken by then is kept, and sent later. Never raises: what was done is done.
    """
    if not settings.monitoring_enabled:
        return
    try:
        _keep_watch(settings, context, seconds)
    except Exception as problem:  # noqa: BLE001 - watching fails no run, whatever is wrong with it
        from bascule.errors import BasculeError

        if isinstance(problem, ConfigError):
            context.say(f"No alerts are made: {problem.message} {problem.hint}")
            return
        import logging

        words = problem.message if isinstance(problem, BasculeError) else f"{type(problem).__name__}: {problem}"
        logging.getLogger("bascule.alerts").warning("Alerts were not looked after: %s", settings.clean(words))


def _keep_watch(settings: Settings, context: Context, seconds: float) -> None:
    from contextlib import closing

    from bascule.services.alerts_due import anything_new

    told = bool(settings.webhooks or settings.alert_urls)
    if not told:
        with closing(context.target.state(beside=False)) as door:
            if not anything_new(context, door):
                # Somebody may have been killed after the alerts were kept and before their files were.
                keep_alert_files(settings, door)
                return
    policy = alert_policy(settings)
    with closing(context.target.state(beside=False)) as door:
        look_for_alerts(settings, context, door, policy)
        if told and seconds > 0:
            outbox(settings, policy).send(door, seconds=seconds)


def look_for_alerts(
    settings: Settings, context: Context, door: StateDoor, policy: AlertPolicy, *, health: Health | None = None
) -> Looked:
    """Make the alerts that are called for, as rows, as files where their folder was named, and as events. Raises as the
    state store does.
    """
    looked = watch(settings, context, policy).look(context.target, door, health=health)
    keep_alert_files(settings, door)
    for alert in looked.created:
        from bascule.domain.event import Event

        context.publish(
            Event(
                name="migration.alert_created",
                run_id=alert.run_id,
                migration=alert.migration,
                at=alert.last_at,
                data=alert.as_dict(),
            )
        )
    return looked


def keep_alert_files(settings: Settings, door: StateDoor) -> None:
    """Bring the folder of the alerts up to date, where it was named. What cannot be written is told to the log."""
    if not settings.alerts_dir_named:
        return
    from bascule.monitoring.alerts.folder import keep_folder

    try:
        keep_folder(settings.alerts_dir, door, settings.clean)
    except OSError as problem:
        import logging

        logging.getLogger("bascule.alerts").warning(
            "The alerts could not be written to %s: %s", settings.alerts_dir, problem.strerror
        )


def rounds(settings: Settings, publish: Callable[[Event], None] = lambda event: None) -> Rounds:
    """What a server does by itself beside its requests: look after alerts every few seconds, look at health and clean
    up as often as the settings say. Raises ConfigError.
    """
    from bascule.monitoring.alerts.rounds import AlertRounds
    from bascule.monitoring.rounds import Duty, Rounds
    from bascule.services.broken_off import settle

    if not settings.monitoring_enabled:
        return Rounds(duties=(_settling(lambda: _settled_alone(settings), every=60.0),))
    policy = alert_policy(settings)
    mine = AlertRounds(
        open_context=lambda: context(settings, publish=publish, say=_into_the_log(settings), where="server"),
        look=lambda context, door, health: look_for_alerts(settings, context, door, policy, health=health),
        judge=lambda context: health(settings, context),
        clean_up=lambda context: clean_up(settings, context),
        outbox=outbox(settings, policy),
        about={"environment": settings.environment} | ({"name": settings.target} if settings.target else {}),
        clean=settings.clean,
        between_clean_ups=settings.cleanup_interval,
        settle=settle,
    )
    duties = [
        _settling(mine.tell_ends, every=_WATCH_EVERY),
        Duty(name="Looking after alerts", work=mine.watch, every=_WATCH_EVERY, wakes=_ENDED),
        Duty(name="Looking at health", work=mine.check, every=max(1.0, settings.health_check_interval), wakes=_WELL),
        Duty(name="Cleaning up", work=mine.tidy, every=min(3600.0, max(1.0, settings.cleanup_interval))),
    ]
    if _otel_is_on(settings) and not _missing_of_otel():
        from functools import partial

        duties.append(
            Duty(name="Telling OpenTelemetry", work=partial(_tell_measures, settings), every=_metrics_interval())
        )
    return Rounds(
        duties=tuple(duties),
        close=mine.close,
    )


def _settling(work: Callable[[], None], *, every: float) -> Duty:
    """What killed processes have left is written down whether or not anybody watches: the journal is no monitoring."""
    from bascule.monitoring.rounds import Duty

    return Duty(name="Settling what was broken off", work=work, every=every, wakes=_ENDED)


def _settled_alone(settings: Settings) -> None:
    from contextlib import closing

    from bascule.services.broken_off import settle

    opened = context(settings, publish=lambda event: None, say=_into_the_log(settings), where="server")
    with closing(opened.target):
        settle(opened)


def _into_the_log(settings: Settings) -> Callable[[str], None]:
    import logging

    log = logging.getLogger("bascule.rounds")
    return lambda words: log.info("%s", settings.clean(words))


def try_channels(settings: Settings, context: Context) -> dict[str, str | None]:
    """Channel → None where it took a message that says it is a trial, else why it did not. Raises ConfigError."""
    import json
    import secrets

    from bascule.domain.alert import Alert
    from bascule.monitoring.alerts.deciding import CREATED
    from bascule.monitoring.alerts.sending import NotTaken, hand_over
    from bascule.state.deliveries import Delivery

    policy, now = alert_policy(settings), context.clock.now()
    trial = Alert(
        id=f"test{secrets.token_hex(4)}",
        fingerprint="",
        rule="test",
        type="info",
        title="A trial",
        message="This message was sent by `bascule alerts test`. Nothing has happened.",
        first_at=now,
        last_at=now,
    )
    told = {
        "type": CREATED,
        "timestamp": now.isoformat(),
        "target": _place(settings, context),
        "data": trial.as_dict(),
    }
    hands, found = alert_hands(policy), dict[str, str | None]()
    for channel in policy.channels:
        its_id = f"msg_{secrets.token_hex(16)}"
        message = Delivery(id=its_id, channel=channel.name, about=trial.id, event=CREATED, body=json.dumps(told))
        try:
            hand_over(hands[channel.kind], channel, message)
            found[channel.name] = None
        except NotTaken as problem:
            found[channel.name] = settings.clean(problem.why)
    return found


def clean_up(settings: Settings, context: Context) -> Cleaned:
    """Remove what was kept long enough. Raises as the state store does."""
    from bascule.services.cleanup import clean_up as clean

    rules = any(settings.backup[name] is not None for name in ("max_age", "max_count", "max_bytes"))
    cleaned = clean(context, retention=settings.retention, backups=rules)
    if settings.alerts_dir_named and cleaned.alerts:
        import contextlib

        from bascule.monitoring.alerts.folder import remove_alerts

        with contextlib.suppress(OSError):
            remove_alerts(settings.alerts_dir, cleaned.alerts)
    return cleaned


def kept_status(most: float = 10.0) -> Kept[Context, StatusReport]:
    """Status, for a process that is asked often: looked at again when something has changed, and after `most` seconds,
    in which an edited file may not be noticed.
    """
    from bascule.monitoring.kept import Kept

    return Kept(_status, pulse=status_pulse, most=most)


def kept_health(settings: Settings, statuses: Kept[Context, StatusReport]) -> Kept[Context, Health]:
    """Health, for a process that is asked often: judged again when something has changed, and after the time that the
    settings give.
    """
    from bascule.monitoring.kept import Kept

    def judge(context: Context) -> Health:
        from bascule.errors import BasculeError

        try:
            report = statuses.get(context)
        except BasculeError:
            # It is told as a health then.
            report = None
        return health(settings, context, report=report)

    return Kept(judge, pulse=_pulse_or_none, most=settings.health_check_interval)


def _pulse_or_none(context: Context) -> Hashable:
    from bascule.errors import BasculeError

    try:
        return status_pulse(context)
    except BasculeError:
        # Never the same twice: a target that is not there is looked for each time.
        return object()


def _status(context: Context) -> StatusReport:
    from bascule.services.status import status
    from bascule.sources.cache import FingerprintCache, fingerprints_cached

    listed = (ref for ref in context.source.listing() if not ref.repeatable)
    return status(context, fingerprints=fingerprints_cached(listed, FingerprintCache(context.source.folder)))


def status_pulse(context: Context) -> Hashable:
    """As `bascule.services.pulse.pulse`, with the files that come to the folder and go from it; not those that are
    edited.
    """
    from bascule.services.pulse import pulse

    try:
        changed = os.stat(context.source.folder).st_mtime_ns
    except OSError:
        changed = 0
    return pulse(context), changed


def _free_space(settings: Settings) -> dict[str, float]:
    """Of the disks that can be seen from here."""
    import contextlib
    import shutil

    places = {"the backups": settings.backup_dir}
    if settings.address is not None and settings.address.url.dialect == "sqlite":
        from bascule.databases.sqlite.location import locate

        places["the database"] = locate(settings.address.reveal()).path.parent
    found = {}
    for words, path in places.items():
        there = next((each for each in (path, *path.parents) if each.exists()), path)
        with contextlib.suppress(OSError):
            usage = shutil.disk_usage(there)
            found[words] = 100.0 * usage.free / usage.total if usage.total else 100.0
    return found


def prometheus(settings: Settings, context: Context, found: Metrics) -> str:
    """The metrics as Prometheus reads them, with health and the newest run."""
    from bascule.monitoring.prometheus import exposition
    from bascule.services.performance import performance

    report = _status(context)
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
    return PostgresDumper(
        _opener(settings.direct or address), schema=settings.schema, past_pooler=settings.direct is not None
    )


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
    # The account, not the variables of the environment: this stands in the audit log, and tells the author of a plan.
    return f"{_account()}@{os.uname().nodename}:{os.getpid()}"


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
