"""ATTACH and DETACH in a script: refused as a whole, before anything of it runs.

Each is a step of its own, and what a step attached is let go at its end, because the connection serves many migrations.
The next statement would not find the other database, with the script half done. A transaction over two files would not
be one either: in WAL mode, a crash may keep the half in one of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from bascule.domain.statement import Insight, Statement
from bascule.sql.errors import SqlSyntaxProblem

_WHY = {
    "ATTACH": "ATTACH lasts for its one statement only here, so nothing after it could use the other database; a "
    "migration works on one database file",
    "DETACH": "DETACH has nothing to let go here, because no ATTACH outlasts its own statement; a migration works on "
    "one database file",
}


def refuse_attachments(pairs: Iterable[tuple[Statement, Insight]]) -> None:
    """Raises SqlSyntaxProblem, with the line, for the first ATTACH or DETACH."""
    for statement, insight in pairs:
        if insight.kind in _WHY:
            raise SqlSyntaxProblem(_WHY[insight.kind], offset=statement.offset, line=statement.line)
