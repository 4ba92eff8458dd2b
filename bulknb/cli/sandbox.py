"""The command that serves a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

import bulknb

if TYPE_CHECKING:
    from ..sandbox import Sandbox


@click.command()
@click.option("--port", default=0, help="Port on 127.0.0.1; 0 takes a free one.")
@click.option(
    "--token",
    envvar="BULKNB_SANDBOX_TOKEN",
    help="Session id that requests need; by default a new one. Better given in the environment,"
    " as BULKNB_SANDBOX_TOKEN.",
)
@click.option("--speed", default=1.0, help="Seconds of the org for each second here.")
@click.option("--seed", default=0, help="The same seed gives the same ids and times.")
@click.option(
    "--data",
    default=":memory:",
    type=click.Path(dir_okay=False),
    help="File to keep the org's data in; by default they are gone at the end.",
)
@click.option("--demo", is_flag=True, help="With the demonstration org: airlines and flights.")
def sandbox(port: int, token: str | None, speed: float, seed: int, data: str, demo: bool) -> None:
    """Serve a Bulk API on this machine, until Ctrl-C."""
    try:
        bulknb.sandbox.serve(
            port=port,
            token=token,
            speed=speed,
            seed=seed,
            path=data,
            demo=demo,
            announce=_announce,
        )
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def _announce(served: Sandbox) -> None:
    from ..sandbox import clients

    click.echo(f"URL    {served.url}")
    click.echo(f"Token  {served.token}")
    click.echo("In Python: bulknb.connect(instance_url=URL, access_token=Token)")
    click.echo("In a browser: the URL shows what the org is doing")
    for client in clients.LINES:
        click.echo(f"\nIn {client}:\n\n{clients.lines(client, served.url, served.token)}", nl=False)
