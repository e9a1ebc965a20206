"""What a command that changes things has ready for the case that something fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bascule.errors import BasculeError, Interrupted

if TYPE_CHECKING:
    from datetime import datetime

    from bascule.domain.plan import PlannedMigration
    from bascule.domain.run import Run
    from bascule.domain.schema import Snapshot
    from bascule.ports.database import Lease
    from bascule.services.carry_out import CarryOut
    from bascule.services.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Decides and acts after a failure (`bascule.services.after_failure`), for the length of one command."""

    context: Context
    lease: Lease
    wanted: bool = True
    """The run was asked to roll back on failure. Where not, nothing is decided."""
    accepted: bool = False
    """Data loss was accepted beforehand."""
    make_backup: bool = True
    """Take a backup before what destroys something."""
    backups: Mapping[str, str] = field(default_factory=dict)
    """By migration the backup that was taken before it."""

    def failed(self, work: CarryOut, error: BasculeError) -> BasculeError:
        """An up has failed. Answers the error to raise, which tells what was done."""
        if not self._concerned(error):
            return error
        from bascule.services.after_failure import Aftermath

        return Aftermath(self).failed(work, error)

    def broke(self, work: CarryOut, run: Run) -> BasculeError | None:
        """An up is committed, and the data rules find errors that were not there before. None: they find none."""
        found = run.validation_result.get("newErrors") if isinstance(run.validation_result, Mapping) else None
        if not found or not self.wanted:
            return None
        from bascule.services.after_failure import Aftermath

        return Aftermath(self).broke(work, run, found)

    def rollback_failed(
        self, planned: PlannedMigration, run_id: str, error: BasculeError, look: Snapshot | None
    ) -> BasculeError:
        """A rollback has failed, maybe half way. `look`: the schema before it, where somebody looked."""
        if not self._concerned(error):
            return error
        from bascule.services.after_failure import Aftermath

        return Aftermath(self).rollback_failed(planned, run_id, error, look)

    def rollback_wrong(
        self, planned: PlannedMigration, run: Run, applied_at: datetime
    ) -> tuple[Run, BasculeError | None]:
        """A rollback came to its end, and its verdict is lossy. Answers its run, maybe better, and what to raise."""
        from bascule.services.after_failure import Aftermath

        return Aftermath(self).rollback_wrong(planned, run, applied_at)

    def _concerned(self, error: BasculeError) -> bool:
        """Somebody who stops a run wants it to go on later, not to be undone."""
        return self.wanted and not isinstance(error, Interrupted)
