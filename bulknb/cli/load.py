"""The commands of loads: load a file, resume what was broken off."""

from __future__ import annotations

import contextlib

import click
from rich.console import Console

import bulknb

from ..errors import StillRunningError
from ._org import with_org
from ._show import table

FAILURES = {
    "rows": "rows",
    "object": "object",
    "error_code": "reason",
    "example_message": "for example",
}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.argument("object")
@click.argument("operation")
@click.option("--external-id", help="For upsert: the field that tells records apart.")
@click.option("--no-close", is_flag=True, help="Upload only, until bulknb resume --close.")
@with_org
def load(
    org: bulknb.Org,
    file: str,
    object: str,
    operation: str,
    external_id: str | None,
    no_close: bool,
) -> None:
    """Load a file, such as contacts.csv Contact insert, and tell what became of its rows.

    Files end in .csv, .csv.gz or .parquet.
    """
    tell(org.load(file, object, operation, external_id=external_id, close=not no_close))


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--close", is_flag=True, help="Close the jobs of loads that wait for it.")
@with_org
def resume(org: bulknb.Org, file: str | None, close: bool) -> None:
    """Bring to an end the loads that were broken off.

    With the FILE that was being loaded, rows that were not sent are sent.
    """
    loads = org.resume(file)
    for each in loads:
        tell(each, close=close)
    click.echo(repr(loads))


def tell(started: bulknb.Load, *, close: bool = False) -> None:
    """Wait for a load, or until it is held if it is not to be closed, and tell of its rows."""
    try:
        with contextlib.suppress(StillRunningError):  # it is held
            started.wait()
        if close and started.held:
            started.close().wait()
    finally:
        click.echo(repr(started))
    if started.held:
        click.echo("Nothing of it is processed before: bulknb resume --close")
        return
    errors = started.errors().assign(object=started.object)
    if len(errors):
        Console().print("Rows that failed, by reason:", table(errors, FAILURES))
