"""How a SQLite database is addressed, and what is said of an address that is wrong."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bascule.databases.sqlite.location import locate, sqlite_uri
from bascule.databases.sqlite.target import SqliteTarget
from bascule.errors import ConfigError, TargetUnreachable
from bascule.ports.database import TargetOptions


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("sqlite:////srv/app.db", "/srv/app.db"),
        ("sqlite+pysqlite:////srv/app.db", "/srv/app.db"),
        ("SQLite:////srv/app.db", "/srv/app.db"),
        ("/srv/app.db", "/srv/app.db"),
        ("sqlite:////srv/my%20data/100%25.db", "/srv/my data/100%.db"),
        ("sqlite:////srv/my data/a+b.db", "/srv/my data/a+b.db"),
        ("sqlite:////srv/app.db?foreign_keys=1", "/srv/app.db"),
        ("/srv/100%25.db", "/srv/100%25.db"),
        ("/srv/what?.db", "/srv/what?.db"),
    ],
)
def test_an_address_names_a_file(address: str, path: str) -> None:
    assert locate(address).path == Path(path)


def test_three_slashes_are_relative_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("sqlite:///data/app.db").path == tmp_path / "data" / "app.db"
    assert locate("app.db").path == tmp_path / "app.db"


def test_two_names_of_one_file_have_one_sidecar(tmp_path: Path) -> None:
    (tmp_path / "app.db").touch()
    (tmp_path / "link.db").symlink_to("app.db")
    assert locate(str(tmp_path / "link.db")).sidecar == tmp_path / "app.db.bascule"


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///", "sqlite:///:memory:", ":memory:", "sqlite://?mode=ro"])
def test_a_database_in_memory_is_refused(address: str) -> None:
    with pytest.raises(TargetUnreachable, match="in memory") as refusal:
        locate(address)
    assert refusal.value.code == "bad_address"
    assert "sqlite:///relative" in refusal.value.hint


def test_a_host_in_the_address_is_named_and_a_password_is_not() -> None:
    with pytest.raises(TargetUnreachable, match=r"fileserver\.example") as refusal:
        locate("sqlite://me:secret@fileserver.example/share/app.db")
    assert "secret" not in str(refusal.value) + refusal.value.hint


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("mysql://localhost/app", "mysql:// is not"),
        ("sqlite:////srv/app.db?cache=shared", "parameter 'cache'"),
        ("sqlite:////srv/app.db?foreign_keys=maybe", "allowed are 0 and 1"),
        ("sqlite:////srv/app.db?mode=memory", "allowed are ro, rw and rwc"),
        ("sqlite:///file:app.db", "file: addresses"),
        ("sqlite:////srv/app%00.db", "no usable file name"),
        ("", "no usable file name"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(address: str, words: str) -> None:
    with pytest.raises(TargetUnreachable, match=words):
        locate(address)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=40))
def test_any_file_name_can_be_opened(tmp_path: Path, name: str) -> None:
    if name in (".", ".."):
        return
    path = tmp_path / name
    with closing(sqlite3.connect(sqlite_uri(path, "rwc"), uri=True)) as connection:
        connection.execute("CREATE TABLE thing (id)")
    assert path.exists()
    path.unlink()


def test_a_name_with_spaces_quotes_and_signs_works_from_end_to_end(tmp_path: Path) -> None:
    path = tmp_path / "it's 100% #1?mode=ro & ünï.db"
    target = SqliteTarget(str(path))
    target.prepare()
    assert path.exists()
    assert path.with_name(path.name + ".bascule").exists()
    assert target.describe().database == path.name
    target.close()


def test_foreign_keys_are_as_the_address_asks(tmp_path: Path) -> None:
    for asked, expected in (("", None), ("?foreign_keys=1", 1), ("?foreign_keys=off", 0)):
        target = SqliteTarget(f"sqlite:///{tmp_path}/app.db{asked}")
        target.prepare()
        with closing(sqlite3.connect(tmp_path / "app.db")) as plain:
            by_default = plain.execute("PRAGMA foreign_keys").fetchone()[0]
        assert target.query("PRAGMA foreign_keys") == [(by_default if expected is None else expected,)]
        target.close()


def test_a_journal_elsewhere_is_not_for_sqlite(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="BASCULE_STATE_URL"):
        SqliteTarget(str(tmp_path / "app.db"), TargetOptions(state_url="postgresql://localhost/state"))


def test_a_sqlite_that_is_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")
    with pytest.raises(TargetUnreachable, match=r"3\.34\.1; Bascule needs 3\.35"):
        SqliteTarget(str(tmp_path / "app.db"))
