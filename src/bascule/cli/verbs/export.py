"""`bascule export`."""

from __future__ import annotations

import click

from bascule.cli.call import Call
from bascule.cli.options import verb
from bascule.cli.session import reading


@verb("export")
@click.option("--format", "form", type=click.Choice(("json", "csv", "html")), default="json", help="Of the text.")
@click.option("--from", "start", help="First day or moment, in UTC.", metavar="DATE")
@click.option("--to", "end", help="Last day, or the moment up to which.", metavar="DATE")
@click.option("--out", type=click.Path(dir_okay=False), help="File to write to, in place of stdout.", metavar="FILE")
def command(call: Call, form: str, start: str | None, end: str | None, out: str | None) -> None:
    """Write what is known of a period as JSON, CSV, or one HTML page with charts. Without dates the last 30 days."""
    from bascule import wiring
    from bascule.services.period import period_report, read_date

    first = read_date(start, name="--from") if start else None
    last = read_date(end, name="--to", end=True) if end else None
    with reading(call) as context:
        report = period_report(context, start=first, end=last, health=wiring.health(call.settings, context))
    text = wiring.exported(call.settings, report, form)
    if out is None:
        call.output.text(text.rstrip("\r\n"))
    else:
        wiring.write_text(out, text)
        call.output.note(f"Written to {out}.")
    call.output.document(report.as_dict() if out is None else {"success": True, "path": out, "format": form})
