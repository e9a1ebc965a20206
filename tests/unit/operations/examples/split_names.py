"""Given and family name instead of one text. What comes first in a full name is taken for the given name."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

depends_on = ["create_accounts"]

accounts = sa.table("accounts", sa.column("id"), sa.column("full_name"), sa.column("given"), sa.column("family"))


def up(op: Any) -> None:
    with op.batch_alter_table("accounts") as table:
        table.add_column(sa.Column("given", sa.String(100)))
        table.add_column(sa.Column("family", sa.String(100)))
    connection = op.get_bind()
    for row in connection.execute(sa.select(accounts.c.id, accounts.c.full_name)).all():
        given, _, family = row.full_name.partition(" ")
        connection.execute(accounts.update().where(accounts.c.id == row.id).values(given=given, family=family or None))
    with op.batch_alter_table("accounts") as table:
        table.drop_column("full_name")


def down(op: Any) -> None:
    with op.batch_alter_table("accounts") as table:
        table.add_column(sa.Column("full_name", sa.String(200)))
    op.execute("UPDATE accounts SET full_name = given || coalesce(' ' || family, '')")
    with op.batch_alter_table("accounts") as table:
        table.alter_column("full_name", nullable=False, existing_type=sa.String(200))
        table.drop_column("given")
        table.drop_column("family")
