"""Whom servers run as."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bascule.testing.account import Account


def test_servers_never_run_as_root() -> None:
    account = Account.for_servers()
    assert (os.geteuid() if account.uid is None else account.uid) != 0


def test_its_new_folder_belongs_to_it_and_to_nobody_else() -> None:
    account = Account.for_servers()
    folder = account.new_folder("bascule-test-")
    status = folder.stat()
    folder.rmdir()
    assert status.st_uid == (os.geteuid() if account.uid is None else account.uid)
    assert status.st_mode & 0o077 == 0


def test_a_folder_too_long_for_a_unix_socket_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 80)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    folder = Account.for_servers().new_folder("bascule-test-")
    folder.rmdir()
    assert folder.parent == Path("/tmp")


def test_a_program_that_is_no_program_cannot_be_executed(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 0\n")
    assert not Account.for_servers().can_execute(program)
