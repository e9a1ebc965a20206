"""Tables taken out of a stream that holds several."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

import pytest

from bascule.backups.bundle import Cutter
from bascule.backups.naming import new_backup_id
from bascule.backups.stores.local import LocalStore
from bascule.domain.backup import Member
from bascule.errors import Refused
from tests.unit.backups.streams import NOON, SMALL, bundle

WHOLE = b"".join(SMALL.values())


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Member]:
    store = LocalStore(tmp_path_factory.mktemp("store"), reserve=0)
    return bundle(store, new_backup_id(NOON), SMALL).members


def cutter(content: bytes = WHOLE, *, size: int = 7) -> Cutter:
    """Of pieces of that size, and empty ones between them, as a decompressor gives."""

    def pieces() -> Generator[bytes, None, None]:
        for start in range(0, len(content), size):
            yield content[start : start + size]
            yield b""

    return Cutter(pieces(), path="one/bundles/00001.zst")


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_each_table_has_its_own_rows_however_the_pieces_fall(members: Sequence[Member], size: int) -> None:
    cut = cutter(size=size)

    assert {member.table: b"".join(cut.rows_of(member)) for member in members} == SMALL


def test_one_table_is_taken_without_those_before_and_behind_it(members: Sequence[Member]) -> None:
    assert b"".join(cutter(size=1).rows_of(members[2])) == SMALL["public.tags"]


def test_rows_that_are_otherwise_are_told_with_their_table(members: Sequence[Member]) -> None:
    with pytest.raises(Refused, match=r"public\.kinds") as refused:
        list(cutter(WHOLE.replace(b"one", b"two")).rows_of(members[0]))

    assert refused.value.code == "backup_damaged"


def test_a_place_that_is_not_the_table_s_is_found(members: Sequence[Member]) -> None:
    with pytest.raises(Refused) as refused:
        list(cutter().rows_of(replace(members[2], offset=members[2].offset - 1)))

    assert refused.value.code == "backup_damaged"


def test_a_stream_that_ends_too_early_is_truncated(members: Sequence[Member]) -> None:
    with pytest.raises(Refused) as refused:
        list(cutter(WHOLE[:-1]).rows_of(members[2]))

    assert refused.value.code == "backup_truncated"
