"""Text in, values out: what a migration's SQL says before any database has seen it.

``split`` cuts a script into statements where the server would, ``inspect`` tells what one statement is, touches and
destroys and whether a transaction can hold it, ``own_transactions`` reads the BEGIN and COMMIT an author wrote, and
``semantic_hash`` tells an edit of meaning from one of layout. Nothing here reads files, clocks or databases, and
PostgreSQL's grammar (a shared library of 14 MB) is loaded by the first statement that needs it.
"""

from __future__ import annotations

from bascule.sql.checksum import SEMANTIC_VERSION, exact_hash, meaning_diff, semantic_hash
from bascule.sql.classify import inspect
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.split import split
from bascule.sql.touches import script_touch
from bascule.sql.transactions import Block, OwnTransactions, own_transactions

__all__ = [
    "SEMANTIC_VERSION",
    "Block",
    "OwnTransactions",
    "SqlSyntaxProblem",
    "exact_hash",
    "inspect",
    "meaning_diff",
    "own_transactions",
    "script_touch",
    "semantic_hash",
    "split",
]
