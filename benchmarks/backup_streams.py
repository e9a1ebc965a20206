"""What a backup's stream costs beside zstd alone: compressed, hashed twice, stored for good; and encrypted.

::

    python -m benchmarks.backup_streams [--megabytes 500] [--rounds 5]

Whole processes, in rounds that take turns, each reading the same rows from a pipe: ``zstd -1 -T2`` to a file, which is
then synced to the disk, as Bascule does before it gives a stream its name. The bars: the stream, hashed or hashed and
encrypted, takes at most 1.2 times zstd alone, and less than 150 MiB of memory. The start of Python, which a backup pays
once and not for each stream, is in the table and not in the bar. What was stored is read back and compared. The exit
code is 1 where a bar was missed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.timing import DidNotWork, Timed, python, spread, table, timed

TIMES_BAR = 1.2
MEMORY_BAR = 150 << 20
_PATH = "20261123T000000Z-0123456789abcdef/tables/0001.zst"
_BLOCK = 64 << 10
ALONE, HASHED, ENCRYPTED = "zstd -1 -T2", "bascule: hashed", "bascule: hashed, encrypted"


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 when no bar was missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.backup_streams", description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--store", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--recipient", default="", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.store:
        return _store(given.store, given.recipient)
    if not shutil.which("zstd"):
        print("The program zstd is not installed; there is nothing to compare with.")
        return 1
    with tempfile.TemporaryDirectory(prefix="bascule-streams-") as home:
        return _compare(Path(home), given.megabytes * 1_000_000, given.rounds)


def _compare(home: Path, size: int, rounds: int) -> int:
    from bascule.backups.encryption import new_key

    rows, out = home / "rows", home / "out"
    _write_rows(rows, size)
    ours = f"{python()} -m benchmarks.backup_streams --store {home / 'store'}"
    commands = {
        ALONE: f"cat {rows} | zstd -q -1 -T2 -c > {out} && sync {out}",
        HASHED: f"cat {rows} | {ours}",
        ENCRYPTED: f"cat {rows} | {ours} --recipient {new_key()[1]}",
    }
    results: dict[str, list[Timed]] = {name: [] for name in commands}
    sizes: dict[str, int] = {}
    memory = 0
    inside: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            results[name].append(timed(["sh", "-c", command], cwd=Path(__file__).parents[1]))
            stored = [out] if name == ALONE else list((home / "store").rglob("*.zst*"))
            sizes[name] = sum(each.stat().st_size for each in stored)
            if name != ALONE:
                used, seconds = (home / "store" / "told").read_text().split()
                memory = max(memory, int(used))
                inside[name].append(float(seconds))
                _look(home / "store", rows, encrypted=name == ENCRYPTED)
                shutil.rmtree(home / "store")
            else:
                inside[name].append(results[name][-1].wall)
                out.unlink()
    return _report(results, inside, sizes, memory, size)


def _report(
    results: dict[str, list[Timed]], inside: dict[str, list[float]], sizes: dict[str, int], memory: int, size: int
) -> int:
    base = spread(inside[ALONE]).median
    print(f"{size / 1e6:.0f} MB of rows, {len(results[ALONE])} rounds, {os.cpu_count()} processors")
    lines = [["", "wall min s", "median", "max", "CPU s", "MB/s", "stored MB", "stream s", "times"]]
    missed = False
    for name, runs in results.items():
        wall, cpu = spread([each.wall for each in runs]), spread([each.cpu for each in runs])
        stream = spread(inside[name]).median
        times = stream / base
        missed = missed or times > TIMES_BAR
        figures = [f"{wall.low:.2f}", f"{wall.median:.2f}", f"{wall.high:.2f}", f"{cpu.median:.2f}"]
        figures += [f"{size / 1e6 / wall.median:.0f}", f"{sizes[name] / 1e6:.1f}", f"{stream:.2f}", f"{times:.2f}"]
        lines.append([name, *figures])
    print(table(lines))
    missed = missed or memory > MEMORY_BAR
    print(f"  peak memory {memory >> 20} MiB; bars {TIMES_BAR} times and {MEMORY_BAR >> 20} MiB")
    print("  MISSED" if missed else "  ok")
    return 1 if missed else 0


def _store(folder: str, recipient: str) -> int:
    """The measured process: stdin to the store."""
    from bascule.backups.encryption import Encryption
    from bascule.backups.pipeline import store_stream
    from bascule.backups.stores.opening import open_store

    encryption = Encryption(recipients=(recipient,)) if recipient else None
    path = f"{_PATH}.age" if recipient else _PATH
    begun = time.perf_counter()
    store_stream(open_store(folder), path, _pieces(), encryption=encryption)
    seconds = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    Path(folder, "told").write_text(f"{used} {seconds:.4f}", encoding="ascii")
    return 0


def _pieces() -> Iterator[bytes]:
    while piece := os.read(0, _BLOCK):
        yield piece


def _look(store: Path, rows: Path, *, encrypted: bool) -> None:
    """Raises `DidNotWork` where what was stored is not what was given. What is encrypted to a key that was thrown away
    is only looked at for its size."""
    if encrypted:
        return
    told = subprocess.run(["zstd", "-q", "-d", "-c", store / _PATH], capture_output=True, check=True).stdout
    with rows.open("rb") as file:
        if hashlib.sha256(told).digest() != hashlib.file_digest(file, "sha256").digest():
            raise DidNotWork("what was stored is not what was given")


def _write_rows(path: Path, size: int) -> None:
    """Rows as a shop's tables give them: numbers, addresses, words, amounts."""
    words = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(997)]
    with path.open("wb") as file:
        number = 0
        while file.tell() < size:
            lines = (
                f"{each}\tuser{each * 7919 % 1_000_003}@example.org\t2026-11-{each % 28 + 1:02d}"
                f"\t{each * 17 % 9973 / 100}\t{words[each % 997][: each % 23]}\n"
                for each in range(number, number + 20_000)
            )
            file.write("".join(lines).encode())
            number += 20_000


if __name__ == "__main__":
    sys.exit(main())
