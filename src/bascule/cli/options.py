"""How a verb is declared, and the options that every verb understands, before and after its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from bascule.cli.call import Call

Handler = Callable[..., int | None]
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Explained(click.Command):
    """A command whose ``--help`` is a JSON document where JSON was asked for."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """As click makes it, but showing the help in our own way."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _show_help
        return option


def _show_help(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    output = call_of(ctx).output
    text = ctx.get_help()
    output.text(text)
    output.document({"success": True, "message": text})
    ctx.exit()


class VerbCommand(Explained):
    """A verb whose help lists its own options apart from the global ones."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Two sections instead of one."""
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                (shared if isinstance(param, GlobalOption) else own).append(record)
        for title, records in (("Options", own), ("Global options", shared)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class GlobalOption(click.Option):
    """An option that may stand before or after the verb."""


def yes_production(words: str) -> Callable[[Handler], Handler]:
    """The option by which a protected target is changed for a reason. `words`: what it allows."""
    return click.option("--yes-production", metavar="REASON", help=f"{words}; it is kept in the audit log.")


def verb(name: str) -> Callable[[Handler], click.Command]:
    """Make a command of a function that takes the `Call` first; what it returns is the exit code (None: 0)."""

    def decorate(function: Handler) -> click.Command:
        command = click.command(name, cls=VerbCommand, context_settings=CONTEXT)(click.pass_obj(function))
        command.params.extend(global_options())
        return command

    return decorate


def lock_wait(command: click.Command) -> click.Command:
    """Give a verb the option ``--lock-wait``."""
    command.params.append(
        _setting(
            "lock_wait",
            "--lock-wait",
            metavar="S",
            meaning="Seconds to wait for the lease while another run has it; 0: none. "
            "Locks on tables (SQLite: on the file) are waited for by limits.lock_retry.",
            of=click.Option,
        )
    )
    return command


def call_of(ctx: click.Context) -> Call:
    """The invocation that a click context belongs to."""
    call = ctx.find_object(Call)
    assert call is not None, "main() hands a Call to the group"
    return call


def global_options() -> list[click.Option]:
    """Fresh ones for the group and for each verb; their callbacks put what is given into the `Call`."""
    return [
        _setting("database_url", "--database-url", metavar="URL", meaning="Address of the target (DATABASE_URL)."),
        _setting(
            "migrations_dir", "--migrations-dir", metavar="DIR", meaning="Folder of the migrations (MIGRATION_DIR)."
        ),
        _option(_target, "--target", metavar="NAME", help="One of several targets in the configuration file."),
        _option(_config, "--config", metavar="FILE", help="Configuration file instead of the one in this folder."),
        _option(_json, "--json", is_flag=True, help="One JSON document on stdout, nothing else."),
        _option(_verbose, "-v", "--verbose", count=True, help="Log lines on stderr; -vv all of them."),
        _option(_quiet, "-q", "--quiet", count=True, help="No progress and no notes; -qq no warnings either."),
        _option(_yes, "-y", "--yes", is_flag=True, help="Answer every question with yes."),
    ]


def _setting(
    name: str,
    declaration: str,
    *,
    metavar: str,
    meaning: str,
    of: type[click.Option] = GlobalOption,
) -> click.Option:
    """An option that sets the setting of that name."""

    def remember(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        if value is not None:
            call_of(ctx).flags[name] = (param.opts[0], value)

    return of([declaration], metavar=metavar, help=meaning, callback=remember, expose_value=False)


def _option(remember: Callable[[Call, Any], None], *declarations: str, **more: Any) -> click.Option:
    def callback(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value:
            remember(call_of(ctx), value)

    return GlobalOption(declarations, callback=callback, expose_value=False, **more)


def _target(call: Call, value: str) -> None:
    call.target = value


def _config(call: Call, value: str) -> None:
    call.config = value


def _json(call: Call, _value: bool) -> None:
    call.output.json = True


def _verbose(call: Call, value: int) -> None:
    call.verbose += value


def _quiet(call: Call, value: int) -> None:
    call.output.quiet += value


def _yes(call: Call, _value: bool) -> None:
    call.yes = True
