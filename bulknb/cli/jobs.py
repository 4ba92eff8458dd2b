"""The commands of jobs: list, show, close, abort, delete."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.text import Text

import bulknb

from ._org import deliberately, takes_away, with_org
from ._show import readable, table

_BATCHES = {
    "id": "batch",
    "state": "state",
    "number_records_processed": "processed",
    "number_records_failed": "failed",
    "apex_ms": "apex",
    "duration_ms": "took",
}
_WHICH = {"id": "id", "operation": "operation", "object": "object"}
_JOBS = {
    **_WHICH,
    "job_type": "kind",
    "state": "state",
    "user": "user",
    "created_date": "created (UTC)",
    "number_records_processed": "processed",
    "number_records_failed": "failed",
    "total_processing_time_ms": "total ms",
}
_JOBS = {
    **_WHICH,
    "job_type": "kind",
    "state": "state",
    "user": "user",
    "created_date": "created (UTC)",
    "number_records_processed": "processed",
    "number_records_failed": "failed",
    "total_processing_time_ms": "total ms",
}
_STUCK = {
    **_WHICH,
    "user": "user",
    "reason": "reason",
    "for": "for",
    "evidence": "evidence",
    "what_to_do": "what to do",
}


@click.command()
@click.argument("id")
@click.option("--batches", is_flag=True, help="List the batches of a Bulk API 1.0 job, too.")
@with_org
def job(org: bulknb.Org, id: str, batches: bool) -> None:
    """Show a job: its state, counts and times."""
    found = org.job(id)
    console = Console()
    console.print(Text(f"{found.operation} {found.object} {found.id}".strip()))
    width = max(len(name) for name, _ in found.facts())
    for name, value in found.facts():
        console.print(Text(f"  {name:{width}}  {value}"))
    if found.info.error_message:
        console.print(Text(found.info.error_message))
    if batches:
        listed = found.batches()
        console.print(table(listed.frame, _BATCHES))
        for batch in listed:
            if batch.state_message:
                console.print(Text(f"{batch.id}: {batch.state_message}"))


@click.command()
@click.argument("id")
@with_org
def close(org: bulknb.Org, id: str) -> None:
    """Close a job: no more data can be added, and Salesforce queues what it has."""
    click.echo(repr(org.job(id).close()))


@click.command()
@click.argument("id")
@takes_away
@with_org
def abort(org: bulknb.Org, id: str, yes: bool, confirm: str | None) -> None:
    """Abort a job. Rows already written stay written."""
    found = org.job(id)
    deliberately(org, found, "abort", found.abort, yes=yes, confirm=confirm)
    click.echo(repr(found))


@click.command()
@click.argument("id")
@takes_away
@with_org
def delete(org: bulknb.Org, id: str, yes: bool, confirm: str | None) -> None:
    """Delete a job and its results from the org. Rows that it wrote stay."""
    found = org.job(id)
    deliberately(org, found, "delete", found.delete, yes=yes, confirm=confirm)
    click.echo(f"Deleted {found.id}")


@click.command()
@click.option("--state", help="One state only, such as InProgress.")
@click.option("--object", help="One object only, such as Contact.")
@click.option("--last", help='Jobs created in the last "7d", "12h", "30min".')
@click.option("--mine", is_flag=True, help="Only the jobs of the user who is signed in.")
@click.option("--stuck", is_flag=True, help="Only jobs that do not get on, with the reason.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object on a line for each job.")
@with_org
def jobs(org: bulknb.Org, *, stuck: bool, as_json: bool, **filters: Any) -> None:
    """List the jobs of the org, everybody's, of all three APIs."""
    found = org.jobs(**filters)
    frame = found.stuck() if stuck else found.frame
    if as_json:
        click.echo(frame.to_json(orient="records", lines=True, date_format="iso"), nl=False)
    elif frame.empty:
        click.echo("No job is stuck." if stuck else "No jobs.")
    else:
        Console().print(table(readable(frame), _STUCK if stuck else _JOBS))
