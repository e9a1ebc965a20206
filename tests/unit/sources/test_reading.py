"""Files as bytes and text: what cannot be read is named with its place."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bascule.errors import SourceError
from bascule.sources.reading import decode, digest_of, read_bytes

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of the machine may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_file_that_this_user_may_not_read_is_refused(open_folder: Path) -> None:
    path = open_folder / "1_a.sql"
    path.touch(mode=0o000)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)  # nothing is forbidden to root
    try:
        with pytest.raises(SourceError, match="cannot be read: Permission denied") as refusal:
            read_bytes(str(path))
    finally:
        if root:
            os.seteuid(0)

    assert refusal.value.details == {"path": str(path)}
    assert refusal.value.exit_code == 2


def test_a_large_file_is_read_whole(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    path = tmp_path / "1_a.sql"
    path.write_bytes(data)

    assert read_bytes(str(path)) == data
    assert digest_of(str(path)) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_recognised(encoding: str) -> None:
    with pytest.raises(SourceError, match="it looks like UTF-16") as refusal:
        decode("-- migrate:up\nSELECT 1;".encode(encoding), "1_a.sql")

    assert refusal.value.hint == "Save the file as UTF-8."


def test_only_the_first_byte_order_mark_goes() -> None:
    assert decode("\ufeffa\ufeff".encode(), "x") == "a\ufeff"
