"""The demonstration: real flights into a sandbox, and where the time went."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click
import pandas as pd
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

import bulknb

from ..errors import BulkError, StillRunningError
from ..plots import processing_times_figure
from ._show import table
from .load import FAILURES

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


@click.command()
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


def _demo(console: Console, flights: int, output: Path) -> None:
    from ..sandbox.flights import frames

    with bulknb.sandbox.start(demo=True, speed=20) as org_server:
        org = org_server.connect()
        console.print(f"A sandbox stands for the org, at {org.url}. Nothing leaves this machine.\n")
        loads = _load_all(console, org, frames(flights))
        history = pd.concat([load.history for load in loads], ignore_index=True)
        console.print("\nThe jobs, their times in milliseconds:", table(history, _HISTORY))
        _show_failures(console, loads)
        _show_sums(console, loads)
        console.print(f"\n{bulknb.explain(history)}")
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
    console.print("\nRows that failed, by reason:", table(errors, FAILURES))


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
