"""Rules that have passed, kept in a file of the user's while it can be proved that nothing has changed since.

Only passes are kept: what was found holds rows of somebody's, and is looked at again in any case. It is an aid and
never a source of errors: damaged, foreign, missing or not writable, every rule is asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bascule.domain.run import iso
from bascule.domain.validation import RuleResult

_FORMAT: Final = 1
_LOOKS: Final = 20
"""Of the newest so many different looks passes are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """One such file."""

    path: Path

    def known(self, look: Sequence[str], state: str) -> Mapping[str, RuleResult]:
        """The rules that passed, by id, when the database was in that state. `look`: which database, and how it was
        looked at.
        """
        entry = self._read().get(_name(look))
        if not isinstance(entry, dict) or entry.get("state") != state:
            return {}
        try:
            return {rule: _result(rule, said) for rule, said in entry["rules"].items()}
        except (AttributeError, KeyError, TypeError, ValueError):
            return {}

    def keep(self, look: Sequence[str], state: str, results: Sequence[RuleResult]) -> None:
        """Those of `results` that have passed. Where the file cannot be written, nothing happens."""
        entries = self._read()
        name = _name(look)
        entries.pop(name, None)
        rules = {result.rule_id: _written(result) for result in results if result.status == "pass"}
        entries[name] = {"state": state, "rules": rules}
        kept = dict(list(entries.items())[-_LOOKS:])
        self._write(json.dumps({"format": _FORMAT, "looks": kept}).encode())

    def _read(self) -> dict[str, Any]:
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                known = os.fstat(handle)
                # Somebody else's file could make a broken database look whole.
                if not stat.S_ISREG(known.st_mode) or known.st_uid != os.getuid() or known.st_mode & 0o022:
                    return {}
                found = json.loads(file.read())
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict) or found.get("format") != _FORMAT or not isinstance(found.get("looks"), dict):
            return {}
        return dict(found["looks"])

    def _write(self, data: bytes) -> None:
        temporary = f"{self.path}.{os.getpid()}"
        try:
            os.makedirs(self.path.parent, mode=0o700, exist_ok=True)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, self.path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)


def _name(look: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(look).encode("utf-8", "surrogatepass")).hexdigest()


def _written(result: RuleResult) -> dict[str, Any]:
    return {
        "name": result.rule_name,
        "category": result.category,
        "severity": result.severity,
        "message": result.message,
        "details": dict(result.details),
        "at": iso(result.cached_since or result.timestamp),
    }


def _result(rule: str, said: Mapping[str, Any]) -> RuleResult:
    at = datetime.fromisoformat(said["at"])
    return RuleResult(
        rule_id=rule,
        rule_name=said["name"],
        category=said["category"],
        severity=said["severity"],
        status="pass",
        message=said["message"],
        details=said["details"],
        timestamp=at,
        cached_since=at,
    )
