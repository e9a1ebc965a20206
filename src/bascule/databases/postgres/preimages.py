"""What migrations destroy, kept in Bascule's schema. What is done stands in ``preimages.sql``; here it is called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bascule.databases.postgres.layout import preimages_sql, without_comments
from bascule.databases.postgres.message import literal, to_json
from bascule.databases.postgres.wire import ask, exchange
from bascule.domain.preimage import BUDGET, Assessed, Keep, PreImage
from bascule.domain.rowlook import RowLook

if TYPE_CHECKING:
    from bascule.databases.postgres.connections import Connections
    from bascule.databases.postgres.session import Session


class PostgresPreImages:
    """Looks at what is kept."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def assess(self, keeps: Sequence[Keep]) -> Sequence[Assessed]:
        """What would come of these."""
        if not keeps:
            return ()
        own = self._connections.schema
        asked = f"{literal(to_json([keep.as_dict() for keep in keeps]))},{BUDGET}"

        def look(session: Session) -> list[dict[str, Any]]:
            # Functions for this transaction only: looking leaves nothing behind.
            make = f"BEGIN;{without_comments(preimages_sql('pg_temp', own=own))};{session.local_path()}"
            try:
                rows = ask(session.connection, f"{make}SELECT pg_temp.preimage_assess({asked})")
            finally:
                if not session.connection.broken:
                    exchange(session.connection, b"ROLLBACK")
            answers: list[dict[str, Any]] = _parsed(rows[0][0])
            return answers

        found = self._connections.read(look, "look at what would be lost")
        return [
            Assessed(keep=keep, there=each["there"], why=each["why"], rows=each.get("rows"), bytes=each.get("bytes"))
            for keep, each in zip(keeps, found, strict=True)
        ]

    def kept(self, migration: str | None = None) -> Sequence[PreImage]:
        """What is kept, or was put back."""
        schema = self._connections.quoted

        def look(session: Session) -> list[dict[str, Any]]:
            import psycopg

            try:
                answers: list[dict[str, Any]] = _parsed(
                    session.ask(f"SELECT {schema}.preimages({literal(migration)})")[0][0]
                )
            except psycopg.errors.UndefinedFunction:
                return []  # prepared by an older version, which kept nothing
            return answers

        return [_preimage(each) for each in self._connections.recall(look, "read what is kept") or ()]

    def looks(self, migration: str) -> Sequence[RowLook]:
        """What was seen of the rows."""
        schema = self._connections.quoted

        def look(session: Session) -> list[dict[str, Any]]:
            import psycopg

            try:
                answers: list[dict[str, Any]] = _parsed(
                    session.ask(f"SELECT {schema}.rowlooks({literal(migration)})")[0][0]
                )
            except psycopg.errors.UndefinedFunction:
                return []  # prepared by an older version, which did not look
            return answers

        return [_rowlook(each) for each in self._connections.recall(look, "read what was seen of the rows") or ()]

    def as_left(self, migration: str) -> frozenset[str]:
        """Where nobody has written since the last rollback."""
        from bascule.domain.rowlook import BOUND

        schema = self._connections.quoted

        def look(session: Session) -> list[str]:
            import psycopg

            try:
                return list(_parsed(session.ask(f"SELECT {schema}.rows_as_left({literal(migration)}, {BOUND})")[0][0]))
            except psycopg.errors.UndefinedFunction:
                return []  # prepared by an older version

        return frozenset(self._connections.recall(look, "read whether anybody has written since") or ())

    def expire(self, seconds: float) -> int:
        """Throw away what is older."""
        schema = self._connections.quoted

        def throw(session: Session) -> int:
            return int(ask(session.connection, f"SELECT {schema}.preimage_expire({seconds!r})")[0][0] or 0)

        return self._connections.recall(throw, "throw away what was kept long enough") or 0


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str | bytes) else value


def _rowlook(row: dict[str, Any]) -> RowLook:
    back = row.get("back") or {}
    rows = None if row.get("before") is None or back.get("rows") is None else (row["before"], back["rows"])
    return RowLook(
        table=row["table"],
        name=row["name"],
        why=row["why"],
        inserted=row["inserted"],
        changed=row["changed"],
        undisturbed=back.get("same"),
        alone=bool(back.get("alone")),
        whole=back.get("whole"),
        rows=rows,
        columns=tuple(back.get("columns") or ()),
        mended=_mended(back.get("mended")),
        failed=back.get("failed"),
        taken=max(0, back.get("taken") or 0),
        back_run=row.get("back_run"),
    )


def _mended(done: dict[str, int] | None) -> str | None:
    return None if done is None else f"{done['taken']} taken away or changed, {done['given']} put back"


def _preimage(row: dict[str, Any]) -> PreImage:
    return PreImage(
        migration=row["migration"],
        run_id=row["run"],
        ordinal=row["ordinal"],
        kind=row["kind"],
        words=row["words"],
        relation=row["relation"],
        name=row["name"] or "",
        columns=tuple(row["columns"] or ()),
        rows=row["rows"],
        bytes=row["bytes"],
        why=row["why"],
        kept=row["kept"],
        back=row["back"],
        back_run=row["back_run"],
    )
