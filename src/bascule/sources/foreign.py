"""Formats that are known by sight but not read: they are named, never misread.

Some show in the listing alone (`by_listing`); those whose files are named like native ones show in their text
(`tool_of_text`, `tool_of_python`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from bascule.sources.folder import Folder

_FLYWAY = re.compile(r"[VUB][0-9][0-9._]*__.+\.(?:sql|java|kt|conf)\Z|R__.+\.(?:java|kt)\Z", re.DOTALL)
_FLYWAY_VERSIONED = re.compile(r"[VB][0-9][0-9._]*__.+\.(?:sql|java|kt)\Z", re.DOTALL)
_HEX_REVISION = re.compile(r"(?=[0-9]*[a-f])[0-9a-f]{10,40}_.*\.py\Z", re.DOTALL)
_GO = re.compile(r"[0-9]+_.*\.go\Z", re.DOTALL)
_SCRIPT = re.compile(r"[0-9]{10,17}[_-].*\.(?:js|cjs|mjs|ts)\Z", re.DOTALL)
_YOYO_DOWN = re.compile(r".+\.rollback\.(?:sql|py)\Z", re.DOTALL)

_SQLX = r"\A\ufeff?--[ \t]*no-transaction\b"

# Patterns as text: compiled (and kept, by `re`) when they are first needed, which saves 1 ms of each start.
_TEXTS = (
    ("goose", r"(?im)^[ \t]*--[ \t]*\+goose[ \t]+(?:Up|Down|StatementBegin|NO TRANSACTION)\b"),
    ("sql-migrate", r"(?im)^[ \t]*--[ \t]*\+migrate[ \t]+(?:Up|Down)\b"),
    ("node-pg-migrate", r"(?im)^[ \t]*--[ \t]*(?:Up|Down)[ \t]+Migration\b"),
    ("sqlx", _SQLX),
    ("yoyo", r"(?i)\A\ufeff?(?:[ \t]*--[^\n]*\n)*[ \t]*--[ \t]*transactional:[ \t]*(?:true|false)\b"),
)
_PYTHON = (
    ("alembic", r"(?m)^down_revision\b|^from alembic import\b"),
    ("django", r"(?m)^from django\b.*\bmigrations\b|^class Migration\("),
    ("yoyo", r"(?m)^from yoyo import\b|^import yoyo\b|^steps\s*=\s*\["),
)


def tool_of_text(text: str) -> str | None:
    """Whose markers a SQL file carries, when it is another tool's."""
    return next((tool for tool, sign in _TEXTS if re.search(sign, text)), None)


def is_sqlx(text: str) -> bool:
    """Whether a SQL file carries sqlx's own word; its folders are named like golang-migrate's."""
    return re.search(_SQLX, text) is not None


def tool_of_python(text: str) -> str | None:
    """Whose migration a Python file is, when it is another tool's."""
    return next((tool for tool, sign in _PYTHON if re.search(sign, text)), None)


def by_listing(folder: Folder, holds: Callable[[str, str], bool]) -> dict[str, str]:
    """Each format not read yet that a listing shows, with an example. `holds(folder, file)` looks into sub-folders."""
    names = set(folder.files)
    folders = set(folder.folders)
    found = {
        "flyway": _first(folder.files, _FLYWAY),
        "alembic": _first(folder.files, _HEX_REVISION),
        "goose": _first(folder.files, _GO),
        "node-pg-migrate": _first(folder.files, _SCRIPT),
        "yoyo": _first(folder.files, _YOYO_DOWN),
        "prisma": "migration_lock.toml" if "migration_lock.toml" in names else None,
    }
    if "env.py" in names and ("versions" in folders or "script.py.mako" in names):
        found["alembic"] = "env.py"
    if found["prisma"] is None:
        inner = next((name for name in sorted(folders) if holds(name, "migration.sql")), None)
        found["prisma"] = f"{inner}/migration.sql" if inner else None
    return {tool: example for tool, example in found.items() if example}


def flyway_versioned(names: tuple[str, ...]) -> bool:
    """Whether the listing is Flyway's, so that an ``R__x.sql`` in it is Flyway's too."""
    return any(_FLYWAY_VERSIONED.match(name) for name in names)


def _first(names: tuple[str, ...], shape: re.Pattern[str]) -> str | None:
    return min((name for name in names if shape.match(name)), default=None)
