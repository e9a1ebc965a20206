"""Whether SQLAlchemy and Alembic are here, in versions that this package was written for."""

from __future__ import annotations

import importlib.util
from importlib import metadata

from bascule.errors import ConfigError

_OLDEST = {"sqlalchemy": (1, 4), "alembic": (1, 13)}
_HINT = "pip install 'bascule[alembic]'"


def require_extra() -> None:
    """Raise ConfigError unless both are installed and new enough. Imports neither."""
    for package, oldest in _OLDEST.items():
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"Python migrations need {package}, which is not installed.", code="extra_missing", hint=_HINT
            )
        version = metadata.version(package)
        if _numbers(version) < oldest:
            raise ConfigError(
                f"Python migrations need {package} {'.'.join(map(str, oldest))} or newer; {version} is installed.",
                code="extra_too_old",
                hint=_HINT,
            )


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version, whatever follows them."""
    digits = ("".join(char for char in part if char.isdigit()) for part in version.split(".")[:2])
    return tuple(int(part or 0) for part in digits)
