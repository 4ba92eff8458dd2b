"""The command that shows the board of an org as a page of its own, served by Voila."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
import webbrowser
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import click

import bulknb

from ..errors import BulkError

_HOST = "127.0.0.1"
#: The page may load from its own server alone: Voila's template asks a CDN for icons, and no text
#: of an org may make a browser ask anybody.
_POLICY = (
    "default-src 'self'; connect-src 'self' ws:; worker-src 'self' blob:; frame-ancestors 'none';"
    " script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:;"
    " style-src 'self' 'unsafe-inline' blob:; img-src 'self' data: blob:; font-src 'self' data:"
)

#: What the page needs of JupyterLab's extensions; others that are installed stay out.
_EXTENSIONS = [
    "@jupyter-widgets/jupyterlab-manager",
    "@voila-dashboards/widgets-manager8",
    "anywidget",
]


@click.command()
@click.option(
    "--org",
    "alias",
    envvar="BULKNB_ORG",
    help="Alias or username of a login of the Salesforce CLI; by default the environment"
    " says where: BULKNB_ORG, or BULKNB_INSTANCE_URL and BULKNB_ACCESS_TOKEN.",
)
@click.option("--demo", is_flag=True, help="A demonstration on this machine, and no org.")
@click.option("--port", default=0, help="Port on 127.0.0.1; 0 takes a free one.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def board(alias: str | None, demo: bool, port: int, no_browser: bool) -> None:
    """Show all jobs of the org in a browser, live: filter, close, abort. Ends with Ctrl-C."""
    try:
        from voila.app import Voila
    except ModuleNotFoundError:
        raise click.ClickException("The board needs Voila: pip install 'bulknb[lab]'") from None
    _hand_on(alias, demo=demo)
    served = Voila(config=_settings(port or _free_port()))
    # Voila calls it as soon as it listens; its own opens the page without the token.
    served.launch_browser = partial(_announce, served, opens=not no_browser)
    served.initialize([])
    served.start()


def _hand_on(alias: str | None, *, demo: bool) -> None:
    """Leave in the environment what the notebook is to connect to; make sure that it answers."""
    names = ("BULKNB_ORG", "BULKNB_INSTANCE_URL", "BULKNB_ACCESS_TOKEN")
    if demo:
        for name in names:
            os.environ.pop(name, None)
        return
    try:
        bulknb.connect(alias)
    except BulkError as error:
        raise click.ClickException(f"{error}\nOr without an org: bulknb board --demo") from None
    if alias:
        os.environ["BULKNB_ORG"] = alias


def _settings(port: int) -> Any:
    from traitlets.config import Config

    voila = {
        "notebook_path": str(_notebook()),
        "ip": _HOST,
        "port": port,
        "port_retries": 0,
        # Who can reach the port could abort jobs: every user of this machine.
        "token": secrets.token_urlsafe(),
        "open_browser": True,
        "log_level": "ERROR",
        "tornado_settings": {"headers": {"Content-Security-Policy": _POLICY}},
    }
    page = {"allow_template_override": "NO", "extension_allowlist": _EXTENSIONS}
    return Config({"Voila": voila, "VoilaConfiguration": page})


def _notebook() -> Path:
    package = Path(bulknb.__file__).parent
    packed = package / "notebooks" / "triage.ipynb"  # a wheel holds it, see pyproject.toml
    return packed if packed.exists() else package.parent / "notebooks" / packed.name


def _announce(served: Any, *, opens: bool) -> None:
    """Print the page's address, and open it; by way of a file: all can read command lines."""
    url = f"http://{_HOST}:{served.port}/?token={served.token}"
    click.echo(f"The board is at {url}\nCtrl-C ends it.")
    if opens:
        with tempfile.NamedTemporaryFile("w", suffix=".html", delete=False) as page:
            page.write(f'<meta http-equiv="refresh" content="0; url={escape(url)}">')
        webbrowser.open(Path(page.name).as_uri())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
