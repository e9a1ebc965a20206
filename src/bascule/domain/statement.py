"""One SQL statement of a migration, where it stands in its file, and what is known of it before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Dialect = Literal["postgresql", "sqlite"]

ObjectKind = Literal["relation", "routine", "type", "schema", "role", "extension", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement as it is sent to the server: no final semicolon, no leading comment."""

    text: str
    index: int
    """Place in its script, from 0."""
    line: int
    """Line of the file on which the statement itself (not its leading comment) begins, from 1."""
    offset: int
    """Character offset of `text` in the script's text, for error positions."""
    copy_data: str | None = None
    """Inline rows of a ``COPY … FROM stdin`` block, without the closing ``\\.``; None for every other statement."""
    repeatable: bool = False
    """The author wrote ``-- bascule: repeatable`` above it: running it twice does no harm."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ObjectName:
    """A database object as a statement names it, folded as the database folds names (unquoted: lower case)."""

    kind: ObjectKind
    name: str
    schema: str | None = None
    """None: found through the search path."""
    column: str | None = None
    """The one column of a table that is concerned; None: all of the table. Empty: nothing of the table itself, only of
    what hangs below it: one that has partitions or children is concerned as a whole in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """Which objects a script may change: `everything` where parsing cannot tell (DO, CALL, unknown functions)."""

    objects: frozenset[ObjectName] = frozenset()
    everything: bool = False
    reasons: tuple[str, ...] = ()
    """Why `everything`, in words a person can check ("line 4: DO runs code that parsing cannot follow")."""
    unseen: tuple[str, ...] = ()
    """Changes that no look at the schema can see, `everything` included, in words ("line 3: ALTER ROLE changes a role,
    which is outside of the schema")."""
    runs: frozenset[ObjectName] = frozenset()
    """Code that only its text tells of, and that parsing the script does not show: routines that are called by name,
    and tables whose rows are changed, of which triggers may run."""
    code: tuple[str, ...] = ()
    """The script's own texts of that sort: DO blocks, and definitions of routines that it may call."""

    def __or__(self, other: Touch) -> Touch:
        return Touch(
            objects=self.objects | other.objects,
            everything=self.everything or other.everything,
            reasons=tuple(dict.fromkeys(self.reasons + other.reasons)),
            unseen=tuple(dict.fromkeys(self.unseen + other.unseen)),
            runs=self.runs | other.runs,
            code=tuple(dict.fromkeys(self.code + other.code)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a statement that runs outside a transaction leaves in the catalog, so that a resumed run can look for it.

    `action` says how to look:
    ``create_index`` (index `name` on `table` is there and valid; an empty `name` is chosen by the server; `if_exists`
    tells whether an older one satisfies it), ``drop_index`` (it is gone), ``reindex`` (the index, or every index of the
    table, is valid and no ``_ccnew``/``_ccold`` is left; with neither, those of the schema or the database),
    ``detach_partition`` (`name` is no partition of `table` and no detach is pending), ``create_database``,
    ``drop_database``, ``create_tablespace``, ``drop_tablespace``, ``create_subscription``, ``drop_subscription``
    (by `name`), ``add_enum_value`` (`value` is in type `name`), ``harmless`` (repeating changes nothing: VACUUM,
    ALTER SYSTEM, PRAGMA), ``unknown`` (nothing in the catalog can tell: DO with commits; or repeating is a person's
    decision: VACUUM FULL, CLUSTER of everything).
    """

    action: str
    name: str = ""
    schema: str | None = None
    """Schema of `name`, or of `table` where no name is given."""
    table: str | None = None
    table_schema: str | None = None
    """Schema of `table`: a partition may stand in another schema than its parent."""
    value: str | None = None
    concurrently: bool = False
    if_exists: bool = False
    """The statement carries IF EXISTS / IF NOT EXISTS."""
    settings: tuple[str, ...] = ()
    """Settings of the session that the script made before it: a search path tells which object a name means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Insight:
    """What reading a statement tells before it runs."""

    kind: str
    """The field's word for it: ``CREATE TABLE``, ``CREATE INDEX CONCURRENTLY``, ``INSERT``, ``DO``… or ``UNKNOWN``."""
    transactional: bool
    """False: the server refuses it inside a transaction block."""
    control: Literal["begin", "commit", "rollback", "savepoint", None] = None
    """Transaction control: BEGIN/START TRANSACTION, COMMIT/END, ROLLBACK/ABORT, SAVEPOINT/RELEASE/ROLLBACK TO."""
    session: bool = False
    """Changes session state on which later statements may rely: SET, RESET, set_config(…, false)."""
    search_path: tuple[str, ...] | None = None
    """The schemas to which it sets the search path (empty: back to its default, or to none; ``$user`` as
    written); None where it does not."""
    temporary: bool = False
    """Makes a temporary object: it will be gone in a new session."""
    touch: Touch = Touch()
    touch_back: Touch | None = None
    """What it touches where it stands in a down script, if that is less: a column that is dropped loses its place
    among the others only if something brings it back."""
    effect: Effect | None = None
    """Set for each statement with ``transactional=False``, and for ALTER TYPE … ADD VALUE."""
    destroys: str | None = None
    """What stored data it removes, in words ("drops table public.users", "deletes rows of t"), None when nothing."""
    progress: Literal["create_index", "copy", "vacuum", "cluster", "analyze", None] = None
    """Which ``pg_stat_progress_*`` view shows it at work."""
