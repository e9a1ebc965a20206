"""Begin a project: a configuration file, a migrations folder, and the target's own mark of its environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bascule.domain.history import Fact
from bascule.errors import Refused, SourceError
from bascule.ports.database import Target

_CONFIG = """\
# Settings of Bascule. A variable or an option wins over this file; `bascule doctor` shows what holds, and why.

migrations_dir = {migrations_dir}
{environment}
{database}
# Passwords do not belong here: set DATABASE_URL or DATABASE_PASSWORD, or name a command that prints the password.
# database_url = "postgresql://app@db.example:5432/app"
# password_command = "pass show app/migrations"

# A pending migration that is older than the newest applied one: "apply" it, or "refuse".
# late = "apply"

# [limits]
# lock_timeout = "50ms"       # one try at a lock inside a transaction
# lock_retry = "60s"          # how long tries are repeated
# statement_timeout = "none"

# [targets.reporting]         # chosen by --target reporting
# database_url = "postgresql://app@reports.example:5432/reports"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitReport:
    """What there was to do."""

    created: tuple[str, ...]
    """Paths of what was written."""
    kept: tuple[str, ...]
    """What was there already, and is as it was."""
    environment: str | None
    """What the target now remembers to be; None where no target was marked."""
    target: str = ""
    """Who was marked."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "success": True,
            "created": list(self.created),
            "kept": list(self.kept),
            "environment": self.environment,
            "target": self.target or None,
        }


def initialise(
    config_file: Path,
    migrations: Path,
    *,
    configured: Path | None = None,
    environment: str | None = None,
    default_database: str | None = None,
    target: Target | None = None,
    relabel: bool = False,
    reason: str | None = None,
    owner: str = "",
) -> InitReport:
    """Write what is missing and mark the target; nothing that exists is overwritten.

    `configured`: a configuration file that is there already. `default_database`: the SQLite file to write down for
    development. `target`: the database to mark as `environment`; `relabel` allows to change a mark it has, and
    `reason` to take that of production away; `owner`: who does.

    Raises:
        Refused: code ``environment_mismatch``, the target says it is another environment; ``protected``, it says that
            it is production, and there is no reason.
        SourceError: a file or folder cannot be written.
    """
    marked = target is not None and environment is not None
    if target is not None and environment is not None:
        _check_mark(target, environment, relabel=relabel, reason=reason)
    created: list[str] = []
    kept: list[str] = []
    if configured is not None:
        kept.append(str(configured))
    else:
        text = _config_text(config_file, migrations, environment, default_database)
        (created if _write_new(config_file, text) else kept).append(str(config_file))
    (created if _make_folder(migrations) else kept).append(str(migrations))
    server = ""
    if target is not None and environment is not None:
        target.prepare()
        if _leaves_production(target, environment):
            data: dict[str, Any] = {
                "reason": reason,
                "owner": owner,
                "migrations": [],
                "what": f"init --environment {environment}",
            }
            target.append((Fact(kind="protected_run", run_id="", migration="", data=data),))
        target.remember_environment(environment)
        server = target.describe().server
    return InitReport(
        created=tuple(created), kept=tuple(kept), environment=environment if marked else None, target=server
    )


def _leaves_production(target: Target, environment: str) -> bool:
    return target.describe().environment == "production" and environment != "production"


def _check_mark(target: Target, environment: str, *, relabel: bool, reason: str | None) -> None:
    remembered = target.describe().environment
    if remembered is None or remembered == environment:
        return
    if _leaves_production(target, environment) and not (reason and reason.strip()):
        raise Refused(
            f"The target says it is production. Marked as {environment}, it would not be protected any more.",
            code="protected",
            hint=f"Check the address. If it is right: bascule init --environment {environment} --yes "
            "--yes-production REASON; the reason is kept in the audit log and raises an alert.",
        )
    if relabel:
        return
    raise Refused(
        f"The target says it is {remembered}, and would be marked as {environment}.",
        code="environment_mismatch",
        hint=f"Check the address. If it is right, mark it with: bascule init --environment {environment} --yes",
    )


def _config_text(config_file: Path, migrations: Path, environment: str | None, default_database: str | None) -> str:
    import json

    try:
        folder = str(migrations.relative_to(config_file.parent))
    except ValueError:
        folder = str(migrations)
    if default_database is not None:
        database = (
            "# Used in development while nothing else names a database.\n"
            f"default_database = {json.dumps(default_database)}\n"
        )
    else:
        database = ""
    # A JSON text is a TOML text too.
    return _CONFIG.format(
        migrations_dir=json.dumps(folder, ensure_ascii=False),
        environment=f"environment = {json.dumps(environment)}\n" if environment else "",
        database=database,
    ).replace("\n\n\n", "\n\n")


def _write_new(path: Path, text: str) -> bool:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    except OSError as problem:
        raise SourceError(
            f"{path} cannot be written: {problem.strerror}.",
            code="not_writable",
            hint="Check the folder's permissions.",
        ) from problem
    return True


def _make_folder(path: Path) -> bool:
    if path.is_dir():
        return False
    try:
        path.mkdir(parents=True)
    except OSError as problem:
        raise SourceError(
            f"The folder {path} cannot be made: {problem.strerror}.", code="not_writable", hint="Check the path."
        ) from problem
    return True
