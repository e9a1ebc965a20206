"""`bascule audit` and `bascule audit verify`."""

from __future__ import annotations

import json
from typing import Any

import click

from bascule.cli.call import Call
from bascule.cli.options import CONTEXT, Explained, VerbCommand, call_of, global_options, verb
from bascule.cli.session import changing
from bascule.cli.words import plural

_FOUND = 3


class Audit(Explained, click.Group):
    """Shows the log; a word after it proves it."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its verbs first."""
        self.format_commands(ctx, formatter)
        VerbCommand.format_options(self, ctx, formatter)  # type: ignore[arg-type]


@verb("verify")
@click.option("--head", "heads", multiple=True, metavar="N:CODE", help="A head that a run printed; it must be there.")
def verify_command(call: Call, heads: tuple[str, ...]) -> int:
    """Look at every line: nothing changed, removed, inserted, in another order, or cut off."""
    from bascule.access.audit_chain import read_head
    from bascule.errors import UsageError
    from bascule.services.audit import verified

    try:
        given = [read_head(each) for each in heads]
    except ValueError as wrong:
        raise UsageError(f"--head: {wrong}.", hint="Copy it from the end of a run's output.") from None
    with changing(call, progress=False, looks=True) as context:
        assert context.trail is not None, "who may write has a trail"
        verdict = verified(context, context.trail, given)
    for each in verdict.findings[:20]:
        call.output.text(f"line {each.number}: {each.kind}: {call.output.clean(each.words)}")
    if len(verdict.findings) > 20:
        call.output.text(f"… and {len(verdict.findings) - 20} more")
    for words in verdict.cannot:
        call.output.warn(f"Cannot be promised: {words}.")
    head = f", the newest is {verdict.head}" if verdict.head else ""
    state = "whole" if verdict.whole else f"NOT WHOLE: {plural(len(verdict.findings), 'finding')}"
    call.output.text(f"{plural(verdict.lines, 'line')}{head}. The log is {state}.")
    call.output.document({"success": verdict.whole, "data": verdict.as_dict()})
    return 0 if verdict.whole else _FOUND


@click.pass_context
def _show(ctx: click.Context, /, **given: Any) -> int | None:
    if ctx.invoked_subcommand is not None:
        return None
    call = call_of(ctx)
    from bascule.services.audit import read

    with changing(call, progress=False) as context:
        found = read(context, limit=given["limit"] or 2**31)
    for each in reversed(found):
        call.output.text(call.output.clean(_words(each)))
    if not found:
        call.output.text("The audit log is empty.")
    call.output.document(found)
    return None


def _words(line: dict[str, Any]) -> str:
    what = " ".join(f"{name}={value}" for name, value in (line.get("what") or {}).items())
    outcome = line.get("outcome", "")
    code = f" ({line['code']})" if line.get("code") else ""
    asked = f" of line {line['attempt']}" if "attempt" in line else ""
    return (
        f"{line['number']}  {line['timestamp'][:19].replace('T', ' ')}  {line.get('who', '')}  {line.get('from', '')}  "
        f"{line.get('action', json.dumps(line))} {what} {outcome}{code}{asked}"
    ).rstrip()


command = Audit(
    name="audit",
    help="Show the log of who did what, newest last; reading it is written down there too.",
    params=[
        click.Option(["--limit"], type=click.IntRange(min=0), default=100, help="How many lines; 0: all.", metavar="N"),
        *global_options(),
    ],
    context_settings=CONTEXT,
    no_args_is_help=False,
    invoke_without_command=True,
    callback=_show,
    commands=[verify_command],
)
