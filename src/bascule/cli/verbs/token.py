"""`bascule token` and what it can do."""

from __future__ import annotations

import click

from bascule.access.roles import ROLES
from bascule.cli.call import Call
from bascule.cli.options import CONTEXT, Explained, VerbCommand, global_options, verb
from bascule.cli.session import changing, reading
from bascule.cli.words import moment, table


class Tokens(Explained, click.Group):
    """The verbs of tokens."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its verbs first."""
        self.format_commands(ctx, formatter)
        VerbCommand.format_options(self, ctx, formatter)  # type: ignore[arg-type]


@verb("create")
@click.option("--role", required=True, type=click.Choice(ROLES), help="What it may do.")
@click.option("--name", default="", metavar="WHO", help="Who will use it; shown in the audit log.")
@click.option(
    "--expires", default="90d", show_default=True, metavar="TIME", help='How long it is good: "8h", "30d", or "never".'
)
@click.option(
    "--environment", type=click.Choice(["development", "staging", "production"]), help="Good for such targets only."
)
def create_command(call: Call, role: str, name: str, expires: str, environment: str | None) -> None:
    """Make a token for the REST API. It is shown this once; only its hash is kept."""
    from bascule.config.values import duration
    from bascule.domain.run import iso
    from bascule.errors import UsageError
    from bascule.services.tokens import create

    try:
        lifetime = None if expires == "never" else duration(expires, unit=86_400.0)
    except ValueError as wrong:
        raise UsageError(
            f"--expires {expires}: {wrong}.", hint='Give a time as in "8h" or "30d", or "never".'
        ) from None
    if lifetime is not None and lifetime <= 0:
        raise UsageError("--expires must lie in the future.", hint='Give a time as in "8h" or "30d".')
    with changing(call, progress=False) as context:
        made = create(context, role=role, name=name, lifetime=lifetime, environment=environment, by=context.owner)
    until = f"until {iso(made.token.expires_at)}" if made.token.expires_at else "until it is revoked"
    call.output.note(f"Token {made.token.id}, {role}, good {until}. It is not shown again:")
    call.output.text(made.text)
    call.output.document(made.as_dict())


@verb("list")
def list_command(call: Call) -> None:
    """Show all tokens: role, name, how long each is good, when it was last used."""
    from bascule.services.tokens import every, token_line

    with reading(call) as context:
        found = every(context)
        now = context.clock.now()
    rows = []
    for each in found:
        state = "revoked" if each.revoked_at else "expired" if each.expires_at and now >= each.expires_at else "good"
        until = f"until {moment(each.expires_at)}" if each.expires_at else "for ever"
        used = f"last used {moment(each.last_used_at)}" if each.last_used_at else "never used"
        rows.append((each.id, state, each.role, each.environment or "any target", until, used, each.name))
    for row in table(rows, indent=""):
        call.output.text(call.output.clean(row))
    if not found:
        call.output.text("There are no tokens.")
    call.output.document([token_line(each) for each in found])


@verb("revoke")
@click.argument("token", metavar="ID")
def revoke_command(call: Call, token: str) -> None:
    """Take a token back. It opens nothing from now on."""
    from bascule.services.tokens import revoke, token_line

    with changing(call, progress=False) as context:
        found = revoke(context, token)
    call.output.text(f"Token {found.id} is revoked.")
    call.output.document({"success": True, "data": token_line(found)})


command = Tokens(
    name="token",
    help="Make, list and revoke access tokens of the REST API.",
    params=[*global_options()],
    context_settings=CONTEXT,
    no_args_is_help=False,
    commands=[create_command, list_command, revoke_command],
)
