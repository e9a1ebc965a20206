"""What `bascule demo` shows. Each step does what it says and ends with its status word; nothing is staged."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bascule.api import Bascule
from bascule.domain.run import Run
from bascule.errors import BasculeError, MigrationFailed, Refused

OWN = Path(__file__).parent / "migrations"

HALF_WRONG = """-- The best customer, for the office; with a typing mistake.
-- depends: name_the_currency
-- migrate:up transaction:false
CREATE VIEW totals AS SELECT customer_id, sum(cents) AS cents FROM orders GROUP BY customer_id;
CREATE TABLE best AS SELECT * FROM totalz ORDER BY cents DESC LIMIT 1;
CREATE INDEX best_cents ON best (cents);

-- migrate:down
DROP TABLE best;
DROP VIEW totals;
"""

LONG = """-- Many rows, so that there is time to kill it.
-- depends: best_customer
-- migrate:up
CREATE TABLE numbers (n INTEGER PRIMARY KEY, square INTEGER NOT NULL);
INSERT INTO numbers (n, square)
  WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 1500000)
  SELECT n, n * n FROM counted;

-- migrate:down
DROP TABLE numbers;
"""

AT_WORK = 1 << 20
"""Bytes by which the database file has grown when the long migration is surely in its middle."""

Out = Callable[[str], None]


class NotAsTold(Exception):
    """The story did not go as it is told: a fault worth reporting."""


def demo(out: Out) -> int:
    """Tell it. Answers 0 when every step ended as it should."""
    with _stage(out) as stage:
        try:
            for chapter in (_plan, _run, _fail_and_recover, _kill, _edit, _roll_back, _report):
                chapter(stage)
        except (NotAsTold, BasculeError) as problem:
            out(f"The demo did not go as it should: {problem}")
            return 1
    out("Nothing of this is left on your disk. Next: bascule init, bascule new, bascule up.")
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    folder: Path
    database: Path
    bascule: Bascule
    out: Out

    def title(self, words: str) -> None:
        """A chapter begins."""
        self.out("")
        self.out(f"── {words} " + "─" * max(0, 76 - len(words)))

    def write(self, name: str, text: str) -> Path:
        """A migration file appears."""
        path = self.folder / f"{name}.sql"
        path.write_text(text, encoding="utf-8")
        return path

    def quote(self, text: str) -> None:
        """Somebody else's words, indented."""
        for line in text.replace(f"{self.folder}{os.sep}", "").splitlines():
            self.out(f"    {line}")

    def told(self, run: Run, word: str) -> None:
        """A run and its status word."""
        note = f"  ({run.notes[-1]})" if run.notes else ""
        self.out(f"  {run.name:<42} {run.execution_ms:>5} ms  {word}{note}")


@contextmanager
def _stage(out: Out) -> Iterator[_Stage]:
    place = Path(tempfile.mkdtemp(prefix="bascule-demo-"))
    try:
        folder = place / "migrations"
        shutil.copytree(OWN, folder)
        database = place / "shop.db"
        bascule = Bascule(
            url=f"sqlite:///{database}",
            migrations_dir=folder,
            backup_dir=str(place / "database-backups"),
            say=lambda words: out(f"    {words.replace(f'{place}/', '')}"),
        )
        yield _Stage(folder=folder, database=database, bascule=bascule, out=out)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _plan(stage: _Stage) -> None:
    stage.title("Plan: what would run, and its way back")
    for each in stage.bascule.migrations.plan().migrations:
        needs = ", ".join(each.migration.depends or ()) or "nothing"
        back = "down script" if each.migration.down and not each.migration.down.empty else "none"
        steps = "one transaction" if each.transactional else f"{len(each.steps)} steps"
        stage.out(f"  {each.name:<42} {steps}, needs {needs}, way back: {back}")


def _run(stage: _Stage) -> None:
    stage.title("Run: each migration and its ledger row in one transaction")
    for run in stage.bascule.migrations.execute_pending().runs:
        stage.told(run, run.status)


def _fail_and_recover(stage: _Stage) -> None:
    path = stage.write("20260101090300_best_customer", HALF_WRONG)
    stage.title("Fail, on purpose: three steps, the second with a mistake; the first is taken back by itself")
    _fail(stage, path, take_back=True)
    stage.title("Fail again, and leave what is done")
    _fail(stage, path, take_back=False)
    stage.title("Recover: the file is corrected; what was done stays done, the rest follows")
    path.write_text(HALF_WRONG.replace("totalz", "totals").replace("; with a typing mistake", ""), encoding="utf-8")
    for run in stage.bascule.migrations.recover().runs:
        stage.told(run, "recovered")


def _fail(stage: _Stage, path: Path, *, take_back: bool) -> None:
    try:
        stage.bascule.migrations.execute_migration(path.stem, rollback_on_failure=take_back)
    except MigrationFailed as failure:
        stage.quote(failure.message)
        stage.out(f"  {path.stem:<52}  failed")
    else:
        raise NotAsTold("the mistake went through")


def _kill(stage: _Stage) -> None:
    stage.title("Kill -9 a process in the middle of a migration, then simply run again")
    stage.write("20260101090400_many_numbers", LONG)
    command = [sys.executable, "-m", "bascule", "--database-url", f"sqlite:///{stage.database}"]
    command += ["--migrations-dir", str(stage.folder), "-qq", "up", "--no-progress"]
    child = subprocess.Popen(
        command,
        cwd=stage.folder.parent,
        env=_plain_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _until_at_work(stage, child)
    child.send_signal(signal.SIGKILL)
    child.wait()
    pending = stage.bascule.migrations.status().pending
    if _has_numbers(stage.database):
        raise NotAsTold("the process was killed, and its table is there")
    stage.out(f"  process {child.pid} killed; pending: {', '.join(pending)}; of its table in the database: nothing")
    for run in stage.bascule.migrations.execute_pending().runs:
        stage.told(run, run.status)


def _has_numbers(database: Path) -> bool:
    """Whether the long migration left anything."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'numbers'").fetchone() is not None


def _plain_environment() -> dict[str, str]:
    """Without settings of whoever watches: the story is told on its own database."""
    settings = ("DATABASE_", "MIGRATION_", "BASCULE_", "PG")
    return {name: value for name, value in os.environ.items() if not name.startswith(settings)}


def _until_at_work(stage: _Stage, child: subprocess.Popen[bytes]) -> None:
    """Rows that find no room in memory any more are written ahead into the file, which grows before they count."""
    begun = stage.database.stat().st_size
    deadline = time.monotonic() + 10
    while stage.database.stat().st_size < begun + AT_WORK:
        if child.poll() is not None or time.monotonic() > deadline:
            raise NotAsTold("the process could not be caught at work")
        time.sleep(0.005)


def _edit(stage: _Stage) -> None:
    stage.title("Edit a file that was applied: refused, with the difference in meaning")
    path = stage.folder / "20260101090200_name_the_currency.sql"
    original = path.read_text(encoding="utf-8")
    path.write_text(
        original.replace("'EUR'", "'USD'").replace("-- Every", "-- (a comment may change) Every"), encoding="utf-8"
    )
    try:
        stage.bascule.migrations.execute_pending()
    except Refused as refused:
        stage.quote(refused.message)
    else:
        raise NotAsTold("the edit went unnoticed")
    path.write_text(original, encoding="utf-8")
    stage.out(f"  {path.stem:<52}  refused")


def _roll_back(stage: _Stage) -> None:
    stage.title("Roll back: everything that depends on it first, and the schema compared with before")
    for run in stage.bascule.migrations.rollback("create_customers").runs:
        stage.told(run, f"{run.status.replace('_', ' ')}, {run.verdict}")
        if run.verdict != "exact":
            raise NotAsTold(f"{run.name} did not come back exactly: {run.differences}")


def _report(stage: _Stage) -> None:
    stage.title("Report: what the journal kept")
    runs = stage.bascule.migrations.history()
    for run in reversed(runs):
        status = "interrupted" if run.extra.get("interrupted") else run.status.replace("_", " ")
        stage.out(f"  {run.timestamp:%H:%M:%S}  {run.name:<42} {run.direction:<4} {status}")
    stage.out(f"  {len(runs)} runs, {sum(run.status == 'failed' for run in runs)} failed, database empty again")
