"""Bascule from Python: one object made from settings, or from an address and a folder.

::

    from bascule import Bascule

    b = Bascule.from_settings()
    run = b.migrations.execute_migration("AddNewTable")
    b.migrations.rollback_migration("AddNewTable")

The engine is synchronous; an async application calls it through a worker thread (``asyncio.to_thread``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from bascule.api_monitoring import MigrationMonitoringService
from bascule.config.load import load
from bascule.config.settings import Settings
from bascule.domain.event import Event
from bascule.domain.history import Fact
from bascule.domain.run import Run
from bascule.errors import BasculeError, MigrationFailed, UsageError
from bascule.monitoring.bus import Bus
from bascule.services.context import Context
from bascule.services.logs import log_line, logs
from bascule.services.report import Report
from bascule.services.requests import RollbackRequest, UpRequest
from bascule.services.status import StatusReport, status
from bascule.services.up import up

if TYPE_CHECKING:
    from bascule.domain.validation import ValidationReport
    from bascule.ports.validation import ValidationRule
    from bascule.services.backup_restore import RestoreReport
    from bascule.services.backup_verify import Proof
    from bascule.services.backups import Line
    from bascule.services.plan import PlanReport
    from bascule.services.validate import Validation


class EnhancedMigrationService:
    """Execute migrations, roll them back, and ask where they stand. One connection a call; calls from several threads
    are safe,
    because nothing is shared between them but the event bus.
    """

    def __init__(self, settings: Settings, bus: Bus, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._bus = bus
        self._say = say

    def execute_migration(
        self,
        name: str,
        *,
        validate_before: bool = True,
        create_backup: bool = True,
        monitor_progress: bool = True,
        rollback_on_failure: bool = True,
        accept_data_loss: bool = False,
        yes_production: str | None = None,
    ) -> Run:
        """Apply one migration, after what it needs. Answers its run; of a migration that is applied already, the run
        that did it.

        Raises:
            UsageError: no such migration.
            Refused: it would not be safe; nothing changed.
            MigrationFailed: it failed; ``error.state`` says what is now true of the database.
            LockNotAvailable, NeedsPerson: see `bascule.errors`.
        """
        request = UpRequest(
            names=(name,),
            validate=validate_before,
            backup=create_backup,
            progress=monitor_progress,
            rollback_on_failure=rollback_on_failure,
            accept_data_loss=accept_data_loss,
            reason=yes_production,
        )
        given: dict[str, Any] = {
            "validate_before": validate_before,
            "create_backup": create_backup,
            "rollback_on_failure": rollback_on_failure,
            "accept_data_loss": accept_data_loss,
            "yes_production": yes_production,
        }
        with self._context("execute_migration", quiet=not monitor_progress, name=name, **given) as context:
            from bascule.planning.names import find

            full = find(name, context.source.listing()).name
            report = up(context, request)
            for run in report.runs:
                if run.name == full:
                    return run
            return _applied_already(context, full)

    def execute_pending(
        self,
        *,
        to: str | None = None,
        steps: int | None = None,
        accept_data_loss: bool = False,
        yes_production: str | None = None,
    ) -> Report:
        """Apply everything that is pending, or up to one, or the first few. Raises as `execute_migration`."""
        request = UpRequest(to=to, steps=steps, accept_data_loss=accept_data_loss, reason=yes_production)
        given: dict[str, Any] = {"accept_data_loss": accept_data_loss, "yes_production": yes_production}
        with self._context("execute_pending", to=to, steps=steps, **given) as context:
            return up(context, request)

    def rollback_migration(
        self,
        name: str,
        backup_path: str | os.PathLike[str] | None = None,
        *,
        accept_data_loss: bool = False,
        yes_production: str | None = None,
    ) -> Run:
        """Undo one migration, and before it those that depend on it. Answers its run, with `verdict` and `differences`.

        `backup_path`: a backup, by its path in the store or its id, that is restored instead of running down scripts.
        Rows that were written since go only with `accept_data_loss`.

        Raises as `execute_migration`.
        """
        path = None if backup_path is None else os.fspath(backup_path)
        report = self.rollback(name, backup_path=path, accept_data_loss=accept_data_loss, yes_production=yes_production)
        return report.runs[-1]

    def plan(self, *names: str, to: str | None = None, steps: int | None = None) -> PlanReport:
        """What `execute_pending` (or `execute_migration` of these) would do, in order. Raises what they would refuse
        with.
        """
        from bascule.services.plan import plan

        with self._context() as context:
            return plan(context, names=names, to=to, steps=steps)

    def create_migration_plan(
        self, names: Sequence[str] = (), *, to: str | None = None, out: str | os.PathLike[str] | None = None
    ) -> PlanReport:
        """As `plan`, with `total_estimated_time`, `data_impact`, `rollback_plan` and `validation_plan`. Written to the
        file `out` too, where one is named; `execute_plan` runs that. Raises as `plan`.
        """
        from bascule.services.plan import create_plan

        with self._context() as context:
            report = create_plan(context, names=tuple(names), to=to)
            if out is not None:
                from bascule import wiring
                from bascule.services.plan_file import write_plan
                from bascule.services.trail import with_trail

                trail = wiring.trail(self._settings, context.target, where="python")
                write_plan(with_trail(context, trail), report.migrations, os.fspath(out))
            return report

    def execute_plan(self, path: str | os.PathLike[str], *, accept_data_loss: bool = False) -> Report:
        """Run exactly what a plan file names. Raises as `execute_migration`; `Refused` for a plan that is old, wrongly
        signed, or made for another state of things.
        """
        from bascule.services.plan_file import up_by_plan

        with self._context("execute_plan", path=os.fspath(path), accept_data_loss=accept_data_loss) as context:
            return up_by_plan(context, UpRequest(accept_data_loss=accept_data_loss), os.fspath(path))

    def rollback(
        self,
        name: str | None = None,
        *,
        to: str | None = None,
        steps: int | None = None,
        backup_path: str | None = None,
        create_backup: bool = True,
        accept_data_loss: bool = False,
        yes_production: str | None = None,
    ) -> Report:
        """Undo the last applied one, or one by name with those that depend on it, or the last few, or back to one.
        On
        production for the reason `yes_production`. Raises as `execute_migration`.
        """
        from bascule.services.rollback import rollback

        what: dict[str, Any] = {
            "name": name,
            "to": to,
            "steps": steps,
            "backup_path": backup_path,
            "create_backup": create_backup,
        }
        given: dict[str, Any] = {"accept_data_loss": accept_data_loss, "yes_production": yes_production}
        with self._context("rollback", **what, **given) as context:
            request = RollbackRequest(
                name=name,
                to=to,
                steps=steps,
                backup=backup_path,
                make_backup=create_backup,
                accept_data_loss=accept_data_loss,
                reason=yes_production,
            )
            return rollback(context, request)

    def recover(self, *, yes_production: str | None = None) -> Report:
        """Finish what a crash or a failure left half done. A file that was edited since is gone on with on production
        for the reason `yes_production`. Raises as `execute_migration`.
        """
        from bascule.services.recover import recover

        with self._context("recover", yes_production=yes_production) as context:
            return recover(context, reason=yes_production)

    def history(self, *, limit: int = 100) -> tuple[Run, ...]:
        """Past runs, newest first."""
        from bascule.services.history import history

        with self._context() as context:
            return history(context, limit=limit)

    def get_migration_status(self, *, limit: int = 100) -> dict[str, Any]:
        """The lists and the summary of the contract: pending, running, completed, failed, rolledBack, summary."""
        return self.status(limit=limit).as_dict()

    def status(self, *, limit: int = 100) -> StatusReport:
        """As `get_migration_status`, as a value."""
        with self._context() as context:
            return status(context, limit=limit)

    def get_migration_logs(self, name: str | None = None, *, limit: int = 100) -> list[dict[str, Any]]:
        """The newest journal facts, oldest first; of one migration where `name` is given."""
        with self._context() as context:
            return [log_line(fact) for fact in self._facts(context, name, limit)]

    def _facts(self, context: Context, name: str | None, limit: int) -> tuple[Fact, ...]:
        if name is not None:
            from bascule.planning.names import find

            name = find(name, context.source.listing()).name
        return logs(context, migration=name, limit=limit)

    def _without_progress(self, event: Event) -> None:
        if not event.name.endswith(".progress"):
            self._bus.publish(event)

    def _context(self, action: str = "", *, quiet: bool = False, **what: Any) -> AbstractContextManager[Context]:
        publish = self._without_progress if quiet else self._bus.publish
        return _opened(self._settings, publish, self._say, action, what)


class DataValidationService:
    """Ask the data rules, before and after migrations or at any time. Changes nothing. Calls from several threads are
    safe; rules that are added hold for all later calls.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._say = say
        self._added: list[ValidationRule] = []
        self._before: dict[str, ValidationReport] = {}

    def validate_before_migration(self, name: str, context: Mapping[str, Any] | None = None) -> ValidationReport:
        """All rules, and what the migration needs of today's rows. `context` is handed to the rules; it may only
        tighten (``{"strict": True}``: warnings refuse too).

        Raises:
            UsageError: no such migration.
            TargetUnreachable, Refused: see `bascule.errors`.
        """
        from bascule.services.validate import Wanted
        from bascule.services.validate_migration import before

        with self._validation() as validation, self._context() as opened:
            report = before(opened, validation, name, wanted=Wanted(context=context or {}))
        self._before[report.migration or name] = report
        return report

    def validate_after_migration(self, name: str, context: Mapping[str, Any] | None = None) -> ValidationReport:
        """All rules. Where this object looked before the migration ran, `new_issues` tells what was not there then.
        Raises as `validate_before_migration`.
        """
        from bascule.services.validate import Wanted
        from bascule.services.validate_migration import after

        with self._validation() as validation, self._context() as opened:
            return after(opened, validation, name, wanted=Wanted(context=context or {}), known=self._before)

    def validate_specific(
        self,
        targets: Sequence[str] = (),
        rule_types: Sequence[str] = (),
        context: Mapping[str, Any] | None = None,
    ) -> ValidationReport:
        """The rules of these ids or categories over these tables; all where none is named. Raises `UsageError` for
        one that is not there.
        """
        from bascule.services.validate import Wanted, validate

        with self._validation() as validation:
            return validate(validation, Wanted(tables=tuple(targets), rules=tuple(rule_types), context=context or {}))

    def add_validation_rule(self, rule: Any) -> None:
        """A rule of your own: an object or a class with the original's fields, a function, or a mapping (see
        `bascule.validation.custom`). One with the id of another takes its place. Raises `UsageError` for what is none.
        """
        from bascule.validation.custom import as_rule

        try:
            made = as_rule(rule)
        except ValueError as wrong:
            raise UsageError(f"This is no validation rule: {wrong}.", hint="Give it the fields of a rule.") from wrong
        self._added = [each for each in self._added if each.id != made.id] + [made]

    def get_validation_rules(self, category: str | None = None) -> list[ValidationRule]:
        """All rules in the order of a report, or those of a category. Raises `UsageError` for one that is not there."""
        from bascule.services.validate import Wanted, chosen_rules

        with self._validation() as validation:
            return chosen_rules(validation.rules, Wanted(category=category))

    @contextmanager
    def _validation(self) -> Iterator[Validation]:
        from bascule import wiring
        from bascule.services.validate import with_rules

        try:
            validation = with_rules(wiring.validation(self._settings), self._added)
            try:
                yield validation
            finally:
                validation.reader.close()
        except BasculeError as error:
            _clean(error, self._settings)
            raise

    @contextmanager
    def _context(self) -> Iterator[Context]:
        from bascule import wiring

        context = wiring.context(self._settings, publish=lambda event: None, say=self._say, read_only=True)
        try:
            yield context
        finally:
            context.target.close()


class BackupService:
    """Take backups, list them, prove them, put them back. Each call opens the target anew."""

    def __init__(self, settings: Settings, bus: Bus, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._bus = bus
        self._say = say

    def create(self, tables: Sequence[str] | None = None) -> Line:
        """Of the whole database, or of these tables; proved as the settings say.

        Raises:
            Refused: no such table, no right, no pg_dump.
            MigrationFailed: no room, the dump failed, or it could not be proved.
        """
        from bascule.services.backup_create import CreateRequest, create

        with self._context("create_backup", tables=list(tables) if tables is not None else None) as context:
            return create(context, CreateRequest(tables=None if tables is None else tuple(tables)))

    def list(self) -> tuple[Line, ...]:
        """All backups in the store, old to new; each with the moment up to which it goes."""
        from bascule.services.backup_list import list_all

        with self._context() as context:
            return list_all(context)

    def verify(self, backup: str | None = None) -> tuple[Proof, ...]:
        """One by its id or path, or all. What is wrong with one is in its `Proof`."""
        from bascule.services.backup_verify import verify

        with self._context("verify_backup", backup=backup) as context:
            return verify(context, backup)

    def restore(
        self,
        backup: str,
        tables: Sequence[str] = (),
        *,
        to: str | None = None,
        foreign: bool = False,
        accept_newer: bool = False,
        yes_production: str | None = None,
    ) -> RestoreReport:
        """In place, or `to` a new database. What is newer than the backup goes only with `accept_newer`;
        in place on production for the reason `yes_production`.

        Raises Refused (``newer_rows``, ``backup_damaged``, ``backup_foreign``…): nothing was touched.
        """
        from bascule.services.backup_restore import RestoreRequest, restore

        request = RestoreRequest(
            backup=backup, tables=tuple(tables), to=to, foreign=foreign, yes=accept_newer, reason=yes_production
        )
        what: dict[str, Any] = {"backup": backup, "tables": list(tables), "to": to, "foreign": foreign}
        given: dict[str, Any] = {"accept_newer": accept_newer, "yes_production": yes_production}
        with self._context("restore_backup", **what, **given) as context:
            return restore(context, request)

    def _context(self, action: str = "", **what: Any) -> AbstractContextManager[Context]:
        return _opened(self._settings, self._bus.publish, self._say, action, what)


class Bascule:
    """Everything, wired for one target and one folder of migrations."""

    migrations: EnhancedMigrationService
    validation: DataValidationService
    backups: BackupService
    monitoring: MigrationMonitoringService

    def __init__(
        self,
        *,
        url: str | None = None,
        engine: Any = None,
        connection: Any = None,
        migrations_dir: str | os.PathLike[str] = "migrations",
        settings: Settings | None = None,
        say: Callable[[str], None] | None = None,
        **options: Any,
    ) -> None:
        """`url`, a SQLAlchemy `engine`, or an open driver or SQLAlchemy `connection` says where the target is; a
        connection is only
        asked for its address, Bascule opens its own. `options` are settings by name (``environment="staging"``,
        ``schema="ops"``).

        `say` receives warnings and waits, one line each; without it they go to the ``bascule`` logger.

        Raises ConfigError for a wrong setting.
        """
        if settings is None:
            settings = _settings(url or _address_of(engine, connection), migrations_dir, options)
        self.settings = settings
        self._bus = Bus()
        self.migrations = EnhancedMigrationService(settings, self._bus, say or _log)
        self.validation = DataValidationService(settings, say or _log)
        self.backups = BackupService(settings, self._bus, say or _log)
        self.monitoring = MigrationMonitoringService(settings, say or _log, self._bus.publish)

    @classmethod
    def from_settings(
        cls,
        folder: str | os.PathLike[str] = ".",
        *,
        target: str | None = None,
        config: str | None = None,
        environ: Mapping[str, str] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> Bascule:
        """Made from the settings a command run in `folder` would use: pyproject.toml or bascule.toml, .env,
        environment.
        """
        return cls(settings=load(folder=folder, target=target, config=config, environ=environ), say=say)

    def subscribe(self, listener: Callable[[Event], None], pattern: str = "*") -> Callable[[], None]:
        """Call `listener` for each event whose name matches (``migration.*``). Answers how to stop that. A listener
        that raises is
        logged and never fails a run.
        """
        return self._bus.subscribe(listener, pattern)


@contextmanager
def _opened(
    settings: Settings,
    publish: Callable[[Event], None],
    say: Callable[[str], None],
    action: str,
    what: Mapping[str, Any],
) -> Iterator[Context]:
    """A context for one call. `action`: what it is about to change, for the audit log; empty where it only looks."""
    from bascule import wiring
    from bascule.services.performance import keep_measured
    from bascule.services.trail import audited

    context = wiring.context(settings, publish=publish, say=say, read_only=not action, where="python")
    try:
        if not action:
            yield context
            return
        given: dict[str, Any] = {name: value for name, value in what.items() if value not in (None, [], "")}
        try:
            with audited(context, action, given):
                yield context
        finally:
            if keep_measured(context):
                wiring.keep_textfile(settings, context)
            wiring.keep_watch(settings, context)
            wiring.tell_otel(settings, context)
            _note_head(context)
    except BasculeError as error:
        _clean(error, settings)
        raise
    finally:
        context.target.close()


def _settings(url: str, migrations_dir: str | os.PathLike[str], options: Mapping[str, Any]) -> Settings:
    flags = {"database_url": ("url", url), "migrations_dir": ("migrations_dir", os.fspath(migrations_dir))}
    flags |= {name: (name, value) for name, value in options.items()}
    # What was given here is the whole truth: neither a DATABASE_URL that happens to be set nor a file that happens to
    # lie in the working folder may send the run elsewhere.
    return load(flags, environ={}, folder=os.getcwd(), files=False)


def _address_of(engine: Any, connection: Any) -> str:
    if engine is None and connection is not None and hasattr(connection, "engine"):
        engine = connection.engine
    if engine is not None:
        return str(engine.url.render_as_string(hide_password=False))
    if connection is None:
        raise UsageError("Say where the target is: url, engine or connection.", hint="Or use Bascule.from_settings().")
    if hasattr(connection, "info") and hasattr(connection.info, "dsn"):
        return _postgres_address(connection.info)
    rows = connection.execute("PRAGMA database_list").fetchall()
    path = next((row[2] for row in rows if row[1] == "main"), "")
    if not path:
        raise UsageError("The connection is to a database in memory, which nobody else can open.", hint="Use a file.")
    return f"sqlite:///{path}"


def _postgres_address(info: Any) -> str:
    from urllib.parse import quote, urlencode

    known = info.get_parameters()
    user = quote(known.pop("user", ""), safe="")
    password = f":{quote(info.password, safe='')}" if info.password else ""
    host, port = quote(known.pop("host", ""), safe=""), known.pop("port", "")
    database = quote(known.pop("dbname", ""), safe="")
    where = f"{host}:{port}" if port else host
    if host.startswith("%2F"):
        known["host"], where = info.host, f":{port}" if port else ""
    return f"postgresql://{user}{password}@{where}/{database}" + (f"?{urlencode(known)}" if known else "")


def _applied_already(context: Context, name: str) -> Run:
    for entry in context.target.ledger():
        if entry.name == name:
            return Run(
                id=entry.run_id,
                name=name,
                timestamp=entry.applied_at,
                execution_ms=entry.execution_ms,
                status="completed",
                notes=("it was applied already",),
            )
    raise MigrationFailed(f"{name} was not applied.", hint="See bascule status.")


def _clean(error: BasculeError, settings: Settings) -> None:
    """Whoever catches it may log it: no secret is in it."""
    from bascule.services.concealed import concealed

    error.message, error.hint = settings.clean(error.message), settings.clean(error.hint)
    error.args = (error.message,)
    error.details = concealed(error.details, settings.clean)


def _note_head(context: Context) -> None:
    """Leave the audit log's newest line in the log of the application, which whoever cuts it does not have."""
    line = context.trail.last if context.trail is not None else None
    if line is not None:
        import logging

        logging.getLogger("bascule.audit").info("Audit log: %d:%s", line.number, line.mac)


def _log(words: str) -> None:
    import logging

    logging.getLogger("bascule").warning("%s", words)
