"""What every `BackupStore` promises, wherever it keeps its objects. A runner gives fixtures that open one."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable

import pytest

from bascule.backups.stores.opening import open_store
from bascule.errors import BasculeError, Refused
from bascule.ports.backup_store import BackupStore

PIECE = bytes(range(256)) * 4096
Dead = Callable[[str], None]


def put(store: BackupStore, path: str, content: bytes = b"content") -> None:
    with store.create(path) as sink:
        sink.write(content)


def got(store: BackupStore, path: str) -> bytes:
    return b"".join(store.read(path))


class BackupStoreConformance:
    """Subclass it in a test module with the fixtures ``store`` (an empty one) and ``dies_writing``, which lets another
    process begin to write an object at a path, and kills it."""

    def test_what_was_written_is_read(self, store: BackupStore) -> None:
        with store.create("one/tables/0001.zst") as sink:
            sink.write(b"first ")
            sink.write(b"second")

        assert got(store, "one/tables/0001.zst") == b"first second"
        assert store.size("one/tables/0001.zst") == 12

    def test_an_empty_object_is_one(self, store: BackupStore) -> None:
        put(store, "one/empty", b"")

        assert got(store, "one/empty") == b""
        assert store.size("one/empty") == 0

    def test_another_process_opens_it_by_its_address(self, store: BackupStore) -> None:
        put(store, "one/a")

        again = open_store(store.address)

        assert got(again, "one/a") == b"content"
        assert again.address == store.address

    def test_large_objects_go_through_little_memory(self, store: BackupStore) -> None:
        tracemalloc.start()
        try:
            with store.create("one/large") as sink:
                for _ in range(40):
                    sink.write(PIECE)
            read = sum(len(piece) for piece in store.read("one/large"))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert read == store.size("one/large") == 40 * len(PIECE)
        assert peak < 16 << 20

    def test_nothing_is_overwritten(self, store: BackupStore) -> None:
        put(store, "one/a", b"the first")

        with pytest.raises(Refused) as refused:
            put(store, "one/a", b"the second")

        assert refused.value.code == "backup_exists"
        assert got(store, "one/a") == b"the first"

    def test_of_two_writers_at_once_one_wins(self, store: BackupStore) -> None:
        inside, outcomes = threading.Barrier(4, timeout=30), []

        def write(number: int) -> None:
            inside.wait()
            try:
                with store.create("one/a") as sink:
                    for _ in range(20):
                        sink.write(b"%d" % number * 1000)
                outcomes.append(b"%d" % number)
            except Refused as exc:
                outcomes.append(exc.code.encode())

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        winners = [outcome for outcome in outcomes if outcome.isdigit()]
        assert sorted(outcomes) == sorted([b"backup_exists"] * 3 + winners)
        assert got(store, "one/a") == winners[0] * 20_000

    def test_a_block_that_raises_leaves_nothing(self, store: BackupStore) -> None:
        def fails() -> None:
            with store.create("one/a") as sink:
                for _ in range(20):
                    sink.write(PIECE)
                raise FileNotFoundError("from the dump")

        with pytest.raises(FileNotFoundError, match="from the dump"):
            fails()

        assert store.size("one/a") is None
        assert store.list() == []
        assert store.leftovers() == []
        put(store, "one/a")

    def test_an_object_under_way_is_none_yet(self, store: BackupStore) -> None:
        with store.create("one/a") as sink:
            sink.write(b"half")
            assert store.size("one/a") is None
            assert store.list() == []
            assert store.leftovers() == []

        assert [each.path for each in store.list()] == ["one/a"]

    def test_a_writer_that_is_killed_leaves_no_object_and_is_recognised(
        self, store: BackupStore, dies_writing: Dead
    ) -> None:
        put(store, "one/whole")
        dies_writing("one/half")

        assert store.size("one/half") is None
        assert [each.path for each in store.list()] == ["one/whole"]
        left = store.leftovers()
        assert len(left) == 1
        assert "half" in left[0].path

        store.delete(left[0].path)

        assert store.leftovers() == []
        assert got(store, "one/whole") == b"content"

    def test_the_listing_is_by_path_and_holds_sizes(self, store: BackupStore) -> None:
        for path in ("two/b", "one/tables/0002", "one/tables/0001", "onex/a"):
            put(store, path, path.encode())

        assert [(each.path, each.size) for each in store.list("one")] == [
            ("one/tables/0001", 15),
            ("one/tables/0002", 15),
        ]
        assert [each.path for each in store.list()] == ["one/tables/0001", "one/tables/0002", "onex/a", "two/b"]
        assert all(each.modified.utcoffset() is not None for each in store.list())

    def test_an_empty_store_lists_nothing(self, store: BackupStore) -> None:
        assert store.list() == []
        assert store.list("one") == []
        assert store.leftovers() == []

    def test_what_is_deleted_is_gone_and_deleting_it_again_is_no_error(self, store: BackupStore) -> None:
        put(store, "one/a")
        put(store, "one/b")

        store.delete("one/a")
        store.delete("one/a")

        assert [each.path for each in store.list()] == ["one/b"]
        assert store.size("one/a") is None

    def test_reading_what_is_not_there_is_refused_at_once(self, store: BackupStore) -> None:
        with pytest.raises(Refused) as refused:
            store.read("one/a")

        assert refused.value.code == "backup_missing"
        assert refused.value.state == "unchanged"

    @pytest.mark.parametrize(
        "path", ["", "/etc/passwd", "../a", "one/../../a", "one//a", "one/.hidden", "one/a\0b", "one\\a", "a" * 300]
    )
    def test_paths_that_bascule_does_not_make_are_refused(self, store: BackupStore, path: str) -> None:
        def write() -> None:
            put(store, path)

        for act in (write, lambda: store.read(path), lambda: store.size(path), lambda: store.delete(path)):
            with pytest.raises(Refused) as refused:
                act()
            assert refused.value.code == "backup_path"

    def test_a_person_may_name_what_is_inside(self, store: BackupStore) -> None:
        put(store, "one/manifest.json")
        base = store.address.partition("?")[0]

        assert store.locate("one") == "one"
        assert store.locate("one/manifest.json") == "one/manifest.json"
        assert store.locate(f"{base}/one") == "one"

    @pytest.mark.parametrize("given", ["..", "one/../..", "/etc/passwd", "s3://other/one", "file:///etc/passwd"])
    def test_a_person_may_not_name_what_is_outside(self, store: BackupStore, given: str) -> None:
        with pytest.raises(Refused) as refused:
            store.locate(given)

        assert refused.value.code == "backup_path"
        assert refused.value.hint

    def test_free_room_is_a_number_or_unknown(self, store: BackupStore) -> None:
        free = store.free_bytes()

        assert free is None or free > 0

    def test_errors_hold_a_code_and_a_next_step(self, store: BackupStore) -> None:
        with pytest.raises(BasculeError) as raised:
            store.read("one/nothing")

        assert raised.value.hint
        assert "\n" not in raised.value.message
