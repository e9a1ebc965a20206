"""Remembered hashes: only what changed is read, and nothing that happens to the cache is an error."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bascule.domain.migration import MigrationRef
from bascule.errors import SourceError
from bascule.sources import cache as module
from bascule.sources.cache import FingerprintCache, fingerprints_cached
from bascule.sources.detect import open_source
from tests.unit.sources.folders import write


class Migrations:
    """Three settled files, and a count of how often a file's bytes were looked at."""

    def __init__(self, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = write(folder, "1_a.sql", "2_b.sql", "3_c.sql")
        self.home = home
        self.read: list[str] = []
        for path in self.folder.iterdir():
            self.write(path.name, f"-- migrate:up\n-- {path.name}\n")

        def counted(path: str) -> str:
            self.read.append(Path(path).name)
            return hashlib.sha256(Path(path).read_bytes()).hexdigest()

        monkeypatch.setattr(module, "digest_of", counted)
        # Change times cannot be set back, so that files count as settled at once.
        monkeypatch.setattr(module, "_SETTLED_NS", -1)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def refs(self) -> list[MigrationRef]:
        return list(open_source(str(self.folder)).listing())

    def look(self, refs: list[MigrationRef] | None = None) -> dict[str, str]:
        """The fingerprints, by a new process as it were; `read` then names the files that were read."""
        self.read.clear()
        cache = FingerprintCache(str(self.folder), home=str(self.home))
        return fingerprints_cached(self.refs() if refs is None else refs, cache)

    def truth(self) -> dict[str, str]:
        return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.folder.iterdir()}

    @property
    def file(self) -> Path:
        (path,) = self.home.iterdir()
        return path


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Migrations:
    (tmp_path / "migrations").mkdir()
    return Migrations(tmp_path / "migrations", tmp_path / "home", monkeypatch)


def test_files_are_read_once(migrations: Migrations) -> None:
    assert migrations.look() == migrations.truth()
    assert sorted(migrations.read) == ["1_a.sql", "2_b.sql", "3_c.sql"]

    assert migrations.look() == migrations.truth()
    assert migrations.read == []


def test_a_changed_file_is_read_again_and_only_that(migrations: Migrations) -> None:
    migrations.look()
    migrations.write("2_b.sql", "-- migrate:up\nSELECT 1;\n")

    assert migrations.look() == migrations.truth()
    assert migrations.read == ["2_b.sql"]


def test_an_edit_that_keeps_size_and_modification_time_is_seen(migrations: Migrations) -> None:
    migrations.look()
    path = migrations.folder / "2_b.sql"
    before = path.stat()
    time.sleep(0.02)  # longer than a tick of the file system's clock
    migrations.write("2_b.sql", "-- migrate:up\n-- 2_x.sql\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size

    assert migrations.look() == migrations.truth()


def test_a_file_put_in_anothers_place_is_seen(migrations: Migrations) -> None:
    migrations.look()
    migrations.write("new", "-- migrate:up\n-- 9_z.sql\n")
    (migrations.folder / "new").replace(migrations.folder / "2_b.sql")

    assert migrations.look() == migrations.truth()


def test_a_file_that_changed_just_now_is_not_remembered(
    migrations: Migrations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SETTLED_NS", 2_000_000_000)

    migrations.look()

    assert not migrations.home.exists()
    assert migrations.look() == migrations.truth()
    assert len(migrations.read) == 3


def test_nothing_is_written_when_nothing_was_learnt(migrations: Migrations) -> None:
    migrations.look()
    before = migrations.file.stat()

    migrations.look()

    assert migrations.file.stat().st_mtime_ns == before.st_mtime_ns
    assert migrations.file.stat().st_ino == before.st_ino


def test_what_was_not_asked_for_is_kept(migrations: Migrations) -> None:
    first, second, third = migrations.refs()
    migrations.look([first])
    migrations.look([second, third])

    migrations.look()

    assert migrations.read == []


def test_files_that_are_gone_are_forgotten_in_the_end(migrations: Migrations) -> None:
    for number in range(200):
        migrations.write(f"{number + 10}_x.sql", "")
    migrations.look()
    large = migrations.file.stat().st_size
    for number in range(200):
        (migrations.folder / f"{number + 10}_x.sql").unlink()
    migrations.write("1_a.sql", "-- migrate:up\n")

    migrations.look()

    assert migrations.file.stat().st_size < large / 10


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff" * 500),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(path.read_bytes() * 2),
        lambda path: path.write_bytes(path.read_bytes().replace(b" 1\n", b" 2\n", 1)),
        lambda path: _flip(path, 60),
        lambda path: _flip(path, 150),
        lambda path: _flip(path, -2),
        lambda path: path.chmod(0o666),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), subprocess.run(["mkfifo", path], check=True)),
        lambda path: (path.rename(path.parent / "x"), path.symlink_to(path.parent / "x")),
        lambda path: path.unlink(),
    ],
    ids=[
        "empty", "noise", "cut short", "cut in half", "doubled", "another version", "a bit in a number",
        "a bit in a hash", "a bit in the check", "writable by others", "a folder", "a pipe", "a link", "gone",
    ],
)  # fmt: skip
def test_a_damaged_cache_is_made_anew(migrations: Migrations, damage: Callable[[Path], object]) -> None:
    migrations.look()
    damage(migrations.file)

    assert migrations.look() == migrations.truth()
    assert len(migrations.read) == 3


def test_a_cache_that_belongs_to_somebody_else_is_not_believed(
    migrations: Migrations, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations.look()
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)

    assert migrations.look() == migrations.truth()
    assert len(migrations.read) == 3


@pytest.mark.parametrize("obstacle", ["a file", "below a file", "/proc/nothing"])
def test_where_nothing_can_be_written_everything_is_hashed(
    migrations: Migrations, obstacle: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    migrations.home = {"a file": tmp_path / "file", "below a file": tmp_path / "file" / "x"}.get(
        obstacle, Path(obstacle)
    )

    for _ in range(2):
        assert migrations.look() == migrations.truth()
        assert len(migrations.read) == 3


def test_no_temporary_file_stays_when_writing_fails(migrations: Migrations, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)

    assert migrations.look() == migrations.truth()
    assert list(migrations.home.iterdir()) == []


def test_only_the_owner_may_look_into_it(migrations: Migrations) -> None:
    migrations.look()

    assert stat.S_IMODE(migrations.home.stat().st_mode) == 0o700
    assert stat.S_IMODE(migrations.file.stat().st_mode) == 0o600


def test_two_folders_have_two_caches_and_one_folder_by_two_names_has_one(
    migrations: Migrations, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(migrations.folder)
    home = str(migrations.home)
    real = FingerprintCache(str(migrations.folder), home=home)

    assert FingerprintCache(f"{tmp_path}/link", home=home).path == real.path
    assert FingerprintCache(str(tmp_path), home=home).path != real.path


@pytest.mark.parametrize(
    ("environment", "place"),
    [({"XDG_CACHE_HOME": "/x"}, "/x/bascule"), ({"HOME": "/h"}, "/h/.cache/bascule"),
     ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/bascule")],
)  # fmt: skip
def test_it_is_in_the_users_cache_folder(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], place: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert FingerprintCache(".").home == place


def test_a_file_that_is_gone_is_an_error_as_without_a_cache(migrations: Migrations) -> None:
    refs = migrations.refs()
    (migrations.folder / "2_b.sql").unlink()

    with pytest.raises(SourceError, match=r"2_b\.sql cannot be read: No such file"):
        migrations.look(refs)


def test_diesels_files_of_one_name_are_not_confused(tmp_path: Path) -> None:
    for name in ("1_a", "2_b"):
        (tmp_path / f"m/{name}").mkdir(parents=True)
        (tmp_path / f"m/{name}/up.sql").write_text(f"SELECT '{name}';")
    source = open_source(str(tmp_path / "m"))
    refs = source.listing()
    settled = time.time() - 10
    for ref in refs:
        os.utime(ref.path, (settled, settled))

    for _ in range(2):
        found = fingerprints_cached(refs, FingerprintCache(str(tmp_path / "m"), home=str(tmp_path / "home")))
        assert found == {ref.name: source.fingerprint(ref) for ref in refs}
