"""Every failure leaves through here: what happened, what is now true of the database, what to do next."""

from __future__ import annotations

from typing import Any

import click

from bascule.cli.call import Call
from bascule.errors import BasculeError, ConfigError, Interrupted, SourceError, UsageError

_TRUTH = {
    "unchanged": "The database is unchanged.",
    "changed": "The database has changed.",
    "unknown": "What is now true of the database is not known.",
}
_REPORT = "Run it again with -v for the traceback; if it looks like a fault of Bascule, report it with that."


def report(call: Call, error: BaseException) -> int:
    """Show a failure as people or machines want it, without secrets, and answer the exit code."""
    known = as_known(error)
    if call.verbose > 1 or (call.verbose and known.code == "unexpected"):
        _show_traceback(call, error)
    _for_people(call, known)
    call.output.document(as_document(known))
    return known.exit_code


def as_document(error: BasculeError) -> dict[str, Any]:
    """The JSON answer of a failure; the runs of a batch that failed in the middle stand beside the error."""
    described = error.as_dict()
    data = described.pop("data", [])
    return {"success": False, "message": error.message, "error": described, "data": data}


def as_known(error: BaseException) -> BasculeError:
    """The error as one of ours, with an exit code, a state and a hint."""
    if isinstance(error, BasculeError):
        error.hint = error.hint or _next_step(error)
        return error
    if isinstance(error, click.ClickException):
        return UsageError(_usage_message(error), hint=_usage_hint(error))
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return Interrupted(
            "Interrupted.",
            state="unknown",
            hint="Whatever was under way is undone by the server or finished by the next run; see bascule status.",
        )
    if isinstance(error, RecursionError | MemoryError):
        return BasculeError(f"{type(error).__name__}: {error}", code="unexpected", state="unknown", hint=_REPORT)
    return BasculeError(
        f"Unexpected {type(error).__name__}: {error}",
        code="unexpected",
        state="unknown",
        hint=f"{_REPORT} bascule status shows where the database stands.",
    )


def _next_step(error: BasculeError) -> str:
    """Where whoever raised it knew of none."""
    if isinstance(error, ConfigError):
        return "Correct the settings, then run again; docs/reference/settings.md lists them."
    if isinstance(error, SourceError):
        return "Correct the file, then run again."
    if isinstance(error, UsageError):
        return "See bascule --help, and bascule status for the names that there are."
    return "bascule status shows where the database stands."


def _for_people(call: Call, error: BasculeError) -> None:
    insist = call.output.insist
    insist(f"{call.output.colored('Error', 31)}: {error.message}")
    insist(_TRUTH[error.state])
    if error.hint:
        insist(f"Next: {error.hint}")


def _usage_message(error: click.ClickException) -> str:
    message = error.format_message()
    return message if message.endswith((".", "?", "!")) else f"{message}."


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"See {context.command_path if context else 'bascule'} --help."


def _show_traceback(call: Call, error: BaseException) -> None:
    import traceback

    # Local values never appear in it, and what secrets a message holds are taken out.
    for line in "".join(traceback.format_exception(error)).rstrip().split("\n"):
        call.output.insist(line)
