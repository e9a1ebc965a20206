"""Names of migrations, offered by the shell's completion. Reads the folder's listing and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bascule.cli.options import call_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


# Generic in newer versions of click, and not in older ones.
class MigrationName(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A text; what it may be is known only to the folder."""

    name = "name"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,
        incomplete: str,
    ) -> list[CompletionItem]:
        """Names that begin so, with or without their version. A folder that cannot be read offers nothing."""
        from click.shell_completion import CompletionItem

        from bascule import wiring
        from bascule.errors import BasculeError

        try:
            listing = wiring.open_source(call_of(ctx).settings).listing()
        except BasculeError:
            return []
        return [CompletionItem(name) for name in offered((ref.name for ref in listing), incomplete)]


def offered(names: Any, incomplete: str) -> list[str]:
    """Whole names, or what follows their version where that is how the typed text begins."""
    found = []
    for name in names:
        if name.startswith(incomplete):
            found.append(name)
        elif incomplete:
            title = name.partition("_")[2]
            if title.lower().startswith(incomplete.lower()):
                found.append(name)
    return found
