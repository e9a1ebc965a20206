"""Whom a server runs as. PostgreSQL and PgBouncer refuse to run as root, which therefore lends them another account."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, run

# A Unix socket's whole path may have about 107 bytes; the folder's own name and the socket's take some 40 of them.
_LONGEST_SOCKET_PARENT = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A user that server processes are started as; ``uid`` None: the one we are."""

    uid: int | None = None
    gid: int | None = None
    extra_groups: tuple[int, ...] | None = None

    @classmethod
    def for_servers(cls) -> Account:
        """The present user, or for root the first that exists of ``postgres`` and ``nobody``."""
        if os.geteuid() != 0:
            return cls()
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        entry = known.get("postgres") or known.get("nobody")
        if entry is None:
            raise LookupError("a server cannot run as root, and there is neither a user 'postgres' nor a user 'nobody'")
        return cls(uid=entry.pw_uid, gid=entry.pw_gid, extra_groups=())

    def can_execute(self, program: Path) -> bool:
        """Whether this account can start the program. It is tried (``--version``): folders and libraries count too."""
        try:
            return self.run([program, "--version"], cwd=Path("/")).returncode == 0
        except PermissionError:
            return False

    def run(self, command: Sequence[str | Path], *, cwd: Path) -> CompletedProcess[str]:
        """Run a short command to its end as this account; its output is text. Raises OSError where it cannot start."""
        return run(
            [str(part) for part in command],
            cwd=cwd,
            env=server_environment(),
            stdin=DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            user=self.uid,
            group=self.gid,
            extra_groups=self.extra_groups,
        )

    def new_folder(self, prefix: str) -> Path:
        """A new folder that belongs to this account, short enough in its name for a Unix socket."""
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self._temporary_parent()))
        self.own(folder)
        return folder

    def own(self, path: Path) -> None:
        """Make the file or folder, or the symbolic link itself, this account's."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def _temporary_parent(self) -> Path:
        parent = Path(tempfile.gettempdir())
        if len(os.fsencode(parent)) > _LONGEST_SOCKET_PARENT or not self._can_enter(parent):
            return Path("/tmp")
        return parent

    def _can_enter(self, folder: Path) -> bool:
        return self.run(["/bin/sh", "-c", 'cd -- "$0"', folder], cwd=Path("/")).returncode == 0


def server_environment() -> dict[str, str]:
    """What a server may know of our environment: where programs are, and nothing that would change its behaviour."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
