"""What commands that speak to an org share: which org, and whether the user means it."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from typing import Any

import click

import bulknb

from .._jobs import is_production
from ..errors import BulkError, ConfirmationNeededError

org_option = click.option(
    "--org",
    "alias",
    help="Alias or username of a login of the Salesforce CLI; by default the environment"
    " says where: BULKNB_INSTANCE_URL, BULKNB_ACCESS_TOKEN.",
)


def with_org(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an org as its first argument: that of --org, or of the environment."""

    @org_option
    @functools.wraps(command)
    def connected(*args: Any, alias: str | None, **options: Any) -> None:
        try:
            command(bulknb.connect(alias), *args, **options)
        except BulkError as error:
            raise click.ClickException(str(error)) from None

    return connected


def takes_away(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a command that asks before it takes something away."""
    yes = click.option("--yes", is_flag=True, help="Do not ask; in production --confirm does this.")
    words = click.option("--confirm", help="In production: its name and the act, as it is told.")
    return yes(words(command))


def deliberately(
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
