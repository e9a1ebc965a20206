"""The child process of `record`: reads a request from standard input, answers on standard output, both as JSON."""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import asdict
from typing import Any

from bascule.databases.operations.author import load
from bascule.databases.operations.recorded import Recorded, statements_of
from bascule.domain.migration import Script
from bascule.errors import BasculeError


def main() -> None:
    """Answer one request."""
    request: dict[str, Any] = json.load(sys.stdin)
    # What the author prints is not the answer.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _end_in_time(float(request["timeout"]))
    with answer:
        json.dump(_answer(request), answer)


def _end_in_time(seconds: float) -> None:
    """End ourselves even where the parent was killed and nobody waits for us any more."""
    timer = threading.Timer(seconds + 1, os._exit, (1,))
    timer.daemon = True
    timer.start()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    error: BasculeError | None = None
    recorded = Recorded(statements=())
    try:
        recorded = _record(request)
    except BasculeError as raised:
        error = raised
    return {
        "statements": [asdict(statement) for statement in recorded.statements],
        "dependsOnData": recorded.depends_on_data,
        "batched": recorded.batched,
        "error": None if error is None else error.details.get("what", error.message),
        "errorLine": None if error is None else error.details.get("line"),
        "hint": "" if error is None else error.hint,
    }


def _record(request: dict[str, Any]) -> Recorded:
    script = Script(language="python", **request["script"])
    return statements_of(
        load(script).function(request["direction"]),
        dialect=request["dialect"],
        server_version=request["serverVersion"],
        transactional=script.transaction,
    )


if __name__ == "__main__":
    main()
