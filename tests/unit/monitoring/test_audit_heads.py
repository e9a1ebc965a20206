"""The newest line of the audit log is kept where whoever can write the database cannot reach it."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from bascule.access.audit_chain import Head
from bascule.monitoring.audit_heads import HeadFolder

TARGET = "0" * 32


def head(number: int) -> Head:
    return Head(number=number, mac=f"h1:{number:064x}")


def test_it_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    heads = HeadFolder(tmp_path / "heads")
    assert heads.read(TARGET) is None
    heads.note(TARGET, head(1))
    assert heads.read(TARGET) == head(1)
    assert heads.read("1" * 32) is None
    assert stat.S_IMODE(heads.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in heads.folder.iterdir()} == {0o600}


def test_an_older_one_never_takes_the_place_of_a_newer(tmp_path: Path) -> None:
    heads = HeadFolder(tmp_path)
    heads.note(TARGET, head(7))
    heads.note(TARGET, head(6))
    assert heads.read(TARGET) == head(7)
    threads = [threading.Thread(target=heads.note, args=(TARGET, head(number))) for number in range(8, 40)]
    for thread in reversed(threads):
        thread.start()
    for thread in threads:
        thread.join()
    assert heads.read(TARGET) == head(39)
    assert len([each for each in tmp_path.iterdir() if not each.name.startswith(".lock")]) == 1, "no halves are left"


@pytest.mark.parametrize("identity", ["../../etc/passwd", "", "a" * 31, "0" * 33 + "/x", "x" * 32])
def test_an_identity_that_is_a_path_is_none(tmp_path: Path, identity: str) -> None:
    heads = HeadFolder(tmp_path)
    with pytest.raises(ValueError, match="no identity"):
        heads.read(identity)
    with pytest.raises(ValueError, match="no identity"):
        heads.note(identity, head(1))


def test_a_damaged_file_is_told_and_not_written_over(tmp_path: Path) -> None:
    heads = HeadFolder(tmp_path)
    heads.note(TARGET, head(1))
    (tmp_path / f"{TARGET}.head").write_text("nonsense")
    with pytest.raises(ValueError, match="NUMBER:CODE"):
        heads.read(TARGET)
    with pytest.raises(ValueError, match="NUMBER:CODE"):
        heads.note(TARGET, head(2))
