"""What every service works through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bascule.config.settings import Settings
    from bascule.domain.event import Event
    from bascule.domain.migration import Hook
    from bascule.domain.performance import Performance
    from bascule.monitoring.otel.recorder import Recorder
    from bascule.ports.database import Target
    from bascule.ports.python import PythonScripts
    from bascule.ports.source import Source
    from bascule.services.backups import Backups
    from bascule.services.context import Context
    from bascule.services.trail import Trail
    from bascule.services.validate import Validation


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
    from bascule.wiring.ignored import outside
    from bascule.wiring.process import owner
    from bascule.wiring.sources import open_source
    from bascule.wiring.targets import open_target

    source = source or open_source(settings)
    target = target or open_target(settings, read_only=read_only)
    if _debugging():
        from bascule.services.statement_log import logging_statements

        target = logging_statements(target, settings.clean)
    telemetry = None if read_only else _telemetry(settings, target, say)
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
        hooks=lambda: _hooks_of(settings, source),
        rules=lambda: _rules(settings, stopping),
        backups=lambda: _backups(settings),
        save=settings.backup["enabled"],
        owner=owner(),
        stopping=stopping,
        trail=None if read_only else _trail(settings, target, where),
        measured=measured,
        telemetry=telemetry,
        conceal=settings.conceal if settings.hidden_variables else str,
    )


# What a command may never come to need is loaded when it does.


def _telemetry(settings: Settings, target: Target, say: Callable[[str], None]) -> Recorder | None:
    from bascule.wiring.otel import recorder

    return recorder(settings, target, say)


def _hooks_of(settings: Settings, source: Source) -> Sequence[Hook]:
    from bascule.wiring.sources import hooks_in

    return hooks_in(settings, source.format)


def _rules(settings: Settings, stopping: Callable[[], str | None]) -> Validation:
    from bascule.wiring.rules import validation

    return validation(settings, stopping=stopping)


def _backups(settings: Settings) -> Backups:
    from bascule.wiring.backup import backups

    return backups(settings)


def _trail(settings: Settings, target: Target, where: str) -> Trail:
    from bascule.wiring.audit import trail

    return trail(settings, target, where=where)


def _debugging() -> bool:
    """Somebody reads the log to the last line. Where nobody has set one up it is not even loaded."""
    import sys

    if "logging" not in sys.modules:
        return False
    import logging

    return logging.getLogger("bascule.sql").isEnabledFor(logging.DEBUG)


def _concealer(say: Callable[[str], None], settings: Settings) -> Callable[[str], None]:
    return lambda words: say(settings.conceal(words))


def _event_concealer(publish: Callable[[Event], None], settings: Settings) -> Callable[[Event], None]:
    from dataclasses import replace

    from bascule.services.concealed import concealed

    return lambda event: publish(replace(event, data=concealed(event.data, settings.conceal)))


def python_scripts() -> PythonScripts | None:
    """Who runs Python migrations; None without the extra ``alembic``."""
    from importlib.util import find_spec

    if find_spec("sqlalchemy") is None or find_spec("alembic") is None:
        return None
    from bascule.databases.operations.port import AuthorScripts

    return AuthorScripts()
