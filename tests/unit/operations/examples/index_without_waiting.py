"""A lower-case copy of the address and an index on it, made while the application goes on writing."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

depends_on = ["create_accounts"]
transactional = False


def up(op: Any) -> None:
    op.add_column("accounts", sa.Column("address", sa.String(200)))
    op.backfill("accounts", set={"address": f"lower(email) || {op.literal('')}"}, where="address IS NULL")
    op.create_index("accounts_by_address", "accounts", ["address"], postgresql_concurrently=True)


def down(op: Any) -> None:
    op.drop_index("accounts_by_address", table_name="accounts", postgresql_concurrently=True)
    op.drop_column("accounts", "address")
