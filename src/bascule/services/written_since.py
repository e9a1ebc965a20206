"""Whether putting a backup back would throw away anything that was written since it was taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bascule.errors import Refused

if TYPE_CHECKING:
    from bascule.domain.backup import Manifest, TableDigest
    from bascule.services.backups import Backups

PROVABLE = 8 << 30
"""Bytes of rows up to which today's tables are read whole, to prove that nobody wrote to them."""


def written_since(backups: Backups, manifest: Manifest) -> tuple[Mapping[str, str], Mapping[str, TableDigest] | None]:
    """What a restore would throw away, in words by table; empty only where it is proved that there is nothing. And what
    the tables hold now, as far as that was looked at.

    Every column that a table has today is compared with what it held then. Columns and tables that are gone hold
    nothing that could be thrown away. What cannot be compared counts as written to: a column that is new, a value that
    the migration itself has changed. Raises as the dumper.
    """
    size = manifest.plain_bytes()
    if size > PROVABLE:
        words = "too large to prove that nobody has written to it since"
        return {name: f"{name}, {words}" for name in manifest.tables}, None
    now = _today(backups, manifest)
    same = [name for name, digest in now.items() if digest.rows and _may_be_same(manifest.digests.get(name), digest)]
    then: Mapping[str, TableDigest] = manifest.digests
    if any(not then[name].columns for name in same if name in then):
        then = backups.dumper.digests_of(backups.stored(manifest), tables=same)
    return {name: words for name, digest in now.items() for words in _written(name, then.get(name), digest)}, now


def _may_be_same(then: TableDigest | None, now: TableDigest) -> bool:
    return then is not None and then.rows == now.rows


def _written(name: str, then: TableDigest | None, now: TableDigest) -> Iterator[str]:
    if not now.rows and (then is None or not then.rows):
        return
    if then is None:
        yield f"{name}, {now.rows} rows now; the backup has nothing to compare them with"
    elif then.rows != now.rows:
        yield f"{name}, {now.rows} rows now, {then.rows} in the backup"
    elif now.rows:
        changed = [column for column, digest in now.columns.items() if then.columns.get(column) != digest]
        if changed or not now.columns:
            told = ", ".join(column or "whole rows" for column in changed[:5]) or "what cannot be compared"
            yield f"{name}, other values in {told}"


def _today(backups: Backups, manifest: Manifest) -> Mapping[str, TableDigest]:
    if manifest.scope == "database":
        return {name: digest for name, digest in backups.dumper.digests(None).items() if name in manifest.tables}
    found: dict[str, TableDigest] = {}
    for name in manifest.tables:
        try:
            digests = backups.dumper.digests([name])
        except Refused as error:
            if error.code != "no_such_table":
                raise
        else:
            found |= {each: digest for each, digest in digests.items() if each in manifest.tables}
    return found
