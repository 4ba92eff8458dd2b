"""The command that writes the result of a query into a file."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import bulknb

from ..errors import StillRunningError
from ._org import with_org

_LOOK_SECONDS = 0.1


@click.command()
@click.argument("soql")
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    help="A .csv file, with the texts as Salesforce sends them; a .parquet file, typed; or a folder"
    " for Parquet files.",
)
@click.option("--all-rows", is_flag=True, help="With what is in the recycle bin or archived.")
@click.option("--slices", metavar="FIELD", help="Cut a slow query by this date into several jobs.")
@click.option("--pk-chunking", is_flag=True, help="Cut a slow query by Id, with Bulk API 1.0.")
@with_org
def query(
    org: bulknb.Org, soql: str, output: Path, all_rows: bool, slices: str | None, pk_chunking: bool
) -> None:
    """Write the whole result of a query into a file, or say why not."""
    asked = org.query(
        soql,
        api="1.0" if pk_chunking else "2.0",
        all_rows=all_rows,
        types=output.suffix != ".csv",
        slices=slices,
        pk_chunking=pk_chunking,
    )
    _follow(asked)
    if output.suffix == ".csv":
        asked.to_csv(output)
    else:
        asked.to_parquet(output)
    click.echo(f"{asked.progress.fetched:,} rows are in {output}")


def _follow(asked: bulknb.Query) -> None:
    """Show a bar until the result is here; Ctrl-C aborts the query."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[stage]:<12}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task(asked.object, total=None, stage="")
        try:
            while not asked.done:
                with contextlib.suppress(StillRunningError):
                    asked.wait(_LOOK_SECONDS)
                now = asked.progress
                bars.update(bar, completed=now.fetched, total=now.total, stage=now.stage)
        except KeyboardInterrupt:
            asked.abort()
            raise
