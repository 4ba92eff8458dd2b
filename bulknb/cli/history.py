"""The commands of the history: record, show, import, export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pandas as pd
from rich.console import Console

import bulknb

from .._findings import plural
from ..errors import BulkError
from ._org import with_org
from ._show import readable, table

_JOBS = {
    "id": "id",
    "operation": "operation",
    "object": "object",
    "job_type": "kind",
    "state": "state",
    "created_date": "created (UTC)",
    "number_records_processed": "processed",
    "number_records_failed": "failed",
    "total_processing_time_ms": "total ms",
}
_WHOSE = click.option("--org", help="One org of those that were seen: its URL, host or id.")
_LAST = click.option("--last", help='Jobs created in the last "30d", "12h", "30min".')


@click.group()
def history() -> None:
    """Jobs of the past: what was seen of them, also of those that Salesforce has forgotten."""


@history.command()
@click.option("--last", default="7d", help='Jobs created in the last "7d", "12h", "30min".')
@with_org
def record(org: bulknb.Org, last: str) -> None:
    """Look at the org's jobs and keep them: for a cron job, once a day or more often."""
    click.echo(_jobs(org.history.record(last), "new or changed"))


@history.command()
@_LAST
@_WHOSE
@click.option("--object", help="One object only, such as Contact.")
@click.option("--operation", help="One operation only, such as upsert.")
@click.option("--state", help="One state only, such as Failed.")
@click.option("--user", help="The id of who created them.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object on a line for each job.")
def show(as_json: bool, org: str | None, **which: Any) -> None:
    """List the jobs that were seen; asks no org."""
    try:
        frame = bulknb.History(org).frame(**which)
    except BulkError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(frame.to_json(orient="records", lines=True, date_format="iso"), nl=False)
    elif frame.empty:
        click.echo("No such job was seen. bulknb history record looks at those of an org.")
    else:
        Console().print(table(readable(frame), _JOBS))


@history.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--org", help="The org that they are of, if they do not say: its URL, host or id.")
def import_(files: tuple[Path, ...], org: str | None) -> None:
    """Keep saved records: JobInfo as JSON, XML or CSV, event logs of BulkApi, exported files."""
    try:
        click.echo(_jobs(bulknb.History(org).add(files), "new or changed"))
    except BulkError as error:
        raise click.ClickException(str(error)) from None


@history.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_LAST
@_WHOSE
def export(file: Path, last: str | None, org: str | None) -> None:
    """Write the jobs and all their changes into one Parquet file, for import elsewhere."""
    try:
        path = bulknb.History(org).export(file, last)
    except BulkError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Written: {path}")


def _jobs(frame: pd.DataFrame, what: str) -> str:
    return f"{plural(len(frame), 'job')} {what}"
