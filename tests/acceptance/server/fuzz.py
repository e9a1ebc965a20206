"""The whole API under random requests, as each role: no server error, and no answer that its own description denies.

::

    python -m tests.acceptance.server.fuzz [--examples 50] [--role ROLE]...
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bascule.access.roles import ROLES
from tests.acceptance.commandline import Project
from tests.acceptance.server.served import served, token

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
# A stream has no end that could be waited for, and a session would log the role in and out.
_LEFT_OUT = "events$|session$"


def project_in(folder: Path) -> Project:
    """With something applied, something pending, and no limits on how often one may ask."""
    project = Project(folder, DATABASE_URL="sqlite:///app.db", BASCULE_AUDIT_DIR=str(folder / "heads"))
    (folder / "bascule.toml").write_text("[server]\nreads = 1000000\nchanges = 1000000\nfailures = 1000000\n")
    project.write("1_users", "create table users (id integer primary key);", "drop table users;")
    project.well("up")
    project.write("2_AddNewTable", "create table fresh (id integer primary key);", "drop table fresh;")
    return project


def fuzzed(project: Project, role: str, examples: int) -> tuple[int, str]:
    """The exit code and what was told, for one role."""
    with served(project) as server:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"http://{server.host}:{server.port}/openapi.json"),
            *("-H", f"Authorization: Bearer {token(project, role)}", "--checks", ",".join(CHECKS)),
            *("--max-examples", str(examples), "--exclude-path-regex", _LEFT_OUT, "--request-timeout", "60"),
            *("--no-color", "--seed", "1", "--generation-database", "none"),
        ]
        environment = {**os.environ, "HOME": str(project.folder)}
        done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False)
        alive = server.get("/healthz").status == 200
    return (done.returncode if alive else 1), done.stdout + done.stderr


def main() -> int:
    """Run it; 0 when nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=50, help="for each operation and phase")
    parser.add_argument("--role", action="append", choices=ROLES)
    given = parser.parse_args()
    bad = 0
    for role in given.role or ROLES:
        with tempfile.TemporaryDirectory(prefix="bascule-fuzz-") as folder:
            code, told = fuzzed(project_in(Path(folder)), role, given.examples)
        summary = [line.strip() for line in told.splitlines() if "generated" in line or "failure" in line]
        print(f"{role}: {'nothing found' if code == 0 else 'FOUND'}; {'; '.join(summary)}")
        if code:
            bad += 1
            print(told)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
