"""The functions that a statement calls, found in the JSON text of its tree.

Patterns on the text, not a walk over the nodes: quotes inside SQL's own strings are escaped there, so that only a real
node can match, and neither five megabytes of VALUES nor a thousand nested operators cost anything.
"""

from __future__ import annotations

import re

from bascule.domain.statement import Statement, Touch
from bascule.sql.postgres.functions import is_known
from bascule.sql.postgres.tree import everything, qualified, quoted

_CALL = re.compile(r'"FuncCall":\{"funcname":\[((?:\{"String":\{"sval":"(?:[^"\\]|\\.)*+"\}\},?)++)\]')
_PART = re.compile(r'"sval":("(?:[^"\\]|\\.)*+")')


def calls(raw: str) -> tuple[tuple[str, ...], ...]:
    """The names of all functions called, each once, as they were written: ``("now",)``, ``("pg_catalog", "now")``."""
    return tuple({_parts(found.group(1)): None for found in _CALL.finditer(raw)})


def unknown_calls(raw: str, statement: Statement) -> Touch:
    """Everything, if a function is called that is not known to leave all schema objects alone.

    Only calls that stand in the statement are seen: a trigger, a rule or a view behind a table may call what it likes.
    """
    unknown = [name for name in calls(raw) if not is_known(name)]
    if not unknown:
        return Touch()
    names = ", ".join(".".join(quoted(part) for part in name) + "()" for name in unknown)
    runs = Touch(runs=frozenset(qualified("routine", name) for name in unknown))
    return everything(statement, f"calls {names}, and parsing cannot see what that changes") | runs


def _parts(funcname: str) -> tuple[str, ...]:
    import json

    return tuple(json.loads(part) for part in _PART.findall(funcname))
