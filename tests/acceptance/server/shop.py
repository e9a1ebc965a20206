"""A project as people have them: a history with a failure and a rollback in it, and changes that wait."""

from __future__ import annotations

from tests.acceptance.commandline import Project

APPLIED: dict[str, tuple[str, str | None]] = {
    "20260301090000_customers": (
        """
        create table customers (id bigint generated always as identity primary key, name text not null);
        insert into customers (name) select 'customer ' || n from generate_series(1, 20000) n;
        """,
        "drop table customers;",
    ),
    "20260302101500_products": (
        """
        create table products (id bigint generated always as identity primary key, title text, price numeric(10, 2));
        insert into products (title, price) select 'product ' || n, n from generate_series(1, 500) n;
        """,
        "drop table products;",
    ),
    "20260309142000_orders": (
        """
        create table orders (id bigint generated always as identity primary key,
        customer_id bigint not null references customers, placed_at timestamptz not null default now(), note text);
        insert into orders (customer_id) select 1 + n % 20000 from generate_series(1, 60000) n;
        """,
        "drop table orders;",
    ),
    "20260311080000_order_lines": (
        """
        create table order_lines (order_id bigint references orders, product_id bigint references products,
        quantity int not null, primary key (order_id, product_id));
        insert into order_lines select n, 1 + n % 500, 1 from generate_series(1, 60000) n;
        """,
        "drop table order_lines;",
    ),
    "20260317113000_orders_by_customer": (
        "create index orders_by_customer on orders (customer_id);",
        "drop index orders_by_customer;",
    ),
    "20260402094500_invoices": (
        """
        create table invoices (id bigint generated always as identity primary key,
        order_id bigint not null references orders, cents bigint not null);
        """,
        "drop table invoices;",
    ),
    "20260405160000_currency": (
        "alter table orders add column currency text not null default 'EUR';",
        "alter table orders drop column currency;",
    ),
}
BROKEN = "20260412083000_loyalty"
"""Fails at first, and runs once it is corrected."""
WAITING: dict[str, tuple[str, str | None]] = {
    "20260420090000_refunds": (
        """
        create table refunds (id bigint generated always as identity primary key,
        order_id bigint not null references orders, cents bigint not null);
        """,
        "drop table refunds;",
    ),
    "20260421100000_refund_reasons": (
        "create table refund_reasons (refund_id bigint not null references refunds, reason text not null);",
        "drop table refund_reasons;",
    ),
    "20260421153000_refunds_by_order": (
        "create index refunds_by_order on refunds (order_id);",
        "drop index refunds_by_order;",
    ),
    "20260423110000_forget_order_notes": (
        """
        -- bascule: no-preimage customers have asked to be forgotten
        update orders set note = null where placed_at < '2026-01-01';
        """,
        None,
    ),
}


def grow(project: Project) -> None:
    """The history is run, with its failure and its rollback; then the rest is written, and waits."""
    for name, (up, down) in APPLIED.items():
        project.write(name, up, down)
    project.well("up")
    project.well("rollback", "--yes", "--accept-data-loss")
    project.well("up")
    project.write(BROKEN, "alter table customer add column points int;", "alter table customers drop column points;")
    project.run("up")
    project.write(BROKEN, "alter table customers add column points int;", "alter table customers drop column points;")
    project.well("up")
    project.well("backup", "create", MIGRATION_BACKUP_VERIFY="full")
    for name, (up, down) in WAITING.items():
        project.write(name, up, down)
