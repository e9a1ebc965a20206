"""What holds for every test: the caller's settings do not reach it, and tests that need a server are marked so.

A test gets a PostgreSQL database by asking for ``bascule_postgres_url``, the server that all share by asking for
``bascule_postgres_server``, the programs for one of its own by asking for ``bascule_postgres_bin`` (see
`bascule.testing.plugin`). That alone marks it ``postgresql``: ``check`` runs it once for each server version, and every
other test once.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# A shell that starts us in the background has us ignore Ctrl-C, and every process that a test starts inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


_SETTINGS = ("PG", "DATABASE_", "BASCULE_", "MIGRATION_", "XDG_", "OTEL_", "TRACE")
_SINGLE_SETTINGS = {"LOG_LEVEL", "NO_COLOR", "FORCE_COLOR", "COLUMNS"}
_MARK_BY_FIXTURE = {"bascule_postgres_bin": "postgresql", "bascule_pgbouncer": "pgbouncer", "chromium": "browser"}
_MEMORY = Path("/dev/shm")
_ROOM = 4 << 30
"""Bytes that have to be free there, for two workers and what they start."""


def _keep_servers_in_memory() -> None:
    # On a disk every new database is written back while the next ones are made: a tenth of a second each, and three
    # times that when it piles up. What the tests themselves make, SQLite files above all, stays on the disk.
    if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
        tempfile.tempdir = str(_MEMORY)


def _forget_the_caller() -> None:
    for name in list(os.environ):
        if name != "BASCULE_TEST_PG" and (name.startswith(_SETTINGS) or name in _SINGLE_SETTINGS):
            del os.environ[name]
    # The password and service files of PostgreSQL clients are looked for in the home folder.
    os.environ["HOME"] = tempfile.mkdtemp(prefix="bascule-home-")
    atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)


_keep_servers_in_memory()
_forget_the_caller()
# The machines that run this are slow and shared: no deadline. Where nobody looks on, every run draws the same examples.
settings.register_profile("bascule", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("bascule")


# First, so that `-m postgresql` already sees the marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture, mark in _MARK_BY_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """Whoever has nothing left takes over from others, who otherwise keep all that was dealt out in the beginning."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import WorkStealingScheduling  # type: ignore[import-untyped]

    scheduler: object = WorkStealingScheduling(config, log)
    return scheduler
