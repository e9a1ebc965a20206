"""TypeORM, in one transaction (its default) and in one for each migration."""

from __future__ import annotations

import json

from benchmarks.contenders import Contender
from benchmarks.peers.installing import NotInstalled, Setting, node_modules

_SOURCE = """const {DataSource} = require("typeorm");
module.exports = new DataSource({
  type: "postgres",
  url: process.env.PEER_URL,
  migrations: [__dirname + "/migrations/*.js"],
  migrationsTransactionMode: process.env.PEER_TRANSACTION,
});
"""
_MIGRATION = """module.exports = class %s {
  async up(runner) { await runner.query(%s); }
  async down(runner) { await runner.query(%s); }
};
"""
_EPOCH_MS = 1_735_689_600_000
"""A class is named for the millisecond of its making, in 13 digits; these are that many after it."""


def contenders(setting: Setting) -> list[Contender]:
    """One JavaScript file each."""
    if setting.dialect != "postgresql":
        raise NotInstalled(
            "measured on PostgreSQL only: its drivers for SQLite are compiled, or fetched from elsewhere"
        )
    modules = node_modules(setting, ["typeorm", "pg", "reflect-metadata"])
    folder = setting.folder
    (folder / "node_modules").symlink_to(modules)
    (folder / "source.js").write_text(_SOURCE)
    scripts = folder / "migrations"
    scripts.mkdir()
    for each in setting.migrations:
        name = f"{each.kind.title()}{each.group}At{_EPOCH_MS + each.number}"
        text = _MIGRATION % (name, json.dumps(each.up), json.dumps(each.down))
        (scripts / f"{each.name}.js").write_text(text)
    return [
        _contender(setting, "TypeORM, one transaction", "all"),
        _contender(setting, "TypeORM, transaction each", "each"),
    ]


def _contender(setting: Setting, name: str, transaction: str) -> Contender:
    program = setting.tools / "node_modules" / ".bin" / "typeorm"
    return Contender(
        name=name,
        command=lambda _: [program, "migration:run", "-d", setting.folder / "source.js"],
        folder=setting.folder,
        environment=lambda url: {"PEER_URL": url, "PEER_TRANSACTION": transaction},
        recorded="SELECT count(*) FROM migrations",
        is_peer=True,
    )
