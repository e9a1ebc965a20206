"""What will be done, step by step, decided before anything is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from bascule.domain.migration import Direction, Migration
from bascule.domain.statement import Insight, Statement, Touch

StepKind = Literal["transaction", "marked", "bare", "python"]
"""``transaction``: the whole script with its ledger row in one transaction. ``marked``: statements in a transaction of
their own together with their mark. ``bare``: one statement that no transaction can protect, journaled before and looked
for after. ``python``: the author's function, on a connection whose every statement becomes one of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The unit that happens entirely, or (a bare one) is looked for afterwards."""

    index: int
    kind: StepKind
    statements: tuple[Statement, ...]
    insights: tuple[Insight, ...]
    settings: tuple[str, ...] = ()
    """Session settings made earlier in the script, replayed before the step runs."""
    digest: str = ""
    """Semantic hash of settings and statements: what a mark proves done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a second, closer look at a migration's scripts tells."""

    touch: Touch
    semantic_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMigration:
    """One migration in one direction, cut into steps."""

    migration: Migration
    direction: Direction
    steps: tuple[Step, ...]
    transactional: bool
    """True: one step, and the ledger row rides in it."""
    parser: str
    reading: Callable[[], Reading] = field(compare=False, repr=False)
    """What is only needed when the migration runs, so that a plan of a thousand migrations is refused or begun sooner.
    Raises nothing, and answers the same each time."""
    undecidable: tuple[str, ...] = ()
    """Statements that neither a mark nor the catalog could decide after a crash, in words."""
    destroys: tuple[str, ...] = ()
    """What stored data the script removes, in words."""
    warnings: tuple[str, ...] = ()
    estimated_ms: int | None = field(default=None, compare=False)
    """How long it was expected to take when it was about to run; None: nobody asked."""

    @property
    def touch(self) -> Touch:
        """What the up and the down together may change in the schema."""
        return self.reading().touch

    @property
    def semantic_hash(self) -> str:
        """SHA-256 of what the script means."""
        return self.reading().semantic_hash

    @property
    def name(self) -> str:
        """The migration's name."""
        return self.migration.name

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All statements in the order they run."""
        return tuple(statement for step in self.steps for statement in step.statements)
