"""The commands. Each calls what the Python interface has, with the same words."""

from __future__ import annotations

import click

import bulknb

from .board import board
from .demo import demo
from .doctor import doctor
from .history import history
from .jobs import abort, close, delete, job, jobs
from .load import load, resume
from .query import query
from .report import report
from .sandbox import sandbox

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(bulknb.__version__)
def main() -> None:
    """Salesforce bulk loads: see, load, close, abort."""


for command in (
    *(demo, sandbox, doctor),
    *(jobs, job, close, abort, delete),
    *(load, resume, query),
    *(board, history, report),
):
    main.add_command(command)
