"""Many real processes, one target."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable

from tests.acceptance.commandline import BASCULE, Answer, Project

PLAIN = [f"2024010100000{number}_t{number}" for number in range(1, 6)]
SLOW = "20240101000006_slow"
CONCURRENT = "20240101000007_concurrent"
LATER = "20240101000008_later"
ALL = [*PLAIN, SLOW, CONCURRENT, LATER]


def history(project: Project, *, seconds: float = 0.0, postgresql: bool = True) -> None:
    """Seed rows without a key, so that a second execution shows; on PostgreSQL a slow one and a concurrent index."""
    for name in PLAIN:
        table = name.split("_")[1]
        project.write(
            name, f"create table {table} (n integer);\ninsert into {table} values (1);", f"drop table {table};"
        )
    wait = f"select pg_sleep({seconds});" if postgresql else "select 1;"
    project.write(
        SLOW, f"insert into t1 values (2);\n{wait}\ninsert into t1 values (3);", "delete from t1 where n > 1;"
    )
    index = "create index concurrently t1_n on t1 (n);" if postgresql else "create index t1_n on t1 (n);"
    project.write(CONCURRENT, f"{index}\ninsert into t1 values (4);", "drop index t1_n;", options=" transaction:false")
    project.write(LATER, "insert into t1 values (5);", "delete from t1 where n = 5;")


def start(project: Project, count: int, *, wait: str = "120") -> list[subprocess.Popen[str]]:
    """So many `bascule up`, all at once."""
    return [
        subprocess.Popen(
            [*BASCULE, "up", "--no-progress", "--lock-wait", wait, "--json"],
            cwd=project.folder,
            env=project.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Each in a group of its own, so that a signal for one is for one.
            start_new_session=True,
        )
        for _ in range(count)
    ]


def ended(processes: Iterable[subprocess.Popen[str]], seconds: float = 150) -> list[Answer]:
    """Wait for all; whoever has not ended by then is ended and fails the test."""
    until = time.monotonic() + seconds
    answers = []
    for process in processes:
        try:
            out, err = process.communicate(timeout=max(1.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            err += "\n(was still running)"
        answers.append(Answer(code=process.returncode, out=out, err=err))
    return answers


def executed(answers: Iterable[Answer]) -> Counter[str]:
    """How often each migration was executed, by what the processes say of themselves."""
    counts: Counter[str] = Counter()
    for answer in answers:
        if answer.out.strip():
            counts.update(run["name"] for run in answer.json.get("data", []) if run["status"] == "completed")
    return counts


def until(condition: Callable[[], bool], *, seconds: float = 30, what: str = "it") -> None:
    """Wait for something another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds} s"
        time.sleep(0.01)
