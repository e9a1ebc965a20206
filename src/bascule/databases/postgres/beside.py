"""Rows of a backup in tables of Bascule's own schema, beside those of today."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bascule.databases.postgres.dump_catalog import Table
from bascule.databases.postgres.load import Rows, Source, by_stream, copy_in, local_settings, table_of
from bascule.databases.postgres.message import identifier
from bascule.databases.postgres.row_proof import grouped
from bascule.databases.postgres.tool_access import Access
from bascule.errors import MigrationFailed
from bascule.ports.dump import Beside, Watch

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_LONGEST = 48
"""Characters of a table's name that are taken over; with what is added it stays within PostgreSQL's 63 bytes as long as
they are ASCII, and longer ones are cut by the server, as always."""
_COLUMNS = """SELECT pg_catalog.quote_ident(a.attname), pg_catalog.pg_get_expr(d.adbin, d.adrelid)
FROM pg_catalog.pg_attribute AS a
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = pg_catalog.to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''"""


def restore_beside(
    access: Access, source: Source, *, schema: str, tables: Sequence[str] | None, watch: Watch | None = None
) -> list[Beside]:
    """In one transaction. `schema`: Bascule's own. Raises what the port says."""
    import psycopg

    wanted = source.names(tables)
    rows = source.rows(wanted)
    source.verify(rows, watch)
    counts: dict[str, int] = {}

    def loaded(what: Rows, count: int) -> None:
        counts[what.table] = counts.get(what.table, 0) + count

    with access.connect() as connection:
        try:
            connection.execute(f"BEGIN; {local_settings()}")
            made = [table_of(parts[0]) for parts in grouped(rows).values()]
            places = {table.name: _made(connection, table, schema) for table in made}
            for together in by_stream(rows):
                copy_in(connection, source, together, into=places, freeze=True, loaded=loaded)
            found = [_beside(connection, table, places[table.name], counts[table.name]) for table in made]
            connection.execute("COMMIT")
        except psycopg.Error as exc:
            raise MigrationFailed(
                f"The old rows could not be restored beside the tables: {' '.join(str(exc).split())}.",
                code="restore_failed",
                hint="Nothing was changed by that. Restore the backup to another database with --to.",
            ) from exc
        finally:
            if not connection.closed and connection.pgconn.transaction_status:
                connection.execute("ROLLBACK")
    return found


def _made(connection: Connection, table: Table, schema: str) -> str:
    """A new table for these columns, under a name that nothing has; no defaults, no constraints."""
    plain = table.name.rpartition(".")[2].strip('"').replace('""', '"')[:_LONGEST]
    number = 1
    while True:
        place = f"{identifier(schema)}.{identifier(f'beside_{plain}' + (f'_{number}' if number > 1 else ''))}"
        row = connection.execute("SELECT pg_catalog.to_regclass(%s) IS NULL", (place,)).fetchone()
        if row and row[0]:
            break
        number += 1
    columns = ", ".join(
        f"{column.quoted} {column.type}" + (f" COLLATE {column.collation}" if column.collation else "")
        for column in table.columns
    )
    connection.execute(f"CREATE TABLE {place} ({columns})")
    # Default privileges may let others in.
    connection.execute(f"REVOKE ALL ON {place} FROM PUBLIC")
    return place


def _beside(connection: Connection, table: Table, place: str, rows: int) -> Beside:
    defaults: dict[str, str | None] = dict(connection.execute(_COLUMNS, (table.name,)).fetchall())
    today = set(defaults)
    quoted = {column.name: column.quoted for column in table.columns}
    key = tuple(quoted[name] for name in table.key if name in quoted)
    if not set(key) <= today:
        key = ()
    return Beside(
        table=table.name,
        place=place,
        rows=rows,
        there=bool(today),
        key=key,
        columns=tuple(each for each in quoted.values() if each in today and each not in key),
        gone=tuple(each for each in quoted.values() if each not in today),
        defaults=tuple((name, text) for name, text in defaults.items() if text and "(" not in text),
        computed=tuple(name for name, text in defaults.items() if text and "(" in text),
    )
