"""The damage campaign: backups changed in every way a medium or a person changes them; none may be read as good.

    python -m tests.acceptance.backup_damage [--count 1000] [--seed 1]

Each trial takes a fresh copy of a real backup (plain or encrypted), does one damage to it, and lets a restore read it:
the manifest against the digest that was kept elsewhere, every stream's hashes, and then its rows. Whatever is wrong has
to be told as an error of Bascule's before the first row of any stream is handed out. Undamaged copies have to be read
as good, so a reader that refuses everything is found too. Ends with 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bascule.backups.bundle import Cutter
from bascule.backups.catalog import path_of, verify_backup
from bascule.backups.encryption import Encryption, new_key
from bascule.backups.manifest import read_manifest
from bascule.backups.naming import MANIFEST, new_backup_id
from bascule.backups.pipeline import read_stream
from bascule.backups.stores.local import LocalStore
from bascule.domain.backup import Manifest
from bascule.errors import Refused
from tests.unit.backups.streams import NOON, SMALL, TABLES, stored

Damage = Callable[["Copy", Random], str]
UNDAMAGED_EVERY = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A backup, an older state of it, and what its caller keeps elsewhere."""

    folder: Path
    """A store that holds just this backup."""
    older: Path
    """One that holds a backup of the same id as it might have been before, whole in itself."""
    id: str
    digest: str
    encryption: Encryption | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One to be damaged."""

    original: Original
    folder: Path

    @property
    def manifest(self) -> Path:
        return self.folder / self.original.id / MANIFEST

    @property
    def streams(self) -> list[Path]:
        return sorted((self.folder / self.original.id).glob("*/*"))

    @property
    def files(self) -> list[Path]:
        return [self.manifest, *self.streams]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one trial."""

    damage: str
    code: str
    """Of the error; empty where the backup was read as good."""
    rows_before: int
    """Bytes that were handed out before the error."""

    @property
    def right(self) -> bool:
        return (self.code == "") == (self.damage == "none") and (self.damage == "none" or self.rows_before == 0)


def flip_in_a_stream(copy: Copy, chance: Random) -> str:
    return _flip(chance.choice(copy.streams), chance)


def flip_in_the_manifest(copy: Copy, chance: Random) -> str:
    return _flip(copy.manifest, chance)


def truncate_something(copy: Copy, chance: Random) -> str:
    path = chance.choice(copy.files)
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])
    return f"truncated {path.name}"


def append_something(copy: Copy, chance: Random) -> str:
    path = chance.choice(copy.files)
    path.write_bytes(path.read_bytes() + chance.randbytes(chance.randrange(1, 40)))
    return f"appended to {path.name}"


def swap_within_a_file(copy: Copy, chance: Random) -> str:
    """Two places of a file, exchanged: the same bytes in another order."""
    path = chance.choice(copy.files)
    content = path.read_bytes()
    while True:
        length = chance.randrange(1, len(content) // 4)
        first = chance.randrange(len(content) - 2 * length)
        second = chance.randrange(first + length, len(content) - length + 1)
        one, two = content[first : first + length], content[second : second + length]
        if one != two:
            break
    between = content[first + length : second]
    path.write_bytes(content[:first] + two + between + one + content[second + length :])
    return f"swapped {length} bytes in {path.name}"


def swap_two_streams(copy: Copy, chance: Random) -> str:
    one, two = chance.sample(copy.streams, 2)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    return "swapped two streams"


def older_manifest(copy: Copy, chance: Random) -> str:
    shutil.copyfile(copy.original.older / copy.original.id / MANIFEST, copy.manifest)
    return "put an older manifest in place"


def older_stream(copy: Copy, chance: Random) -> str:
    path = chance.choice(copy.streams)
    shutil.copyfile(copy.original.older / path.relative_to(copy.folder), path)
    return "put an older stream in place"


def older_everything(copy: Copy, chance: Random) -> str:
    """What somebody would do who knows how: every file agrees with every other, and only the kept digest tells."""
    shutil.rmtree(copy.folder)
    shutil.copytree(copy.original.older, copy.folder)
    return "put a whole older backup in place"


def remove_something(copy: Copy, chance: Random) -> str:
    path = chance.choice(copy.files)
    path.unlink()
    return f"removed {path.name}"


def zero_a_page(copy: Copy, chance: Random) -> str:
    """What a disk does that lost a sector."""
    path = chance.choice(copy.streams)
    content = path.read_bytes()
    start = chance.randrange(len(content)) // 512 * 512
    zeros = bytes(min(512, len(content) - start))
    if content[start : start + len(zeros)] == zeros:
        return _flip(path, chance)
    path.write_bytes(content[:start] + zeros + content[start + len(zeros) :])
    return f"zeroed a sector of {path.name}"


DAMAGES: tuple[Damage, ...] = (
    flip_in_a_stream,
    flip_in_a_stream,
    flip_in_the_manifest,
    truncate_something,
    append_something,
    swap_within_a_file,
    swap_two_streams,
    older_manifest,
    older_stream,
    older_everything,
    remove_something,
    zero_a_page,
)


def campaign(folder: Path, *, count: int, seed: int) -> Iterator[Outcome]:
    """`count` damages, and between them undamaged copies."""
    chance = Random(seed)
    key = Encryption.from_text(new_key()[0], origin="the campaign")
    originals = [_original(folder / "plain", None), _original(folder / "sealed", key)]
    for number in range(count):
        original = originals[number % 2]
        if number % UNDAMAGED_EVERY == 0:
            yield _trial(original, folder / "copy", None, chance)
        yield _trial(original, folder / "copy", DAMAGES[number % len(DAMAGES)], chance)


def _original(folder: Path, encryption: Encryption | None) -> Original:
    backup_id = new_backup_id(NOON)
    older, smaller = (
        {name: content[: len(content) // 2] for name, content in tables.items()} for tables in (TABLES, SMALL)
    )
    stored(LocalStore(folder / "older"), encryption=encryption, backup_id=backup_id, tables=older, small=smaller)
    _, digest = stored(LocalStore(folder / "now"), encryption=encryption, backup_id=backup_id, small=SMALL)
    return Original(folder=folder / "now", older=folder / "older", id=backup_id, digest=digest, encryption=encryption)


def _trial(original: Original, folder: Path, damage: Damage | None, chance: Random) -> Outcome:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original.folder, folder)
    words = damage(Copy(original=original, folder=folder), chance) if damage is not None else "none"
    out: list[bytes] = []
    try:
        _restore(LocalStore(folder), original, out)
    except Refused as exc:
        return Outcome(damage=words, code=exc.code, rows_before=sum(map(len, out)))
    if b"".join(out) != b"".join((*TABLES.values(), *SMALL.values())):
        return Outcome(damage=words, code="WRONG ROWS", rows_before=sum(map(len, out)))
    return Outcome(damage=words, code="", rows_before=0)


def _restore(store: LocalStore, original: Original, out: list[bytes]) -> None:
    """As a restore reads: everything is verified, then it is read."""
    encryption = original.encryption
    manifest: Manifest = verify_backup(store, original.id, expected_digest=original.digest, encryption=encryption)
    assert manifest == read_manifest(store, original.id, expected_digest=original.digest, encryption=encryption)
    for record in manifest.streams:
        path = path_of(manifest, record)
        pieces = read_stream(store, path, record=record, encryption=encryption, verified=True)
        if not record.members:
            out.extend(pieces)
            continue
        cutter = Cutter(pieces, path=path)
        for member in record.members:
            out.extend(cutter.rows_of(member))
        cutter.close()


def _flip(path: Path, chance: Random) -> str:
    content = bytearray(path.read_bytes())
    place, bit = chance.randrange(len(content)), chance.randrange(8)
    content[place] ^= 1 << bit
    path.write_bytes(content)
    return f"flipped bit {bit} of byte {place} in {path.name}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.acceptance.backup_damage", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bascule-damage-") as folder:
        outcomes = list(campaign(Path(folder), count=given.count, seed=given.seed))
    damaged = [each for each in outcomes if each.damage != "none"]
    found = [each for each in damaged if each.code not in ("", "WRONG ROWS")]
    wrong = [each for each in outcomes if not each.right]
    for each in wrong[:20]:
        print(f"WRONG: {each}")
    print(f"{len(damaged)} damages: {len(found)} found, {len(damaged) - len(found)} read as good")
    print(
        f"{len(outcomes) - len(damaged)} undamaged copies: {sum(e.right for e in outcomes if e.damage == 'none')} read"
    )
    for code, times in Counter(each.code for each in found).most_common():
        print(f"  {times:5} {code}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
