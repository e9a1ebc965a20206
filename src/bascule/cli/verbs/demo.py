"""`bascule demo`."""

from __future__ import annotations

from bascule.cli.call import Call
from bascule.cli.options import verb


@verb("demo")
def command(call: Call) -> int:
    """See the whole story on a throw-away SQLite database: no set-up, nothing left behind."""
    from bascule.demo.story import demo

    told: list[str] = []

    def out(line: str) -> None:
        told.append(line)
        call.output.text(line)

    code = demo(out)
    call.output.document({"success": code == 0, "message": told[-1] if told else "", "story": told})
    return code
