"""What stands in the options of foreign servers is neither kept nor told."""

from __future__ import annotations

from tests.acceptance.test_preimages import World, postgresql, sqlite  # noqa: F401 - fixtures

BEFORE = """
create foreign data wrapper w options (debug 'SECRET0');
create server s foreign data wrapper w options (host 'a', password 'SECRET1');
create user mapping for public server s options (user 'u', password 'SECRET2');
create foreign table f (a int options (col 'SECRET3')) server s options (key 'SECRET4', other 'SECRET5');
"""
CHANGES = """
ALTER FOREIGN DATA WRAPPER w OPTIONS (SET debug '0');
ALTER SERVER s OPTIONS (SET password '1');
ALTER USER MAPPING FOR public SERVER s OPTIONS (SET password '2');
ALTER FOREIGN TABLE f ALTER a OPTIONS (SET col '3');
ALTER FOREIGN TABLE f OPTIONS (SET key '4', DROP other);
"""


def test_old_values_are_in_no_difference_no_journal_and_no_memory(postgresql: World) -> None:  # noqa: F811
    for statement in filter(str.strip, BEFORE.split(";\n")):
        postgresql.ask(statement)
    postgresql.project.write("2_options", CHANGES, "SELECT 1;")
    told = postgresql.up()
    memory = postgresql.ask("SELECT snapshot::text FROM bascule.before")
    answer = postgresql.project.run("rollback", "--json", "--yes")
    found = "\n".join(answer.json["data"][0]["differences"])
    for words in (
        "the value of option debug is another one",
        "the value of option password is another one",
        "the value of option col of column a is another one",
        "the value of option key is another one",
        "option other is missing",
    ):
        assert words in found, found
    assert found.count("the value of option password is another one") == 2
    assert answer.json["data"][0]["verdict"] == "lossy"
    journal = postgresql.ask("SELECT data::text FROM bascule.journal")
    for text in (told.out, told.err, answer.out, answer.err, str(memory), str(journal)):
        assert "SECRET" not in text
