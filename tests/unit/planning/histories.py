"""Folders and ledgers to plan with, written in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from bascule.domain.history import LedgerEntry
from bascule.domain.migration import MigrationRef

Depends = dict[str, tuple[str, ...] | None]


def ref(name: str) -> MigrationRef:
    """A migration by name: ``R__…`` is repeatable, digits in front are the version."""
    number = re.match(r"[0-9]*", name)
    assert number is not None
    return MigrationRef(
        name=name,
        version=number[0],
        order=(int(number[0] or 0), name),
        path=f"migrations/{name}.sql",
        repeatable=name.startswith("R__"),
    )


def refs(*names: str) -> list[MigrationRef]:
    return [ref(name) for name in names]


def entry(
    name: str, position: int, *, semantic_hash: str = "", exact_hash: str = "", parser: str = "p1"
) -> LedgerEntry:
    return LedgerEntry(
        name=name,
        version=ref(name).version,
        position=position,
        run_id=f"{name}_1",
        applied_at=datetime(2024, 1, 1, tzinfo=UTC),
        execution_ms=1,
        exact_hash=exact_hash,
        semantic_hash=semantic_hash,
        parser=parser,
        repeatable=name.startswith("R__"),
    )


def ledger(*names: str) -> list[LedgerEntry]:
    """Applied in this order."""
    return [entry(name, position) for position, name in enumerate(names, 1)]


def nothing_declared(migrations: Sequence[MigrationRef], **declared: tuple[str, ...]) -> Depends:
    """What each migration declares: nothing, but for those given (``_1_a=("x",)``)."""
    return {each.name: declared.get(f"_{each.name}") for each in migrations}
