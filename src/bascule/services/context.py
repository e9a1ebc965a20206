"""What every service is given: the ports it works through and the policies it works by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bascule.domain.event import Event
from bascule.domain.statement import Touch
from bascule.ports.clock import Clock
from bascule.ports.database import Limits, Target
from bascule.ports.source import Source

if TYPE_CHECKING:
    from bascule.domain.migration import Hook
    from bascule.domain.performance import Performance
    from bascule.ports.python import PythonScripts
    from bascule.ports.telemetry import Telemetry
    from bascule.services.backups import Backups
    from bascule.services.trail import Trail
    from bascule.services.validate import Validation

Environment = Literal["development", "staging", "production"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The decisions a project has made."""

    environment: Environment = "development"
    environment_named: bool = False
    """The environment was set somewhere, not taken by default."""
    late: Literal["apply", "refuse"] = "apply"
    """What to do with a pending migration that is older than the newest applied one."""
    lock_wait: float = 300.0
    """Seconds to wait for the lease; 0: not at all."""
    limits: Limits = field(default_factory=Limits)
    accept_data_loss: bool = False
    validate: bool = True
    """Look at the data before and after runs, unless a run is told not to."""
    strict: bool = False
    """What the data rules find about the tables that a run touches refuses it, warnings too."""
    on_failure: Literal["careful", "down", "restore", "stop"] = "careful"
    """Which policy of `bascule.rollback.after_failure` decides what is done after a failure."""
    variables: Mapping[str, str] = field(default_factory=dict)
    preimage_retention: float = 30 * 86400.0
    """Seconds for which what a migration destroyed is kept beside the tables."""
    plan_lifetime: float = 86400.0
    """Seconds for which a plan that was written to a file may be run."""
    approvals: int = 0
    """How many others than its author must have approved a plan before it runs on production."""
    plan_key: Callable[[], str] | None = None
    """The secret that signs plans, asked only when one is written or read; None: there is none."""
    own_schema: str = "bascule"
    """PostgreSQL: where Bascule keeps its things."""
    outside: Touch = field(default_factory=Touch)
    """Objects the user leaves out of fingerprints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Ports and policies of one command."""

    source: Source
    target: Target
    policy: Policy
    clock: Clock
    publish: Callable[[Event], None]
    """The bus. Never raises."""
    say: Callable[[str], None]
    """A line for the person at the terminal (stderr)."""
    confirm: Callable[[str], bool] | None = None
    """Ask a yes/no question; None when nobody is there to answer."""
    python: Callable[[], PythonScripts | None] = lambda: None
    """Who runs Python migrations, asked only when there is one; None when the extra is not installed."""
    hooks: Callable[[], Sequence[Hook]] = tuple
    """The project's scripts around up and rollback, asked only when something runs."""
    rules: Callable[[], Validation] | None = None
    """The data rules, asked only when a migration writes rows; None: nobody asks them around a run."""
    backups: Callable[[], Backups] | None = None
    """Where backups go, asked only when one is taken or read; None: none are taken by themselves."""
    save: bool = True
    """Take one before what can destroy something, unless a run is told not to."""
    owner: str = ""
    """user@host:pid, shown to whoever waits for us."""
    stopping: Callable[[], str | None] = lambda: None
    """Name of the signal that asked us to stop, None while none has."""
    run_ids: Mapping[str, str] = field(default_factory=dict)
    """By migration the id that its run was promised to somebody."""
    trail: Trail | None = None
    """Writes the audit log; None: nobody who could change something asks."""
    measured: Callable[[], Sequence[Performance]] = tuple
    """Takes what was measured of the runs that have ended since it was last asked."""
    telemetry: Telemetry | None = None
    """Told what is done; None: nobody gathers traces."""
    conceal: Callable[[str], str] = str
    """Takes the values of secret variables out of a text."""


__all__ = ["Context", "Environment", "Policy"]
