from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bascule.config.load import load
from bascule.config.settings import Settings
from bascule.config.url import HIDDEN
from bascule.config.variables import ENTRIES
from bascule.errors import ConfigError

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    def read(flags: dict[str, tuple[str, Any]] | None = None, **more: Any) -> Settings:
        environ = {name: value for name, value in more.items() if name.isupper()}
        rest = {name: value for name, value in more.items() if not name.isupper()}
        return load(flags, environ=environ, folder=tmp_path, **rest)

    return read


def address(settings: Settings) -> str:
    assert settings.address is not None, settings.missing
    return settings.address.reveal()


# ---- layers ----------------------------------------------------------------------------------------------------------


def test_each_layer_wins_over_the_one_below(settings: Callable[..., Settings], write: Write) -> None:
    assert settings().lock_wait == 300
    write("bascule.toml", "lock_wait = 1")
    assert settings().lock_wait == 1
    write(".env", "MIGRATION_LOCK_WAIT=2")
    assert settings().lock_wait == 2
    assert settings(MIGRATION_LOCK_WAIT="3").lock_wait == 3
    assert settings({"lock_wait": ("--lock-wait", "4")}, MIGRATION_LOCK_WAIT="3").lock_wait == 4


def test_every_value_remembers_where_it_came_from(
    settings: Callable[..., Settings], write: Write, tmp_path: Path
) -> None:
    write("bascule.toml", '# ours\nlate = "refuse"\n\n[limits]\nlock_timeout = "30ms"\n')
    write(".env", "\nMIGRATION_BACKUP_DIR=there\n")
    shown = {each.entry.name: each for each in settings(MIGRATION_ENVIRONMENT="staging").shown}
    assert str(shown["late"].origin) == f"late in {tmp_path}/bascule.toml:2"
    assert str(shown["limits.lock_timeout"].origin) == f"limits.lock_timeout in {tmp_path}/bascule.toml:5"
    assert str(shown["backup_dir"].origin) == f"MIGRATION_BACKUP_DIR in {tmp_path}/.env:2"
    assert str(shown["environment"].origin) == "environment variable MIGRATION_ENVIRONMENT"
    assert str(shown["schema"].origin) == "default"
    assert set(shown) == {entry.name for entry in ENTRIES}


def test_the_table_of_pyproject_is_read_like_the_own_file(settings: Callable[..., Settings], write: Write) -> None:
    write(
        "pyproject.toml",
        '[project]\nname = "x"\n[tool.bascule]\nschema = "migrations"\n[tool.bascule.limits]\nlock_retry = 5\n',
    )
    assert settings().schema == "migrations"
    assert settings().limits["lock_retry"] == 5


def test_a_pyproject_without_our_table_is_not_a_configuration_file(
    settings: Callable[..., Settings], write: Write
) -> None:
    write("pyproject.toml", '[project]\nname = "x"\ndependencies = ["bascule"]\n')
    assert settings().config_file is None


def test_two_configuration_files_are_refused(settings: Callable[..., Settings], write: Write) -> None:
    write("pyproject.toml", "[tool.bascule]\n")
    write("bascule.toml", "")
    with pytest.raises(ConfigError, match=r"Both bascule\.toml and \[tool\.bascule\]"):
        settings()


def test_paths_count_from_where_they_are_written(
    settings: Callable[..., Settings], write: Write, tmp_path: Path
) -> None:
    (tmp_path / "conf").mkdir()
    write("conf/db.toml", 'migrations_dir = "changes"\ndatabase_url = "sqlite:///app.db"\n')
    read = settings(config="conf/db.toml", MIGRATION_BACKUP_DIR="backups")
    assert read.migrations_dir == tmp_path / "conf" / "changes"
    assert address(read) == f"sqlite:///{tmp_path}/conf/app.db"
    assert read.backup_dir == tmp_path / "backups"


def test_the_originals_variables_work_unchanged(settings: Callable[..., Settings], tmp_path: Path) -> None:
    read = settings(
        DATABASE_HOST="localhost",
        DATABASE_PORT="5432",
        DATABASE_USER="postgres",
        DATABASE_PASSWORD="password",
        DATABASE_NAME="streller_minds",
        MIGRATION_BACKUP_DIR="database-backups",
        MIGRATION_METRICS_DIR="migration-metrics",
        MIGRATION_ALERTS_DIR="migration-alerts",
        MIGRATION_VALIDATION_ENABLED="true",
        MIGRATION_VALIDATION_STRICT_MODE="false",
        MIGRATION_MONITORING_ENABLED="on",
        MIGRATION_HEALTH_CHECK_INTERVAL="300000",
        MIGRATION_CLEANUP_INTERVAL="86400000",
        LOG_LEVEL="DEBUG",
    )
    assert address(read) == "postgresql://postgres:password@localhost:5432/streller_minds"
    assert read.metrics_dir == tmp_path / "migration-metrics"
    assert (read.validation_enabled, read.validation_strict, read.monitoring_enabled) == (True, False, True)
    assert (read.health_check_interval, read.cleanup_interval) == (300, 86400)
    assert read.log_level == "debug"
    assert read.warnings == ()


# ---- wrong values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("MIGRATION_ENVIRONMENT", "prod", "development, staging, production"),
        ("MIGRATION_VALIDATION_ENABLED", "maybe", "true, false, 1, 0, yes, no, on, off"),
        ("MIGRATION_LOCK_WAIT", "soon", "a number of seconds"),
        ("MIGRATION_LOCK_WAIT", "-1", "a number of seconds"),
        ("MIGRATION_HEALTH_CHECK_INTERVAL", "nan", "a number of milliseconds"),
        ("DATABASE_PORT", "70000", "a port number from 1 to 65535"),
        ("LOG_LEVEL", "loud", "debug, info, warning, error, critical"),
        ("BASCULE_SECRET_KEY", "short", "32 bytes or more"),
    ],
)
def test_a_wrong_value_is_named_with_its_source_and_what_is_allowed(
    settings: Callable[..., Settings], name: str, value: str, allowed: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**{name: value})
    assert f"environment variable {name}" in caught.value.message
    assert allowed in caught.value.message
    assert caught.value.exit_code == 2


def test_a_wrong_value_in_a_file_is_named_with_its_line(
    settings: Callable[..., Settings], write: Write, tmp_path: Path
) -> None:
    write("bascule.toml", "\n[limits]\nlock_timeout = 0\n")
    with pytest.raises(ConfigError) as caught:
        settings()
    assert f"{tmp_path}/bascule.toml:3" in caught.value.message
    assert "at least 0.001 s" in caught.value.message


@pytest.mark.parametrize(
    ("key", "guess"),
    [
        ("migration_dir", "migrations_dir"),
        ("limits.lock_timout", "limits.lock_timeout"),
        ("targts.x.schema", "targets"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_match(
    settings: Callable[..., Settings], write: Write, key: str, guess: str
) -> None:
    write("bascule.toml", f'{key} = "x"\n')
    with pytest.raises(ConfigError) as caught:
        settings()
    assert "bascule.toml:1" in caught.value.message
    assert guess in caught.value.hint


@pytest.mark.parametrize("key", ["database_password", "secret_key", "audit_key"])
def test_a_secret_does_not_belong_in_a_file(settings: Callable[..., Settings], write: Write, key: str) -> None:
    write("bascule.toml", f'{key} = "hunter2-hunter2"\n')
    with pytest.raises(ConfigError, match="does not belong") as caught:
        settings()
    assert "hunter2" not in str(caught.value.as_dict()) + caught.value.message


def test_unknown_variables_of_ours_are_a_warning_with_the_nearest_match(settings: Callable[..., Settings]) -> None:
    read = settings(MIGRATIONS_DIR="x", BASCULE_TEST_PG="y", MIGRATION_LOCKWAIT="3", BASCULE_FOO="z")
    assert len(read.warnings) == 2
    assert any("MIGRATION_LOCK_WAIT" in warning for warning in read.warnings)


def test_a_broken_line_of_dotenv_matters_only_where_it_is_ours(settings: Callable[..., Settings], write: Write) -> None:
    write(".env", "SOMETHING=${ELSE}\nwhat is this\n")
    assert len(settings().warnings) == 1
    write(".env", "DATABASE_URL=postgresql://${HOST}/x\n")
    with pytest.raises(ConfigError, match=r"\.env:1"):
        settings()


@pytest.mark.parametrize(
    ("text", "seconds"), [("50ms", 0.05), ("3", 3), ("2 s", 2), ("1.5min", 90), ("1h", 3600), (7, 7), (0.5, 0.5)]
)
def test_durations_are_numbers_or_have_a_unit(
    settings: Callable[..., Settings], write: Write, text: str | float, seconds: float
) -> None:
    write("bascule.toml", f"limits.bare_lock_wait = {text!r}\n")
    assert settings().limits["bare_lock_wait"] == pytest.approx(seconds)


def test_a_statement_may_be_given_all_the_time_there_is(settings: Callable[..., Settings], write: Write) -> None:
    write("bascule.toml", 'limits.statement_timeout = "10s"\n')
    assert settings().limits["statement_timeout"] == 10
    write("bascule.toml", 'limits.statement_timeout = "none"\n')
    assert settings().limits["statement_timeout"] is None


# ---- which database --------------------------------------------------------------------------------------------------


def test_the_url_wins_over_parts_that_say_the_same(settings: Callable[..., Settings]) -> None:
    read = settings(
        DATABASE_URL="postgresql://app@db:5432/shop", DATABASE_HOST="db", DATABASE_PORT="5432", DATABASE_NAME="shop"
    )
    assert address(read) == "postgresql://app@db:5432/shop"


@pytest.mark.parametrize("part", ["DATABASE_HOST", "DATABASE_NAME", "DATABASE_USER"])
def test_a_url_and_parts_that_name_another_database_are_refused(settings: Callable[..., Settings], part: str) -> None:
    with pytest.raises(ConfigError, match="Two databases are named") as caught:
        settings(DATABASE_URL="postgresql://app:hunter2@db/shop", **{part: "other"})
    assert part in caught.value.message
    assert "hunter2" not in caught.value.message


def test_an_option_wins_over_the_parts_of_the_environment(settings: Callable[..., Settings]) -> None:
    read = settings(
        {"database_url": ("--database-url", "postgresql://other/x")}, DATABASE_HOST="db", DATABASE_NAME="shop"
    )
    assert address(read) == "postgresql://other/x"


def test_the_environments_parts_win_over_the_files_url(settings: Callable[..., Settings], write: Write) -> None:
    write("bascule.toml", 'database_url = "sqlite:///dev.db"\n')
    assert address(settings(DATABASE_HOST="db", DATABASE_NAME="shop")) == "postgresql://db/shop"


def test_a_password_completes_an_address_that_has_none(settings: Callable[..., Settings], write: Write) -> None:
    read = settings(DATABASE_URL="postgresql://app@db/shop", DATABASE_PASSWORD="p@ss")
    assert address(read) == "postgresql://app:p%40ss@db/shop"
    path = write("secret", "from-file\n")
    assert address(settings(DATABASE_URL="postgresql://app@db/shop", DATABASE_PASSWORD_FILE=str(path))).endswith(
        ":from-file@db/shop"
    )


def test_two_different_passwords_are_refused(settings: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigError, match="holds a password"):
        settings(DATABASE_URL="postgresql://app:one@db/shop", DATABASE_PASSWORD="two")
    with pytest.raises(ConfigError, match="given twice"):
        settings(DATABASE_URL="postgresql://app@db/shop", DATABASE_PASSWORD="two", DATABASE_PASSWORD_FILE="x")
    assert "one" in address(settings(DATABASE_URL="postgresql://app:one@db/shop", DATABASE_PASSWORD="one"))


def test_without_any_setting_there_is_no_database_and_the_message_says_what_to_do(
    settings: Callable[..., Settings],
) -> None:
    assert settings().address is None
    assert "No database is named" in settings().missing


def test_a_file_of_the_working_folder_is_used_in_development_only(
    settings: Callable[..., Settings], write: Write
) -> None:
    path = write("bascule.db", "")
    assert address(settings()) == f"sqlite:///{path}"
    for environment in ("staging", "production"):
        read = settings(MIGRATION_ENVIRONMENT=environment)
        assert read.address is None
        assert "bascule.db" in read.missing


def test_a_database_that_is_set_but_empty_never_ends_in_the_file(
    settings: Callable[..., Settings], write: Write
) -> None:
    write("bascule.db", "")
    assert settings(DATABASE_URL="").address is None
    assert "empty" in settings(DATABASE_URL="").missing


def test_libpqs_variables_alone_name_a_database(settings: Callable[..., Settings]) -> None:
    assert address(settings(PGHOST="db")) == "postgresql://"
    assert address(settings(PGSERVICE="shop")) == "postgresql://"
    assert address(settings(PGDATABASE="shop", DATABASE_URL="postgresql://x")) == "postgresql://x"


def test_libpqs_variables_and_a_file_are_one_too_many(settings: Callable[..., Settings], write: Write) -> None:
    write("bascule.db", "")
    with pytest.raises(ConfigError, match="Two databases are possible"):
        settings(PGHOST="db")


def test_a_wrong_address_is_named_with_its_source_and_without_itself(settings: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(DATABASE_URL="mysql://root:hunter2@db/shop")
    assert "environment variable DATABASE_URL" in caught.value.message
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_a_way_past_the_pooler_is_not_used_for_another_database(
    settings: Callable[..., Settings], write: Write
) -> None:
    write("bascule.toml", 'database_url = "postgresql://pooler/shop"\ndirect_url = "postgresql://app@db/shop"\n')
    direct = settings(DATABASE_PASSWORD="x").direct
    assert direct is not None
    assert direct.reveal() == "postgresql://app:x@db/shop"
    elsewhere = settings(DATABASE_URL="postgresql://local/dev")
    assert elsewhere.direct is None
    assert any("direct_url" in warning for warning in elsewhere.warnings)


# ---- named targets ---------------------------------------------------------------------------------------------------

TARGETS = """
schema = "common"
database_url = "postgresql://main/shop"
direct_url = "postgresql://main-direct/shop"

[variables]
tenant = "none"
owner = "app"

[targets.north]
database_url = "postgresql://north/shop"
environment = "production"
variables = { tenant = "north" }

[targets.south]
schema = "southern"
"""


def test_a_target_has_its_own_settings_over_the_common_ones(settings: Callable[..., Settings], write: Write) -> None:
    write("bascule.toml", TARGETS)
    north, south, main = settings(target="north"), settings(target="south"), settings()
    assert (address(north), north.schema, north.environment) == ("postgresql://north/shop", "common", "production")
    assert north.variables == {"tenant": "north", "owner": "app"}
    assert north.direct is None, "the way past another database's pooler"
    assert (address(south), south.schema) == ("postgresql://main/shop", "southern")
    assert (address(main), main.target) == ("postgresql://main/shop", None)


def test_an_unknown_target_is_refused_with_the_nearest(settings: Callable[..., Settings], write: Write) -> None:
    write("bascule.toml", TARGETS)
    with pytest.raises(ConfigError) as caught:
        settings(target="nort")
    assert "Did you mean north?" in caught.value.hint


def test_a_default_target_is_used_where_none_is_named(settings: Callable[..., Settings], write: Write) -> None:
    write("bascule.toml", 'default_target = "south"' + TARGETS)
    assert settings().schema == "southern"


def test_a_named_target_and_a_variable_that_says_otherwise_are_refused(
    settings: Callable[..., Settings], write: Write
) -> None:
    write("bascule.toml", TARGETS)
    for variables in ({"DATABASE_URL": "postgresql://x"}, {"DATABASE_HOST": "x"}, {"MIGRATION_ENVIRONMENT": "staging"}):
        with pytest.raises(ConfigError, match="--target north"):
            settings(target="north", **variables)
    assert address(settings(target="north", DATABASE_URL="postgresql://north/shop")) == "postgresql://north/shop"


def test_without_a_database_the_targets_are_offered(settings: Callable[..., Settings], write: Write) -> None:
    write("bascule.toml", '[targets.north]\ndatabase_url = "postgresql://north/shop"\n')
    assert "--target: north" in settings().missing


# ---- secrets ---------------------------------------------------------------------------------------------------------


def test_no_secret_is_shown_anywhere(settings: Callable[..., Settings], write: Write) -> None:
    write("bascule.toml", 'password_command = "fetch --token hunter2hunter2"\nvariables = { api = "hunter2hunter2" }\n')
    read = settings(
        DATABASE_URL="postgresql://app@db/shop?sslpassword=hunter2hunter2",
        BASCULE_SECRET_KEY="hunter2hunter2" * 4,
        BASCULE_STATE_URL="postgresql://j:hunter2hunter2@db/journal",
    )
    everything = repr(read) + "".join(each.value for each in read.shown)
    assert "hunter2hunter2" not in everything
    assert HIDDEN in everything
    assert "hunter2hunter2" not in read.clean(
        "cannot log in with hunter2hunter2 at postgresql://j:hunter2hunter2@db/journal"
    )


def test_durations_are_shown_as_people_write_them(settings: Callable[..., Settings]) -> None:
    shown = {each.entry.name: each.value for each in settings(MIGRATION_LOCK_WAIT="90").shown}
    assert (shown["preimage_retention"], shown["limits.lock_timeout"], shown["lock_wait"]) == ("30 d", "50 ms", "90 s")
    assert (shown["limits.lock_retry"], shown["limits.statement_timeout"]) == ("1 min", "")
