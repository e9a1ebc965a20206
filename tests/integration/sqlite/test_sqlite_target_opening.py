"""What is in the way when a database file cannot be opened, read or written, and what reading leaves alone."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bascule.databases.sqlite import opening
from bascule.databases.sqlite.opening import network_filesystem
from bascule.databases.sqlite.target import SqliteTarget
from bascule.errors import BasculeError, Refused, TargetUnreachable
from bascule.ports.database import TargetOptions
from tests.conformance.database import CREATE, applied, fact, lease_of


@pytest.fixture
def open_target() -> Iterator[Callable[..., SqliteTarget]]:
    opened: list[SqliteTarget] = []

    def open_one(path: Path | str, options: TargetOptions | None = None) -> SqliteTarget:
        opened.append(SqliteTarget(str(path), options))
        return opened[-1]

    yield open_one
    for target in opened:
        target.close()


Open = Callable[..., SqliteTarget]


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may do anything to a file, so as root the block runs as somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder_for_all() -> Iterator[Path]:
    """A folder that also another account can reach."""
    folder = Path(tempfile.mkdtemp(prefix="bascule-test-", dir="/tmp"))
    folder.chmod(0o777)
    yield folder
    folder.chmod(0o777)
    shutil.rmtree(folder)


def test_reading_creates_nothing(tmp_path: Path, open_target: Open) -> None:
    target = open_target(tmp_path / "app.db")
    assert target.describe().prepared is False
    assert not target.ledger()
    assert not target.journal()
    assert target.holder() is None
    assert target.query("SELECT count(*) FROM sqlite_master") == [(0,)]
    assert list(tmp_path.iterdir()) == []


def test_reading_somebody_elses_database_changes_no_byte(tmp_path: Path, open_target: Open) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(CREATE)
    before = path.read_bytes()
    target = open_target(path)
    assert target.describe().prepared is False
    assert not target.ledger()
    assert not target.journal()
    target.close()
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["app.db"]


def test_everything_made_is_for_its_owner_alone_and_named_after_bascule(tmp_path: Path, open_target: Open) -> None:
    before = os.umask(0)
    try:
        target = open_target(tmp_path / "app.db")
        lease = lease_of(target)
        target.perform(applied(facts=(fact("run_completed"),)), lease=lease)
    finally:
        os.umask(before)
    made = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert set(made) == {"app.db", "app.db-journal", "app.db.bascule", "app.db.bascule-wal", "app.db.bascule-shm"}
    assert set(made.values()) == {0o600}
    for path in (tmp_path / "app.db", tmp_path / "app.db.bascule"):
        with closing(sqlite3.connect(path)) as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
        assert names
        assert all(name.startswith("bascule_") for name in names)


def test_the_sidecar_belongs_to_whom_the_database_belongs(tmp_path: Path, open_target: Open) -> None:
    if os.geteuid() != 0:
        return  # only root can give files away
    path = tmp_path / "app.db"
    path.touch()
    os.chown(path, 65534, 65534)
    open_target(path).prepare()
    assert (tmp_path / "app.db.bascule").stat().st_uid == 65534


def test_a_closed_target_leaves_no_journal_files(tmp_path: Path, open_target: Open) -> None:
    target = open_target(tmp_path / "app.db")
    target.perform(applied(CREATE), lease=lease_of(target))
    target.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["app.db", "app.db.bascule"]


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path, open_target: Open) -> None:
    path = tmp_path / "app.db"
    path.write_text("-- this is a dump\n" * 100)
    for look in (SqliteTarget.describe, SqliteTarget.ledger, SqliteTarget.prepare):
        with pytest.raises(TargetUnreachable, match="not a SQLite database") as failure:
            look(open_target(path))
        assert failure.value.code == "not_a_database"
        assert failure.value.state == "unchanged"
    assert [each.name for each in tmp_path.iterdir()] == ["app.db"]


def test_a_damaged_database_is_said_to_be_damaged(tmp_path: Path, open_target: Open) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(CREATE)
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * 1000 + whole[1100:])
    with pytest.raises(TargetUnreachable, match="damaged") as failure:
        open_target(path).ledger()
    assert "integrity_check" in failure.value.hint


def test_what_is_not_a_file_is_named(tmp_path: Path, open_target: Open) -> None:
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(TargetUnreachable, match="this is a folder"):
        open_target(tmp_path / "folder.db").describe()
    os.mkfifo(tmp_path / "pipe.db")
    with pytest.raises(TargetUnreachable, match="not a regular file"):
        open_target(tmp_path / "pipe.db").describe()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.db"))
        with pytest.raises(TargetUnreachable, match="not a regular file"):
            open_target(tmp_path / "socket.db").describe()


@pytest.mark.parametrize("look", [SqliteTarget.describe, SqliteTarget.prepare])
def test_a_missing_folder_is_named(tmp_path: Path, open_target: Open, look: Callable[[SqliteTarget], object]) -> None:
    with pytest.raises(TargetUnreachable, match=r"there is no folder .*/nowhere"):
        look(open_target(tmp_path / "nowhere" / "app.db"))
    (tmp_path / "file").touch()
    with pytest.raises(TargetUnreachable, match="is a file, not a folder"):
        look(open_target(tmp_path / "file" / "app.db"))


def test_a_file_that_may_not_be_read_is_named(folder_for_all: Path, open_target: Open) -> None:
    path = folder_for_all / "app.db"
    path.touch()
    path.chmod(0)
    with as_nobody(), pytest.raises(TargetUnreachable, match="may not read the file"):
        open_target(path).describe()


def test_a_file_that_may_only_be_read_can_be_looked_at_and_not_prepared(
    folder_for_all: Path, open_target: Open
) -> None:
    path = folder_for_all / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(CREATE)
    path.chmod(0o444)
    with as_nobody():
        target = open_target(path)
        assert list(target.ledger()) == []
        with pytest.raises(Refused, match=r"app\.db cannot be written") as failure:
            target.prepare()
    assert failure.value.code == "read_only"
    assert [each.name for each in folder_for_all.iterdir()] == ["app.db"]


def test_a_folder_that_may_only_be_read_is_named(folder_for_all: Path, open_target: Open) -> None:
    path = folder_for_all / "app.db"
    path.touch()
    path.chmod(0o666)
    folder_for_all.chmod(0o555)
    with as_nobody(), pytest.raises(Refused, match=r"The folder .* cannot be written") as failure:
        open_target(path).prepare()
    assert failure.value.code == "read_only"


def test_a_prepared_database_in_a_folder_that_may_only_be_read_still_tells_its_history(
    folder_for_all: Path, open_target: Open
) -> None:
    path = folder_for_all / "app.db"
    with as_nobody():
        writer = open_target(path)
        writer.perform(applied(CREATE, facts=(fact("run_completed"),)), lease=lease_of(writer))
        writer.close()
    folder_for_all.chmod(0o555)
    with as_nobody():
        reader = open_target(path)
        assert [row.name for row in reader.ledger()] == ["create_thing"]
        assert [each.kind for each in reader.journal()] == ["run_completed"]
        assert reader.holder() is None
        reader.prepare()
        with pytest.raises(Refused, match="folder"):
            reader.acquire(owner="me@here:1", run="run_1")


def test_an_address_for_reading_is_for_reading(tmp_path: Path, open_target: Open) -> None:
    target = open_target(f"sqlite:///{tmp_path}/app.db?mode=ro")
    assert list(target.ledger()) == []
    with pytest.raises(Refused, match="for reading only") as failure:
        target.prepare()
    assert failure.value.code == "read_only"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Refused, match="for reading only"):
        open_target(tmp_path / "app.db", TargetOptions(read_only=True)).prepare()


def test_a_newer_ledger_is_refused_and_left_alone(tmp_path: Path, open_target: Open) -> None:
    path = tmp_path / "app.db"
    target = open_target(path)
    target.prepare()
    target.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE bascule_meta SET value = '99' WHERE key = 'layout'")
    calls: list[Callable[[SqliteTarget], object]] = [
        SqliteTarget.ledger,
        SqliteTarget.marks,
        SqliteTarget.journal,
        SqliteTarget.prepare,
        SqliteTarget.holder,
        lambda target: target.acquire(owner="me@here:1", run="run_1"),
    ]
    for call in calls:
        with pytest.raises(Refused, match="newer Bascule") as failure:
            call(open_target(path))
        assert failure.value.code == "newer_ledger"


def test_a_newer_sidecar_is_refused(tmp_path: Path, open_target: Open) -> None:
    target = open_target(tmp_path / "app.db")
    target.prepare()
    target.close()
    with closing(sqlite3.connect(tmp_path / "app.db.bascule")) as connection, connection:
        connection.execute("UPDATE bascule_meta SET value = '99' WHERE key = 'layout'")
    with pytest.raises(Refused, match="newer Bascule") as failure:
        open_target(tmp_path / "app.db").prepare()
    assert failure.value.code == "newer_ledger"


def test_a_network_file_system_is_recognised_by_its_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\n"
        "server:/home /home nfs4 rw 0 0\n"
        "/dev/sdb1 /home/local ext4 rw 0 0\n"
        "//server/share /mnt/my\\040share cifs rw 0 0\n"
    )
    assert network_filesystem(Path("/srv/app.db"), mounts=mounts) is None
    assert network_filesystem(Path("/home/me/app.db"), mounts=mounts) == "nfs4"
    assert network_filesystem(Path("/home/local/app.db"), mounts=mounts) is None
    assert network_filesystem(Path("/homeless/app.db"), mounts=mounts) is None
    assert network_filesystem(Path("/mnt/my share/app.db"), mounts=mounts) == "cifs"
    assert network_filesystem(Path("/srv/app.db"), mounts=tmp_path / "missing") is None


def test_a_network_file_system_is_refused(tmp_path: Path, open_target: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "network_filesystem", lambda path: "nfs4")
    with pytest.raises(Refused, match="nfs4") as failure:
        open_target(tmp_path / "app.db").prepare()
    assert failure.value.code == "network_filesystem"
    assert list(tmp_path.iterdir()) == []


def test_every_refusal_says_what_to_do_next(tmp_path: Path, open_target: Open) -> None:
    (tmp_path / "folder.db").mkdir()
    (tmp_path / "text.db").write_text("x" * 1000)
    for name in ("folder.db", "text.db", "nowhere/app.db"):
        with pytest.raises(BasculeError) as failure:
            open_target(tmp_path / name).describe()
        assert failure.value.hint
        assert str(tmp_path / name) in failure.value.message
