"""A target database: its memory (ledger, marks, journal), its lease, and its way of performing work safely.

How to implement one:

1. Connect in the constructor or lazily; every failure to connect is a `TargetUnreachable` that names server and cause
but never
   a password.
2. Reading (``describe``, ``ledger``, ``journal``, ``marks``, ``snapshot``) creates nothing: a database that Bascule
never
   touched has an empty ledger. ``prepare`` creates or upgrades what Bascule keeps, and survives fifty processes doing
   so at once.
3. ``perform`` is all or nothing: fence, snapshot of before, session settings, statements, mark, ledger change and
facts in ONE
   transaction. The fence is taken first and held to the end, so that a process which lost its lease can commit nothing.
4. Every wait for a lock inside ``perform`` is bounded by ``lock_timeout``; the failure names who held it. Retrying is
the caller's.
5. Map the driver's errors to `WorkFailed` in one table, with the original as ``__cause__``.
6. Run ``tests/conformance/database.py`` against it.

Nothing here is safe to call from two threads at once, except ``cancel``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bascule.domain.history import Fact, Holder, LedgerEntry
from bascule.domain.schema import Part, Snapshot
from bascule.domain.statement import Dialect, Effect, ObjectName, Statement, Touch

if TYPE_CHECKING:
    from bascule.domain.content import Content
    from bascule.domain.metrics import Tally
    from bascule.domain.preimage import PreImageWork
    from bascule.ports.preimages import PreImages
    from bascule.ports.state import StateDoor
    from bascule.ports.vitals import Vitals


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetInfo:
    """Who answers at the other end."""

    dialect: Dialect
    server: str
    """For people: ``PostgreSQL 15.18 at db.example:5432``, ``SQLite 3.40.1``."""
    version: int
    """PostgreSQL's server_version_num; SQLite as 3_040_001."""
    database: str
    user: str = ""
    pooled: bool = False
    """A pooler stands between (only transaction-local settings hold)."""
    environment: str | None = None
    """The environment the target remembers; None when it was never told."""
    prepared: bool = False
    """Bascule's own tables are there."""
    location: str = ""
    """Address without credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerChange:
    """What a unit of work does to the ledger: write `entry` (replacing one of that name), or remove `remove`."""

    entry: LedgerEntry | None = None
    """`position` and `applied_at` are set by the store; an entry that carries a position (one read from the ledger
    and corrected)
    keeps both."""
    remove: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Proof, written in the step's own transaction, that a step of a script without surrounding transaction is done."""

    step: int
    """Step index; -1 says that the script was begun."""
    digest: str
    """Semantic hash of the step's statements: a file edited between crash and resume must be noticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One transaction's worth of work."""

    run_id: str
    migration: str
    direction: str
    statements: tuple[Statement, ...] = ()
    settings: tuple[str, ...] = ()
    """Session settings made earlier in the script, replayed first (SET statements as written)."""
    mark: Mark | None = None
    clear_marks: bool = False
    """Remove all marks of this migration, of both directions (the last unit of a script)."""
    ledger: LedgerChange | None = None
    before: Touch | None = None
    """Keep a snapshot of these objects as they are before the statements, under the migration's name (an up's way of
    knowing later whether its down was exact). None: keep nothing. Where a migration that is under way or applied
    already has one it is left alone."""
    forget_before: bool = False
    """Remove the kept snapshot (the end of a rollback)."""
    facts: tuple[Fact, ...] = ()
    """Journal facts that become true with the commit."""
    followed: bool = False
    """Another transaction of this run comes right behind it, so this one need not wait until the disk has it: a later
    commit brings every earlier one with it. A server that crashes in between loses it whole, its ledger row with it.
    """
    preimages: PreImageWork | None = None
    """What is kept of what the statements destroy, or put back (see `bascule.ports.preimages`)."""
    tell: Callable[[int, float], object] | None = field(default=None, compare=False, repr=False)
    """Told of each statement that ended well, by its place, with the seconds it took. Each is then sent apart, which
    takes a way to the server for each: for looking closely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """A job that committed (or a bare statement that ended)."""

    ms: int
    rows: tuple[int, ...] = ()
    """Rows affected per statement, -1 where the server does not say."""
    notices: tuple[str, ...] = ()
    """Warnings of the server, for people."""


def _nothing() -> None:
    """There is nothing to tell, and what comes next is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meanwhile:
    """What can be done in the time in which the server is busy with a job. Each of them is called once for it."""

    tell: Callable[[], object] = _nothing
    """Called in the caller's own thread."""
    think: Callable[[], Job | None] = _nothing
    """May be called in another thread. Answers the job that will come next, if it knows, so that this can be made ready
    too."""


FailureKind = Literal[
    "error", "lock_timeout", "deadlock", "serialization", "lost", "fence", "cancelled", "timeout", "full"
]


class WorkFailed(Exception):
    """A job or bare statement did not end well. Not a `BasculeError`: the service that asked decides what it means.

    `kind`: ``error`` the server refused a statement; ``lock_timeout``, ``deadlock``, ``serialization`` worth trying
    again; ``lost``
    the connection broke and what the server did is unknown; ``fence`` the lease is no longer ours, nothing was
    committed;
    ``cancelled`` on request; ``timeout`` statement_timeout; ``full`` no space left. Except for ``lost`` a job's
    transaction is known
    to be rolled back.
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        statement: int | None = None,
        position: int | None = None,
        sqlstate: str = "",
        detail: str = "",
        hint: str = "",
        server_hint: str = "",
        context: str = "",
        blockers: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.message = message
        self.statement = statement
        """Index into the job's statements; None when it was not one of them."""
        self.position = position
        """Character offset (from 0) inside that statement's text, where the server gave one."""
        self.sqlstate = sqlstate
        self.detail = detail
        self.hint = hint
        """Our own advice."""
        self.server_hint = server_hint
        """What the server itself advises."""
        self.context = context
        self.blockers = tuple(blockers)
        """Who held the lock, in words: pid, user, application, state, since when, statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the server says while a statement runs."""

    phase: str
    """``running``, ``building index: scanning table``, ``waiting for a lock``…"""
    percent: float | None = None
    waiting_for: tuple[str, ...] = ()
    """Who blocks us, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the catalog says about a bare statement's effect.

    ``absent`` not there; ``complete`` there and whole; ``broken`` there and not whole (an INVALID index);
    ``building`` another
    session is at it right now; ``undecidable`` the catalog cannot tell.
    """

    state: Literal["absent", "complete", "broken", "building", "undecidable"]
    words: str = ""


Watch = Callable[[Progress], None]


class Lease(Protocol):
    """The right to change the target. Renewed in the background until released."""

    token: int
    taken_from: Holder | None
    """The holder whose lease had run out or whose process was gone; None after a clean release."""

    def held(self) -> bool:
        """True while, by this process's own monotonic clock, the lease surely has not run out."""

    def release(self) -> None:
        """Give it back. Never raises for a connection that is gone already."""


class Target(Protocol):
    """One database, connected."""

    dialect: Dialect

    def describe(self) -> TargetInfo:
        """Who answers. Raises `TargetUnreachable`."""

    def ledger(self) -> Sequence[LedgerEntry]:
        """Applied migrations by position; empty where Bascule never ran. Raises `Refused` (code ``newer_ledger``)
        when a newer
        Bascule wrote it.
        """

    def prepare(self) -> None:
        """Create or upgrade Bascule's own tables. Does nothing when they are right. Raises `Refused` when the role
        may not.
        """

    def remember_environment(self, environment: str) -> None:
        """Write the target's own mark of its environment."""

    def journal(
        self,
        *,
        migration: str | None = None,
        run_id: str | None = None,
        limit: int | None = None,
        kinds: Sequence[str] = (),
        after: int = 0,
    ) -> Sequence[Fact]:
        """Facts, oldest first; with `limit` the newest that many, with `after` those of a greater number."""

    def tally(self, *, after: int = 0, upto: int | None = None) -> Sequence[Tally]:
        """The facts of the kinds in `bascule.domain.metrics.COUNTED`, counted: of those with a greater number than
        `after`, and up to `upto`. Empty where Bascule never ran.
        """

    def newest_fact(self, *, older_than: float = 0.0) -> int:
        """The highest number of a fact that is older than so many seconds; 0 where there is none."""

    def vitals(self) -> Vitals:
        """Who looks how server and run are doing, from another thread. Whoever asks for it closes it."""

    def append(self, facts: Sequence[Fact], *, durable: bool = True) -> None:
        """Write facts beside the change, on a connection of their own. When it returns and `durable`, they survive a
        power loss.
        """

    def marks(self) -> Mapping[tuple[str, str], Mapping[int, tuple[str, str]]]:
        """(migration, direction) → step → (digest, run id), of every script that is under way."""

    def script(self, migration: str) -> str | None:
        """The up script as it ran, from the ledger; None when the entry is not there or has none."""

    def before(self, migration: str) -> Snapshot | None:
        """The snapshot kept by the up of that migration."""

    def acquire(self, *, owner: str, run: str) -> Lease | Holder:
        """Try once, without waiting, for the lease; answer it or who holds it. When the former holder ended without
        giving it back,
        its server processes are gone (waited for, then terminated) before this answers; where they cannot be ended
        `NeedsPerson`
        names them.
        """

    def holder(self) -> Holder | None:
        """Who holds the lease now; None when nobody does. Takes nothing."""

    def left_behind(self) -> Holder | None:
        """Who had the lease last and is gone without having given it back, until somebody else takes it; None when
        nobody is. Takes nothing.
        """

    def doing(self, holder: Holder) -> Progress | None:
        """What the work of that holder is at right now, in whatever process it runs; None where the database cannot
        tell. Changes and locks nothing.
        """

    def perform(
        self, job: Job, *, lease: Lease, watch: Watch | None = None, meanwhile: Meanwhile | None = None
    ) -> Performed:
        """One transaction. What `meanwhile` or one of its parts raises undoes it and comes out. Raises `WorkFailed`."""

    def perform_with(
        self, job: Job, work: Callable[[Any], None], *, lease: Lease, watch: Watch | None = None
    ) -> Performed:
        """As `perform`, but where the statements would run, `work` is called with the driver's own connection inside
        the transaction
        (SQLite: ``sqlite3.Connection``; PostgreSQL: ``psycopg.Connection``). What `work` raises undoes the
        transaction and comes
        out unchanged, unless it is the driver's error, which comes as `WorkFailed`.
        """

    def perform_bare(
        self,
        statement: Statement,
        *,
        settings: tuple[str, ...] = (),
        lease: Lease,
        run_id: str,
        watch: Watch | None = None,
    ) -> Performed:
        """One statement outside any transaction, tagged so that its server process can be found. Raises
        `WorkFailed`.
        """

    def observe(self, effect: Effect) -> Observation:
        """Look in the catalog for a bare statement's effect."""

    def repair(self, effect: Effect, *, lease: Lease) -> str:
        """Remove a broken leftover (drop the INVALID index), so that the statement can run again; answer what was
        done, in words.
        """

    def snapshot(self, touch: Touch) -> Snapshot:
        """These objects, closed over what depends on them, as the catalog has them now."""

    def changed_since(self, migration: str, keys: Collection[str]) -> frozenset[Part] | None:
        """What somebody else has made or changed in these objects (keys as in a `Snapshot`) since the up of that
        migration; what is gone is not in it. None: nobody can tell.
        """

    def preimages(self) -> PreImages:
        """What is kept of what migrations destroyed."""

    def offline_setup(self) -> str:
        """SQL for a person's own shell that comes before all scripts: settings, and what `prepare` makes where it is
        not there already.
        """

    def offline(self, change: LedgerChange, before: Touch | None) -> tuple[str, str]:
        """SQL for a person's own shell: what a run does before a script (keeping the look of `before`, where SQL
        can), and the
        ledger's change after it.
        """

    def query(
        self, sql: str, *, seconds: float | None = None, settings: Sequence[str] = ()
    ) -> Sequence[tuple[Any, ...]]:
        """Rows of a read-only statement, for diagnosis. With `seconds` it is ended after that time, waits for no
        lock longer than an instant, and sees all rows or none (PostgreSQL: row security refuses instead of hiding).
        `settings`: SET statements that are made for this one look. Raises `WorkFailed`.
        """

    def contents(
        self, tables: Sequence[ObjectName], *, most: int, seconds: float, settings: Sequence[str] = ()
    ) -> Mapping[ObjectName, Content]:
        """Digests of what these tables hold, as `query` looks at them; of each a reason where it is larger than `most`
        bytes, or all together take longer. Tables that are not there have no entry. Raises `WorkFailed`.
        """

    def open_reader(self) -> Any:
        """A connection of the driver's own in autocommit mode, for an author's Python that reads between its steps.
        Whoever asks
        for it closes it.
        """

    def leaving(self, migration: str) -> Sequence[str]:
        """Statements that take a migration off the ledger, with its marks, for somebody else's transaction in this
        database: the one in which a backup is restored.
        """

    def state(self, *, beside: bool = True) -> StateDoor:
        """A new door to the state store of this target. Whoever asks for it closes it.

        `beside`: with a connection of its own. Without, it may use the target's: for a moment in which no work is under
        way there, in the target's own thread.
        """

    def reconnect(self) -> None:
        """After `WorkFailed` with kind ``lost``: a new connection, once the server process of the old one is gone
        (waited for, then
        terminated). Raises `TargetUnreachable` or `NeedsPerson`.
        """

    def cancel(self) -> None:
        """Stop the statement that runs now; may be called from another thread or a signal handler's thread."""

    def close(self) -> None:
        """Give everything back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long work may wait. Seconds."""

    lock_timeout: float = 0.05
    """For one try at a lock inside a transaction; short, because everybody queues behind a waiting ALTER TABLE."""
    lock_retry: float = 60.0
    """How long tries are repeated before giving up with exit 4."""
    bare_lock_wait: float = 300.0
    """How long a statement outside a transaction (CREATE INDEX CONCURRENTLY) may wait for old transactions."""
    statement_timeout: float | None = None
    idle_timeout: float = 60.0
    lease_ttl: float = 15.0
    reconnect: float = 20.0
    """How long to try to reach a server again after a lost connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """What opens a target, besides its address."""

    schema: str = "bascule"
    """PostgreSQL: the schema Bascule keeps its things in."""
    limits: Limits = field(default_factory=Limits)
    application: str = "bascule"
    direct_url: str | Callable[[], str] | None = None
    """A way past the pooler, for the lease and for statements outside a transaction; a function is asked at each
    connection."""
    search_path: str | None = None
    state_url: str | None = None
    """Another PostgreSQL for the journal."""
    read_only: bool = False
