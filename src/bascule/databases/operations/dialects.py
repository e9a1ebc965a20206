"""SQLAlchemy's dialects for the drivers we use, told by hand what they would ask a server for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bascule.databases.operations.extra import require_extra
from bascule.domain.statement import Dialect

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect as SqlAlchemyDialect

URLS = {"postgresql": "postgresql+psycopg://", "sqlite": "sqlite+pysqlite://"}

_OLDEST_POSTGRESQL = 14_00_00


def make_dialect(dialect: Dialect, server_version: int | None) -> SqlAlchemyDialect:
    """A dialect that has not met its server.

    `server_version` as `TargetInfo.version` has it; None: the oldest supported. Raises ConfigError without the extra.
    """
    require_extra()
    return _sqlite() if dialect == "sqlite" else _postgresql(server_version or _OLDEST_POSTGRESQL)


def without_returning(dialect: Any) -> None:
    """Make the dialect add nothing to a statement that would need its rows: no RETURNING, no sequence asked beforehand.

    What an author writes with ``.returning()`` stays.
    """
    for feature in (
        "insert_returning",
        "update_returning",
        "delete_returning",
        "implicit_returning",
        "favor_returning_over_lastrowid",
        "preexecute_autoincrement_sequences",
        "postfetch_lastrowid",
        "use_insertmanyvalues",
        "supports_sane_rowcount",
        "supports_sane_multi_rowcount",
    ):
        if hasattr(dialect, feature):
            setattr(dialect, feature, False)


def quote_with(dialect: SqlAlchemyDialect) -> Callable[[str], str]:
    """Quotes a name as the database wants it in a text without placeholders."""
    quote: Callable[[str], str] = dialect.identifier_preparer.quote
    if dialect.paramstyle not in ("format", "pyformat"):
        return quote
    # Where % announces a placeholder SQLAlchemy doubles those of names.
    return lambda name: quote(name).replace("%%", "%")


def _sqlite() -> SqlAlchemyDialect:
    import sqlite3

    from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

    made: Any = SQLiteDialect_pysqlite(dbapi=sqlite3)
    made.server_version_info = sqlite3.sqlite_version_info
    made.default_schema_name = "main"
    return made  # type: ignore[no-any-return]


def _postgresql(version: int) -> SqlAlchemyDialect:
    import psycopg

    # hstore columns come back as text and are read by SQLAlchemy: its own way asks the server for the type's number.
    made: Any = _psycopg_dialect()(dbapi=psycopg, use_native_hstore=False)
    made.server_version_info = (version // 10_000, version % 10_000)
    made.default_schema_name = "public"
    made._backslash_escapes = False
    return made  # type: ignore[no-any-return]


def _psycopg_dialect() -> Any:
    try:
        from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
    except ModuleNotFoundError:
        from bascule.databases.operations.old_psycopg import OldPsycopgDialect

        return OldPsycopgDialect
    return PGDialect_psycopg
