"""The manifest, and the backups in a store."""

from __future__ import annotations

import base64
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bascule.backups.catalog import leftovers, list_backups, path_of, remove_backup, require_room, verify_backup
from bascule.backups.encryption import Encryption, encrypt, new_key
from bascule.backups.manifest import check_target, digest_of, from_bytes, read_manifest, to_bytes
from bascule.backups.naming import backup_of, begun_at, is_backup_id, manifest_path, new_backup_id, stream_path
from bascule.backups.stores.local import LocalStore
from bascule.domain.backup import FORMAT, StreamRecord, entry_of
from bascule.errors import MigrationFailed, Refused
from tests.unit.backups.streams import NOON, SMALL, TABLES, manifest, stored

ONE: dict[str, Any] = {
    "name": "tables/00001",
    "kind": "rows",
    "table": "public.a",
    "rows": 1,
    "plain_bytes": 2,
    "stored_bytes": 3,
    "sha256": "cd",
    "plain_sha256": "ef",
}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "backups")


@pytest.fixture(scope="module")
def key() -> Encryption:
    return Encryption.from_text(new_key()[0], origin="the test")


def refused_code(content: bytes) -> str:
    with pytest.raises(Refused) as refused:
        from_bytes(content)
    assert refused.value.state == "unchanged"
    assert refused.value.hint
    return refused.value.code


def with_checksum(body: bytes) -> bytes:
    return b'{"manifest":' + body + b',"sha256":"' + digest_of(body).encode() + b'"}\n'


def test_it_reads_as_it_was_written(store: LocalStore) -> None:
    made, digest = stored(store)

    assert read_manifest(store, made.id, expected_digest=digest) == made
    assert verify_backup(store, made.id, expected_digest=digest) == made
    assert json.loads(b"".join(store.read(manifest_path(made.id))))["manifest"]["database"] == "shop"


def test_of_an_encrypted_backup_what_tells_of_contents_needs_the_key(store: LocalStore, key: Encryption) -> None:
    made, digest = stored(store, encryption=key.public())

    shut = read_manifest(store, made.id, expected_digest=digest)
    text = b"".join(store.read(manifest_path(made.id))).decode()

    assert shut.digests == {}
    assert {stream.plain_sha256 for stream in shut.streams} == {""}
    assert shut.tables == made.tables
    assert all(stream.plain_sha256 not in text for stream in made.streams)
    assert read_manifest(store, made.id, expected_digest=digest, encryption=key) == made
    assert verify_backup(store, made.id, expected_digest=digest, encryption=None) == shut


def test_with_the_wrong_key_it_is_refused(store: LocalStore, key: Encryption) -> None:
    made, digest = stored(store, encryption=key)
    other = Encryption.from_text(new_key()[0], origin="the test")

    with pytest.raises(Refused) as refused:
        read_manifest(store, made.id, expected_digest=digest, encryption=other)

    assert refused.value.code == "backup_key_wrong"


def test_every_flipped_bit_of_it_is_found_without_the_digest() -> None:
    content = to_bytes(manifest(), encryption=None)
    for place in range(len(content)):
        for bit in (0, 5):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            assert refused_code(bytes(changed)) in {"backup_damaged", "not_a_backup", "backup_newer_format"}


def test_every_truncation_of_it_is_found() -> None:
    content = to_bytes(manifest(), encryption=None)
    for length in range(len(content)):
        assert refused_code(content[:length]) in {"backup_damaged", "not_a_backup"}


def test_a_newer_format_is_told_with_the_version_that_wrote_it() -> None:
    values = json.loads(to_bytes(manifest(), encryption=None))["manifest"] | {"format": FORMAT + 1, "bascule": "9.1"}
    with pytest.raises(Refused) as refused:
        from_bytes(with_checksum(json.dumps(values | {"unknown": 1}).encode()))

    assert refused.value.code == "backup_newer_format"
    assert "9.1" in refused.value.hint


def test_backups_of_the_first_format_are_read(key: Encryption) -> None:
    """Their streams held a table each, and the sealed part had no list of members."""
    made = manifest(format=1, streams=(StreamRecord(**ONE),))
    values = json.loads(to_bytes(made, encryption=None))["manifest"]
    for stream in values["streams"]:
        del stream["members"]
    sealed = io.BytesIO()
    secret = {"digests": {}, "streams": [["ab", {"key": ["id"]}]]}
    encrypt(io.BytesIO(json.dumps(secret).encode()), sealed, key)

    plain = from_bytes(with_checksum(json.dumps(values).encode()))
    values |= {"encryption": "age", "sealed": base64.b64encode(sealed.getvalue()).decode(), "digests": {}}
    opened = from_bytes(with_checksum(json.dumps(values).encode()), encryption=key)

    assert plain == made
    assert opened.streams == (StreamRecord(**ONE | {"plain_sha256": "ab", "data": {"key": ["id"]}}),)


def test_the_tables_of_a_bundle_are_read_as_written_and_sealed_with_the_rest(
    store: LocalStore, key: Encryption
) -> None:
    made, digest = stored(store, encryption=key.public(), small=SMALL)

    shut = read_manifest(store, made.id, expected_digest=digest)

    assert read_manifest(store, made.id, expected_digest=digest, encryption=key) == made
    assert [member.table for member in shut.streams[-1].members] == list(SMALL)
    assert {(member.plain_sha256, *member.data) for member in shut.streams[-1].members} == {("",)}
    assert made.plain_bytes(["public.tags"]) == len(SMALL["public.tags"])
    assert made.plain_bytes() == sum(map(len, (*TABLES.values(), *SMALL.values())))


def test_a_file_of_something_else_is_no_backup() -> None:
    assert refused_code(b"\x1f\x8b\x08\x00 an archive of somebody's") == "not_a_backup"
    assert refused_code(b'["a list"]') == "not_a_backup"
    assert refused_code(b'{"name": "a package"}') == "backup_damaged"


def test_unknown_fields_of_a_known_format_are_not_guessed_at() -> None:
    values = json.loads(to_bytes(manifest(), encryption=None))["manifest"]

    assert refused_code(with_checksum(json.dumps(values | {"extra": 1}).encode())) == "backup_damaged"
    assert refused_code(with_checksum(json.dumps(values | {"streams": [{}]}).encode())) == "backup_damaged"


def test_a_rewritten_manifest_is_found_by_the_digest_that_was_kept(store: LocalStore) -> None:
    made, digest = stored(store)
    file = Path(store.address.removeprefix("file://")) / manifest_path(made.id)
    values = json.loads(file.read_bytes())["manifest"] | {"tables": []}
    file.write_bytes(with_checksum(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()))

    assert read_manifest(store, made.id, expected_digest=None).tables == ()
    with pytest.raises(Refused) as refused:
        read_manifest(store, made.id, expected_digest=digest)

    assert refused.value.code == "backup_replaced"


def test_the_manifest_of_another_backup_is_found_even_without_a_digest(store: LocalStore) -> None:
    one, _ = stored(store)
    two, _ = stored(store)
    root = Path(store.address.removeprefix("file://"))
    (root / manifest_path(one.id)).write_bytes((root / manifest_path(two.id)).read_bytes())

    with pytest.raises(Refused) as refused:
        read_manifest(store, one.id, expected_digest=None)

    assert refused.value.code == "backup_replaced"


def test_a_manifest_cannot_name_streams_outside_of_its_backup() -> None:
    made = manifest()
    for name in ("../other/manifest", "/etc/passwd", "tables/../../x", ".hidden"):
        with pytest.raises(Refused) as refused:
            stream_path(made.id, name, encrypted=False)
        assert refused.value.code == "backup_path"


def test_a_backup_of_another_target_is_refused_unless_asked_for() -> None:
    made = manifest(target="a")

    check_target(made, "a", foreign=False)
    check_target(made, "b", foreign=True)
    with pytest.raises(Refused) as refused:
        check_target(made, "b", foreign=False)
    assert refused.value.code == "backup_foreign"


def test_ids_are_the_moment_and_chance() -> None:
    ids = {new_backup_id(NOON) for _ in range(1000)}

    assert len(ids) == 1000
    assert all(
        is_backup_id(each) and begun_at(each) == NOON and backup_of(f"{each}/manifest.json") == each for each in ids
    )
    for wrong in ("", "20261123T120000Z", "../" + min(ids), min(ids) + "\n", min(ids).upper()):
        assert not is_backup_id(wrong)


def test_the_listing_holds_whole_and_broken_ones_but_none_that_was_never_finished(store: LocalStore) -> None:
    one, _ = stored(store, backup_id=new_backup_id(NOON))
    two, _ = stored(store, backup_id=new_backup_id(NOON + timedelta(hours=1)))
    (Path(store.address.removeprefix("file://")) / manifest_path(two.id)).write_bytes(b"{}")
    with store.create(stream_path(new_backup_id(NOON), "tables/0001", encrypted=False)) as sink:
        sink.write(b"under way")

    first, second = list_backups(store)

    assert first.manifest == one
    assert first.problem is None
    assert first.size_bytes > one.stored_bytes
    assert (second.id, second.manifest) == (two.id, None)
    assert second.problem is not None
    assert second.problem.code == "backup_damaged"
    assert entry_of(one).size_bytes == one.stored_bytes


def test_a_stream_that_is_gone_is_told(store: LocalStore) -> None:
    made, digest = stored(store)
    store.delete(path_of(made, made.streams[1]))

    with pytest.raises(Refused) as refused:
        verify_backup(store, made.id, expected_digest=digest)

    assert refused.value.code == "backup_missing"


def test_a_removed_backup_is_gone_and_the_others_stay(store: LocalStore) -> None:
    one, _ = stored(store)
    two, digest = stored(store)

    assert remove_backup(store, one.id) > one.stored_bytes

    assert [each.id for each in list_backups(store)] == [two.id]
    assert {each.path.partition("/")[0] for each in store.list()} == {two.id}
    verify_backup(store, two.id, expected_digest=digest)


def test_what_was_never_finished_is_left_over_once_it_is_old(store: LocalStore) -> None:
    stored(store)
    path = stream_path(new_backup_id(NOON), "tables/0001", encrypted=False)
    with store.create(path) as sink:
        sink.write(b"and then it was killed")
    (written,) = [each for each in store.list() if each.path == path]

    later = written.modified + timedelta(hours=25)
    day = timedelta(days=1)
    assert [each.path for each in leftovers(store, now=later, unfinished_after=day)] == [path]
    assert leftovers(store, now=written.modified + timedelta(hours=2), unfinished_after=day) == []


def test_not_enough_room_is_told_with_both_numbers(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    require_room(store, 1000)

    with pytest.raises(MigrationFailed) as failed:
        require_room(store, 1 << 60)

    assert failed.value.code == "backup_no_room"
    assert str(1 << 60) in failed.value.message


def test_a_name_of_a_table_is_never_a_name_in_the_store(store: LocalStore) -> None:
    made, _ = stored(store, tables={'"../../etc"': b"1\n", "a/b": b"2\n", **TABLES})

    assert {each.path for each in store.list()} == {
        manifest_path(made.id),
        *(f"{made.id}/tables/{number:04d}.zst" for number in range(1, 6)),
    }
