"""knex, in its default way: a transaction for each migration."""

from __future__ import annotations

import json

from benchmarks.contenders import Contender
from benchmarks.peers.installing import NotInstalled, Setting, node_modules

_SETTINGS = """module.exports = {
  client: "pg",
  connection: process.env.PEER_URL,
  migrations: {directory: "./migrations"},
};
"""
_MIGRATION = """exports.up = (knex) => knex.raw(%s);
exports.down = (knex) => knex.raw(%s);
"""


def contenders(setting: Setting) -> list[Contender]:
    """One JavaScript file each."""
    if setting.dialect != "postgresql":
        raise NotInstalled(
            "measured on PostgreSQL only: its drivers for SQLite are compiled, or fetched from elsewhere"
        )
    modules = node_modules(setting, ["knex", "pg"])
    folder = setting.folder
    (folder / "node_modules").symlink_to(modules)
    (folder / "knexfile.js").write_text(_SETTINGS)
    scripts = folder / "migrations"
    scripts.mkdir()
    for each in setting.migrations:
        (scripts / f"{each.name}.js").write_text(_MIGRATION % (json.dumps(each.up), json.dumps(each.down)))
    return [
        Contender(
            name="knex",
            command=lambda _: [modules / ".bin" / "knex", "migrate:latest"],
            folder=folder,
            environment=lambda url: {"PEER_URL": url},
            recorded="SELECT count(*) FROM knex_migrations",
            is_peer=True,
        )
    ]
