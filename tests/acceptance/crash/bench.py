"""Runs one history with crashes in it, and judges what came of each."""

from __future__ import annotations

import functools
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bascule.testing.crash import Boundaries, Ended, Forked, forked
from tests.acceptance.crash.ground import Ground, Site, backups_of
from tests.acceptance.crash.histories import History
from tests.acceptance.crash.truth import Truth

Found = Literal["before", "after", "half done"]
Fault = Literal["double", "invalid", "state", "exit", "told"]
"""An effect came twice; a broken index called done; another state than that of the run without a crash; another exit
code; something said of the database that is not so."""

_QUESTIONS = ("undecidable_step", "temporary_lost")
_REPEATS = 4
"""Runs after the crash until it has to be over; more than one only where a person is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """One thing that must not be."""

    fault: Fault
    words: str


@dataclass(slots=True, kw_only=True)
class Trial:
    """One crash, and what came of it."""

    where: str
    found: Found | None = None
    """How the crash left the database; None: nobody looked, the next run came at once."""
    ended: Found | None = None
    """How it was in the end, where that is how the run without a crash left it."""
    reached: bool = True
    """The crash really happened there. False: the run was over before."""
    asked: int = 0
    """How often a person was asked, with exit 5."""
    wrongs: list[Wrong] = field(default_factory=list)

    def wrong(self, fault: Fault, words: str) -> None:
        """Something is as it must not be."""
        self.wrongs.append(Wrong(fault=fault, words=words))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The same history without a crash."""

    boundaries: tuple[str, ...]
    start: Truth
    end: Truth
    mended: Truth | None
    seconds: float


class Bench:
    """One history on one ground."""

    def __init__(self, ground: Ground, history: History) -> None:
        self.ground = ground
        self.history = history
        self.folder = ground.project(history)
        self._pattern = ground.begin(history, self.folder)
        if history.applied:
            self.must(self.start(self._pattern, history.applied_by).wait(), history.applied_code)
            ground.settle(self._pattern)
            if history.then:
                ground.ask(self._pattern, history.then)
        self.reference = self._refer()

    @functools.cached_property
    def statements(self) -> tuple[str, ...]:
        """Boundaries, with those at the database's driver; empty where they cannot be counted."""
        if self.history.database != "sqlite":
            return ()
        site = self.site()
        _, statements = self._listed(site, driver=True)
        self.ground.remove(site)
        return statements

    @functools.cached_property
    def ladder(self) -> Mapping[tuple[str, ...], Truth]:
        """Each whole state between two migrations, one after the other, up or down; by the ledger."""
        site = self.site()
        start, end = self.reference.start, self.reference.end
        ladder = {truth.ledger: truth for truth in (end, start) if truth.whole}
        if self.history.by_backup:
            self.ground.remove(site)
            return ladder
        seen: set[tuple[str, ...]] = set()
        while True:
            truth = self.ground.truth(site)
            if not truth.whole or truth.ledger in seen:
                break
            seen.add(truth.ledger)
            ladder[truth.ledger] = truth
            if self.history.steps_back and len(truth.ledger) <= len(end.ledger):
                break
            self.start(site, self._one_step()).wait()
        self.ground.remove(site)
        return ladder

    def site(self) -> Site:
        """A database in which the history's command has not run yet."""
        site = self.ground.copy(self._pattern)
        for command in self.history.each:
            self.must(self.start(site, command).wait(), 0)
        if self.history.spoilt:
            self.ground.ask(site, self.history.spoilt)
        self.ground.settle(site)
        return site

    def start(
        self,
        site: Site,
        command: tuple[str, ...] | None = None,
        boundaries: Boundaries | None = None,
        *,
        driver: bool = False,
    ) -> Forked:
        """The history's command, or another, in a process of its own."""
        return forked(
            [*(self.command(site) if command is None else command), "--json"],
            folder=site.folder,
            environment=site.environment,
            boundaries=boundaries,
            driver=driver,
        )

    def command(self, site: Site) -> tuple[str, ...]:
        """The history's, as it is given to Bascule there."""
        words = self.history.command
        if "{backup}" not in words:
            return words
        # Ids of one second are in no order.
        manifests = backups_of(site).glob("*/manifest.json")
        oldest = min(manifests, key=lambda each: each.stat().st_mtime_ns).parent.name
        return tuple(oldest if word == "{backup}" else word for word in words)

    # Judging

    def look(self, site: Site, trial: Trial) -> Truth:
        """How the crash left it: before, after, or half done with marks; and ``status`` says so."""
        self.ground.settle(site)
        truth = self.ground.truth(site)
        whole = self.ladder.get(truth.ledger)
        if truth.whole:
            if whole is None:
                trial.wrong("state", f"left behind a ledger that no order of migrations gives: {truth.ledger}")
            elif truth.state != whole.state and not (
                self.history.by_backup and truth.state == self.reference.end.state
            ):
                trial.wrong("state", f"left behind: {'; '.join(truth.differences(whole))}")
        trial.found = self._found(truth)
        self._check_status(site, trial, truth)
        return truth

    def believe(self, ended: Ended, site: Site, trial: Trial, before: Truth) -> None:
        """A run that ended with an error: what it said of the database must be so."""
        self.ground.settle(site)
        if ended.code == 0:
            return
        truth = self.ground.truth(site)
        said = ended.document.get("error", {}).get("state")
        changed = truth.differs_from(before)
        if ended.document.get("error", {}).get("code") == "unexpected":
            trial.wrong("told", f"an error nobody foresaw: {_words(ended)}")
        elif said not in ("unchanged", "changed", "unknown"):
            trial.wrong("told", f"exit {ended.code} without a word about the state: {_words(ended)}")
        elif (said == "unchanged" and changed) or (said == "changed" and not changed):
            differences = "; ".join(truth.differences(before)) or "it is as it was"
            trial.wrong("told", f"said {said}, but {differences}: {_words(ended)}")

    def finish(self, site: Site, trial: Trial, begun: Forked | None = None) -> None:
        """Run plainly until it is over, and compare with the end without a crash. `begun`: the first of these runs."""
        ended = (begun or self.start(site)).wait()
        for _ in range(_REPEATS):
            if ended.code != 5:
                break
            ended = self._answered(ended, site, trial)
        self._expect(ended, self.history.code, trial)
        self._compare(site, trial, self.reference.end)
        if self.history.by_backup:
            self._check_backups(site, trial)
        if self.reference.mended is not None and not trial.wrongs:
            self.ground.ask(site, self.history.mend)
            self._expect(self.start(site).wait(), 0, trial)
            self._compare(site, trial, self.reference.mended)

    def must(self, ended: Ended, code: int) -> Ended:
        """A run of the set-up. Raises AssertionError."""
        if ended.code != code:
            raise AssertionError(f"{self.history.name}: {_words(ended)}")
        return ended

    # Inside

    def _refer(self) -> Reference:
        site = self.site()
        start = self.ground.truth(site)
        ended, boundaries = self._listed(site, driver=False)
        end, mended = self.ground.truth(site), None
        if self.history.mend:
            self.ground.ask(site, self.history.mend)
            self.must(self.start(site).wait(), 0)
            mended = self.ground.truth(site)
        self.ground.remove(site)
        return Reference(
            boundaries=boundaries,
            start=start,
            end=end,
            mended=mended,
            seconds=ended.seconds,
        )

    def _listed(self, site: Site, *, driver: bool) -> tuple[Ended, tuple[str, ...]]:
        with tempfile.TemporaryDirectory() as folder:
            lines = Path(folder) / "boundaries"
            ended = self.start(site, boundaries=Boundaries(list_to=lines), driver=driver).wait()
            self.must(ended, self.history.code)
            return ended, tuple(lines.read_text(encoding="utf-8").splitlines())

    def _one_step(self) -> tuple[str, ...]:
        return (
            self.history.command[0],
            "--steps",
            "1",
            *(a for a in self.history.command[1:] if a == "--accept-data-loss"),
        )

    def _found(self, truth: Truth) -> Found:
        if not truth.whole:
            return "half done"
        return "before" if truth.ledger == self.reference.start.ledger else "after"

    def _end(self, truth: Truth) -> Found:
        """A failed transactional migration is not there at all; of a failed stepwise one its done steps stay."""
        if not truth.whole:
            return "half done"
        return "before" if self.history.code else "after"

    def _check_status(self, site: Site, trial: Trial, truth: Truth) -> None:
        answer = self.start(site, ("status",)).wait()
        document = answer.document
        if answer.code != 0 or not document:
            trial.wrong("exit", f"status: {_words(answer)}")
            return
        completed = {each["name"] for each in document["completed"]}
        if completed != set(truth.ledger):
            trial.wrong("told", f"status calls completed {sorted(completed)}; the ledger has {truth.ledger}")
        half_done = set(document.get("halfDone", ()))
        if half_done != {mark[0] for mark in truth.marks}:
            trial.wrong("told", f"status calls half done {sorted(half_done)}; there are the marks {truth.marks}")

    def _check_backups(self, site: Site, trial: Trial) -> None:
        """Every backup that is listed is whole and known, and nothing is left beside the database."""
        for command in (("backup", "prune"), ("backup", "verify", "--mode", "hashes")):
            self._expect(self.start(site, command).wait(), 0, trial)
        listed = self.start(site, ("backup", "list")).wait()
        # Killed between manifest and journal, it is a whole backup that nobody knows: it is called so.
        wrong = [each for each in json.loads(listed.out) if each["problem"] is not None]
        if wrong:
            trial.wrong("state", f"a backup that is none: {wrong}")
        if left := self.ground.scratch(site):
            trial.wrong("state", f"left beside the database: {left}")
        if parts := list(backups_of(site).rglob("*.part*")):
            trial.wrong("state", f"left in the store: {parts}")

    def _check_nobody_is_at_work(self, site: Site, trial: Trial) -> None:
        """Where the last run had nothing to do, the note of the killed one may still be there; it binds nobody."""
        until = time.monotonic() + self.ground.lease_outlives
        while (running := self.start(site, ("status",)).wait().document.get("running")) != []:
            if time.monotonic() > until:
                trial.wrong("told", f"status says that somebody is at work: {running}")
                return
            time.sleep(0.1)

    def _answered(self, ended: Ended, site: Site, trial: Trial) -> Ended:
        trial.asked += 1
        error = ended.document.get("error", {})
        if self.history.person is None or error.get("code") not in _QUESTIONS:
            trial.wrong("exit", f"a person was asked: {_words(ended)}")
            return ended
        hint = error.get("hint", "")
        if "recover --answer done" not in hint:
            trial.wrong("told", f"exit 5 without saying how to answer: {_words(ended)}")
        self.ground.settle(site)
        answer = self.history.person(lambda sql: self.ground.ask(site, sql))
        reply = ("mark", error["migration"], "--applied") if answer == "applied" else ("recover", "--answer", answer)
        replied = self.start(site, reply).wait()
        # Recovering finishes what was half done; what comes after it is the command's.
        return self.start(site).wait() if replied.code == 0 else replied

    def _expect(self, ended: Ended, code: int, trial: Trial) -> None:
        if ended.code != code:
            trial.wrong("exit", f"the run after it ended with {ended.code or ended.signal}: {_words(ended)}")

    def _compare(self, site: Site, trial: Trial, end: Truth) -> None:
        self.ground.settle(site)
        truth = self.ground.truth(site)
        if truth.state == end.state:
            trial.ended = trial.ended or self._end(truth)
        elif truth.has_more_rows_than(end):
            trial.wrong("double", "; ".join(truth.differences(end)))
        elif truth.invalid != end.invalid:
            trial.wrong("invalid", "; ".join(truth.differences(end)))
        else:
            trial.wrong("state", "; ".join(truth.differences(end)))
        if truth.leased:
            self._check_nobody_is_at_work(site, trial)
        for name, times in truth.completed.items():
            if times > 1 and not self.history.steps_back:
                trial.wrong("double", f"the journal has {times} times that {name} was completed")


def _words(ended: Ended) -> str:
    said = ended.document.get("message") or ended.err.strip() or ended.out.strip()
    error = ended.document.get("error", {})
    code = f", {error.get('code')}, {error.get('state')}" if error else ""
    end = f"exit {ended.code}" if ended.code is not None else f"signal {ended.signal}"
    return f"[{end}{code}] {' '.join(said.split())[:600]}"
