"""`bascule validate`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import click

from bascule.cli.call import Call
from bascule.cli.names import MigrationName
from bascule.cli.options import verb
from bascule.cli.words import duration, plural
from bascule.domain.run import iso

if TYPE_CHECKING:
    from bascule.domain.validation import RuleResult, ValidationReport
    from bascule.services.validate import Validation, Wanted

_SAY_AFTER = 2.0
"""Seconds after which a person is told what takes so long."""
_MARKS = {
    "pass": ("pass", 32),
    "fail": ("FAIL", 31),
    "warning": ("warn", 33),
    "skipped": ("-", 90),
    "error": ("ERR", 31),
}


@verb("validate")
@click.argument("name", required=False, type=MigrationName(), metavar="[NAME]")
@click.option("--after", is_flag=True, help="The migration has run.")
@click.option("--table", "tables", multiple=True, metavar="T", help="Only this table; may be repeated.")
@click.option("--rule", "rules", multiple=True, metavar="R", help="Only this rule; may be repeated.")
@click.option(
    "--category",
    type=click.Choice(("data_integrity", "performance", "business_logic")),
    help="Only the rules of this category.",
)
@click.option(
    "--cached",
    is_flag=True,
    help="What has passed is not asked again while the database has provably not changed.",
)
def command(
    call: Call,
    name: str | None,
    after: bool,
    tables: tuple[str, ...],
    rules: tuple[str, ...],
    category: str | None,
    cached: bool,
) -> int:
    """Look at the data: constraints nobody has validated, orphans, duplicates, values out of range, indexes, and what
    the project has declared. Reads only, and lets everybody else pass.

    Exits with 3 when a rule of severity error fails (in strict mode a warning too). With NAME it asks too what that
    pending migration will need of the rows.
    """
    from bascule import wiring
    from bascule.cli.stopping import Stop
    from bascule.errors import UsageError
    from bascule.services.validate import Wanted

    if cached and name is not None:
        raise UsageError(
            "--cached is for a look at the whole database: around a migration every rule is asked.",
            hint="Leave one of them out.",
        )
    wanted = Wanted(tables=tables, rules=rules, category=category, after=after, cached=cached)
    with Stop(call.output.insist) as stop:
        validation = wiring.validation(call.settings, progress=_progress(call), stopping=stop)
        with closing(validation.reader):
            report = _report(call, validation, name, wanted)
    for line in (*lines(report, call), *_since(report)):
        call.output.text(call.output.clean(line))
    call.output.document(report.as_dict())
    if name is None:
        _note(call, report, whole=not (tables or rules or category))
    if report.is_valid:
        return 0
    call.output.insist(
        f"Not valid: {plural(len(report.errors), 'reason')}. The database is unchanged. "
        "Next: correct the rows named above, then run bascule validate again."
    )
    return 3


def _report(call: Call, validation: Validation, name: str | None, wanted: Wanted) -> ValidationReport:
    from bascule.services.validate import validate

    if name is None:
        return validate(validation, wanted)
    from bascule.cli.session import reading
    from bascule.services.validate_migration import after, before

    with reading(call) as context:
        look = after if wanted.after else before
        return look(context, validation, name, wanted=wanted)


def _note(call: Call, report: ValidationReport, *, whole: bool) -> None:
    """For metrics and alerts. What was found has been told, whether or not that can be written down."""
    import contextlib

    from bascule.cli.session import changing
    from bascule.errors import BasculeError
    from bascule.services.validation_failed import note_look

    with contextlib.suppress(BasculeError), changing(call, progress=False) as context:
        note_look(context, report, whole=whole)


def _progress(call: Call) -> Callable[[int, int], None]:
    import time

    told = time.monotonic()

    def progress(done: int, of: int) -> None:
        nonlocal told
        if time.monotonic() - told > _SAY_AFTER and done < of:
            told = time.monotonic()
            call.output.note(f"Reading rows: {done} of {of} passes")

    return progress


def lines(report: ValidationReport, call: Call) -> list[str]:
    """The report for people: what was found first, then what is right in a line each."""
    found = [result for result in report.results if result.found]
    rest = [result for result in report.results if not result.found]
    width = max((len(result.rule_id) for result in report.results), default=0)
    answer = [_line(result, width, call) for result in found]
    for at, result in reversed(list(enumerate(found))):
        answer[at + 1 : at + 1] = [f"        {line}" for line in _sample(result)]
    answer += [_line(result, width, call) for result in rest]
    answer += [f"{call.output.colored('FAIL', 31)}  {words}" for words in report.needs_words]
    summary = report.summary
    told = [f"{summary[key]} {key}" for key in ("passed", "failed") if summary[key]]
    told += [plural(summary["warnings"], "warning")] if summary["warnings"] else []
    told += [f"{summary['skipped']} skipped"] if summary["skipped"] else []
    answer += ["", f"{', '.join(told)} in {duration(report.execution_ms / 1000)}"]
    answer += [f"Do: {advice}" for advice in report.recommendations]
    return answer


def _since(report: ValidationReport) -> list[str]:
    """What was not there before the migration ran."""
    if not report.after:
        return []
    if report.before is None:
        return ["Nobody looked at the rows before the migration ran, so what it broke is not told apart."]
    since = f" ({report.known_from['runId']})" if report.known_from else ""
    new = report.new_issues
    return [f"New since the run{since}: {words}" for words in new] or [f"Nothing is new since the run{since}."]


def _line(result: RuleResult, width: int, call: Call) -> str:
    mark, colour = _MARKS[result.status]
    since = "" if result.cached_since is None else f" (as of {iso(result.cached_since)}; nothing has changed since)"
    return f"{call.output.colored(mark.ljust(4), colour)}  {result.rule_id.ljust(width)}  {result.message}{since}"


def _sample(result: RuleResult) -> list[str]:
    return [
        f"{row.get('table', '')} "
        + ", ".join(f"{name}={_shown(value)}" for name, value in dict(row.get("row") or row).items())
        for row in result.sample[:3]
    ]


def _shown(value: object) -> str:
    """On one line, whatever it holds."""
    if value is None:
        return "NULL"
    text = str(value)
    return text if text.isprintable() and text else repr(text)
