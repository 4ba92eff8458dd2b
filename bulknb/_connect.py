"""Signing in: from what the user has to an org that answers."""

from __future__ import annotations

import os
import time

from ._auth import Login, Secret, login_of_cli
from ._org import Org
from ._wire import Clock, Wire, WSGIApplication
from .errors import InputError

__all__ = ["connect"]

_API_VERSION = "62.0"


def connect(
    alias: str | None = None,
    *,
    instance_url: str | None = None,
    access_token: str | None = None,
    api_version: str | None = None,
    transport: WSGIApplication | None = None,
    clock: Clock = time,
) -> Org:
    """Sign in to an org, and make sure that it answers.

    Parameters
    ----------
    alias : str, optional
        The alias or username of a login of the Salesforce CLI (``sf org login web``). Its session
        is renewed when it expires.
    instance_url : str, optional
        The org's own address, such as https://yourcompany.my.salesforce.com. Default: the
        environment variable ``BULKNB_INSTANCE_URL``.
    access_token : str, optional
        A session id or OAuth access token. Default: the environment variable
        ``BULKNB_ACCESS_TOKEN``, which keeps the token out of the notebook.
    api_version : str, optional
        Such as "62.0". Default: the environment variable ``BULKNB_API_VERSION``, else 62.0.
    transport : WSGI application, optional
        Called in this process in place of the network: see ``Sandbox.connect``.
    clock : optional
        The `time` module, or something with its ``time``, ``monotonic`` and ``sleep``.

    Raises
    ------
    InputError
        No address or no token, or an address that a token must not be sent to; or the Salesforce
        CLI is missing, or has no such login.
    AuthenticationError
        The token is wrong or has expired.
    UnreachableError, UnexpectedAnswerError
        Nothing answers there, or something that is not the API.
    """
    if alias is not None:
        login = login_of_cli(alias)
    else:
        login = _login_by_token(instance_url, access_token)
    version = api_version or os.environ.get("BULKNB_API_VERSION") or _API_VERSION
    wire = Wire(
        login.instance_url,
        login.token,
        api_version=version,
        transport=transport,
        clock=clock,
        renew=None if alias is None else lambda: login_of_cli(alias).token,
    )
    wire.request("GET", f"/services/data/v{version}").json()
    return Org(wire)


def _login_by_token(instance_url: str | None, access_token: str | None) -> Login:
    url = instance_url or os.environ.get("BULKNB_INSTANCE_URL")
    token = access_token or os.environ.get("BULKNB_ACCESS_TOKEN")
    if url and token:
        return Login(url, Secret(token))
    raise InputError(
        "connect() needs the alias of a login of the Salesforce CLI, or instance_url= and "
        "access_token=, or the environment variables BULKNB_INSTANCE_URL and "
        "BULKNB_ACCESS_TOKEN. To try bulknb without an org: bulknb.sandbox.start().connect()"
    )
