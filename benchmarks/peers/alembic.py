"""Alembic, in one transaction (its default) and in one for each migration."""

from __future__ import annotations

from pathlib import Path

from benchmarks.many import Small
from benchmarks.peers import Peer
from benchmarks.timing import environment, python

_ENV = """import os
from alembic import context
from sqlalchemy import create_engine

with create_engine(os.environ["TARGET"]).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=os.environ["EACH"] == "1")
    with context.begin_transaction():
        context.run_migrations()
"""

_REVISION = """revision = "{revision}"
down_revision = {before!r}

from alembic import op


def upgrade():
    op.execute({up!r})


def downgrade():
    op.execute({down!r})
"""


def prepare(folder: Path, migrations: list[Small], database: str) -> list[Peer]:
    """Write the environment and one revision file each."""
    versions = folder / "scripts" / "versions"
    versions.mkdir(parents=True)
    (folder / "scripts" / "env.py").write_text(_ENV)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = scripts\n")
    before = None
    for each in migrations:
        revision = f"r{each.number:06d}"
        text = _REVISION.format(revision=revision, before=before, up=each.up, down=each.down)
        (versions / f"{revision}_{each.kind}.py").write_text(text)
        before = revision
    return [_peer(folder, "Alembic, one transaction", "0"), _peer(folder, "Alembic, one each", "1")]


def _peer(folder: Path, name: str, each: str) -> Peer:
    return Peer(
        name=name,
        command=lambda url: [python(), "-m", "alembic", "upgrade", "head"],
        cwd=folder,
        env=lambda url: environment(TARGET=url.replace("postgresql://", "postgresql+psycopg://"), EACH=each),
    )
