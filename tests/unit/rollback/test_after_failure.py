"""What is done after a failure: each policy is a table."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.rollback.after_failure import CHEAP, POLICIES, Back, Decision, Signals, decide

NOTHING = Signals(what="failed", committed="nothing")
HALF = Signals(what="failed", committed="steps")
BROKEN = Signals(what="broke_data", committed="whole", new=("FK: orders, 1 row",))
WRONG = Signals(what="rollback_wrong", committed="whole", lost=("users.note",))
BACK_HALF = Signals(what="rollback_failed", committed="steps")

DOWN = Back(words="the down script")
COSTLY_DOWN = Back(words="the down script", loses=("drops table users",))
UNSURE_DOWN = Back(words="the down script", sure=False)
STEPWISE_DOWN = Back(words="the down script", whole=False)
KEPT = Back(words="what was kept of the rows")
BACKUP = Back(words="the backup", bytes=1000)
LARGE_BACKUP = Back(words="the backup", bytes=CHEAP + 1)
OLD_BACKUP = Back(words="the backup", loses=("users, 3 rows now, 2 in the backup",))


@pytest.mark.parametrize(
    ("signals", "expected"),
    # careful, down, restore, stop; a star where a person is needed
    [
        (NOTHING, "nothing nothing nothing nothing"),
        (replace(NOTHING, production=True, backup=BACKUP), "nothing nothing nothing nothing"),
        (replace(NOTHING, transient=True), "retry retry retry retry"),
        (replace(HALF, unjudged="the lease is another's", down=DOWN), "stop stop stop stop"),
        (HALF, "nothing nothing nothing stop*"),
        (replace(HALF, transient=True), "nothing nothing nothing stop*"),
        (replace(HALF, down=DOWN), "down down down stop*"),
        (replace(HALF, down=DOWN, tried=frozenset({"down"})), "nothing nothing nothing stop*"),
        (replace(HALF, down=STEPWISE_DOWN), "nothing down nothing stop*"),
        (replace(HALF, down=UNSURE_DOWN), "nothing down nothing stop*"),
        (replace(BROKEN, down=UNSURE_DOWN), "stop* down stop* stop*"),
        (replace(HALF, down=COSTLY_DOWN), "nothing down nothing stop*"),
        (replace(HALF, down=COSTLY_DOWN, production=True), "nothing nothing nothing stop*"),
        (replace(HALF, down=DOWN, production=True), "nothing down nothing stop*"),
        (replace(HALF, down=COSTLY_DOWN, backup=BACKUP), "restore down restore stop*"),
        (replace(HALF, backup=BACKUP, tried=frozenset({"restore"})), "nothing nothing nothing stop*"),
        (replace(HALF, backup=BACKUP, production=True), "nothing restore restore stop*"),
        (replace(HALF, backup=LARGE_BACKUP), "nothing restore restore stop*"),
        (replace(HALF, backup=OLD_BACKUP), "nothing nothing stop* stop*"),
        (replace(HALF, backup=OLD_BACKUP, accepted=True), "restore nothing restore stop*"),
        (BROKEN, "stop* stop* stop* stop*"),
        (replace(BROKEN, preimages=KEPT), "preimages preimages preimages stop*"),
        (replace(BROKEN, preimages=KEPT, production=True), "preimages preimages preimages stop*"),
        (replace(BROKEN, down=DOWN), "down down down stop*"),
        (replace(BROKEN, down=COSTLY_DOWN), "stop* down stop* stop*"),
        (replace(BROKEN, down=COSTLY_DOWN, production=True), "stop* stop* stop* stop*"),
        (replace(BROKEN, down=DOWN, production=True), "stop* down stop* stop*"),
        (replace(BROKEN, down=COSTLY_DOWN, backup=BACKUP), "restore down restore stop*"),
        (replace(BROKEN, backup=OLD_BACKUP), "stop* stop* stop* stop*"),
        (WRONG, "nothing nothing nothing nothing"),
        (replace(WRONG, backup=BACKUP, production=True), "restore restore restore nothing"),
        (replace(WRONG, backup=OLD_BACKUP), "stop* stop* stop* stop*"),
        (replace(WRONG, backup=OLD_BACKUP, lost=()), "nothing nothing stop* nothing"),
        (replace(WRONG, backup=OLD_BACKUP, accepted=True), "restore stop* restore stop*"),
        (BACK_HALF, "nothing nothing nothing stop*"),
        (replace(BACK_HALF, backup=BACKUP), "restore restore restore stop*"),
        (replace(BACK_HALF, backup=LARGE_BACKUP, production=True), "restore restore restore stop*"),
        (replace(BACK_HALF, backup=replace(BACKUP, sure=False)), "nothing nothing nothing stop*"),
        (replace(HALF, backup=replace(OLD_BACKUP, sure=False), accepted=True), "nothing nothing nothing stop*"),
        (replace(BACK_HALF, backup=OLD_BACKUP), "stop* stop* stop* stop*"),
        (replace(BACK_HALF, backup=OLD_BACKUP, accepted=True), "restore stop* restore stop*"),
    ],
)
def test_each_policy_decides_by_the_signals(signals: Signals, expected: str) -> None:
    decisions = [decide(policy, signals) for policy in ("careful", "down", "restore", "stop")]
    assert " ".join(each.action + ("*" if each.person else "") for each in decisions) == expected


def test_the_reasons_say_what_was_committed_what_is_new_and_what_each_way_loses() -> None:
    signals = replace(BROKEN, down=COSTLY_DOWN, backup=OLD_BACKUP, missing=("nothing was kept",), production=True)
    words = "\n".join(decide("careful", signals).reasons)
    for part in (
        "it is committed",
        "FK: orders, 1 row",
        "drops table users",
        "3 rows now, 2 in the backup",
        "nothing was kept",
        "production",
    ):
        assert part in words


_back = st.none() | st.builds(
    Back,
    words=st.just("it"),
    loses=st.sampled_from([(), ("rows",)]),
    bytes=st.sampled_from([0, CHEAP + 1]),
    whole=st.booleans(),
)
_signals = st.builds(
    Signals,
    what=st.sampled_from(["failed", "broke_data", "rollback_failed", "rollback_wrong"]),
    committed=st.sampled_from(["nothing", "steps", "whole"]),
    unjudged=st.sampled_from(["", "the lease is another's"]),
    transient=st.booleans(),
    down=_back,
    preimages=_back,
    backup=_back,
    accepted=st.booleans(),
    production=st.booleans(),
    tried=st.frozensets(st.sampled_from(["down", "preimages", "restore"])),
)


@given(_signals, st.sampled_from(sorted(POLICIES)))
def test_no_policy_takes_a_way_that_it_may_not(signals: Signals, policy: str) -> None:
    decision: Decision = decide(policy, signals)
    ways = {"down": signals.down, "preimages": signals.preimages, "restore": signals.backup}
    if decision.action in ways:
        back = ways[decision.action]
        assert back is not None
        assert decision.action not in signals.tried
        assert not signals.unjudged
        assert signals.committed != "nothing"
        assert policy != "stop"
        accepted = decision.action == "restore" and signals.accepted
        allowed = decision.action == "down" and policy == "down" and not signals.production
        assert not back.loses or accepted or allowed
    assert decision.person <= (decision.action == "stop")
    assert decision.reasons
