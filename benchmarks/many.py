"""Many small migrations: a table, a column, an index, and again; the same statements in the shape of each tool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """One small migration: one statement there, one back."""

    number: int
    """From 1."""
    kind: str
    """``table``, ``column`` or ``index``."""
    group: int
    """Which table it is about, from 1."""
    up: str
    down: str

    @property
    def name(self) -> str:
        """Sortable, and the same in every tool that lets the author choose."""
        return f"{20250101000000 + self.number}_{self.kind}_{self.group:05d}"


def small_migrations(count: int) -> list[Small]:
    """`count` of them, three to a table."""
    return [_small(number) for number in range(1, count + 1)]


def _small(number: int) -> Small:
    group, turn = divmod(number - 1, 3)
    group += 1
    table = f"item_{group:05d}"
    shapes = (
        (
            "table",
            f"CREATE TABLE {table} (id bigint PRIMARY KEY, name text NOT NULL, created_at timestamp)",
            f"DROP TABLE {table}",
        ),
        (
            "column",
            f"ALTER TABLE {table} ADD COLUMN note text",
            f"ALTER TABLE {table} DROP COLUMN note",
        ),
        (
            "index",
            f"CREATE INDEX {table}_name ON {table} (name)",
            f"DROP INDEX {table}_name",
        ),
    )
    kind, up, down = shapes[turn]
    return Small(number=number, kind=kind, group=group, up=up, down=down)


def write_native(folder: Path, migrations: list[Small]) -> Path:
    """As Bascule and dbmate read them."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in migrations:
        (folder / f"{each.name}.sql").write_text(f"-- migrate:up\n{each.up};\n\n-- migrate:down\n{each.down};\n")
    return folder


def expected(count: int) -> dict[str, int]:
    """What has to be there when all have run: tables, columns added, indexes made."""
    return {"tables": (count + 2) // 3, "columns": (count + 1) // 3, "indexes": count // 3}
