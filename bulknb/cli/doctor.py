"""The command that looks at this machine and at an org."""

from __future__ import annotations

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import _doctor

_STYLES = {"ok": "", "warn": "yellow", "live": "bold red", "fail": "bold red"}


@click.command()
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
