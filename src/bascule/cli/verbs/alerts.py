"""`bascule alerts` and what can be done about them."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click

from bascule.cli.call import Call
from bascule.cli.options import CONTEXT, Explained, VerbCommand, call_of, global_options, verb
from bascule.cli.session import changing, reading
from bascule.cli.words import moment, plural


class Alerts(Explained, click.Group):
    """Shows them; a word after it does something about them."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its verbs first."""
        self.format_commands(ctx, formatter)
        VerbCommand.format_options(self, ctx, formatter)  # type: ignore[arg-type]


@verb("ack")
@click.argument("alert", metavar="ID")
@click.option("--by", metavar="WHO", help="Who has taken note of it; you, if nobody is named.")
def ack_command(call: Call, alert: str, by: str | None) -> None:
    """Acknowledge an alert: nobody is told of it again unless it gets worse. The beginning of its id will do."""
    from bascule.services.alerts import acknowledge

    with changing(call, progress=False) as context:
        found = acknowledge(context, alert, by or context.owner)
    call.output.text(call.output.clean(f"Alert {found.id} is acknowledged by {found.acknowledged_by}: {found.title}"))
    call.output.document({"success": True, "data": found.as_dict()})


@verb("resolve")
@click.argument("alert", metavar="ID")
@click.option("--by", metavar="WHO", help="Who says so; you, if nobody is named.")
def resolve_command(call: Call, alert: str, by: str | None) -> None:
    """Say that what an alert is about is over. If it happens again it is another alert."""
    from bascule.services.alerts import resolve

    with changing(call, progress=False) as context:
        found = resolve(context, alert, by or context.owner)
    call.output.text(call.output.clean(f"Alert {found.id} is resolved: {found.title}"))
    call.output.document({"success": True, "data": found.as_dict()})


@verb("check")
def check_command(call: Call) -> None:
    """Look at journal and health now, make the alerts they call for, and send what is owed. For where no server runs
    that does it by itself.
    """
    from bascule import wiring
    from bascule.services.broken_off import settle

    with changing(call, progress=False) as context:
        policy = wiring.alert_policy(call.settings)
        settle(context)
        health = wiring.health(call.settings, context)
        with closing(context.target.state()) as door:
            looked = wiring.look_for_alerts(call.settings, context, door, policy, health=health)
            sent = wiring.outbox(call.settings, policy).send(door)
    words = f"{plural(len(looked.created), 'new alert')}, {len(looked.resolved)} resolved, "
    call.output.text(f"{words}{plural(sent.sent, 'message')} sent.")
    for channel, why in sent.failed.items():
        call.output.warn(f"{channel}: {why}. It is tried again.")
    call.output.document(
        {
            "success": True,
            "data": {
                "created": [each.as_dict() for each in looked.created],
                "resolved": [each.as_dict() for each in looked.resolved],
                "sent": sent.sent,
                "failed": dict(sent.failed),
            },
        }
    )


@verb("test")
def test_command(call: Call) -> int:
    """Send a message to every channel, to see that it arrives. Nothing is kept of it."""
    from bascule import wiring

    with reading(call) as context:
        found = wiring.try_channels(call.settings, context)
    for channel, why in found.items():
        call.output.text(f"{channel}: {'taken' if why is None else why}")
    if not found:
        call.output.text("Nobody outside is told: neither BASCULE_ALERT_URLS nor a webhook is set.")
    good = all(why is None for why in found.values())
    call.output.document({"success": good, "data": found})
    return 0 if good else 1


@click.pass_context
def _show(ctx: click.Context, /, **given: Any) -> None:
    if ctx.invoked_subcommand is not None:
        return
    call = call_of(ctx)
    from bascule.services.alerts import alerts
    from bascule.state.deliveries import troubles

    with reading(call) as context:
        found = alerts(
            context,
            include_acknowledged=given["everything"],
            include_resolved=given["everything"],
            limit=given["limit"],
        )
        with closing(context.target.state(beside=False)) as door:
            unsent = troubles(door)
    for each in found:
        state = f" ({each.state})" if each.state != "open" else ""
        times = f", {each.occurrences} times" if each.occurrences > 1 else ""
        call.output.text(
            call.output.clean(f"{each.id}  {each.type}{state}: {each.title}{times}, {moment(each.last_at)}")
        )
        for line in each.message.splitlines()[:4]:
            call.output.text(call.output.clean(f"    {line}"))
    if not found:
        call.output.text("There are no alerts." if given["everything"] else "No alert is open.")
    for trouble in unsent:
        tried = "was given up" if trouble["state"] == "given_up" else "has not been sent yet"
        call.output.warn(call.output.clean(f"A message to {trouble['channel']} {tried}: {trouble['error']}"))
    call.output.document([each.as_dict() for each in found])


command = Alerts(
    name="alerts",
    help="Show what somebody ought to know, newest first: alerts that nobody has acknowledged.",
    params=[
        click.Option(["--all", "everything"], is_flag=True, help="Acknowledged and resolved ones too."),
        click.Option(["--limit"], type=click.IntRange(min=0), default=100, help="How many; 0: all.", metavar="N"),
        *global_options(),
    ],
    context_settings=CONTEXT,
    no_args_is_help=False,
    invoke_without_command=True,
    callback=_show,
    commands=[ack_command, resolve_command, check_command, test_command],
)
