"""What the code can tell stands in the documentation as the code tells it now."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from bascule.cli.catalogue import VERBS
from bascule.config.variables import ENTRIES, Entry
from docs import generate
from tests.docs.pages import ROOT, anchors, named

CLI = ROOT / "docs" / "reference" / "cli.md"
SETTINGS = ROOT / "docs" / "reference" / "settings.md"
GENERATED = [page for page in generate.pages() if "<!-- generated:" in page.read_text(encoding="utf-8")]
SOURCE = ROOT / "src" / "bascule"


@pytest.mark.parametrize("page", [named(page) for page in GENERATED])
def test_the_generated_parts_are_up_to_date(page: str) -> None:
    assert generate.out_of_date([ROOT / page]) == [], "run: python -m docs.generate"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_section_with_all_of_its_options(verb: str) -> None:
    assert verb in anchors(CLI)
    section = re.split(rf"^## {verb}$", CLI.read_text(encoding="utf-8"), flags=re.MULTILINE)[1].split("\n## ")[0]
    names = [name for option in generate.options_of(generate.command(verb)) for name in option.opts]
    assert [name for name in names if f"| `{name}" not in section and f", `{name}" not in section] == []


def test_every_option_that_all_verbs_take_has_its_line() -> None:
    text = CLI.read_text(encoding="utf-8")
    names = [name for option in generate.options_of(generate.command("up"), common=True) for name in option.opts]
    assert "--json" in names
    assert [name for name in names if f"`{name}" not in text] == []


def test_no_command_has_a_section_that_is_not_there() -> None:
    sections = re.findall(r"^## (\w+)$", CLI.read_text(encoding="utf-8"), re.MULTILINE)
    assert sections == list(VERBS)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_setting_has_its_line(entry: Entry) -> None:
    (row,) = [
        line for line in SETTINGS.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{entry.name}` |")
    ]
    assert entry.variable in row
    assert all(word in row for word in entry.allowed)


def test_a_setting_said_to_be_without_effect_is_used_nowhere() -> None:
    fields = {name.replace(".", "_").removesuffix("_file") for name in generate.WITHOUT_EFFECT}
    fields = {"jwt" if field.startswith("jwt_") else field for field in fields}
    used = {
        node.attr
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).parts[0] not in ("config", "testing")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "settings"
    }
    assert "migrations_dir" in used, "the settings are read by another name now"
    assert used & fields == set()


def test_a_page_with_an_old_part_is_told_and_mended(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- generated: verbs -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    assert generate.out_of_date([page]) == [page]
    mended = generate.filled(page.read_text(encoding="utf-8"))
    assert mended.startswith("before\n<!-- generated: verbs -->\n| verb | does |\n")
    assert mended.endswith("<!-- end -->\nafter\n")
    assert generate.filled(mended) == mended


def test_times_and_numbers_of_a_demo_do_not_make_it_another_one() -> None:
    one = "  name   22 ms  completed  (resumed run x_1795389649799)"
    other = "  name    8 ms  completed  (resumed run x_1795389000000)"
    assert generate.normal(one) == generate.normal(other)
    assert generate.normal("process 17 killed at 10:11:12") == generate.normal("process 4711 killed at 23:59:59")
    assert generate.normal("  name   22 ms  completed") != generate.normal("  name   22 ms  failed")
