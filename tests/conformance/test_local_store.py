"""A folder keeps every promise of a backup store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bascule.backups.stores.local import LocalStore
from tests.conformance.backup_store import BackupStoreConformance
from tests.conformance.killed_writer import begin_and_kill


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "backups")


@pytest.fixture
def dies_writing(store: LocalStore) -> Callable[[str], None]:
    return lambda path: begin_and_kill(store.address, path)


class TestLocalStore(BackupStoreConformance):
    pass
