"""The `bascule` command: knows its verbs by the catalogue and imports one only to run it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from bascule.cli.catalogue import VERBS
from bascule.cli.options import CONTEXT, Explained, VerbCommand, global_options


class Verbs(Explained, click.Group):
    """Lists its verbs without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order people meet them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module and take its command."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"bascule.cli.verbs.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, but an unknown verb is refused with the nearest one."""
        name = args[0]
        if name not in VERBS and not ctx.resilient_parsing and not name.startswith("-"):
            from bascule.config.nearest import nearest

            guess = nearest(name, VERBS)
            hint = f" Did you mean {guess}?" if guess else ""
            raise click.UsageError(f"There is no verb {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs with one line each."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Verbs first: they are what people look for."""
        self.format_commands(ctx, formatter)
        VerbCommand.format_options(self, ctx, formatter)  # type: ignore[arg-type]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Verbs from the catalogue, options as click knows them."""
        from click.shell_completion import CompletionItem

        verbs = [CompletionItem(name, help=line) for name, line in VERBS.items() if name.startswith(incomplete)]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)


def build() -> click.Command:
    """The whole command line."""
    return Verbs(
        name="bascule",
        help="Database migrations with a counterweight: every change carries its way back, chosen before it begins.",
        epilog="bascule VERB --help tells more. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, "
        "3 refused before anything changed, 4 the lock was not to be had, 5 a person has to decide, 130 interrupted.",
        params=[*global_options(), _version_option()],
        context_settings=CONTEXT,
        no_args_is_help=False,
        subcommand_metavar="VERB [ARGS]...",
    )


def _version_option() -> click.Option:
    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_version,
        help="Show the version.",
    )


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from bascule import __version__
    from bascule.cli.options import call_of

    output = call_of(ctx).output
    output.text(f"bascule {__version__}")
    output.document({"version": __version__})
    ctx.exit()
