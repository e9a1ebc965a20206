"""What a migration may not do with transactions, said the same way wherever it is noticed."""

from __future__ import annotations

from bascule.errors import MigrationFailed, State

_CODE = "transaction_control"


def ending_refused(word: str) -> MigrationFailed:
    """The function tried to end the transaction it runs in; nothing was sent."""
    return MigrationFailed(
        f"The migration tried to end its transaction ({word}), which holds its ledger row too.",
        code=_CODE,
        hint="Leave the transaction to Bascule, or set transactional = False: each statement is then a step.",
    )


def autocommit_refused() -> MigrationFailed:
    """The function asked for an autocommit block inside a transaction."""
    return MigrationFailed(
        "autocommit_block() would commit the first half of this migration by itself.",
        code=_CODE,
        hint="Set transactional = False in the file: each statement is then a step of its own.",
    )


def pragma_ignored(pragma: str) -> MigrationFailed:
    """The function sets a pragma where SQLite would not."""
    return MigrationFailed(
        f"PRAGMA {pragma} does nothing inside a transaction: SQLite would ignore it without a word.",
        code=_CODE,
        hint="Set transactional = False in the file.",
    )


def ended() -> MigrationFailed:
    """The function did end its transaction, by a way that could not be seen beforehand."""
    return MigrationFailed(
        "The migration ended its own transaction: what it did before that is committed, without its ledger row.",
        code=_CODE,
        state="unknown",
        hint="Finish or undo it by hand, then use `bascule mark`; set transactional = False in the file.",
    )


def given_up() -> MigrationFailed:
    """The function went on after an error that nobody kept."""
    return MigrationFailed(
        "A statement failed and the function went on as if it had not; PostgreSQL has given up the transaction.",
        code="function_raised",
        hint="Where a failure is expected, put the statement into `with op.get_bind().begin_nested():`.",
    )


def no_transaction(word: str, state: State) -> MigrationFailed:
    """The function speaks of a transaction where there is none."""
    return MigrationFailed(
        f"{word} has no meaning with transactional = False: each statement of the migration is committed by itself.",
        code=_CODE,
        state=state,
        hint="Take it out, or take out transactional = False so that everything happens in one transaction.",
    )


def not_in_a_migration(reason: str, state: State | None = None) -> MigrationFailed:
    """The function sends what no migration may hold; nothing of it was sent."""
    return MigrationFailed(
        f"The migration tried to run a statement that is refused: {reason}.",
        code="refused_statement",
        hint="Take it out of the file.",
        state=state,
    )
