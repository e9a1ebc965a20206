"""`bascule health`."""

from __future__ import annotations

import click

from bascule.cli.call import Call
from bascule.cli.options import verb
from bascule.cli.session import reading
from bascule.cli.words import table


@verb("health")
@click.option("--check", is_flag=True, help="Exit with 3 when it is degraded, too.")
def command(call: Call, check: bool) -> int:
    """Show whether database, migrations, validation and rollback are in order, and what to do where they are not."""
    from bascule import wiring
    from bascule.sources.cache import FingerprintCache, fingerprints_cached

    with reading(call) as context:
        cache = FingerprintCache(context.source.folder)
        known = fingerprints_cached((ref for ref in context.source.listing() if not ref.repeatable), cache)
        health = wiring.health(call.settings, context, fingerprints=known)
    call.output.text(health.status)
    for line in table(list(health.checks.items())):
        call.output.text(line)
    for issue in health.found:
        call.output.text()
        call.output.text(call.output.clean(f"{issue.status}: {issue.message}"))
        call.output.text(call.output.clean(f"  Next: {issue.recommendation}"))
    call.output.document(health.as_dict())
    return 3 if health.status == "unhealthy" or (check and health.status != "healthy") else 0
