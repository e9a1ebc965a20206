"""What a folder promises beyond the promises of every store."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bascule.backups.encryption import Encryption, new_key
from bascule.backups.stores.local import LocalStore
from bascule.errors import Refused
from tests.unit.backups.streams import TABLES, stored


def test_only_the_owner_may_read_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        root = tmp_path / "new" / "backups"
        stored(LocalStore(root))
    finally:
        os.umask(before)

    assert {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_file()} == {0o600}
    folders = [root.parent, root, *(path for path in root.rglob("*") if path.is_dir())]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


def test_an_object_under_way_has_a_temporary_name_and_mode_0600(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with store.create("one/a") as sink:
        sink.write(b"half")
        (partial,) = [path for path in tmp_path.rglob("*") if path.is_file()]

        assert partial.name.startswith(".a.")
        assert partial.name.endswith(".partial")
        assert partial.stat().st_mode & 0o777 == 0o600


def test_nothing_unencrypted_touches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    write = os.write

    def seen(handle: int, data: bytes) -> int:
        written.append(bytes(data))
        return write(handle, data)

    monkeypatch.setattr(os, "write", seen)

    stored(LocalStore(tmp_path), encryption=Encryption.from_text(new_key()[0], origin="the test"))

    from bascule.backups.compression import library

    assert sum(map(len, written)) > 1000
    for content in TABLES.values():
        for known in (content[:64], library().compress(content, level=1)[12:76]):
            assert not any(known in data for data in written)
    for path in tmp_path.rglob("*.age"):
        assert path.read_bytes().startswith(b"age-encryption.org/v1\n")


@pytest.mark.parametrize("act", ["create", "read", "list", "locate"])
def test_no_symbolic_link_leads_out_of_the_store(tmp_path: Path, act: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"of somebody else")
    root = tmp_path / "backups"
    root.mkdir()
    (root / "one").symlink_to(outside)
    (root / "two").mkdir()
    (root / "two" / "a").symlink_to(outside / "a")
    store = LocalStore(root)

    def create(path: str) -> None:
        with store.create(path):
            raise AssertionError("it was opened")

    if act == "list":
        assert store.list() == []
        return
    acts: dict[str, Callable[[str], object]] = {"create": create, "read": store.read, "locate": store.locate}
    for path in ("one/a", "two/a"):
        with pytest.raises(Refused):
            acts[act](path)
    assert (outside / "a").read_bytes() == b"of somebody else"
    assert sorted(os.listdir(outside)) == ["a"]


def test_the_stores_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store = LocalStore(tmp_path / "link")
    with store.create("one/a"):
        pass

    assert store.locate(str(tmp_path / "link" / "one")) == "one"
    assert store.locate(str(tmp_path / "real" / "one" / "a")) == "one/a"


def test_a_pipe_in_the_store_is_no_object(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    os.mkfifo(tmp_path / "one" / "a")
    store = LocalStore(tmp_path)

    assert store.list() == []
    assert store.size("one/a") is None
    with pytest.raises(Refused) as refused:
        store.read("one/a")
    assert refused.value.code == "backup_missing"


def test_a_file_system_without_hard_links_overwrites_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    store = LocalStore(tmp_path)
    with store.create("one/a") as first:
        first.write(b"first")
    assert b"".join(store.read("one/a")) == b"first"

    def second() -> None:
        with store.create("one/b") as sink:
            sink.write(b"second")
            (tmp_path / "one" / "b").write_bytes(b"of somebody else")

    with pytest.raises(Refused) as refused:
        second()
    assert refused.value.code == "backup_exists"
    assert (tmp_path / "one" / "b").read_bytes() == b"of somebody else"
    assert store.leftovers() == []


def test_folders_that_became_empty_are_removed(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "backups")
    with store.create("one/tables/a"):
        pass
    store.delete("one/tables/a")

    assert os.listdir(tmp_path / "backups") == []
