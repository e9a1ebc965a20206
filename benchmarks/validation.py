"""What the data rules cost on a large table whose constraints nobody has validated.

::

    python -m benchmarks.validation [--rows 5000000] [--rounds 3]

A child table of `--rows` rows with nine columns that must not be NULL, six CHECKs and an indexed foreign key to a
parent of a fifth as many rows, none of them validated. The rules `not_null_constraints`, `check_constraints` and
`fk_integrity` as `bascule validate` asks them, connections and catalog included, against one query for each column and
rule on one connection, in rounds that take turns. Bars: at most 0.22 of those queries; a preview of one block in a
hundred in 50 ms, the catalog being read; content digests of the child at 1.5 million rows a second on one connection;
nobody who writes to the child meanwhile waits for a lock. Both sides' counts must be equal. The exit code is 1 where a
bar was missed.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.timing import spread, table

BAR, PREVIEW_BAR, WAIT_BAR, DIGEST_BAR = 0.22, 0.050, 0, 1.5e6
COLUMNS = ("parent_id", "number", "word", "email", "amount", "made_at", "state", "country", "payload")
CHECKS = (
    "number >= 0",
    "amount >= 0 AND amount < 100000",
    "length(word) > 3",
    "email LIKE '%@%'",
    "made_at >= '2000-01-01'",
    "state IN ('new', 'paid', 'sent', 'done')",
)
ORPHANS = (
    "SELECT count(*) FROM child c WHERE parent_id IS NOT NULL AND NOT EXISTS "
    "(SELECT 1 FROM parent p WHERE p.id = c.parent_id)"
)
RULES = ("not_null_constraints", "check_constraints", "fk_integrity")
SETTINGS = {
    "shared_buffers": "2GB",
    "max_wal_size": "8GB",
    "maintenance_work_mem": "512MB",
    "effective_cache_size": "12GB",
    "random_page_cost": "1.1",
}


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 when no bar was missed."""
    from bascule.testing.postgres import PostgresServer

    parser = argparse.ArgumentParser(prog="benchmarks.validation", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    with PostgresServer(os.environ.get("BASCULE_TEST_PG"), settings=SETTINGS) as server:
        url = server.create_database("validation")
        _fill(url, given.rows)
        time.sleep(1)
        return _compare(url, server.pid, given.rows, given.rounds)


def _fill(url: str, rows: int) -> None:
    import psycopg

    parents = max(rows // 5, 1)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE parent (id int PRIMARY KEY, name text)")
        connection.execute(
            f"INSERT INTO parent SELECT n, 'parent ' || md5(n::text) FROM generate_series(1, {parents}) AS n".encode()
        )
        connection.execute(
            "CREATE TABLE child (id bigint PRIMARY KEY, parent_id int, number int, word text, email text,"
            " amount numeric(12,2), made_at timestamptz, state text,"
            " country text, payload jsonb)"
        )
        connection.execute(
            "INSERT INTO child SELECT n, CASE WHEN n % 1000000 = 7 THEN 0 ELSE 1 + (n::bigint * 7919) % "
            f"{parents} END, n % 1000, 'word ' || n,"
            " CASE WHEN n % 700000 = 3 THEN NULL ELSE 'p' || n || '@example.com' END,"
            " (n % 100000)::numeric / 7, timestamptz '2020-01-01' + n * interval '10 seconds',"
            " (ARRAY['new', 'paid', 'sent', 'done'])[1 + n % 4],"
            " (ARRAY['de', 'fr', 'it'])[1 + n % 3], jsonb_build_object('n', n)"
            f" FROM generate_series(1, {rows}) AS n".encode()
        )
        connection.execute("CREATE INDEX child_parent ON child (parent_id)")
        connection.execute(
            "ALTER TABLE child ADD CONSTRAINT to_parent FOREIGN KEY (parent_id) REFERENCES parent NOT VALID"
        )
        for number, check in enumerate((*(f"{name} IS NOT NULL" for name in COLUMNS), *CHECKS)):
            connection.execute(f"ALTER TABLE child ADD CONSTRAINT c{number} CHECK ({check}) NOT VALID".encode())
        connection.execute("VACUUM (ANALYZE) parent, child")


def _compare(url: str, server: int, rows: int, rounds: int) -> int:
    acts: dict[str, Callable[[], int]] = {
        "one query each": lambda: _one_by_one(url, parallel=False),
        "one query each, parallel": lambda: _one_by_one(url, parallel=True),
        "bascule validate": lambda: _validated(url),
    }
    times: dict[str, list[float]] = {name: [] for name in acts}
    cpu: dict[str, list[float]] = {name: [] for name in times}
    waits: list[int] = []
    writes: list[float] = []
    previews: list[float] = []
    rates: list[float] = []
    for _ in range(rounds):
        answers = {}
        for name, act in acts.items():
            answers[name] = _timed(times[name], cpu[name], act, server)
        found, expected = answers["bascule validate"], answers["one query each"]
        if found != expected:
            print(f"The counts differ: {found} and {expected}.")
            return 1
        longest, waiting = _beside_writers(url)
        writes.append(longest)
        waits.append(waiting)
        previews.append(_preview(url))
        rates.append(rows / _digests(url))
    base = spread(times["one query each"]).median
    lines: list[Sequence[str]] = [("", "min s", "median s", "max s", "ratio", "server CPU s")]
    for name, values in times.items():
        told = spread(values)
        used = spread(cpu[name]).median
        seconds = [f"{value:.2f}" for value in (told.low, told.median, told.high, told.median / base, used)]
        lines.append((name, *seconds))
    print(table(lines))
    ratio, preview = spread(times["bascule validate"]).median / base, spread(previews).median
    rate = spread(rates).median
    print(f"  preview of 1 %: {preview * 1000:.0f} ms (bar {PREVIEW_BAR * 1000:.0f})")
    print(f"  digests: {rate / 1e6:.2f} million rows a second on one connection (bar {DIGEST_BAR / 1e6})")
    print(f"  writers beside it: {max(waits)} lock waits seen, longest write {max(writes) * 1000:.0f} ms")
    missed = [
        words
        for words, bad in (
            ("ratio", ratio > BAR),
            ("preview", preview > PREVIEW_BAR),
            ("digests", rate < DIGEST_BAR),
            ("waits", max(waits) > WAIT_BAR),
        )
        if bad
    ]
    if missed:
        print(f"Missed: {', '.join(missed)}.")
    return 1 if missed else 0


def _timed(times: list[float], cpu: list[float], act: Callable[[], int], server: int) -> int:
    """Wall clock, and the processor time of the server's processes: on a busy machine only that is steady, and two
    connections are as quick as two idle processors make them.
    """
    used, begun = _server_cpu(server), time.perf_counter()
    answer = act()
    times.append(time.perf_counter() - begun)
    # A process's time is counted when it has ended, which is a moment after its client has hung up.
    time.sleep(0.3)
    cpu.append(_server_cpu(server) - used)
    return answer


def _server_cpu(server: int) -> float:
    """Seconds of those that have ended."""
    fields = Path(f"/proc/{server}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _one_by_one(url: str, *, parallel: bool) -> int:
    """How many rows offend, all rules together."""
    import psycopg

    conditions = [*(f"{name} IS NULL" for name in COLUMNS), *(f"NOT ({check})" for check in CHECKS)]
    with psycopg.connect(url, autocommit=True) as connection:
        if not parallel:
            connection.execute("SET max_parallel_workers_per_gather = 0")
        queries = [*(f"SELECT count(*) FROM child WHERE {condition}" for condition in conditions), ORPHANS]
        return sum(int(connection.execute(query.encode()).fetchall()[0][0]) for query in queries)


def _validated(url: str) -> int:
    from bascule.databases.postgres.validation import PostgresReader
    from bascule.monitoring.clock import SystemClock
    from bascule.services.validate import Validation, Wanted, validate

    with closing(PostgresReader(url)) as reader:
        report = validate(Validation(reader=reader, clock=SystemClock()), Wanted(rules=RULES))
    found = 0
    for result in report.results:
        for words in result.details.get("findings", ()):
            found += int(words.rsplit(": ", 1)[1].split()[0].replace(",", ""))
    return found


def _preview(url: str) -> float:
    """Seconds of the conditions on one block in a hundred."""
    from bascule.databases.postgres.validation import PostgresReader
    from bascule.ports.validation import Asked, ValidationOptions
    from bascule.validation.rules import check_constraints

    options = ValidationOptions(preview=0.01)
    with closing(PostgresReader(url)) as reader:
        catalog = reader.catalog(options)
        tests = check_constraints.inspect(Asked(catalog=catalog, options=options)).tests
        begun = time.perf_counter()
        outcomes = reader.run(catalog, tests, options)
        seconds = time.perf_counter() - begun
    assert all(outcome.share < 1 and not outcome.problem for outcome in outcomes)
    return seconds


def _digests(url: str) -> float:
    """Seconds of the content digests of the child on one connection."""
    from bascule.databases.postgres.dumper import PostgresDumper

    begun = time.perf_counter()
    PostgresDumper(url).digests(["child"])
    return time.perf_counter() - begun


def _beside_writers(url: str) -> tuple[float, int]:
    """The longest single write to the child while the rules are asked, and how often anybody was seen to wait."""
    import psycopg

    thread = threading.Thread(target=_validated, args=(url,))
    longest, waiting = 0.0, 0
    with psycopg.connect(url, autocommit=True) as writer, psycopg.connect(url, autocommit=True) as watcher:
        # Who waits that long is ended with an error, and the benchmark with it.
        writer.execute("SET lock_timeout = '50ms'")
        thread.start()
        number = 0
        while thread.is_alive():
            number += 1
            begun = time.perf_counter()
            writer.execute("UPDATE child SET number = 5 WHERE id = %s", (number * 37 + 10,))
            longest = max(longest, time.perf_counter() - begun)
            (count,) = watcher.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchall()[0]
            waiting += count
            time.sleep(0.02)
    thread.join()
    return longest, waiting


if __name__ == "__main__":
    raise SystemExit(main())
