"""`bascule completion SHELL`."""

from __future__ import annotations

import click

from bascule.cli.call import Call
from bascule.cli.options import verb

_INSTALL = {
    "bash": 'eval "$(bascule completion bash)"   in ~/.bashrc',
    "zsh": 'eval "$(bascule completion zsh)"   in ~/.zshrc, after compinit',
    "fish": "bascule completion fish > ~/.config/fish/completions/bascule.fish",
}


@verb("completion")
@click.argument("shell", type=click.Choice(list(_INSTALL)))
def command(call: Call, shell: str) -> None:
    """Print the completion script for a shell: verbs, options, and names of migrations."""
    from click.shell_completion import get_completion_class

    from bascule.cli.group import build

    kind = get_completion_class(shell)
    assert kind is not None, "click knows the three shells"
    script = kind(build(), {}, "bascule", "_BASCULE_COMPLETE").source()
    call.output.text(script)
    call.output.document({"shell": shell, "script": script})
    call.output.note(f"To install it: {_INSTALL[shell]}")
