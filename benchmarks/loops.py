"""What Bascule is measured against: the same SQL, one transaction each, one ledger row each, and nothing that makes
it safe.

::

    python benchmarks/loops.py postgresql URL FOLDER
    python benchmarks/loops.py sqlite FILE FOLDER

Reads each file, hashes it, and sends BEGIN, the statement, an INSERT with bound values and COMMIT, one call each. A
file of its own that imports nothing of Bascule, because it is timed as a process.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

LEDGER = (
    "CREATE TABLE IF NOT EXISTS loop_ledger "
    "(name text PRIMARY KEY, checksum text NOT NULL, applied_at text NOT NULL, ms integer NOT NULL)"
)


def files(folder: str) -> Iterator[tuple[str, str, str]]:
    """(name, text, checksum), in order."""
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        yield name, data.decode(), hashlib.sha256(data).hexdigest()


def postgresql(url: str, folder: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(4711)")
        run(connection, folder, "INSERT INTO loop_ledger (name, checksum, applied_at, ms) VALUES (%s, %s, %s, %s)")
        connection.execute("SELECT pg_advisory_unlock(4711)")


def sqlite(path: str, folder: str) -> None:
    import sqlite3

    connection = sqlite3.connect(path, isolation_level=None)
    run(connection, folder, "INSERT INTO loop_ledger (name, checksum, applied_at, ms) VALUES (?, ?, ?, ?)")
    connection.close()


def run(connection: Any, folder: str, insert: str) -> None:
    connection.execute(LEDGER)
    applied = {name for (name,) in connection.execute("SELECT name FROM loop_ledger")}
    for name, text, checksum in files(folder):
        if name in applied:
            continue
        begun = time.time()
        connection.execute("BEGIN")
        connection.execute(text)
        moment = time.time()
        connection.execute(insert, (name, checksum, str(moment), round((moment - begun) * 1000)))
        connection.execute("COMMIT")


if __name__ == "__main__":
    {"postgresql": postgresql, "sqlite": sqlite}[sys.argv[1]](*sys.argv[2:])
