"""What data rules are made of, and the reader that answers them for one database.

A rule looks at the catalog (`Catalog`) and answers an `Inspection`: findings that need no look at rows, and tests that
do. All rules' tests are put together and read in as few passes as possible; the rules themselves read nothing.

How to implement a `DataReader`:

1. ``catalog`` reads structure and statistics only; Bascule's own tables and the system's are not in it.
2. ``run`` answers every test it is given, in order, whatever happens to single ones: an `Outcome` with `problem`.
3. No lock is kept longer than one statement, every wait and every statement is bounded, nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from bascule.domain.statement import Dialect
from bascule.domain.validation import Category, Severity

Key = tuple[str, str]
"""Schema and name; SQLite's schema is ``main``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """One column."""

    name: str
    type: str
    """As the server writes it, in lower case: ``numeric(10,2)``; of a domain, the type below it."""
    not_null: bool = False
    generated: bool = False
    domain_checks: tuple[tuple[str, str], ...] = ()
    """Unvalidated constraints of its domain: name → expression over VALUE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintFacts:
    """One constraint. `kind`: ``primary``, ``unique``, ``check``, ``foreign``, ``not_null``."""

    name: str
    kind: str
    columns: tuple[str, ...] = ()
    expression: str = ""
    """Of a CHECK."""
    validated: bool = True
    """The database has looked at every row."""
    enforced: bool = True
    """The database looks at rows that are written now."""
    parent: Key | None = None
    parent_columns: tuple[str, ...] = ()
    match_full: bool = False
    trouble: str = ""
    """Why it cannot work at all: its parent is missing, or not unique."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFacts:
    """One index."""

    name: str
    columns: tuple[str | None, ...]
    """None for an expression."""
    shape: str
    """Equal for two indexes that do the same."""
    unique: bool = False
    valid: bool = True
    partial: bool = False
    nulls_alike: bool = False
    constraint: bool = False
    """A constraint stands on it."""
    scans: int | None = None
    """How often it was used since the statistics began; None where nobody counts."""
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """One table that holds rows of its own."""

    key: Key
    rows: float | None = None
    """Estimated; None: nobody has counted."""
    bytes: int = 0
    """With indexes and what is stored out of line."""
    pages: int = 0
    """Of the rows alone; 0 where ranges of pages cannot be read."""
    dead_rows: float = 0
    columns: tuple[ColumnFacts, ...] = ()
    constraints: tuple[ConstraintFacts, ...] = ()
    indexes: tuple[IndexFacts, ...] = ()
    ancestors: tuple[Key, ...] = ()
    """Tables it inherits from (not as a partition)."""
    partition_of: Key | None = None
    analyzed: bool = True
    """The planner has statistics."""
    visible: float = 1.0
    """Share of the blocks whose rows an index can answer for without a look at them."""
    identity: int = 0
    """The server's own number of it."""
    file: int = 0
    """Changes when all rows are written anew."""

    def column(self, name: str) -> ColumnFacts | None:
        """By its exact name."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def primary(self) -> tuple[str, ...]:
        """Columns of the primary key."""
        return next((each.columns for each in self.constraints if each.kind == "primary"), ())

    @property
    def shown(self) -> str:
        """For people."""
        return self.key[1] if self.key[0] in ("main", "public") else f"{self.key[0]}.{self.key[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceFacts:
    """How far a sequence has come."""

    name: str
    used: float
    """Share of what it, or the column that it feeds, can hold."""
    feeds: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFacts:
    """The server's connections."""

    used: int
    most: int
    idle_in_transaction: int = 0
    """Transactions that hold on to what they have read or written and do nothing, for longer than the limit."""
    oldest_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFacts:
    """A statement that the server has timed."""

    text: str
    calls: int
    mean_ms: float
    total_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """What a database says about itself."""

    dialect: Dialect
    version: int = 0
    tables: Mapping[Key, TableFacts] = field(default_factory=dict)
    partitioned: Mapping[Key, TableFacts] = field(default_factory=dict)
    """Tables whose rows are all in their partitions."""
    encoding: str = "UTF8"
    """Of its texts, as PostgreSQL calls it."""
    sequences: tuple[SequenceFacts, ...] = ()
    connections: ConnectionFacts | None = None
    statements: tuple[StatementFacts, ...] | None = None
    """None: nobody times them."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Parts that could not be read (``sequences``, ``connections``), and why."""

    def table(self, key: Key) -> TableFacts | None:
        """Of either kind."""
        return self.tables.get(key) or self.partitioned.get(key)

    def find(self, name: str) -> list[TableFacts]:
        """The tables a person means: ``users``, ``app.users``. In a partitioned table's place its partitions."""
        found = [table for table in self._named(name) if table.key in self.tables]
        parents = {table.key for table in self._named(name) if table.key in self.partitioned}
        return found + [table for table in self.tables.values() if self._root(table) in parents]

    def named_root(self, name: str) -> TableFacts | None:
        """The one table a person means, partitioned or not; None where there is none, or several."""
        found = self._named(name)
        return found[0] if len(found) == 1 else None

    def _root(self, table: TableFacts) -> Key:
        key, above = table.key, table.partition_of
        while above is not None:
            key = above
            up = self.table(above)
            above = up.partition_of if up else None
        return key

    def _named(self, name: str) -> list[TableFacts]:
        every = [*self.tables.values(), *self.partitioned.values()]
        folded = name.lower() if self.dialect == "sqlite" else name
        fold = str.lower if self.dialect == "sqlite" else str
        return [t for t in every if folded in (fold(t.key[1]), fold(f"{t.key[0]}.{t.key[1]}"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationOptions:
    """Limits of one validation."""

    seconds: float = 60.0
    """Longest time of one statement, and of one custom rule."""
    sample_above: int = 10_000_000
    """Tables with more rows are sampled by rules that allow it."""
    sample_rows: int = 1_000_000
    """About so many rows of them are read."""
    preview: float | None = None
    """Read only this share of the blocks of every table, whatever the rule (a quick look, not a proof)."""
    large_table: int = 10 << 30
    """Bytes above which a table is called large."""
    sequence_share: float = 0.75
    trust_catalog: bool = True
    """What the database says it has looked at is not looked at again. PostgreSQL only: SQLite looks back at nothing."""
    idle_seconds: float = 300.0
    slow_ms: float = 1000.0


# Tests: what has to be asked of rows.


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTest:
    """Rows of one table for which `offends` is true. All of a table's are read in one pass."""

    table: Key
    offends: str
    """SQL condition over the table's columns, which may be called by their bare names or after the table's name."""
    words: str
    """What is wrong with such a row: "orders.total is NULL"."""
    show: tuple[str, ...] = ()
    """Columns shown of a sample, beside the key."""
    may_sample: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateTest:
    """One number (or moment) about all rows of a table, read in the same pass as its conditions."""

    table: Key
    kind: Literal["count", "sum", "min", "max"]
    expression: str
    """SQL over the table's columns, as in `RowTest`: ``total``; ``CASE WHEN paid THEN total END``; ``*`` to count."""
    offends: Callable[[Any], bool]
    """Whether the value is wrong; None is that of a table without values. Asked once, when all is read."""
    words: str
    """What is wrong then: "the balance is not zero"."""

    @property
    def shown(self) -> str:
        """For people: ``sum(total)``."""
        return f"{self.kind}({self.expression})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceTest:
    """Rows whose reference leads nowhere."""

    table: Key
    columns: tuple[str, ...]
    parent: Key
    parent_columns: tuple[str, ...]
    words: str
    match_full: bool = False
    indexed: bool = False
    """Both sides have an index that begins so: a merge of both is quickest."""
    with_descendants: bool = False
    """Rows of tables that inherit from the parent count too."""
    may_sample: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateTest:
    """Groups of rows that are alike in `columns`; rows with a NULL among them count as different."""

    table: Key
    columns: tuple[str, ...]
    words: str
    folded: bool = False
    """Letters of either case are alike."""
    nulls_alike: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryTest:
    """A query written by a user: each row it answers is one that offends."""

    sql: str
    words: str


Test = RowTest | AggregateTest | ReferenceTest | DuplicateTest | QueryTest


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong, seen without reading a row."""

    words: str
    table: Key | None = None
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a rule makes of a catalog."""

    findings: tuple[Finding, ...] = ()
    tests: tuple[Test, ...] = ()
    advice: str = ""
    """What to do where a test finds rows."""
    skipped: str = ""
    """Why the rule has nothing to look at."""
    looked: str = ""
    """What was looked at in the catalog, for the message of a pass."""
    passed_over: tuple[str, ...] = ()
    """What the rule would have looked at but for a limit."""
    unread: tuple[str, ...] = ()
    """Why parts of the catalog could not be read: no pass without them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The answer to one test."""

    offenders: int = 0
    rows: int = 0
    """Rows read for it."""
    sample: tuple[Mapping[str, Any], ...] = ()
    ms: float = 0.0
    """Its share of the pass it was part of."""
    share: float = 1.0
    """Of the table, where it was sampled."""
    problem: str = ""
    """Why there is no answer."""
    value: str | None = None
    """Of an aggregate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One rule from the configuration. Either `sql`, or `table` with what its rows must be like."""

    rule: str
    name: str = ""
    message: str = ""
    sql: str = ""
    table: str = ""
    check: str = ""
    column: str = ""
    columns: tuple[str, ...] = ()
    references: str = ""
    """A table, whose primary key the column holds values of."""
    keep_seconds: float | None = None
    minimum: str | None = None
    maximum: str | None = None
    encoding: bool = False
    ignore_case: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a rule is asked with."""

    catalog: Catalog
    options: ValidationOptions = field(default_factory=ValidationOptions)
    declared: tuple[Declaration, ...] = ()
    """Those for this rule."""
    scope: frozenset[Key] | None = None
    """Only these tables are asked about; None: all."""
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tables(self) -> list[TableFacts]:
        """Those with rows of their own that are asked about."""
        return [table for table in self.catalog.tables.values() if self.scope is None or table.key in self.scope]


class ValidationRule(Protocol):
    """A rule, with the original's fields. It has `inspect` (pure, read together with the others) or `validate` (reads
    for itself: ``validate(reader, context)`` answers a `RuleResult`, a mapping of its JSON, a list of offending rows,
    or whether all is well).
    """

    @property
    def id(self) -> str:
        """Unique; what ``--rule`` names."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def description(self) -> str:
        """One sentence."""

    @property
    def category(self) -> Category:
        """One of the three."""

    @property
    def severity(self) -> Severity:
        """What a finding means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule that is inspected."""

    id: str
    name: str
    description: str
    category: Category
    severity: Severity
    inspect: Callable[[Asked], Inspection]


class Query(Protocol):
    """What a custom rule reads through."""

    def query(self, sql: str, *, seconds: float | None = None) -> Sequence[tuple[Any, ...]]:
        """Rows of a statement that only reads."""


class DataReader(Protocol):
    """One database's rows, for rules."""

    def state(self) -> tuple[str, str] | None:
        """Which database this is and who sees it, and a text that is another one as soon as any row or table may have
        changed; None where nobody can prove that. Asked before `catalog` and after `run`; looks at no row.
        """

    def catalog(self, options: ValidationOptions) -> Catalog:
        """Structure and statistics. Raises `TargetUnreachable`, `Refused`."""

    def run(
        self,
        catalog: Catalog,
        tests: Sequence[Test],
        options: ValidationOptions,
        *,
        progress: Callable[[int, int], None] = lambda done, of: None,
        stopping: Callable[[], str | None] = lambda: None,
    ) -> list[Outcome]:
        """One outcome for each test, in order."""

    def query(self, sql: str, *, seconds: float | None = None) -> Sequence[tuple[Any, ...]]:
        """Rows of a statement that only reads, on a connection of its own."""

    def close(self) -> None:
        """Hang up."""
