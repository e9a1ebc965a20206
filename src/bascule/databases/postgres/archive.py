"""What pg_dump found out about a schema: the table of contents of its custom format, one entry for each object.

Its plain text says the same, but where an object begins in it cannot be told from what an author's function may
contain. The contents also say what depends on what, which is what restoring a few tables of many needs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from bascule.databases.postgres.message import identifier
from bascule.errors import MigrationFailed

NEWEST = (1, 16)
"""The format of pg_dump 17 and 18."""
_OLDEST = (1, 14)
"""pg_dump 12 to 15."""
_SECTIONS = {1: "none", 2: "pre", 3: "data", 4: "post"}
_ABOUT_THE_DUMP = {"ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "DATABASE PROPERTIES"}
_OWNED_BY_ANOTHER = {
    "ACL", "CHECK CONSTRAINT", "COMMENT", "CONSTRAINT", "DEFAULT", "DEFAULT ACL", "EVENT TRIGGER", "EXTENSION",
    "FK CONSTRAINT", "INDEX", "INDEX ATTACH", "POLICY", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA",
    "ROW SECURITY", "RULE", "SECURITY LABEL", "SEQUENCE OWNED BY", "SEQUENCE SET", "TABLE ATTACH", "TRANSFORM",
    "TRIGGER", "USER MAPPING", "CAST",
}  # fmt: skip
"""Kinds that have no owner of their own that could be altered (or that go with another object's)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One object of the schema, or one thing said about one."""

    id: int
    kind: str
    """``TABLE``, ``INDEX``, ``FK CONSTRAINT``… in pg_dump's words."""
    section: str
    """``pre``: before the rows, ``post``: after them, ``none``: about another entry."""
    schema: str
    tag: str
    owner: str
    catalog: int
    oid: int
    """Of the object in that catalog, 0 where the entry is about another one."""
    sql: str
    drop: str
    needs: tuple[int, ...]
    """Ids of the entries that must be there before."""
    table: str | None = None
    """The table that it is a part of, quoted; None where it stands alone."""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What makes two entries of two dumps the same object, whatever its definition."""
        return (self.kind, self.schema, self.tag, self.drop or (self.sql if self.oid == 0 else ""))

    @property
    def definition(self) -> str:
        """What has to be the same for the object to be the same."""
        return self.sql

    def of(self, table: str | None) -> Entry:
        """The same, as a part of that table. Spelled out: there are tens of thousands of them."""
        return Entry(
            id=self.id,
            kind=self.kind,
            section=self.section,
            schema=self.schema,
            tag=self.tag,
            owner=self.owner,
            catalog=self.catalog,
            oid=self.oid,
            sql=self.sql,
            drop=self.drop,
            needs=self.needs,
            table=table,
        )

    def owning(self) -> str:
        """The statement that gives it its owner; empty where it has none of its own."""
        if not self.owner or self.kind in _OWNED_BY_ANOTHER or not self.drop.startswith("DROP "):
            return ""
        what = self.drop.removeprefix("DROP ").rstrip().removesuffix(";")
        if self.kind == "SEQUENCE" and self.sql.lstrip().startswith("ALTER TABLE"):
            return ""  # an identity column's goes with its table
        return f"ALTER {what} OWNER TO {identifier(self.owner)};"


_FIELDS = tuple(each.name for each in fields(Entry))


def read_entries(content: bytes, *, encoding: str = "utf-8") -> tuple[Entry, ...]:
    """The entries of an archive in pg_dump's custom format, in the order in which they can be made.

    Raises `MigrationFailed` (``dump_failed``) where it is none, or of a pg_dump newer than this version of Bascule.
    """
    reader = _Reader(content, encoding)
    reader.header()
    return tuple(entry for entry in reader.entries() if entry.kind not in _ABOUT_THE_DUMP)


def write_entries(entries: Sequence[Entry]) -> Iterator[bytes]:
    """As lines of JSON, to be stored. ``zstd -d schema.zst | jq -r .sql`` shows the schema."""
    for entry in entries:
        values = {name: getattr(entry, name) for name in _FIELDS}
        yield json.dumps(values, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def stored_entries(content: bytes) -> tuple[Entry, ...]:
    """The inverse of `write_entries`."""
    found = []
    for line in content.splitlines():
        values = json.loads(line)
        found.append(Entry(**values | {"needs": tuple(values["needs"])}))
    return tuple(found)


def with_tables(entries: Sequence[Entry], tables: Mapping[tuple[int, int], str]) -> tuple[Entry, ...]:
    """The entries, each with the table it is a part of. `tables`: by catalog and oid of the part.

    Comments, grants and attachments have no oid: they are a part of what all that they speak of is a part of.
    """
    by_id: dict[int, Entry] = {}
    found = []
    for entry in entries:
        # That a table is under row security is written with the table's oid, and without a catalog.
        if entry.oid and entry.catalog:
            table = tables.get((entry.catalog, entry.oid))
        else:
            table = _spoken_of(entry, [by_id[need] for need in entry.needs if need in by_id])
        placed = entry if table == entry.table else entry.of(table)
        by_id[entry.id] = placed
        found.append(placed)
    return tuple(found)


def _spoken_of(entry: Entry, needs: Sequence[Entry]) -> str | None:
    """An attachment needs the whole and the part, and bears the part's name."""
    # A constraint bears the table's name before its own.
    named = [need for need in needs if need.schema == entry.schema and f" {need.tag}".endswith(f" {entry.tag}")]
    found = {need.table for need in (named if entry.kind.endswith("ATTACH") and named else needs)}
    return found.pop() if len(found) == 1 else None


class _Reader:
    """The bytes, read from front to back."""

    def __init__(self, content: bytes, encoding: str) -> None:
        self._content, self._encoding, self._at = content, encoding, 0
        self._version = (0, 0)
        self._int, self._offset = 4, 8

    def header(self) -> None:
        if self._take(5) != b"PGDMP":
            raise _unreadable("what pg_dump wrote is no archive")
        major, minor, _, self._int, self._offset, form = self._take(6)
        self._version = (major, minor)
        if not _OLDEST <= self._version <= NEWEST or form != 1:
            raise _unreadable(f"pg_dump wrote an archive of format {major}.{minor}, which this version cannot read")
        if self._version >= (1, 15):
            self._take(1)
        else:
            self._number()
        for _ in range(7):
            self._number()  # when it was made
        for _ in range(3):
            self._text()  # database, the server's version, pg_dump's

    def entries(self) -> Iterator[Entry]:
        for _ in range(self._number()):
            yield self._entry()

    def _entry(self) -> Entry:
        number = self._number()
        self._number()  # whether rows follow
        catalog, oid = int(self._text() or 0), int(self._text() or 0)
        tag, kind = self._text(), self._text()
        section = _SECTIONS.get(self._number(), "none")
        sql, drop, _copy, schema = self._text(), self._text(), self._text(), self._text()
        self._text()  # tablespace: another server need not have it
        access = self._text()
        if self._version >= (1, 16):
            self._number()  # relkind
        owner = self._text()
        self._text()  # with oids
        needs = []
        while (need := self._maybe()) is not None:
            needs.append(int(need))
        self._take(1 + self._offset)  # where its rows are
        if access and access != "heap" and kind in ("TABLE", "MATERIALIZED VIEW"):
            setting = "SET default_table_access_method ="
            sql = f"{setting} {identifier(access)};\n{sql}\n{setting} heap;"
        return Entry(
            id=number,
            kind=kind,
            section=section,
            schema=schema,
            tag=tag,
            owner=owner,
            catalog=catalog,
            oid=oid,
            sql=sql.strip(),
            drop=drop.strip(),
            needs=tuple(needs),
        )

    def _take(self, count: int) -> bytes:
        found = self._content[self._at : self._at + count]
        if len(found) < count:
            raise _unreadable("what pg_dump wrote ends too early")
        self._at += count
        return found

    def _number(self) -> int:
        at = self._at + 1
        self._at = at + self._int
        if self._at > len(self._content):
            raise _unreadable("what pg_dump wrote ends too early")
        value = int.from_bytes(self._content[at : self._at], "little")
        return -value if self._content[at - 1] else value

    def _text(self) -> str:
        return self._maybe() or ""

    def _maybe(self) -> str | None:
        # As `_number` and `_take` do it: most of reading a large schema is this.
        begin = self._at + 1
        at = begin + self._int
        length = int.from_bytes(self._content[begin:at], "little")
        if length and self._content[begin - 1 : begin] != b"\0":
            self._at = at
            return None
        self._at = at + length
        if self._at > len(self._content):
            raise _unreadable("what pg_dump wrote ends too early")
        return self._content[at : self._at].decode(self._encoding, "surrogateescape")


def _unreadable(why: str) -> MigrationFailed:
    return MigrationFailed(
        f"The schema could not be dumped: {why}.",
        code="dump_failed",
        hint="Use the pg_dump of the server's own major version, and a Bascule that knows it.",
    )
