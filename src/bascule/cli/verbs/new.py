"""`bascule new NAME`."""

from __future__ import annotations

from typing import Literal

import click

from bascule.cli.call import Call
from bascule.cli.notyet import would_mislead
from bascule.cli.options import verb


@verb("new")
@click.argument("name")
@click.option("--sql", "language", flag_value="sql", default="sql", help="An SQL file (the default).")
@click.option("--python", "language", flag_value="python", help="A Python file.")
@click.option("--template", metavar="T", help="Begin with this template.")
@click.option("--autogenerate", metavar="MODELS", help="Fill it with what differs between models and database.")
@click.option("--to-schema", metavar="FILE", help="Fill it with what leads to this schema.")
@click.option("--from-unsafe", metavar="FILE", help="Rewrite an unsafe migration as a safe one.")
def command(
    call: Call,
    name: str,
    language: Literal["sql", "python"],
    template: str | None,
    autogenerate: str | None,
    to_schema: str | None,
    from_unsafe: str | None,
) -> None:
    """Write a new migration file and print its path."""
    from datetime import UTC, datetime
    from pathlib import Path

    from bascule import wiring
    from bascule.services.new import new

    for option, value in (
        ("--template", template),
        ("--autogenerate", autogenerate),
        ("--to-schema", to_schema),
        ("--from-unsafe", from_unsafe),
    ):
        if value is not None:
            raise would_mislead(
                option, "files can only be made empty", "Leave it out and write the statements yourself."
            )
    path = new(wiring.short(call.settings.migrations_dir), name, language=language, now=datetime.now(UTC))
    call.output.text(path)
    call.output.document({"path": path, "name": Path(path).stem})
