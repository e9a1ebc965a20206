"""Alembic, in one transaction (its default) and in one for each migration."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.peers.installing import Setting, compile_python, python_programs

_ENV = """import os
from alembic import context
from sqlalchemy import create_engine

with create_engine(os.environ["PEER_URL"]).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=os.environ["PEER_EACH"] == "1")
    with context.begin_transaction():
        context.run_migrations()
"""
_REVISION = """from alembic import op

revision = {revision!r}
down_revision = {before!r}


def upgrade():
    op.execute({up!r})


def downgrade():
    op.execute({down!r})
"""


def contenders(setting: Setting) -> list[Contender]:
    """One revision file each."""
    programs = python_programs(setting, ["alembic", "psycopg[binary]"])
    folder = setting.folder
    versions = folder / "scripts" / "versions"
    versions.mkdir(parents=True)
    (folder / "scripts" / "env.py").write_text(_ENV)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/scripts\n")
    before: str | None = None
    for each in setting.migrations:
        text = _REVISION.format(revision=each.name, before=before, up=each.up, down=each.down)
        (versions / f"{each.name}.py").write_text(text)
        before = each.name
    compile_python(programs, folder)
    # It keeps one row, the newest revision, so that one stands for all.
    recorded = f"SELECT {len(setting.migrations)} * count(*) FROM alembic_version WHERE version_num = '{before}'"
    return [
        _contender(setting, programs, recorded, name="Alembic, one transaction", each="0"),
        _contender(setting, programs, recorded, name="Alembic, transaction each", each="1"),
    ]


def _contender(setting: Setting, programs: Path, recorded: str, *, name: str, each: str) -> Contender:
    return Contender(
        name=name,
        command=lambda _: [programs / "alembic", "upgrade", "head"],
        folder=setting.folder,
        environment=lambda url: {
            "PEER_URL": url.replace("postgresql://", "postgresql+psycopg://"),
            "PEER_EACH": each,
        },
        recorded=recorded,
        is_peer=True,
    )
