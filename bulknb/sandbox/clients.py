"""How other people's clients sign in to a sandbox: lines to copy and run.

Some clients think that an org is always reached by https; the lines say how they are told.
"""

from __future__ import annotations

_SIMPLE_SALESFORCE = """\
import requests, simple_salesforce


class Http(requests.adapters.HTTPAdapter):  # simple-salesforce always says https
    def send(self, request, **options):
        request.url = request.url.replace("https:", "http:", 1)
        return super().send(request, **options)


session = requests.Session()
session.mount("https://127.0.0.1", Http())
sf = simple_salesforce.Salesforce(
    instance_url="{url}",
    session_id="{token}",
    session=session,
)
"""
_SALESFORCE_BULK = """\
from salesforce_bulk import SalesforceBulk

bulk = SalesforceBulk(sessionId="{token}", host="{url}")
"""
_JSFORCE = """\
import jsforce from "jsforce";

const conn = new jsforce.Connection({{ instanceUrl: "{url}", accessToken: "{token}" }});
"""
_SF = """\
SF_ACCESS_TOKEN='{token}' \\
  sf org login access-token --no-prompt --instance-url {url} --alias sandbox
"""

LINES = {
    "simple-salesforce": _SIMPLE_SALESFORCE,
    "salesforce-bulk": _SALESFORCE_BULK,
    "jsforce": _JSFORCE,
    "sf": _SF,
}


def lines(client: str, url: str, token: str) -> str:
    """Return what to run so that a client, one of `LINES`, speaks with the org."""
    return LINES[client].format(url=url, token=token)
