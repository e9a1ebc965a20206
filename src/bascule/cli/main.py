"""From the process's arguments to its exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bascule.cli.call import Call
from bascule.cli.output import Output


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and answer its exit code; nothing is raised."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    call = Call(output=Output(json=_wants_json(given)))
    try:
        return _run(given, call)
    except BrokenPipeError:
        return 0
    except BaseException as error:  # noqa: BLE001 - the one door through which every failure leaves
        from bascule.cli.failure import report

        if isinstance(error, SystemExit):
            return error.code if isinstance(error.code, int) else 1
        return report(call, error)
    finally:
        _flush()


def _run(arguments: list[str], call: Call) -> int:
    from bascule.cli.group import build

    code = build().main(args=arguments or ["--help"], prog_name="bascule", standalone_mode=False, obj=call)
    return code if isinstance(code, int) else 0


def _wants_json(arguments: list[str]) -> bool:
    """Looked for before anything is parsed: a wrong command line is answered in JSON too."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def _flush() -> None:
    from bascule.cli.output import forget

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            forget(stream)
