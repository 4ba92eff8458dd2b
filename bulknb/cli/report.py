"""The command of reports: jobs of an org, or saved ones, as one HTML file."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import pandas as pd

import bulknb

from .._imports import read_source
from ..errors import BulkError, InputError
from ..report import write
from ._org import org_option


@click.command()
@click.argument("what", nargs=-1, metavar="[FILE | JOB_ID]...")
@click.option(
    "-o",
    "--output",
    default="report.html",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write.",
)
@click.option("--last", help='Without FILE or JOB_ID: jobs created in the last "30d", "12h".')
@click.option("--object", help="Without FILE or JOB_ID: one object only, such as Contact.")
@click.option("--rows", is_flag=True, help="Show what Salesforce says unmasked.")
@click.option("--title", help="The heading of the report.")
@click.option(
    "--past",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Saved earlier jobs to compare with.",
)
@org_option
def report(
    what: tuple[str, ...],
    *,
    output: Path,
    last: str | None,
    object: str | None,
    past: tuple[Path, ...],
    alias: str | None,
    **options: Any,
) -> None:
    """Write a report on jobs into one HTML file, to hand on.

    On the jobs of the org; or on those of these ids; or on those saved in files, as JSON, XML,
    CSV or Parquet, also by bulknb history export: these need no org.
    """
    files = [Path(name) for name in what if Path(name).is_file()]
    try:
        if files and len(files) < len(what):
            raise InputError("Give files or job ids, not both")
        jobs = saved(files) if files else _of_org(alias, what, last=last, object=object)
        path = write(jobs, output, past=saved(past) if past else None, **options)
    except BulkError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Wrote {path}")


def _of_org(alias: str | None, ids: tuple[str, ...], **filters: Any) -> Any:
    org = bulknb.connect(alias)
    return bulknb.Jobs([org.job(id) for id in ids]) if ids else org.jobs(**filters)


def saved(files: Iterable[Path]) -> pd.DataFrame:
    """Return the history frame of the jobs in files, each as it was last."""
    looks, archives = read_source([*files], time.time())
    infos = [look.info for of_org in looks.values() for look in of_org]
    frames = [bulknb.jobs_frame(archive.to_pandas()) for archive in archives]
    found = pd.concat([bulknb.jobs_frame(infos), *frames]).sort_values("system_modstamp")
    return found[found["id"].isna() | ~found.duplicated("id", keep="last")]
