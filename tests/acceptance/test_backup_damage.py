"""A damaged backup is never restored: a sample of the campaign of `tests.acceptance.backup_damage`."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.backup_damage import DAMAGES, campaign


def test_every_damage_is_found_before_the_first_row_and_undamaged_backups_are_read(tmp_path: Path) -> None:
    outcomes = list(campaign(tmp_path, count=6 * len(DAMAGES), seed=7))

    assert [each for each in outcomes if not each.right] == []
    assert sum(each.damage == "none" for each in outcomes) >= 6
