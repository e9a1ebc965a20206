"""An event trigger that fails at Bascule's own statements is told as what it is."""

from __future__ import annotations

from pathlib import Path

from bascule.testing import PostgresServer
from tests.acceptance.test_preimages import _postgresql

EVENT_TRIGGER = """
create schema app; create table app.log (tag text); set search_path = app;
create function app.logs() returns event_trigger language plpgsql as $$ begin insert into log values (tg_tag); end $$;
create event trigger logs on ddl_command_end execute function app.logs();
"""


def test_its_error_is_not_taken_for_a_damaged_memory(
    tmp_path: Path, bascule_postgres_url: str, bascule_postgres_server: PostgresServer
) -> None:
    world = _postgresql(tmp_path, bascule_postgres_url)
    world.ask(EVENT_TRIGGER)
    world.project.write("1_m", "CREATE TABLE app.t (a int);", "DROP TABLE app.t;")
    answer = world.project.run("up", "--json")
    error = answer.json["error"]
    assert (answer.code, error["code"]) == (3, "database_code_failed"), answer
    assert 'relation "log" does not exist' in answer.json["message"] + str(error)
    assert "app.logs()" in error["hint"]
    assert world.ask("SELECT nspname FROM pg_namespace WHERE nspname = 'bascule'") == []
    world.ask("ALTER FUNCTION app.logs() SET search_path = app")
    world.project.well("up")
    assert ("CREATE TABLE",) in world.ask("SELECT tag FROM app.log")
