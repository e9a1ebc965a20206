"""What every `Source` promises, whatever its format. A runner for a format says how its files are written."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from bascule.errors import SourceError
from bascule.ports.source import Source
from bascule.sources.detect import open_source


class SourceConformance:
    """Subclass it in a test module, name the format, and write `put`."""

    format: str

    def put(self, folder: Path, version: int, title: str, up: bytes, down: bytes | None = None) -> Path:
        """Write one migration with these SQL texts (`b""`: comments only) and answer the file of the up script."""
        raise NotImplementedError

    def open(self, folder: Path) -> Source:
        return open_source(str(folder))

    def test_its_folder_is_recognised_by_its_shape(self, tmp_path: Path) -> None:
        self.put(tmp_path, 1, "first", b"SELECT 1;", b"SELECT 2;")

        assert self.open(tmp_path).format == self.format
        assert self.open(tmp_path).folder == str(tmp_path)

    def test_the_listing_is_in_the_order_of_numbers_whatever_the_order_of_writing(self, tmp_path: Path) -> None:
        for version in (10, 2, 33, 1):
            self.put(tmp_path, version, f"number_{version}", b"SELECT 1;")

        listing = self.open(tmp_path).listing()

        assert [ref.name.rpartition("_")[2] for ref in listing] == ["1", "2", "10", "33"]
        assert [ref.order for ref in listing] == sorted(ref.order for ref in listing)
        assert len({ref.version for ref in listing}) == 4

    def test_listing_opens_no_migration(self, tmp_path: Path) -> None:
        self.put(tmp_path, 1, "first", b"SELECT 1;")
        self.put(tmp_path, 2, "broken", b"\xff\xfe\x00")
        self.put(tmp_path, 3, "third", b"SELECT 1;")

        assert len(self.open(tmp_path).listing()) == 3

    def test_a_listing_sees_what_was_added_since_the_last_one(self, tmp_path: Path) -> None:
        self.put(tmp_path, 1, "first", b"SELECT 1;")
        source = self.open(tmp_path)
        assert len(source.listing()) == 1

        self.put(tmp_path, 2, "second", b"SELECT 1;")

        assert len(source.listing()) == 2

    def test_reading_gives_both_directions_on_their_own_lines(self, tmp_path: Path) -> None:
        self.put(
            tmp_path, 1, "first", b"CREATE TABLE a (x int);\nCREATE TABLE b (x int);", b"DROP TABLE b;\nDROP TABLE a;"
        )
        source = self.open(tmp_path)

        migration = source.read(source.listing()[0])

        assert migration.down is not None
        for script, statement in ((migration.up, "CREATE TABLE b"), (migration.down, "DROP TABLE a")):
            assert script.transaction
            assert not script.empty
            lines = Path(script.path).read_text(encoding="utf-8").split("\n")
            wanted = next(number for number, line in enumerate(lines, 1) if statement in line)
            assert script.line + script.text[: script.text.index(statement)].count("\n") == wanted

    def test_nothing_is_declared_where_nothing_was_written(self, tmp_path: Path) -> None:
        self.put(tmp_path, 1, "first", b"SELECT 1;", b"SELECT 2;")
        source = self.open(tmp_path)

        migration = source.read(source.listing()[0])

        assert migration.depends is None
        assert migration.irreversible is None
        assert migration.warnings == ()

    def test_the_hash_is_that_of_the_up_files_bytes(self, tmp_path: Path) -> None:
        path = self.put(tmp_path, 1, "first", b"SELECT 1;\r\n", b"SELECT 2;")
        source = self.open(tmp_path)
        ref = source.listing()[0]

        wanted = hashlib.sha256(path.read_bytes()).hexdigest()

        assert ref.path == str(path)
        assert source.fingerprint(ref) == wanted
        assert source.read(ref).exact_hash == wanted

    def test_without_a_down_there_is_no_way_back(self, tmp_path: Path) -> None:
        self.put(tmp_path, 1, "first", b"SELECT 1;", None)
        source = self.open(tmp_path)

        assert source.read(source.listing()[0]).down is None

    def test_scripts_of_comments_only_are_empty(self, tmp_path: Path) -> None:
        self.put(tmp_path, 1, "first", b"", b"")
        source = self.open(tmp_path)

        migration = source.read(source.listing()[0])

        assert migration.up.empty
        assert migration.down is not None
        assert migration.down.empty

    def test_a_byte_order_mark_is_no_part_of_the_script(self, tmp_path: Path) -> None:
        path = self.put(tmp_path, 1, "first", b"SELECT 1;", b"SELECT 2;")
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        source = self.open(tmp_path)

        migration = source.read(source.listing()[0])

        assert "SELECT 1;" in migration.up.text
        assert "\ufeff" not in migration.up.text

    def test_windows_line_ends_change_no_line_number(self, tmp_path: Path) -> None:
        path = self.put(tmp_path, 1, "first", b"SELECT 1;\nSELECT 2;", b"SELECT 3;")
        unix = self.open(tmp_path)
        before = unix.read(unix.listing()[0])
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        windows = self.open(tmp_path)

        after = windows.read(windows.listing()[0])

        assert after.up.line == before.up.line
        assert after.up.text.replace("\r\n", "\n").rstrip() == before.up.text.rstrip()
        assert not after.up.empty
        assert (after.down is None) == (before.down is None)

    def test_no_final_line_end_is_needed(self, tmp_path: Path) -> None:
        path = self.put(tmp_path, 1, "first", b"SELECT 1")
        path.write_bytes(path.read_bytes().rstrip())
        source = self.open(tmp_path)

        assert "SELECT 1" in source.read(source.listing()[0]).up.text

    def test_text_that_is_not_utf_8_is_refused_with_its_line(self, tmp_path: Path) -> None:
        path = self.put(tmp_path, 1, "first", b"SELECT 1;\nSELECT 'caf\xe9';")
        source = self.open(tmp_path)
        data = path.read_bytes()
        line = data[: data.index(b"\xe9")].count(b"\n") + 1

        with pytest.raises(SourceError) as refusal:
            source.read(source.listing()[0])

        assert f"{path}, line {line}: not UTF-8" in refusal.value.message
        assert refusal.value.details["offset"] == data.index(b"\xe9")
        assert refusal.value.state == "unchanged"

    def test_a_nul_byte_is_refused(self, tmp_path: Path) -> None:
        self.put(tmp_path, 1, "first", b"SELECT '\0';")
        source = self.open(tmp_path)

        with pytest.raises(SourceError, match="NUL byte"):
            source.read(source.listing()[0])

    def test_a_file_that_is_gone_is_named(self, tmp_path: Path) -> None:
        path = self.put(tmp_path, 1, "first", b"SELECT 1;")
        source = self.open(tmp_path)
        ref = source.listing()[0]
        path.unlink()

        with pytest.raises(SourceError, match="cannot be read: No such file"):
            source.read(ref)
        with pytest.raises(SourceError, match="cannot be read: No such file"):
            source.fingerprint(ref)

    def test_what_stands_beside_is_passed_over_with_a_word(self, tmp_path: Path) -> None:
        self.put(tmp_path, 1, "first", b"SELECT 1;")
        (tmp_path / "README.md").write_text("read me")
        (tmp_path / "checksums.txt").write_text("0")
        (tmp_path / ".lock").write_text("")
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "9_to_a_pipe.sql").symlink_to(tmp_path / "pipe")
        source = self.open(tmp_path)

        assert len(source.listing()) == 1
        assert sorted(line.partition(":")[0] for line in source.passed_over()) == [
            "9_to_a_pipe.sql",
            "README.md",
            "checksums.txt",
            "pipe",
        ]

    def test_one_version_twice_is_refused_naming_both(self, tmp_path: Path) -> None:
        self.put(tmp_path, 7, "one", b"SELECT 1;")
        self.put(tmp_path, 7, "other", b"SELECT 1;")
        source = self.open(tmp_path)

        with pytest.raises(SourceError, match="same version") as refusal:
            source.listing()

        first, second = refusal.value.details["files"]
        assert {"one" in first, "one" in second} == {True, False}
        assert {"other" in first, "other" in second} == {True, False}
        assert first in refusal.value.message
        assert second in refusal.value.message

    @pytest.mark.parametrize("title", ["two words", "a:b", "it's", 'say "hi"', "copy", "größe", "x.y", "100%", "$x"])
    def test_names_may_hold_almost_anything(self, tmp_path: Path, title: str) -> None:
        self.put(tmp_path, 1, title, b"SELECT 1;")
        source = self.open(tmp_path)
        ref = source.listing()[0]

        assert title in ref.name
        assert "SELECT 1;" in source.read(ref).up.text

    @pytest.mark.parametrize("title", ["line\nbreak", "bell\x07", "tab\there", "not\udcff-utf-8"])
    def test_names_that_cannot_be_typed_are_refused(self, tmp_path: Path, title: str) -> None:
        self.put(tmp_path, 1, title, b"SELECT 1;")

        with pytest.raises(SourceError, match="cannot be the name of a migration") as refusal:
            self.open(tmp_path).listing()

        assert refusal.value.message.isprintable()

    def test_a_link_inside_the_folder_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / ".data").mkdir()
        path = self.put(tmp_path / ".data", 1, "first", b"SELECT 1;", b"SELECT 2;")
        top = path.relative_to(tmp_path / ".data").parts[0]
        for each in (tmp_path / ".data").iterdir():
            (tmp_path / each.name).symlink_to(each)
        source = self.open(tmp_path)

        assert top.startswith(source.listing()[0].name)
        assert "SELECT 1;" in source.read(source.listing()[0]).up.text

    def test_a_link_that_leads_out_is_refused(self, tmp_path: Path) -> None:
        folder, outside = tmp_path / "folder", tmp_path / "outside"
        folder.mkdir()
        outside.mkdir()
        self.put(folder, 1, "first", b"SELECT 1;")
        self.put(outside, 2, "second", b"SELECT 1;")
        for each in outside.iterdir():
            (folder / each.name).symlink_to(each)

        with pytest.raises(SourceError, match="leads out of the migrations folder"):
            self.open(folder).listing()

    def test_a_link_to_nothing_is_refused(self, tmp_path: Path) -> None:
        folder, outside = tmp_path / "folder", tmp_path / "outside"
        folder.mkdir()
        outside.mkdir()
        self.put(folder, 1, "first", b"SELECT 1;")
        self.put(outside, 2, "second", b"SELECT 1;")
        for each in outside.iterdir():
            (folder / each.name).symlink_to(tmp_path / "nowhere")

        with pytest.raises(SourceError, match="leads to nothing"):
            self.open(folder).listing()

    def test_reading_leaves_the_folder_as_it_is(self, tmp_path: Path) -> None:
        self.put(tmp_path, 1, "first", b"SELECT 1;", b"SELECT 2;")
        self.put(tmp_path, 2, "second", b"SELECT 1;")
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        source = self.open(tmp_path)

        for ref in source.listing():
            source.read(ref)
            source.fingerprint(ref)
        source.passed_over()

        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
