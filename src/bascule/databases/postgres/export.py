"""A backup as one SQL script that psql restores into an empty database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bascule.databases.postgres.archive import Entry
from bascule.databases.postgres.dump import SEQUENCES
from bascule.databases.postgres.load import RESTORE_SETTINGS, Source, table_of
from bascule.databases.postgres.message import literal
from bascule.databases.postgres.restore_plan import plan_anew

_LEFT_OUT = ("row_security", "timezone", "lock_timeout", "extra_float_digits", "synchronize_seqscans", "bytea_output")


def export(source: Source, write: Callable[[bytes], object]) -> None:
    """Write it. Everything is read and compared before the first byte is written. Raises as the pipeline."""
    source.verify(source.manifest.streams)
    data = source.schema_data
    plan = plan_anew(source.entries(), scratch=False)
    manifest = source.manifest
    lines = [
        f"-- Backup {manifest.id} of {manifest.until:%Y-%m-%d %H:%M:%S} UTC, PostgreSQL {manifest.server_version}.",
        "-- Restore it into an empty database: psql -v ON_ERROR_STOP=1 --single-transaction -f FILE DATABASE",
        "SET client_encoding = 'UTF8';",
        *(f"SET {name} = {literal(value)};" for name, value in RESTORE_SETTINGS.items() if name not in _LEFT_OUT),
    ]
    write(_encoded(lines))
    write(_path(data).encode())
    write(_encoded(text for entry in plan.before for text in _statements(entry)))
    with source.reader() as reader:
        for rows in source.rows():
            columns = ", ".join(column.quoted for column in table_of(rows).columns)
            write(_encoded([f"COPY {rows.table}{f' ({columns})' if columns else ''} FROM stdin;"])[:-1])
            for piece in reader.pieces(rows):
                write(piece)
            write(b"\\.\n\n")
    write(_encoded(text for entry in plan.after for text in _statements(entry)))
    values = source.sequences() if manifest.stream(SEQUENCES).plain_bytes else []
    write(
        _encoded(
            f"SELECT pg_catalog.setval({literal(name)}, {value}, {str(called).lower()});"
            for name, value, called in values
        )
    )
    write(_encoded(f"REFRESH MATERIALIZED VIEW {view};" for view in data["refresh"]))


def _path(data: Mapping[str, Any]) -> str:
    """As `look_for_names`."""
    return f"SELECT pg_catalog.set_config('search_path', {literal(data.get('path') or '')}, false);\n\n"


def _statements(entry: Entry) -> Iterator[str]:
    if entry.kind == "SCHEMA" and entry.tag == "public":
        return
    if entry.sql:
        yield entry.sql
    owning = entry.owning()
    if owning:
        yield owning


def _encoded(lines: Iterator[str] | list[str]) -> bytes:
    return "".join(f"{line}\n\n" for line in lines).encode("utf-8", "surrogateescape")
