"""A number that a sequence gave out once is not given out again by taking a migration back."""

from __future__ import annotations

import pytest

from tests.acceptance.test_preimages import World, postgresql, sqlite  # noqa: F401 - fixtures

MERGED = (
    "MERGE INTO orders USING (VALUES (1)) AS x (i) ON orders.id = x.i WHEN MATCHED THEN UPDATE SET what = 'M';\n"
    "DO 'begin delete from orders where id = 2; end';"
)


def _drawn_and_deleted(world: World) -> None:
    world.ask("INSERT INTO orders (what) VALUES ('x')")
    world.ask("INSERT INTO orders (what) VALUES ('y')")
    world.ask("DELETE FROM orders WHERE id > 2")


def test_postgresql_goes_on_from_where_it_was_when_the_backup_is_restored(postgresql: World) -> None:  # noqa: F811
    postgresql.ask("CREATE TABLE orders (id serial PRIMARY KEY, what text)")
    postgresql.ask("CREATE SEQUENCE down_wards INCREMENT -1")
    postgresql.ask("ALTER TABLE orders ADD other int DEFAULT nextval('down_wards')")
    postgresql.ask("ALTER SEQUENCE down_wards OWNED BY orders.other")
    postgresql.ask("INSERT INTO orders (what) VALUES ('a'), ('b')")
    before = postgresql.ask("SELECT * FROM orders ORDER BY id")
    postgresql.project.write("2_merge", MERGED, "SELECT 1;")
    (run,) = postgresql.up("--yes", "--json").json["data"]
    _drawn_and_deleted(postgresql)
    postgresql.project.well("rollback", "--backup", run["backupPath"], "--yes")
    assert postgresql.ask("SELECT * FROM orders ORDER BY id") == before
    assert postgresql.ask("INSERT INTO orders (what) VALUES ('z') RETURNING id, other") == [(5, -5)]


def test_postgresql_goes_on_from_where_it_was_when_it_restores_by_itself(postgresql: World) -> None:  # noqa: F811
    postgresql.ask("CREATE TABLE orders (id serial PRIMARY KEY, what text)")
    postgresql.ask("INSERT INTO orders (what) VALUES ('a'), ('b')")
    postgresql.project.write(
        "2_swap",
        "CREATE TABLE orders2 AS SELECT id FROM orders; DROP TABLE orders CASCADE; "
        "CREATE TABLE orders (id serial PRIMARY KEY, what text); INSERT INTO orders (what) VALUES ('1'), ('2'), ('3');",
        "DROP TABLE orders2; DELETE FROM orders;",
    )
    postgresql.up("--yes")
    (run,) = postgresql.project.run("rollback", "--yes", "--json").json["data"]
    assert run["verdict"] == "exact", run
    assert postgresql.ask("SELECT * FROM orders ORDER BY id") == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("scope", [(), ("--table", "orders")])
def test_sqlite_goes_on_from_where_it_was_when_the_backup_is_restored(
    sqlite: World,  # noqa: F811
    scope: tuple[str, ...],
) -> None:
    sqlite.ask("CREATE TABLE orders (id integer PRIMARY KEY AUTOINCREMENT, what text)")
    sqlite.ask("INSERT INTO orders (what) VALUES ('a'), ('b')")
    sqlite.project.write("2_caps", "UPDATE orders SET what = upper(what);", "SELECT 1;")
    backup = sqlite.project.well("backup", "create", *scope, "--json").json
    sqlite.up()
    _drawn_and_deleted(sqlite)
    sqlite.project.well("rollback", "--backup", backup["id"], "--yes")
    assert sqlite.ask("SELECT * FROM orders ORDER BY id") == [(1, "a"), (2, "b")]
    sqlite.ask("INSERT INTO orders (what) VALUES ('z')")
    assert sqlite.ask("SELECT max(id) FROM orders") == [(5,)]


def test_a_table_that_was_emptied_goes_on_from_where_it_was(postgresql: World) -> None:  # noqa: F811
    for number, empties in (("2", "TRUNCATE orders;"), ("3", "TRUNCATE orders RESTART IDENTITY;")):
        postgresql.ask("DROP TABLE IF EXISTS orders")
        postgresql.ask("CREATE TABLE orders (id serial PRIMARY KEY, what text)")
        postgresql.ask("INSERT INTO orders (what) VALUES ('a'), ('b'), ('c')")
        path = postgresql.project.write(f"{number}_empty", empties, "SELECT 1;")
        postgresql.up("--accept-data-loss")
        if number == "2":
            postgresql.ask("INSERT INTO orders (what) VALUES ('d')")
        postgresql.project.run("rollback", "--yes", "--json")
        (last,) = postgresql.ask("SELECT max(id) FROM orders")
        postgresql.ask("INSERT INTO orders (what) VALUES ('e')")
        assert postgresql.ask("SELECT max(id) FROM orders") > [last]
        path.unlink()


def test_rows_without_columns_come_back(postgresql: World) -> None:  # noqa: F811
    postgresql.ask("CREATE TABLE empty ()")
    postgresql.ask("INSERT INTO empty DEFAULT VALUES")
    postgresql.ask("INSERT INTO empty DEFAULT VALUES")
    postgresql.project.write("2_gone", "DROP TABLE empty;", "CREATE TABLE empty ();")
    postgresql.up()
    run = postgresql.back()
    assert postgresql.ask("SELECT count(*) FROM empty") == [(2,)], run


def test_a_view_that_was_refreshed_is_not_called_exact(postgresql: World) -> None:  # noqa: F811
    postgresql.ask("CREATE MATERIALIZED VIEW names AS SELECT name FROM users")
    up = "UPDATE users SET name = upper(name); REFRESH MATERIALIZED VIEW names;"
    postgresql.project.write("2_refresh", up, "SELECT 1;")
    postgresql.up()
    run = postgresql.back()
    assert run["verdict"] == "unverified", run
    assert "a script refreshes names, whose rows no look compares" in run["differences"]
