"""Django, with its statements in RunSQL operations, one migration a transaction (its default)."""

from __future__ import annotations

from pathlib import Path

from benchmarks.many import Small
from benchmarks.peers import Peer
from benchmarks.timing import environment, python

_SETTINGS = """import os
from urllib.parse import urlsplit

INSTALLED_APPS = ["small"]
url = urlsplit(os.environ["TARGET"])
if url.scheme == "sqlite":
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": url.path[1:]}}
else:
    DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:], "USER": url.username,
                             "HOST": url.hostname, "PORT": url.port}}
"""

_MIGRATION = """from django.db import migrations


class Migration(migrations.Migration):
    dependencies = {before!r}
    operations = [migrations.RunSQL({up!r}, {down!r})]
"""


def prepare(folder: Path, migrations: list[Small], database: str) -> list[Peer]:
    """Write the app and one migration file each."""
    from importlib.util import find_spec

    if find_spec("django") is None:
        raise ImportError("Django is not installed")
    app = folder / "small"
    (app / "migrations").mkdir(parents=True)
    (app / "__init__.py").write_text("")
    (app / "migrations" / "__init__.py").write_text("")
    (folder / "settings.py").write_text(_SETTINGS)
    before: list[tuple[str, str]] = []
    for each in migrations:
        name = f"m{each.number:06d}_{each.kind}"
        text = _MIGRATION.format(before=before, up=each.up, down=each.down)
        (app / "migrations" / f"{name}.py").write_text(text)
        before = [("small", name)]
    return [
        Peer(
            name="Django",
            command=lambda url: [python(), "-m", "django", "migrate", "--verbosity", "0"],
            cwd=folder,
            env=lambda url: environment(TARGET=url, DJANGO_SETTINGS_MODULE="settings", PYTHONPATH=str(folder)),
        )
    ]
