"""psycopg 3 for SQLAlchemy 1.4, which knows only psycopg 2."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.postgresql.base import PGDialect


class OldPsycopgDialect(PGDialect):  # type: ignore[misc, unused-ignore]
    """PostgreSQL's general dialect with psycopg 3's placeholders; the server finds the types of values itself."""

    driver = "psycopg"
    supports_statement_cache = True
    default_paramstyle = "pyformat"

    def __init__(self, use_native_hstore: bool = False, **options: Any) -> None:
        # psycopg 3 has read JSON already when SQLAlchemy gets it.
        super().__init__(json_deserializer=_as_it_is, **options)  # type: ignore[no-untyped-call, unused-ignore]

    def is_disconnect(self, e: BaseException, connection: Any, cursor: Any) -> bool:
        """Whether the error means that the connection is gone."""
        return connection is not None and bool(connection.closed or connection.broken)


def _as_it_is(value: Any) -> Any:
    return value
