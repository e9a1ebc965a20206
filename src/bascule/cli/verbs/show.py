"""`bascule show NAME`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bascule.cli.call import Call
from bascule.cli.names import MigrationName
from bascule.cli.options import verb
from bascule.cli.session import reading
from bascule.cli.statements import statement_lines
from bascule.cli.words import moment

if TYPE_CHECKING:
    from bascule.services.show import ShowReport


@verb("show")
@click.argument("name", type=MigrationName())
def command(call: Call, name: str) -> None:
    """Show one migration: its description, its statements, where it stands. Runs none of it."""
    from bascule.services.show import show

    with reading(call) as context:
        report = show(context, name)
    for line in lines(report):
        call.output.text(call.output.clean(line))
    call.output.document(report.as_dict())


def lines(report: ShowReport) -> list[str]:
    """The report for people."""
    migration, entry = report.migration, report.entry
    applied = f", applied {moment(entry.applied_at)} UTC in {entry.execution_ms} ms" if entry else ""
    answer = [f"{migration.name}  ({report.status}{applied})", migration.ref.path]
    if migration.description:
        answer += ["", *migration.description.splitlines()]
    if migration.depends is not None:
        answer += ["", f"Depends on: {', '.join(migration.depends) or 'nothing'}"]
    answer += [f"Warning: {warning}" for warning in migration.warnings]
    for title, script, statements in (("Up", migration.up, report.up), ("Down", migration.down, report.down)):
        answer += [
            "",
            title if script is None or script.transaction else f"{title} (without a surrounding transaction)",
        ]
        if script is None or script.empty:
            answer.append(
                f"  none{': ' + migration.irreversible if title == 'Down' and migration.irreversible else ''}"
            )
        elif script.language == "python":
            answer.append(f"  a function of {script.path}; it is not run to be shown")
        for statement, insight in statements:
            answer += statement_lines(statement.text, statement.line, outside=not insight.transactional)
    return answer
