"""Random damage to an audit log, by somebody who can write the table and has not the key: every one has to be found.

::

    python -m tests.acceptance.audit_damage [--rounds 10000] [--seed 1]
"""

from __future__ import annotations

import argparse
import dataclasses
import random
from collections.abc import Callable, Sequence

from bascule.access.audit_chain import START, AuditLine, Head, canonical, code, line, verify

KEY = b"a key that stays outside of the database"
Log = list[AuditLine]


def written(count: int, key: bytes | None = KEY) -> Log:
    """A log as it is written."""
    found: Log = []
    previous = START
    for number in range(1, count + 1):
        entry = canonical({"who": f"user{number % 3}", "action": "up", "what": {"names": [f"m{number}"]}})
        found.append(line(number, f"2026-01-01T00:00:{number % 60:02}.000000Z", entry, previous, key))
        previous = found[-1].mac
    return found


def _edit(log: Log, chance: random.Random) -> str:
    at = chance.randrange(len(log))
    part = chance.choice(["at", "entry", "previous", "mac", "number"])
    old = log[at]
    if part == "number":
        log[at] = dataclasses.replace(old, number=old.number + chance.choice([-3, 1000, 1]))
        log.sort(key=lambda each: each.number)
    else:
        text = getattr(old, part) or "h1:0"
        place = chance.randrange(len(text))
        new = text[:place] + chance.choice([each for each in "abcdef0189Z" if each != text[place]]) + text[place + 1 :]
        log[at] = _with(old, part, new)
    return f"{part} of line {old.number} changed"


def _with(old: AuditLine, part: str, text: str) -> AuditLine:
    texts = {name: getattr(old, name) for name in ("at", "entry", "previous", "mac")} | {part: text}
    return AuditLine(number=old.number, **texts)


def _remove(log: Log, chance: random.Random) -> str:
    at = chance.randrange(len(log))
    count = min(len(log) - at, chance.randint(1, 3))
    del log[at : at + count]
    return f"{count} lines from {at + 1} removed"


def _insert(log: Log, chance: random.Random) -> str:
    at = chance.randrange(len(log))
    before = log[at - 1].mac if at else START
    number = log[at].number
    log[at:] = [dataclasses.replace(each, number=each.number + 1) for each in log[at:]]
    log.insert(at, line(number, "2026-01-01T00:00:00.000000Z", "{}", before, chance.choice([None, b"guessed"])))
    return f"a line inserted before {number}"


def _swap(log: Log, chance: random.Random) -> str:
    one, other = chance.sample(range(len(log)), 2)
    first, second = log[one], log[other]
    log[one] = dataclasses.replace(second, number=first.number)
    log[other] = dataclasses.replace(first, number=second.number)
    return f"lines {one + 1} and {other + 1} exchanged"


def _cut(log: Log, chance: random.Random) -> str:
    count = chance.randint(1, len(log))
    del log[-count:]
    return f"{count} lines cut off"


def _recompute(log: Log, chance: random.Random) -> str:
    """From a line on everything is written anew, with no key or a guessed one."""
    at = chance.randrange(len(log))
    key = chance.choice([None, b"guessed", b""])
    previous = log[at - 1].mac if at else START
    for place in range(at, len(log)):
        old = log[place]
        entry = old.entry.replace("up", "no") if place == at else old.entry
        log[place] = AuditLine(
            number=old.number,
            at=old.at,
            entry=entry,
            previous=previous,
            mac=code(old.number, old.at, entry, previous, key),
        )
        previous = log[place].mac
    return f"everything from line {at + 1} computed anew"


DAMAGES: Sequence[Callable[[Log, random.Random], str]] = (_edit, _remove, _insert, _swap, _cut, _recompute)


def missed(rounds: int, seed: int, lines: int = 25) -> list[str]:
    """What was done and not found."""
    chance = random.Random(seed)
    whole = written(lines)
    head = Head(number=whole[-1].number, mac=whole[-1].mac)
    found = []
    for _ in range(rounds):
        log = list(whole)
        words = [chance.choice(DAMAGES)(log, chance) for _ in range(chance.choice([1, 1, 1, 2])) if len(log) > 1]
        if log != whole and not verify(log, key=KEY, heads=[head]):
            found.append("; ".join(words))
    return found


def main() -> int:
    """Run it; 0 when everything was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found = missed(given.rounds, given.seed)
    print(f"{given.rounds} damages, {given.rounds - len(found)} found, {len(found)} missed")
    for words in found[:20]:
        print(f"  MISSED: {words}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
