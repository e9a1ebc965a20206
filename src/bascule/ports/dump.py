"""Taking a database's content out of it and putting it back.

How to implement one:

1. Everything in one dump is of one moment, `Dumped.until`; writers are never waited for and never made to wait.
2. Bascule's own state is in no dump, and no restore touches it.
3. Memory stays flat whatever the size. With `Keys` given, no byte of a table reaches a disk unencrypted except the one
   that the database itself is on.
4. A restore reads every stream that it needs to its end and compares it with its record before it touches the target.
   Killed at any moment it leaves the target as it was or whole; what it leaves beside it, `sweep` removes.
5. Passwords reach other programs by environment or pipe, never by arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from bascule.domain.backup import Manifest, Scope, StreamRecord, TableDigest
from bascule.domain.statement import Dialect
from bascule.errors import Refused
from bascule.ports.backup_store import BackupStore


class Keys(Protocol):
    """Whom streams are encrypted to, and what opens them. `bascule.backups.encryption.Encryption` is one."""

    @property
    def recipients(self) -> tuple[str, ...]:
        """No secrets."""

    @property
    def identities(self) -> tuple[str, ...]:
        """Secrets; empty where backups can be taken but not read."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One backup as it is kept: what it says of itself, where its streams are, and what opens them."""

    manifest: Manifest
    store: BackupStore
    keys: Keys | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpRequest:
    """What is to be dumped."""

    backup_id: str
    tables: tuple[str, ...] | None = None
    """Names as SQL writes them, with schema or without; None: the whole database."""
    digests: bool = True
    """Digest the tables in the same snapshot, so that each column of a restore can be compared with it; else only their
    rows are counted, where the dump is one that `Dumper.proves_by_bytes`."""
    level: int = 1
    """Of the compression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dumped:
    """What a manifest says of a dump, as far as the dumper knows it."""

    until: datetime
    """UTC, the moment of the snapshot."""
    server: str
    server_version: str
    database: str
    scope: Scope
    tables: tuple[str, ...]
    streams: tuple[StreamRecord, ...]
    digests: Mapping[str, TableDigest] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What is not in it and why, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did."""

    place: str
    """Where to, for people; without password."""
    rows: Mapping[str, int]
    """By table."""
    seconds: float
    notes: tuple[str, ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    """What others have made since and was kept: the object as a look at the schema names it (``table public.t``), and
    how the words begin that tell of such a difference (``index t_a ``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What a restore in place sees to within its own transaction, when nobody else can write any more."""

    rows: Mapping[str, TableDigest] | None = None
    """What the tables held when somebody decided that it may go; a restore that finds anything else changes nothing.
    None: whatever is there goes."""
    words: frozenset[str] | None = None
    """All words, in small letters, of the scripts that are undone. What stands on the tables, is not in the backup and
    is named in none of them is somebody else's: indexes, constraints, triggers, policies, rights and comments are made
    again; a restore that would take along what cannot be made again changes nothing. None: all of it goes."""
    goes: frozenset[str] = frozenset()
    """What of that may go all the same, in the words of `Dumper.made_since`."""
    proves: frozenset[str] = frozenset()
    """Tables to which nobody has written since the migration `proves_of`, so that what is in them may go. Where a
    restore gives them other rows than were seen in front of it, somebody wrote between the backup and the migration,
    and nothing is changed."""
    proves_of: str = ""
    ahead: bool = False
    """Sequences stay where they have come to since: a number that was given out once is not given out again."""
    then: tuple[str, ...] = ()
    """Statements that become true together with the restore."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a restored table has otherwise than the table had at the moment of the snapshot."""

    table: str
    column: str | None
    """None where it is the number of rows, or the row as a whole."""
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A backup, read back."""

    tables: tuple[str, ...]
    rows: int
    differences: tuple[Difference, ...]
    schema_proved: bool
    """The schema's script ran too; False where only rows were restored, for want of a right to make a database."""
    digests_compared: bool
    """False where the dump has none, or where they are another server version's."""
    place: str
    """Where it was restored to, for people."""
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Everything that was compared is the same."""
        return not self.differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A table of a backup, restored beside the one of its name."""

    table: str
    """That one, quoted where it is needed."""
    place: str
    """The one beside it, likewise; nobody but Bascule's own role may read it."""
    rows: int
    there: bool
    """The table of today is there; the columns are those that both have."""
    key: tuple[str, ...] = ()
    """Columns, quoted, that tell its rows apart; empty where none do, or where today's has them no more."""
    columns: tuple[str, ...] = ()
    """The others."""
    gone: tuple[str, ...] = ()
    """Columns that today's table has no more."""
    defaults: tuple[tuple[str, str], ...] = ()
    """What today's table gives to columns of a new row, as SQL writes it, where that is a constant."""
    computed: tuple[str, ...] = ()
    """Columns whose default is no constant."""


def words_of(*texts: str) -> frozenset[str]:
    """All words of these texts, for a `Guard`."""
    return frozenset(word.lower() for text in texts for word in _WORD.findall(text))


def are_among(text: str, words: frozenset[str]) -> bool:
    """The text has words, and each of them is one of these."""
    return bool(found := words_of(text)) and found <= words


def written_meanwhile(table: str) -> Refused:
    """What a `Guard` raises for rows."""
    return Refused(
        f"Somebody wrote to {table} while the restore was about to begin.",
        code="changed_meanwhile",
        hint="Nothing was changed. Run again; it will say what is newer.",
    )


def written_before(tables: Sequence[str], guard: Guard) -> None:
    """What a `Guard` raises for rows that the backup is too old for; nothing where somebody has agreed to that."""
    words = [f"{table}: what others wrote to it between the backup and the migration" for table in tables]
    if more := [each for each in words if each not in guard.goes]:
        listed = "".join(f"\n  {each}" for each in more)
        raise Refused(
            f"The backup is older than rows that were there before the migration:{listed}",
            code="changed_meanwhile",
            hint="Nothing was changed. Restore it to another database with --to, and copy over what is needed.",
            details={"objects": more},
        )


def newer_objects(words: Sequence[str]) -> Refused:
    """What a `Guard` raises for what was made on the tables since."""
    listed = "".join(f"\n  {each}" for each in words)
    return Refused(
        f"The tables were changed since the backup was taken, and the restore would take that along:{listed}",
        code="newer_objects",
        hint="Nothing was changed. Restore it with bascule backup restore ID, which asks; or to another database with "
        "--to, and copy over what is needed.",
        details={"objects": list(words)},
    )


_WORD = re.compile(r"[\w$]+")

Watch = Callable[[str, int, int], None]
"""Told what is under way, and how many of how many bytes (or streams) are done. Must be quick, and safe to call from
several threads."""


class Dumper(Protocol):
    """One database. Not safe to use from two threads at once."""

    dialect: Dialect
    proves_by_bytes: bool
    """What a restore gives back can be compared with the bytes of the dump themselves, so that digests of columns are
    worth no time while it is taken: `DumpRequest.digests` is False, and `digests_of` answers later."""

    def sizes(self, tables: Sequence[str] | None = None) -> Mapping[str, int]:
        """Bytes that each table of that scope holds now, about; for looking whether there is room.

        Raises `TargetUnreachable`, `Refused` (``no_such_table``).
        """

    def dump(
        self, request: DumpRequest, *, store: BackupStore, encryption: Keys | None, watch: Watch | None = None
    ) -> Dumped:
        """Write the streams below the backup's id. The manifest is the caller's, and without it there is no backup.

        Raises `TargetUnreachable`, `Refused` (``no_such_table``, ``backup_tools``, ``no_rights``), `LockNotAvailable`,
        `MigrationFailed` (``dump_failed`` and the store's); what was written by then is in the store as leftovers of no
        backup.
        """

    def verify(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
        watch: Watch | None = None,
    ) -> Verified:
        """Restore it beside everything else, compare, and throw that away.

        Raises `Refused` (the pipeline's for damaged streams, ``no_such_table``) and `MigrationFailed`
        (``restore_failed``) where it cannot be restored.
        """

    def restore(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
        guard: Guard | None = None,
        watch: Watch | None = None,
    ) -> Restored:
        """Put these tables of it (None: all) in the place of those of their names, all at once or not at all.

        Raises `Refused` (``changed_meanwhile``, ``newer_objects``: by the guard), `LockNotAvailable`, `MigrationFailed`
        (``restore_failed``).
        """

    def made_since(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
        words: frozenset[str] | None = None,
    ) -> Sequence[str]:
        """What else than rows a restore of these tables would take along, in words: indexes, rights, columns… that
        were made or changed since. `words`: of a restore with that guard, which keeps what it can.

        Raises as `restore`.
        """

    def restore_beside(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
        watch: Watch | None = None,
    ) -> Sequence[Beside]:
        """Put the rows of these tables of it (None: all) into new ones beside those of their names, all or none. They
        are among Bascule's own things, so that no look, no rule and no backup counts them as the application's.

        Raises `Refused`, `MigrationFailed` (``restore_failed``).
        """

    def restore_to(
        self,
        backup: Stored,
        name: str,
        *,
        watch: Watch | None = None,
    ) -> Restored:
        """Make a database of that name (SQLite: a file) out of it; it is there whole, or not at all.

        Raises `Refused` (``database_exists``, ``no_rights``, and the pipeline's), `MigrationFailed`.
        """

    def export(
        self,
        backup: Stored,
        *,
        write: Callable[[bytes], object],
    ) -> None:
        """Write it as plain SQL that the database's own shell restores. Raises `Refused`."""

    def digests(self, tables: Sequence[str] | None = None) -> Mapping[str, TableDigest]:
        """Of the tables' content now. Raises `Refused` (``no_such_table``)."""

    def digests_of(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
    ) -> Mapping[str, TableDigest]:
        """Of the tables' content in a backup: the manifest's, else read out of its streams, at least for `tables`.

        Raises `Refused` (the pipeline's for damaged streams).
        """

    def sweep(self) -> Sequence[str]:
        """Remove what runs that are dead have left beside the target; answers its names."""

    def close(self) -> None:
        """Give everything back."""
