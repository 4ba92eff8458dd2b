"""The commands. Each calls what the Python interface has, with the same words."""

from __future__ import annotations

import contextlib
import functools
import shlex
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pandas as pd
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

import bulknb

from . import _doctor
from ._explain import where_time_went
from ._jobs import is_production
from ._jobs.facts import duration
from .errors import BulkError, ConfirmationNeededError, StillRunningError
from .plots import processing_times_figure

if TYPE_CHECKING:
    from .sandbox import Sandbox

_LOOK_SECONDS = 0.1
#: Small chunks, so that the demonstration has several jobs to watch and to compare.
_DEMO_CHUNK_BYTES = 2_000_000

_HISTORY = {
    "object": "object",
    "state": "state",
    "number_records_processed": "processed",
    "number_records_failed": "failed",
    "apex_ms": "apex",
    "api_ms": "api",
    "rest_ms": "rest",
    "total_processing_time_ms": "total",
}
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
_STUCK = {
    **_WHICH,
    "user": "user",
    "reason": "reason",
    "for": "for",
    "evidence": "evidence",
    "what_to_do": "what to do",
}
_FAILURES = {
    "rows": "rows",
    "object": "object",
    "error_code": "reason",
    "example_message": "for example",
}


_STYLES = {"ok": "", "warn": "yellow", "live": "bold red", "fail": "bold red"}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(bulknb.__version__)
def main() -> None:
    """Salesforce bulk loads: see, load, close, abort."""


@main.command()
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
    from .sandbox import clients

    click.echo(f"URL    {served.url}")
    click.echo(f"Token  {served.token}")
    click.echo("In Python: bulknb.connect(instance_url=URL, access_token=Token)")
    click.echo("In a browser: the URL shows what the org is doing")
    for client in clients.LINES:
        click.echo(f"\nIn {client}:\n\n{clients.lines(client, served.url, served.token)}", nl=False)


def with_org(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an org as its first argument: that of --org, or of the environment."""

    @click.option(
        "--org",
        "alias",
        help="Alias or username of a login of the Salesforce CLI; by default the environment"
        " says where: BULKNB_INSTANCE_URL, BULKNB_ACCESS_TOKEN.",
    )
    @functools.wraps(command)
    def connected(*args: Any, alias: str | None, **options: Any) -> None:
        try:
            command(bulknb.connect(alias), *args, **options)
        except BulkError as error:
            raise click.ClickException(str(error)) from None

    return connected


def _takes_away(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a command that asks before it takes something away."""
    yes = click.option("--yes", is_flag=True, help="Do not ask; in production --confirm does this.")
    words = click.option("--confirm", help="In production: its name and the act, as it is told.")
    return yes(words(command))


@main.command()
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
        console.print(_table(listed.frame, _BATCHES))
        for batch in listed:
            if batch.state_message:
                console.print(Text(f"{batch.id}: {batch.state_message}"))


@main.command()
@click.argument("id")
@with_org
def close(org: bulknb.Org, id: str) -> None:
    """Close a job: no more data can be added, and Salesforce queues what it has."""
    click.echo(repr(org.job(id).close()))


@main.command()
@click.argument("id")
@_takes_away
@with_org
def abort(org: bulknb.Org, id: str, yes: bool, confirm: str | None) -> None:
    """Abort a job. Rows already written stay written."""
    found = org.job(id)
    _deliberately(org, found, "abort", found.abort, yes=yes, confirm=confirm)
    click.echo(repr(found))


@main.command()
@click.argument("id")
@_takes_away
@with_org
def delete(org: bulknb.Org, id: str, yes: bool, confirm: str | None) -> None:
    """Delete a job and its results from the org. Rows that it wrote stay."""
    found = org.job(id)
    _deliberately(org, found, "delete", found.delete, yes=yes, confirm=confirm)
    click.echo(f"Deleted {found.id}")


def _deliberately(
    org: bulknb.Org,
    found: bulknb.Job,
    verb: str,
    act: Callable[..., object],
    *,
    yes: bool,
    confirm: str | None,
) -> None:
    """Act if the user means it: in production by the org's name, elsewhere by yes."""
    if not is_production(org._wire) and not (yes or confirm):
        click.confirm(f"{verb.capitalize()} {found!r}?", abort=True)
    try:
        act(confirm=confirm)
    except ConfirmationNeededError as error:
        needed = error
    else:
        return
    if yes or confirm:
        words = shlex.quote(needed.words)
        raise click.ClickException(f"This is a production org. To go on: --confirm {words}")
    click.echo(f"{needed.org} is a production org.")
    typed = click.prompt(f"To {verb} {found!r}, type the name of the org")
    if typed.strip() != needed.org:
        raise click.ClickException("This is not its name; nothing was changed")
    act(confirm=needed.words)


@main.command()
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
        Console().print(_table(_readable(frame), _STUCK if stuck else _JOBS))


def _readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with its moments and durations as people write them."""
    frame = frame.copy()
    for name in frame.select_dtypes("datetimetz"):
        frame[name] = frame[name].dt.strftime("%Y-%m-%d %H:%M")
    for name in frame.select_dtypes("timedelta"):
        frame[name] = (1000 * frame[name].dt.total_seconds()).map(duration)
    return frame


@main.command()
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


@main.command()
@click.option("--flights", default=50_000, show_default=True, help="How many flights to load.")
@click.option(
    "--output",
    default="demo-output",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the picture.",
)
def demo(flights: int, output: Path) -> None:
    """Load the flights of New York 2013 into a sandbox, and show where the time went."""
    console = Console()
    try:
        _demo(console, flights, output)
    except BulkError as error:
        raise click.ClickException(str(error)) from None


@main.command()
@click.argument("alias", required=False)
@click.option("--instance-url", metavar="URL", help="The org; its token is in BULKNB_ACCESS_TOKEN.")
def doctor(alias: str | None, instance_url: str | None) -> None:
    """Look at this machine, and at an org if one is named: what works, and what to do.

    ALIAS is a login of the Salesforce CLI. The exit code is 1 if something does not work.
    """
    checks = [*_doctor.machine(), *_doctor.org(alias, instance_url)]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for title in ("", "what", "found", "what to do"):
        table.add_column(title, overflow="fold")
    for check in checks:
        words = (check.verdict, check.name, check.found, check.advice)
        table.add_row(*map(Text, words), style=_STYLES[check.verdict])
    Console().print(table)
    if any(check.verdict == "fail" for check in checks):
        raise click.exceptions.Exit(1)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.argument("object")
@click.argument("operation")
@click.option("--external-id", help="For upsert: the field that tells records apart.")
@with_org
def load(org: bulknb.Org, file: str, object: str, operation: str, external_id: str | None) -> None:
    """Load a file, such as contacts.csv Contact insert, and tell what became of its rows.

    Files end in .csv, .csv.gz or .parquet.
    """
    _report(org.load(file, object, operation, external_id=external_id))


@main.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@with_org
def resume(org: bulknb.Org, file: str | None) -> None:
    """Bring to an end the loads that were broken off.

    With the FILE that was being loaded, rows that were not sent are sent.
    """
    loads = org.resume(file)
    for each in loads:
        _report(each)
    click.echo(repr(loads))


def _report(started: bulknb.Load) -> None:
    """Wait for a load, and tell what became of its rows."""
    try:
        started.wait()
    finally:
        click.echo(repr(started))
    errors = started.errors().assign(object=started.object)
    if len(errors):
        Console().print("Rows that failed, by reason:", _table(errors, _FAILURES))


def _demo(console: Console, flights: int, output: Path) -> None:
    from .sandbox.flights import frames

    with bulknb.sandbox.start(demo=True, speed=20) as org_server:
        org = org_server.connect()
        console.print(f"A sandbox stands for the org, at {org.url}. Nothing leaves this machine.\n")
        loads = _load_all(console, org, frames(flights))
        history = pd.concat([load.history for load in loads], ignore_index=True)
        console.print("\nThe jobs, their times in milliseconds:", _table(history, _HISTORY))
        _show_failures(console, loads)
        _show_sums(console, loads)
        console.print(f"\n{where_time_went(history)}")
        _save_picture(console, history, output)
    console.print(
        "\nNext: [bold]make lab[/] opens notebooks/01_first_look.ipynb, the same story with "
        "live panels, and buttons to close and abort a job."
    )


def _load_all(
    console: Console, org: bulknb.Org, frames: dict[str, tuple[pd.DataFrame, str]]
) -> list[bulknb.Load]:
    loads = []
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[stage]:<18}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        for name, (frame, external_id) in frames.items():
            bar = bars.add_task(name, total=len(frame), stage="")
            load = org.load(
                frame, name, "upsert", external_id=external_id, chunk_bytes=_DEMO_CHUNK_BYTES
            )
            while not load.done:
                _advance(bars, bar, load)
                with contextlib.suppress(StillRunningError):
                    load.wait(_LOOK_SECONDS)
            _advance(bars, bar, load)
            loads.append(load.wait())
    return loads


def _advance(bars: Progress, bar: TaskID, load: bulknb.Load) -> None:
    now = load.progress
    bars.update(bar, completed=now.processed, stage=now.stage)


def _show_failures(console: Console, loads: list[bulknb.Load]) -> None:
    errors = pd.concat(
        [load.errors().assign(object=load.object) for load in loads], ignore_index=True
    )
    if errors.empty:
        console.print("\nNo row failed.")
        return
    console.print("\nRows that failed, by reason:", _table(errors, _FAILURES))


def _show_sums(console: Console, loads: list[bulknb.Load]) -> None:
    counts = pd.DataFrame([load.counts for load in loads]).sum()
    others = counts.drop(["sent", "success", "failed"]).sum()
    console.print(
        f"\n{counts['success']:,} loaded + {counts['failed']:,} failed = {counts['sent']:,} sent"
        + (f" - {others:,} otherwise" if others else "")
    )


def _save_picture(console: Console, history: pd.DataFrame, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    path = output / "processing_times.png"
    processing_times_figure(history).savefig(path, dpi=144)
    console.print(f"The picture of it: {path}")


def _table(frame: pd.DataFrame, titles: dict[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, title in titles.items():
        number = pd.api.types.is_numeric_dtype(frame[name])
        table.add_column(title, justify="right" if number else "left", no_wrap=number)
    for row in frame[list(titles)].itertuples(index=False):
        table.add_row(*(Text(_cell(value)) for value in row))
    return table


def _cell(value: object) -> str:
    if value is pd.NA:
        return ""
    return f"{value:,}" if isinstance(value, Integral) else str(value)
