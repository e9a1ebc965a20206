"""`bascule serve`."""

from __future__ import annotations

import click

from bascule.cli.call import Call
from bascule.cli.options import verb


@verb("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.", metavar="HOST")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port; 0: any free one.", metavar="N"
)
@click.option("--ssl-certfile", type=click.Path(dir_okay=False), help="Certificate, with its chain.", metavar="F")
@click.option("--ssl-keyfile", type=click.Path(dir_okay=False), help="Its key.", metavar="F")
@click.option("--behind-proxy", is_flag=True, help="A proxy in front speaks TLS, and tells who asks.")
@click.option(
    "--proxies",
    type=click.IntRange(1, 20),
    help="How many proxies stand in front, one behind the other; 1 where --behind-proxy stands alone.",
    metavar="N",
)
@click.option("--open-metrics", is_flag=True, help="/metrics needs no token.")
def command(
    call: Call,
    host: str,
    port: int,
    ssl_certfile: str | None,
    ssl_keyfile: str | None,
    behind_proxy: bool,
    proxies: int | None,
    open_metrics: bool,
) -> int:
    """Serve the REST API and the dashboard."""
    from bascule.server.listening import Listening, serve
    from bascule.server.options import Options
    from bascule.server.recipe import Recipe

    call.log_requests()
    recipe = Recipe(flags=dict(call.flags), config=call.config, target=call.target)
    where = Listening(
        host=host,
        port=port,
        certificate=ssl_certfile,
        key=ssl_keyfile,
        behind_proxy=behind_proxy,
        proxies=proxies,
    )
    return serve(recipe, where, Options(open_metrics=open_metrics), call.settings, call.output.insist)
