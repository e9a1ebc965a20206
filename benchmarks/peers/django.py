"""Django, in its default way: a transaction for each migration. The statements are in RunSQL operations."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from benchmarks.contenders import Contender
from benchmarks.peers.installing import Setting, compile_python, python_programs

_SETTINGS = """import json, os

DATABASES = {"default": json.loads(os.environ["PEER_DATABASE"])}
INSTALLED_APPS = ["small"]
USE_TZ = True
"""
_MIGRATION = """from django.db import migrations


class Migration(migrations.Migration):
    dependencies = {before!r}
    operations = [migrations.RunSQL({up!r}, {down!r})]
"""


def contenders(setting: Setting) -> list[Contender]:
    """An app with one migration file each."""
    programs = python_programs(setting, ["django", "psycopg[binary]"])
    folder = setting.folder
    files = folder / "small" / "migrations"
    files.mkdir(parents=True)
    (folder / "settings.py").write_text(_SETTINGS)
    for package in (files.parent, files):
        (package / "__init__.py").touch()
    before: list[tuple[str, str]] = []
    for each in setting.migrations:
        # A module's name does not begin with a digit.
        name = f"m{each.name}"
        (files / f"{name}.py").write_text(_MIGRATION.format(before=before, up=each.up, down=each.down))
        before = [("small", name)]
    compile_python(programs, folder)
    return [
        Contender(
            name="Django",
            command=lambda _: [programs / "django-admin", "migrate", "--verbosity", "0"],
            folder=folder,
            environment=lambda url: {
                "PEER_DATABASE": json.dumps(_database(setting.dialect, url)),
                "DJANGO_SETTINGS_MODULE": "settings",
                "PYTHONPATH": str(folder),
            },
            recorded="SELECT count(*) FROM django_migrations",
            is_peer=True,
        )
    ]


def _database(dialect: str, url: str) -> dict[str, str]:
    if dialect == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": url.removeprefix("sqlite:///")}
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "USER": parts.username or "",
        "HOST": parts.hostname or "",
        "PORT": str(parts.port),
    }
