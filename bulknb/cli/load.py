"""The commands of loads: load a file, resume what was broken off."""

from __future__ import annotations

import click
from rich.console import Console

import bulknb

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
@with_org
def load(org: bulknb.Org, file: str, object: str, operation: str, external_id: str | None) -> None:
    """Load a file, such as contacts.csv Contact insert, and tell what became of its rows.

    Files end in .csv, .csv.gz or .parquet.
    """
    tell(org.load(file, object, operation, external_id=external_id))


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@with_org
def resume(org: bulknb.Org, file: str | None) -> None:
    """Bring to an end the loads that were broken off.

    With the FILE that was being loaded, rows that were not sent are sent.
    """
    loads = org.resume(file)
    for each in loads:
        tell(each)
    click.echo(repr(loads))


def tell(started: bulknb.Load) -> None:
    """Wait for a load, and tell what became of its rows."""
    try:
        started.wait()
    finally:
        click.echo(repr(started))
    errors = started.errors().assign(object=started.object)
    if len(errors):
        Console().print("Rows that failed, by reason:", table(errors, FAILURES))
