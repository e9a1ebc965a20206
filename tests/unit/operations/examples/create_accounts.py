"""Accounts, found by their e-mail address whatever its spelling."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa


def up(op: Any) -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("email", sa.String(200), nullable=False),
        sa.Column("full_name", sa.String(200), nullable=False),
    )
    op.create_index("accounts_by_email", "accounts", [sa.text("lower(email)")], unique=True)


def down(op: Any) -> None:
    op.drop_index("accounts_by_email", table_name="accounts")
    op.drop_table("accounts")
