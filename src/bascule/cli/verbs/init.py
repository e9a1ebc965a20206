"""`bascule init`."""

from __future__ import annotations

import click

from bascule.cli.call import Call
from bascule.cli.options import verb
from bascule.cli.session import asks


@verb("init")
@click.option(
    "--environment",
    type=click.Choice(["development", "staging", "production"]),
    help="What kind of target this is. The target remembers it, and other runs are refused there.",
)
def command(call: Call, environment: str | None) -> None:
    """Write a configuration file and a migrations folder; mark the target's environment. Overwrites nothing."""
    from bascule import wiring
    from bascule.config.files import OWN_FILE
    from bascule.config.load import DEFAULT_DATABASE
    from bascule.services.initialise import initialise

    settings = call.settings
    named = environment or (settings.environment if settings.environment_named else None)
    local = settings.address is None and (named or "development") == "development"
    target = wiring.open_target(settings) if settings.address is not None and named is not None else None
    try:
        report = initialise(
            settings.folder / OWN_FILE,
            settings.migrations_dir,
            configured=settings.config_file,
            environment=named,
            default_database=DEFAULT_DATABASE if local else None,
            target=target,
            relabel=call.yes or (target is not None and _meant(call, target.describe().environment, named)),
        )
    finally:
        if target is not None:
            target.close()
    for path in report.created:
        call.output.text(f"created  {path}")
    for path in report.kept:
        call.output.text(f"kept     {path}")
    if report.environment is not None:
        call.output.text(f"marked   {report.target} as {report.environment}")
    call.output.document(report.as_dict())


def _meant(call: Call, remembered: str | None, named: str | None) -> bool:
    """Whether a person at the terminal wants the target's mark changed."""
    if remembered is None or remembered == named or not asks(call):
        return False
    return click.confirm(f"The target says it is {remembered}. Mark it as {named}?", default=False, err=True)
