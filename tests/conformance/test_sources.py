"""Each folder format keeps the promises of a `Source`."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.source import SourceConformance


class TestNativeSql(SourceConformance):
    format = "bascule"

    def put(self, folder: Path, version: int, title: str, up: bytes, down: bytes | None = None) -> Path:
        path = folder / f"{version}_{title}.sql"
        text = b"-- migrate:up\n" + (up or b"-- nothing") + b"\n"
        if down is not None:
            text += b"-- migrate:down\n" + (down or b"-- nothing") + b"\n"
        path.write_bytes(text)
        return path


class TestNativePython(SourceConformance):
    format = "bascule"

    def put(self, folder: Path, version: int, title: str, up: bytes, down: bytes | None = None) -> Path:
        path = folder / f"{version}_{title}.py"
        path.write_bytes(_function(b"up", up) + (_function(b"down", down) if down is not None else b""))
        return path


def _function(name: bytes, sql: bytes) -> bytes:
    body = b'op.execute("""' + sql + b'""")' if sql else b"pass  # nothing"
    return b"def " + name + b"(op):\n    " + body + b"\n"


class TestGolangMigrate(SourceConformance):
    format = "golang-migrate"

    def put(self, folder: Path, version: int, title: str, up: bytes, down: bytes | None = None) -> Path:
        path = folder / f"{version}_{title}.up.sql"
        path.write_bytes(up or b"-- nothing\n")
        if down is not None:
            (folder / f"{version}_{title}.down.sql").write_bytes(down or b"-- nothing\n")
        return path


class TestDiesel(SourceConformance):
    format = "diesel"

    def put(self, folder: Path, version: int, title: str, up: bytes, down: bytes | None = None) -> Path:
        # diesel compares versions as text, so they have one length, as `diesel migration generate` writes them.
        inner = folder / f"{2000 + version}-01-01-000000_{title}"
        inner.mkdir()
        (inner / "up.sql").write_bytes(up or b"-- nothing\n")
        if down is not None:
            (inner / "down.sql").write_bytes(down or b"-- nothing\n")
        return inner / "up.sql"
