"""Streams into the store and back."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.backups.encryption import Encryption, new_key
from bascule.backups.pipeline import BLOCK, read_stream, store_stream, verify_stored
from bascule.backups.stores.local import LocalStore
from bascule.domain.backup import StoredStream, StreamRecord
from bascule.errors import MigrationFailed, Refused

PATH = "one/tables/0001.zst"
SEALED = PATH + ".age"
ROWS = b"".join(b"%d\tuser%d@example.org\n" % (number, number * 7919 % 1000) for number in range(40_000))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "backups")


@pytest.fixture(scope="module")
def key() -> Encryption:
    return Encryption.from_text(new_key()[0], origin="the test")


def record(put: StoredStream) -> StreamRecord:
    return StreamRecord(
        name="tables/0001",
        kind="rows",
        plain_bytes=put.plain_bytes,
        stored_bytes=put.stored_bytes,
        sha256=put.sha256,
        plain_sha256=put.plain_sha256,
    )


def file(store: LocalStore, path: str) -> Path:
    return Path(store.address.removeprefix("file://")) / path


@given(st.lists(st.binary(max_size=2000) | st.integers(0, 3 * BLOCK).map(bytes), max_size=6), st.booleans())
def test_what_was_stored_is_read_whatever_its_pieces(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], sealed: bool
) -> None:
    store = LocalStore(tmp_path_factory.mktemp("any"))
    encryption = Encryption.from_text(new_key()[0], origin="the test") if sealed else None
    path = SEALED if sealed else PATH

    put = store_stream(store, path, chunks, encryption=encryption, threads=0)

    whole = b"".join(chunks)
    assert b"".join(read_stream(store, path, record=record(put), encryption=encryption)) == whole
    assert put.plain_bytes == len(whole)
    assert put.plain_sha256 == hashlib.sha256(whole).hexdigest()
    assert put.sha256 == hashlib.sha256(file(store, path).read_bytes()).hexdigest()
    assert put.stored_bytes == file(store, path).stat().st_size


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_large_streams_are_compressed_by_threads_to_the_same_content(store: LocalStore, threads: int) -> None:
    put = store_stream(store, PATH, [ROWS] * 12, encryption=None, threads=threads)

    assert b"".join(read_stream(store, PATH, record=record(put), encryption=None)) == ROWS * 12


def test_stock_zstd_reads_what_is_stored(store: LocalStore) -> None:
    store_stream(store, PATH, [ROWS] * 12, encryption=None)

    from bascule.backups.compression import library

    assert library().decompress(file(store, PATH).read_bytes()) == ROWS * 12


def test_an_encrypted_stream_is_a_plain_age_file_around_a_plain_zstd_one(store: LocalStore, key: Encryption) -> None:
    store_stream(store, SEALED, [ROWS], encryption=key.public())

    import pyrage  # type: ignore[import-untyped]

    from bascule.backups.compression import library

    content = file(store, SEALED).read_bytes()
    identity = pyrage.x25519.Identity.from_str(key.identities[0])
    assert content.startswith(b"age-encryption.org/v1\n")
    assert library().decompress(pyrage.decrypt(content, [identity])) == ROWS


def test_a_dump_that_dies_leaves_nothing_and_its_own_error_is_raised(store: LocalStore, key: Encryption) -> None:
    def dying() -> Iterator[bytes]:
        yield ROWS
        raise ConnectionResetError("the server went away")

    for path, encryption in ((PATH, None), (SEALED, key)):
        with pytest.raises(ConnectionResetError, match="the server went away"):
            store_stream(store, path, dying(), encryption=encryption)
    assert store.list() == []
    assert store.leftovers() == []


@pytest.mark.parametrize("sealed", [False, True])
def test_nothing_is_handed_out_of_a_stream_whose_last_byte_is_wrong(
    store: LocalStore, key: Encryption, sealed: bool
) -> None:
    path, encryption = (SEALED, key) if sealed else (PATH, None)
    put = store_stream(store, path, [ROWS], encryption=encryption)
    content = bytearray(file(store, path).read_bytes())
    content[-1] ^= 1
    file(store, path).write_bytes(content)

    with pytest.raises(Refused) as refused:
        read_stream(store, path, record=record(put), encryption=encryption)

    assert refused.value.code == "backup_damaged"


def test_a_stream_that_changes_after_it_was_verified_ends_in_an_error(store: LocalStore) -> None:
    noise = os.urandom(3 * BLOCK)
    put = store_stream(store, PATH, [noise], encryption=None)
    pieces = read_stream(store, PATH, record=record(put), encryption=None)
    content = bytearray(file(store, PATH).read_bytes())
    content[BLOCK] ^= 1
    file(store, PATH).write_bytes(content)

    with pytest.raises(Refused) as refused:
        list(pieces)

    assert refused.value.code == "backup_damaged"


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("threads", [0, 2])
def test_a_store_that_fails_on_the_way_ends_a_long_stream(
    tmp_path: Path, key: Encryption, sealed: bool, threads: int
) -> None:
    pulled = []

    def rows() -> Iterator[bytes]:
        for number in range(400):
            pulled.append(number)
            yield os.urandom(1 << 20)

    class Full(LocalStore):
        def free_bytes(self) -> int | None:
            return 0 if len(pulled) > 60 else 1

    with pytest.raises(MigrationFailed) as failed:
        store_stream(
            Full(tmp_path), SEALED if sealed else PATH, rows(), encryption=key if sealed else None, threads=threads
        )

    assert failed.value.code == "backup_no_room"
    assert len(pulled) < 200
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_truncated_stream_is_told_as_one(store: LocalStore) -> None:
    put = store_stream(store, PATH, [ROWS], encryption=None)
    os.truncate(file(store, PATH), put.stored_bytes - 1)

    with pytest.raises(Refused) as refused:
        verify_stored(store, PATH, record=record(put))

    assert refused.value.code == "backup_truncated"
    assert refused.value.state == "unchanged"


def test_two_exchanged_streams_are_told_as_such(store: LocalStore) -> None:
    one = store_stream(store, "one/a.zst", [b"first"], encryption=None)
    two = store_stream(store, "one/b.zst", [b"other"], encryption=None)

    with pytest.raises(Refused) as refused:
        verify_stored(store, "one/b.zst", record=record(one), others=[record(two)])

    assert refused.value.code == "backup_swapped"


def test_the_wrong_key_and_none_are_told_before_the_first_piece(store: LocalStore, key: Encryption) -> None:
    put = store_stream(store, SEALED, [ROWS], encryption=key)
    other = Encryption.from_text(new_key()[0], origin="the test")

    for encryption, code in (
        (other, "backup_key_wrong"),
        (None, "backup_key_missing"),
        (key.public(), "backup_key_missing"),
    ):
        with pytest.raises(Refused) as refused:
            next(read_stream(store, SEALED, record=record(put), encryption=encryption))
        assert refused.value.code == code


def test_a_reader_that_stops_early_leaves_no_thread(store: LocalStore, key: Encryption) -> None:
    import threading

    put = store_stream(store, SEALED, [os.urandom(1 << 20)] * 8, encryption=key)
    before = threading.active_count()
    pieces = read_stream(store, SEALED, record=record(put), encryption=key)

    next(pieces)
    pieces.close()

    assert threading.active_count() == before


def test_a_small_stored_block_that_holds_much_is_given_out_in_small_pieces(store: LocalStore) -> None:
    put = store_stream(store, PATH, (bytes(BLOCK) for _ in range(200)), encryption=None)
    assert put.stored_bytes < BLOCK

    assert max(len(piece) for piece in read_stream(store, PATH, record=record(put), encryption=None)) <= BLOCK


_LARGE = """
import re, sys
from bascule.backups.encryption import Encryption
from bascule.backups.pipeline import read_stream, store_stream
from bascule.backups.stores.opening import open_store
from bascule.domain.backup import StreamRecord
import random

noise = random.Random(7)
def rows():
    for _ in range(300):
        half = noise.randbytes(1 << 19)
        yield half + half
encryption = Encryption.from_text(sys.argv[2], origin="the test") if sys.argv[2] else None
path = "one/large.zst" + (".age" if encryption else "")
store = open_store(sys.argv[1])
put = store_stream(store, path, rows(), encryption=encryption, threads=2)
record = StreamRecord(name="large", kind="rows", plain_bytes=put.plain_bytes, stored_bytes=put.stored_bytes,
                      sha256=put.sha256, plain_sha256=put.plain_sha256)
assert sum(map(len, read_stream(store, path, record=record, encryption=encryption))) == 300 << 20
store.delete(path)
# What getrusage tells begins with the peak of the process that started this one.
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.parametrize("sealed", [False, True])
def test_memory_stays_flat_for_a_stream_that_is_larger(tmp_path: Path, sealed: bool) -> None:
    secret = new_key()[0] if sealed else ""
    done = subprocess.run(
        [sys.executable, "-c", _LARGE, str(tmp_path), secret], capture_output=True, text=True, check=True
    )

    assert int(done.stdout) < 150 << 10


_LIMITED = """
import os, resource, signal, sys
from bascule.backups.pipeline import store_stream
from bascule.backups.stores.opening import open_store
from bascule.errors import MigrationFailed
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    store_stream(open_store(sys.argv[1]), "one/a.zst", [os.urandom(1 << 20)] * 4, encryption=None)
except MigrationFailed as exc:
    print(exc.code, exc.state)
"""


def test_a_disk_that_fills_up_on_the_way_is_told_and_nothing_stays(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _LIMITED, str(tmp_path)], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["backup_no_room", "unchanged"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, reserve=1 << 60)

    with pytest.raises(MigrationFailed) as failed:
        store_stream(store, PATH, [ROWS], encryption=None)

    assert failed.value.code == "backup_no_room"
    assert failed.value.exit_code == 1
    assert store.list() == []
