"""The moving picture of a running migration. Only this file imports rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bascule.cli.words import duration

if TYPE_CHECKING:
    from bascule.cli.moment import Moment


def start() -> Live:
    """A place at the bottom of the terminal; it leaves nothing behind."""
    live = Live(
        console=Console(stderr=True, highlight=False),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    live.start()
    return live


def picture(moment: Moment) -> RenderableType:
    """Name, steps, elapsed time and phase; the statement; the server's percentage; who blocks it."""
    head = Table.grid(padding=(0, 2))
    head.add_row(
        Text(moment.name, style="bold", overflow="ellipsis", no_wrap=True),
        Text(moment.step),
        Text(duration(moment.elapsed)),
        Text(moment.phase, style="dim"),
        Text(f"{moment.done} done", style="dim") if moment.done else Text(),
    )
    lines: list[RenderableType] = [head]
    if moment.statement:
        lines.append(Text(f"  {moment.statement}", style="dim", overflow="ellipsis", no_wrap=True))
    if moment.percent is not None:
        bar = Table.grid(padding=(0, 1))
        bar.add_row("  ", ProgressBar(total=100, completed=moment.percent, width=40), Text(f"{moment.percent:.0f} %"))
        lines.append(bar)
    lines += [Text(f"  blocked by {blocker}", style="yellow", overflow="fold") for blocker in moment.waiting]
    return Group(*lines)
