"""What stands on the tables of a backup that is not in it, and whose it is: pure.

A restore makes tables anew. What the run that is undone has made on them goes with that, as it should; what somebody
else has made in the meantime (an index, a grant, a trigger…) is made again behind the rows. Whose a thing is, is told
by its name: what the scripts of the run do not name is not theirs. Inside a table's own definition (columns, defaults,
storage) nothing can be made again by itself, so that is said.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from bascule.databases.postgres.archive import Entry
from bascule.ports.dump import are_among

Words = frozenset[str]

_HANGS = {
    "ACL", "CHECK CONSTRAINT", "COMMENT", "CONSTRAINT", "FK CONSTRAINT", "INDEX", "INDEX ATTACH", "POLICY",
    "ROW SECURITY", "RULE", "SECURITY LABEL", "STATISTICS", "TRIGGER",
}  # fmt: skip
"""Kinds that stand on a table and can be made again when it is there."""
_SAYS = {
    "ACL": ("grant", "revoke"),
    "COMMENT": ("comment",),
    "ROW SECURITY": ("security",),
    "SECURITY LABEL": ("label",),
}
"""What a script that makes one of these says; they have no name of their own."""
_MADE_UP = {
    "idx": "index", "key": "unique", "pkey": "primary", "fkey": "foreign references", "check": "check",
    "excl": "exclude", "null": "null", "stat": "statistics",
}  # fmt: skip
"""How names end that the server makes up, and what a script that makes such a thing says."""
_PARTS = re.compile(r"[^\s(),]+")
_GENERATED = re.compile(r"_([a-z]+)\d*$")

Slot = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """What is otherwise than in the backup."""

    again: tuple[Entry, ...] = ()
    """Somebody else's things, as they are now."""
    not_then: frozenset[int] = frozenset()
    """Ids of entries of the backup in whose place these are."""
    goes: tuple[str, ...] = ()
    """What cannot be kept, in words."""

    @property
    def kept(self) -> tuple[tuple[str, str], ...]:
        """As `Restored.kept`."""
        return tuple((f"table {entry.table}", _difference(entry)) for entry in self.again)

    @property
    def said(self) -> tuple[str, ...]:
        """What is kept, in words."""
        return tuple(dict.fromkeys(_spoken(entry) for entry in self.again if entry.kind != "INDEX ATTACH"))


def _difference(entry: Entry) -> str:
    """How the words begin that tell of it as a difference."""
    if entry.kind in ("COMMENT", "SECURITY LABEL"):
        column = entry.tag.removeprefix("COLUMN ").rpartition(".")[2].strip('"')
        return f"comment of column {column} " if entry.tag.startswith("COLUMN ") else "comment"
    if entry.kind in ("ACL", "ROW SECURITY"):
        return "privileges" if entry.kind == "ACL" else "it was not under row level security"
    schema = f"{entry.schema}." if entry.kind == "STATISTICS" else ""
    return f"{entry.kind.rpartition(' ')[2].lower()} {schema}{_name(entry)} "


def kept_since(
    backup: Sequence[Entry], current: Sequence[Entry], tables: Collection[str], words: Words, *, same_database: bool
) -> Since:
    """What others have made on these tables since the backup. `words`: those of the scripts that are undone."""
    then, now = _slots(backup, tables), _slots(current, tables)
    stays = _staying(backup, current, tables) if same_database else set()
    again: list[Entry] = []
    not_then: set[int] = set()
    for slot, entries in now.items():
        before = then.get(slot, [])
        if _texts(entries) == _texts(before) or _is_named(entries, words):
            continue
        again += entries
        # Rights on a table that the run itself made anew are those of before, and what was given since.
        if slot[0] != "ACL" or entries[0].table in stays:
            not_then.update(entry.id for entry in before)
    for slot, entries in then.items():
        taken = slot[0] == "ACL" and slot not in now and entries[0].table in stays
        if taken and slot[2].startswith("TABLE ") and not _is_named(entries, words):
            not_then.update(entry.id for entry in entries)
    parts = {entry.table for entry in current if entry.kind == "TABLE ATTACH" or "\nINHERITS (" in entry.sql}
    goes = []
    for entry, line, subject, said in _lines_since(backup, current, tables):
        if are_among(subject, words) and (entry.table in parts or are_among(_bare(entry.table or ""), words)):
            continue
        if line.startswith("CONSTRAINT ") and entry.table not in parts and "PARTITION BY" not in entry.sql:
            again.append(_check(entry, line, subject))
        else:
            goes.append(said)
    return Since(again=tuple(again), not_then=frozenset(not_then), goes=tuple(goes))


def told_since(backup: Sequence[Entry], current: Sequence[Entry], tables: Collection[str]) -> tuple[str, ...]:
    """All that a restore of these tables takes along or sets back, in words."""
    then, now = _slots(backup, tables), _slots(current, tables)
    found = []
    for slot, entries in now.items():
        if slot[0] == "INDEX ATTACH" or _texts(entries) == _texts(then.get(slot, [])):
            continue
        found.append(f"{_spoken(entries[0])}, {'otherwise than' if slot in then else 'not'} in the backup")
    found += [
        f"{_spoken(entries[0])}, as they are now (none)"
        for slot, entries in then.items()
        if slot[0] == "ACL" and slot not in now and any(each.table == entries[0].table for each in current)
    ]
    return (*found, *(said for *_, said in _lines_since(backup, current, tables)))


def _slots(entries: Sequence[Entry], tables: Collection[str]) -> dict[Slot, list[Entry]]:
    found: dict[Slot, list[Entry]] = {}
    for entry in entries:
        if entry.table in tables and entry.kind in _HANGS:
            found.setdefault((entry.kind, entry.schema, entry.tag), []).append(entry)
    return found


def _texts(entries: Sequence[Entry]) -> list[str]:
    return sorted(entry.sql for entry in entries)


def _staying(backup: Sequence[Entry], current: Sequence[Entry], tables: Collection[str]) -> set[str | None]:
    """Tables that are the same ones as then, not made anew under the name."""
    oids = {entry.oid: entry.table for entry in backup if entry.kind == "TABLE" and entry.table in tables}
    return {entry.table for entry in current if entry.kind == "TABLE" and oids.get(entry.oid, "") == entry.table}


def _is_named(entries: Sequence[Entry], words: Words) -> bool:
    return any(_is_named_one(entry, words) for entry in entries)


def _is_named_one(entry: Entry, words: Words) -> bool:
    """The scripts say it: it is the run's."""
    bare = _bare(entry.table or "")
    says = _SAYS.get(entry.kind)
    if says is not None:
        return any(word in words for word in says) and are_among(bare, words)
    name = _name(entry)
    if are_among(name, words):
        return True
    # Names that the server makes up, of the table and the columns.
    end = _GENERATED.search(name)
    needs = _MADE_UP.get(end[1], "") if end is not None and name.startswith(f"{bare}_") else ""
    said = any(need in word for need in (*needs.split(), "like") for word in words) if needs else False
    return said and are_among(bare, words) and (end is None or end[1] == "check" or _columns_said(entry, words))


def _columns_said(entry: Entry, words: Words) -> bool:
    return are_among(entry.sql.rpartition("REFERENCES")[0].partition("(")[2] or entry.sql.partition("(")[2], words)


def _name(entry: Entry) -> str:
    """Without the table's, which stands before it in some kinds."""
    bare = _bare(entry.table or "")
    return entry.tag.removeprefix(f"{bare} ") if entry.tag != bare else entry.tag


def _bare(table: str) -> str:
    """A table's name without schema and quotes."""
    quoted = re.search(r'"((?:[^"]|"")*)"$', table)
    return quoted[1].replace('""', '"') if quoted else table.rpartition(".")[2]


def _lines_since(
    backup: Sequence[Entry], current: Sequence[Entry], tables: Collection[str]
) -> Iterator[tuple[Entry, str, str, str]]:
    """What has come to tables' own definitions: the table, the line, the name concerned, and how it is said. What is
    gone of them is not there to be lost.
    """
    then = {entry.table: entry.sql for entry in backup if entry.kind == "TABLE" and entry.table in tables}
    for entry in current:
        if entry.kind != "TABLE" or entry.table is None or entry.table not in then or entry.sql == then[entry.table]:
            continue
        before = {_subject(line): set(_PARTS.findall(line)) for line in _lines(then[entry.table])}
        for line in _lines(entry.sql):
            subject = _subject(line)
            if not set(_PARTS.findall(line)) <= before.get(subject, set()):
                yield entry, line, subject, f"{entry.table}: {line}, not so in the backup"


def _check(table: Entry, line: str, name: str) -> Entry:
    """A CHECK, which stands in the definition of its table, by itself."""
    sql = f"ALTER TABLE {table.table} ADD {line};"
    tag = f"{_bare(table.table or '')} {name}"
    return replace(table, kind="CHECK CONSTRAINT", section="post", tag=tag, oid=0, sql=sql, drop="", needs=())


def _lines(sql: str) -> list[str]:
    lines = (line.strip().rstrip(",;") for line in sql.splitlines())
    return [line for line in lines if line and line not in ("(", ")") and not line.startswith("CREATE ")]


def _subject(line: str) -> str:
    """The column or constraint that a line is about; other lines are about what they say."""
    quoted = re.match(r'(?:CONSTRAINT )?"((?:[^"]|"")*)"', line)
    if quoted:
        return quoted[1]
    plain = re.match(r"(?:CONSTRAINT )?([\w$]+)", line)
    altered = re.search(r'ALTER COLUMN "?([\w$]+)', line)
    return altered[1] if altered else plain[1] if plain else line


def _spoken(entry: Entry) -> str:
    if entry.kind == "ACL":
        return f"rights on {entry.tag.lower() if entry.tag.startswith('TABLE') else entry.tag} of {entry.table}"
    if entry.kind == "COMMENT":
        return f"comment of {entry.tag} of {entry.table}"
    if entry.kind in ("ROW SECURITY", "SECURITY LABEL"):
        return f"{entry.kind.lower()} of {entry.table}"
    return f"{entry.kind.lower()} {_name(entry)} on {entry.table}"
