"""From the process's arguments to its exit code."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from bascule.cli.call import Call
from bascule.cli.output import Output


def entry() -> NoReturn:
    """The command `bascule`: the whole life of a process, which ends here.

    Most commands live for a tenth of a second. Collecting garbage in that time and taking every imported module apart
    at its end would be a quarter of it, so neither is done: what has to be closed is closed by whoever opened it.
    """
    gc.disable()
    code = main()
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        # Somebody's thread is to be waited for, which only the long way out does.
        sys.exit(code)
    atexit._run_exitfuncs()
    _flush()
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and answer its exit code; nothing is raised."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    call = Call(output=Output(json=_wants_json(given)))
    try:
        with call.output.alone():
            return _guarded(given, call)
    finally:
        _flush()


def _guarded(arguments: list[str], call: Call) -> int:
    try:
        return _run(arguments, call)
    except BrokenPipeError:
        return 0
    except BaseException as error:  # noqa: BLE001 - the one door through which every failure leaves
        from bascule.cli.failure import report

        if isinstance(error, SystemExit):
            return error.code if isinstance(error.code, int) else 1
        return report(call, error)


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
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            # Whoever wrote what is in there has been told already, if there was anybody to tell.
            forget(stream)
