"""Fills in those parts of the documentation that the code itself can tell.

::

    python -m docs.generate            write them
    python -m docs.generate --check    name the pages that are out of date; end with 1 if there are any

A part stands in a page between two comments, and everything between them is replaced::

    <!-- generated: options up -->
    <!-- end -->

The first word says what is told, the rest what about. Everything outside of the comments is written by hand.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bascule.cli.catalogue import VERBS
from bascule.cli.group import build
from bascule.cli.options import GlobalOption
from bascule.config.values import spelled
from bascule.config.variables import ENTRIES, Entry

ROOT = Path(__file__).resolve().parents[1]

WITHOUT_EFFECT: set[str] = set()
"""Settings that are read and checked, and that nothing goes by yet."""

_TARGET = ("database_", "password_", "default_database", "direct_url", "state_url", "default_target", "environment")
_LIMITS = ("lock_wait", "limits.")
_MONITORING = ("health.", "metrics_dir", "monitoring.", "log_", "otel", "alerts", "webhook")

_BLOCK = re.compile(r"(<!-- generated: (?P<what>[^\n]+?) -->\n).*?(?=<!-- end -->)", re.DOTALL)

_WRITTEN = {
    "text": "text",
    "path": "path",
    "flag": "true or false",
    "port": "1 to 65535",
    "seconds": "duration",
    "milliseconds": "duration",
    "days": "duration",
    "url": "address",
    "words": "list of texts",
    "table": "table of texts",
    "secret": "text",
    "command": "command",
    "count": "number",
    "rules": "list of tables",
}


def pages() -> list[Path]:
    """Every page of the documentation."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def filled(text: str) -> str:
    """A page with its generated parts as they are now."""
    return _BLOCK.sub(lambda found: f"{found[1]}{_generated(found['what'], found[0][len(found[1]) :])}", text)


def out_of_date(chosen: Iterable[Path] | None = None) -> list[Path]:
    """The pages whose generated parts tell something else than the code."""
    return [page for page in (chosen or pages()) if filled(text := page.read_text(encoding="utf-8")) != text]


def normal(line: str) -> str:
    """A line of the demo without what differs from run to run: times, process numbers, run numbers."""
    line = re.sub(r" +\d+ ms", " N ms", line)
    line = re.sub(r"_\d{13}\b", "_N", line)
    line = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{16}, [\d.]+ \w+", "ID, N B", line)
    line = re.sub(r"\b(process |your-machine:)\d+", r"\1N", line)
    return re.sub(r"\b\d\d:\d\d:\d\d\b", "hh:mm:ss", line).rstrip()


def _generated(what: str, before: str) -> str:
    word, _, about = what.partition(" ")
    return _TELLERS[word](about, before)


# The command line


def command(verb: str) -> click.Command:
    """A verb's command; ``backup create`` is one of a verb's own. Raises LookupError where there is none."""
    found = build()
    for name in verb.split():
        inner = found.get_command(click.Context(found), name) if isinstance(found, click.Group) else None
        if inner is None:
            raise LookupError(f"there is no verb {verb}")
        found = inner
    return found


def options_of(of: click.Command, *, common: bool = False) -> list[click.Option]:
    """A command's own options, or those that every verb has."""
    return [
        each
        for each in of.params
        if isinstance(each, click.Option) and isinstance(each, GlobalOption) == common and not each.hidden
    ]


def _verbs(_about: str, _before: str) -> str:
    rows = [(f"[`{verb}`](#{verb})", line) for verb, line in VERBS.items()]
    return _table(("verb", "does"), rows)


def _options(verb: str, _before: str) -> str:
    """How a verb is called, what it says of itself, and its own options."""
    found = command(verb)
    # A command keeps the help option that it makes for its first context.
    context = click.Context(found, **found.context_settings)
    pieces = [piece for piece in found.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    lines = [
        "```text",
        " ".join(["bascule", verb, "[OPTIONS]", *pieces]),
        "```",
        "",
        inspect.cleandoc(found.help or ""),
        "",
    ]
    rows = [_option_row(option) for option in options_of(found)]
    return "\n".join(lines) + ("\n" + _table(("option", "meaning"), rows) if rows else "")


def _global_options(_about: str, _before: str) -> str:
    return _table(("option", "meaning"), [_option_row(option) for option in options_of(build(), common=True)])


def _option_row(option: click.Option) -> tuple[str, str]:
    names = [*option.opts, *option.secondary_opts]
    value = ""
    if not option.is_flag and not option.count:
        choices = option.type.choices if isinstance(option.type, click.Choice) else ()
        value = f" {option.metavar or '|'.join(map(str, choices))}"
    spelled = ", ".join(f"`{name}{value}`" for name in names)
    meaning = option.help or ""
    if isinstance(option.default, int | float) and not option.is_flag and not option.count:
        meaning += f" Default: {option.default:g}."
    return spelled, meaning + (" Required." if option.required else "")


# Settings


def _settings(group: str, _before: str) -> str:
    chosen = [entry for entry in ENTRIES if _group_of(entry) == group]
    if not chosen:
        raise LookupError(f"there is no group {group} of settings")
    rows = [_setting_row(entry) for entry in chosen]
    return _table(("setting", "variable", "value", "default", "meaning"), rows)


def _group_of(entry: Entry) -> str:
    if entry.name in WITHOUT_EFFECT:
        return "without effect"
    if entry.name.startswith(_TARGET):
        return "target"
    if entry.name.startswith("backup"):
        return "backups"
    if entry.name.startswith(_MONITORING):
        return "monitoring"
    return "waiting" if entry.name.startswith(_LIMITS) else "migrations"


def _setting_row(entry: Entry) -> tuple[str, ...]:
    value = " | ".join(f"`{each}`" for each in entry.allowed) or _WRITTEN[entry.kind]
    if entry.minimum:
        value += f", {entry.minimum:g} bytes or more" if entry.kind == "secret" else f", at least {entry.minimum:g} s"
    if entry.optional:
        value += ", or `none`"
    notes = []
    if not entry.in_files:
        notes.append("never in a file")
    elif not entry.per_target:
        notes.append("not in a target's table")
    meaning = entry.meaning + (f" ({'; '.join(notes)})" if notes else "")
    return (
        f"`{entry.name}`",
        f"`{entry.variable}`" if entry.variable else "",
        value,
        _default(entry),
        meaning[0].upper() + meaning[1:],
    )


def _default(entry: Entry) -> str:
    if entry.default is None:
        return "`none`" if entry.optional else ""
    if isinstance(entry.default, bool):
        return f"`{str(entry.default).lower()}`"
    if isinstance(entry.default, float):
        return f"`{spelled(entry.default).replace(' ', '')}`"
    return f"`{entry.default}`"


# The demo


def run_demo() -> list[str]:
    """The lines that the demo prints, to nobody in particular. Raises CalledProcessError where it goes wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "bascule", "demo"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    lines = done.stdout.strip("\n").splitlines()
    return [re.sub(r"\bfrom \S+@\S+:(\d+),", r"from you@your-machine:\1,", line.rstrip()) for line in lines]


def _demo(_about: str, before: str) -> str:
    """What the demo prints; as it stands there already, unless it differs by more than times."""
    told = run_demo()
    known = before.removeprefix("```text\n").removesuffix("```\n").splitlines()
    if [normal(line) for line in known] == [normal(line) for line in told]:
        return before
    return "\n".join(["```text", *told, "```", ""])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    # Even inside of `…` a bar would end the cell.
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n" for cells in lines)


Teller = Callable[[str, str], str]
_TELLERS: Mapping[str, Teller] = {
    "verbs": _verbs,
    "options": _options,
    "global-options": _global_options,
    "settings": _settings,
    "demo": _demo,
}


def main(arguments: Sequence[str]) -> int:
    """Write, or with ``--check`` only name."""
    only_look = list(arguments) == ["--check"]
    if arguments and not only_look:
        print(__doc__, file=sys.stderr)
        return 2
    stale: list[Any] = out_of_date()
    for page in stale:
        print(f"{'out of date' if only_look else 'written'}: {page.relative_to(ROOT)}")
        if not only_look:
            page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 1 if stale and only_look else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
