"""`bascule init`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from bascule.cli.call import Call
from bascule.cli.options import verb, yes_production
from bascule.cli.session import asks

if TYPE_CHECKING:
    from bascule.services.initialise import InitReport


@verb("init")
@click.option(
    "--environment",
    type=click.Choice(["development", "staging", "production"]),
    help="What kind of target this is. The target remembers it, and other runs are refused there.",
)
@yes_production("Take the mark of production away, for this reason")
def command(call: Call, environment: str | None, yes_production: str | None) -> None:
    """Write a configuration file and a migrations folder; mark the target's environment. Overwrites nothing."""
    from bascule.config.files import OWN_FILE
    from bascule.config.load import DEFAULT_DATABASE
    from bascule.services.initialise import initialise

    settings = call.settings
    named = environment or (settings.environment if settings.environment_named else None)
    local = settings.address is None and (named or "development") == "development"
    make = partial(
        initialise,
        settings.folder / OWN_FILE,
        settings.migrations_dir,
        configured=settings.config_file,
        environment=named,
        default_database=DEFAULT_DATABASE if local else None,
    )
    if settings.address is None or named is None:
        report = make()
    else:
        report = _marking(call, make, named, yes_production)
    for path in report.created:
        call.output.text(f"created  {path}")
    for path in report.kept:
        call.output.text(f"kept     {path}")
    if report.environment is not None:
        call.output.text(f"marked   {report.target} as {report.environment}")
    call.output.document(report.as_dict())


def _marking(call: Call, make: Callable[..., InitReport], named: str, reason: str | None) -> InitReport:
    """An attempt to change what the target says it is stands in its audit log, whatever comes of it."""
    from bascule import wiring
    from bascule.services.trail import attempted

    target = wiring.open_target(call.settings)
    try:
        before = target.describe().environment
        owner = wiring.owner()
        trail = wiring.trail(call.settings, target, who=owner)
        what = {"environment": named, "before": before, "yes_production": call.settings.clean(reason or "") or None}
        relabel = call.yes or bool(reason) or _meant(call, before, named)
        if before == named:
            return make(target=target)
        with attempted(trail, target, call.output.note, "init", {key: it for key, it in what.items() if it}):
            report = make(target=target, relabel=relabel, reason=call.settings.clean(reason or ""), owner=owner)
            # Of a target where Bascule kept nothing before, the line can only be written now.
            trail.begin()
        if trail.last is not None:
            call.output.note(f"Audit log: {trail.last.number}:{trail.last.mac}")
    finally:
        target.close()
    if before == "production":
        _tell_watchers(call)
    return report


def _tell_watchers(call: Call) -> None:
    """Alerts are sent at once, not with the next run."""
    from bascule import wiring

    context = wiring.context(call.settings, publish=lambda event: None, say=call.output.note)
    try:
        wiring.keep_watch(call.settings, context)
    finally:
        context.target.close()


def _meant(call: Call, remembered: str | None, named: str | None) -> bool:
    """Whether a person at the terminal wants the target's mark changed."""
    if remembered is None or remembered == named or not asks(call):
        return False
    return click.confirm(f"The target says it is {remembered}. Mark it as {named}?", default=False, err=True)
