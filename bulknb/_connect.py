"""Signing in: from what the user has to an org that answers."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from . import _oauth
from ._auth import Login, Secret, SignedIn, checked, login_of_cli, login_of_client, warn_if_typed
from ._org import Org
from ._origin import is_loopback, trusted_origin
from ._wire import Clock, Wire, WSGIApplication
from .errors import InputError, NotFoundError

__all__ = ["connect"]

_API_VERSION = "62.0"
_LOGIN_URL = "https://login.salesforce.com"

#: The argument that tells a way to sign in -> what it needs besides -> what it may have.
_WAYS: dict[str, tuple[set[str], set[str]]] = {
    "login": (set(), set()),
    "private_key": ({"client_id", "username"}, {"login_url"}),
    "refresh_token": ({"client_id"}, {"client_secret", "login_url"}),
    "client_secret": ({"client_id", "login_url"}, set()),
    "access_token": (set(), {"instance_url"}),
    "instance_url": (set(), {"access_token"}),
}
#: What the user can do when the credentials of a way are refused.
_AGAIN = {
    "private_key": "Check client_id=, username= and login_url=, that the app has the certificate "
    "of this key, that an admin allows it for this user, and that this machine's clock is right",
    "refresh_token": "If the refresh token is revoked or has expired, sign in with the app anew",
    "client_secret": "Check client_id= and client_secret=, and that the app has a user to run as",
}
_OVERVIEW = """\
connect() takes one of
  connect("alias")                                        a login of the Salesforce CLI
  connect(instance_url=, access_token=)                   each also from the environment:
                                                          BULKNB_INSTANCE_URL, BULKNB_ACCESS_TOKEN
  connect(client_id=, username=, private_key=)            JWT bearer
  connect(client_id=, client_secret=, login_url=)         client credentials
  connect(client_id=, refresh_token=)                     refresh token
  connect(sf)                                             a simple_salesforce.Salesforce
To try bulknb without an org: bulknb.sandbox.start().connect()"""


def connect(
    login: str | SignedIn | None = None,
    *,
    instance_url: str | None = None,
    access_token: str | None = None,
    client_id: str | None = None,
    client_secret: str | None = None,
    username: str | None = None,
    private_key: str | os.PathLike[str] | None = None,
    refresh_token: str | None = None,
    login_url: str | None = None,
    any_host: bool = False,
    api_version: str | None = None,
    transport: WSGIApplication | None = None,
    clock: Clock = time,
    ledger: str | Path | None = None,
) -> Org:
    """Sign in to an org, and make sure that it answers.

    One way to sign in: ``connect("alias")``, ``connect(instance_url=, access_token=)``, JWT bearer
    ``connect(client_id=, username=, private_key=)``, client credentials ``connect(client_id=,
    client_secret=, login_url=)``, refresh token ``connect(client_id=, refresh_token=)``, or
    ``connect(sf)``. Where it can be, a session that expires is renewed.

    Parameters
    ----------
    login : str or simple_salesforce.Salesforce, optional
        The alias or username of a login of the Salesforce CLI (``sf org login web``), or a client
        that is signed in already.
    instance_url : str, optional
        The org's own address, such as https://yourcompany.my.salesforce.com. Default: the
        environment variable ``BULKNB_INSTANCE_URL``.
    access_token : str, optional
        A session id or OAuth access token. Default: the environment variable
        ``BULKNB_ACCESS_TOKEN``, which keeps the token out of the notebook.
    client_id, client_secret : str, optional
        Consumer key and secret of the connected app or external client app.
    username, private_key : str, optional
        The user to sign in as, and the RSA key that the app's certificate belongs to: its PEM text
        or the path of its file. Needs ``pip install 'bulknb[jwt]'``.
    refresh_token : str, optional
        What an earlier sign-in with the app left.
    login_url : str, optional
        Where to sign in: https://login.salesforce.com, which is the default,
        https://test.salesforce.com, or the org's own address, which client credentials need.
    any_host : bool
        Whether the token may go to addresses that are not Salesforce's (salesforce.com, force.com,
        salesforce.mil, cloudforce.com) nor on this machine.
    api_version : str, optional
        Such as "62.0". Default: the environment variable ``BULKNB_API_VERSION``, else that of the
        client given, else 62.0.
    transport : WSGI application, optional
        Called in this process in place of the network: see ``Sandbox.connect``.
    clock : optional
        The `time` module, or something with its ``time``, ``monotonic`` and ``sleep``.
    ledger : path, optional
        The file that remembers loads and jobs. Default: the environment variable ``BULKNB_LEDGER``,
        else one in the user's own data folder.

    Raises
    ------
    InputError
        The arguments do not go together, or an address is one that a token must not be sent to; or
        the Salesforce CLI is missing, or has no such login; or the org does not know the version.
    AuthenticationError
        The token is wrong or has expired, or the credentials are refused.
    UnreachableError, UnexpectedAnswerError
        Nothing answers there, or something that is not the API.

    Warns
    -----
    UserWarning
        A secret is typed into a cell of the notebook, and so saved with it.
    """
    secrets = {
        "access_token": access_token,
        "client_secret": client_secret,
        "refresh_token": refresh_token,
        "private_key": None if private_key is None else os.fspath(private_key),
    }
    held = {name: Secret(text) for name, text in secrets.items() if text is not None}
    # From here on no frame holds a secret: a traceback may print what it finds there.
    del secrets, access_token, client_secret, refresh_token, private_key
    plain = {
        "login": login,
        "instance_url": instance_url,
        "client_id": client_id,
        "username": username,
        "login_url": login_url,
    }
    given = {name: value for name, value in plain.items() if value is not None}
    way = _way({*given, *held})
    if isinstance(login, str):
        found = login_of_cli(login)
    elif login is not None:
        found = login_of_client(login)
    elif way in _AGAIN:
        found = _by_oauth(way, given, held, any_host=any_host, transport=transport, clock=clock)
    else:
        found = _by_token(instance_url, held.get("access_token"), any_host=any_host)
    version = api_version or os.environ.get("BULKNB_API_VERSION") or found.api_version
    wire = Wire(
        trusted_origin(found.instance_url, any_host=any_host),
        found.token,
        api_version=_checked_version(version or _API_VERSION),
        renew=found.renew,
        sign_in=found.sign_in,
        transport=transport,
        clock=clock,
        ledger=ledger,
    )
    _ask(wire)
    return Org(wire)


def _way(given: Collection[str]) -> str:
    """Return the argument that tells how to sign in; none, if that is left to the environment."""
    told_by = next((name for name in _WAYS if name in given), "")
    needs, may = _WAYS.get(told_by, (set(), set()))
    lacking = sorted(needs.difference(given))
    strange = sorted(set(given) - needs - may - {told_by})
    if not lacking and not strange:
        return told_by
    names = {name: "the first argument" if name == "login" else f"{name}=" for name in given}
    said = [
        *(f"{names[told_by]} also needs {name}=" for name in lacking),
        *(f"{names[name]} does not go with {names.get(told_by, 'nothing')}" for name in strange),
    ]
    raise InputError(f"{'; '.join(said)}.\n{_OVERVIEW}")


def _by_token(instance_url: str | None, token: Secret | None, *, any_host: bool) -> Login:
    url = instance_url or os.environ.get("BULKNB_INSTANCE_URL")
    if not url or not (token or os.environ.get("BULKNB_ACCESS_TOKEN")):
        raise InputError(f"An address and a token are needed.\n{_OVERVIEW}")
    if token is None:
        return Login(url, checked(Secret(os.environ["BULKNB_ACCESS_TOKEN"])))
    checked(token)
    if not is_loopback(trusted_origin(url, any_host=any_host)):
        warn_if_typed(token, "access_token=")
    return Login(url, token)


def _by_oauth(
    way: str,
    given: Mapping[str, Any],
    secrets: Mapping[str, Secret],
    *,
    any_host: bool,
    transport: WSGIApplication | None,
    clock: Clock,
) -> Login:
    client_id, login_url = given["client_id"], given.get("login_url", _LOGIN_URL)
    if way == "private_key":
        secrets = {way: _oauth.pem_of(secrets[way])}
        fields = _oauth.jwt_fields(
            client_id, given["username"], secrets[way], login_url=login_url, clock=clock
        )
    elif way == "refresh_token":
        fields = _oauth.refresh_fields(client_id, secrets[way], secrets.get("client_secret"))
    else:
        fields = _oauth.client_fields(client_id, secrets[way])
    if not is_loopback(trusted_origin(login_url, "login_url", any_host=any_host)):
        for name, secret in secrets.items():
            warn_if_typed(secret, f"{name}=")
    return _oauth.sign_in(
        fields,
        login_url,
        again=_AGAIN[way],
        any_host=any_host,
        transport=transport,
        clock=clock,
    )


def _checked_version(version: str) -> str:
    if re.fullmatch(r"\d\d\.0", version):
        return version
    raise InputError(f'api_version should look like "{_API_VERSION}"')


def _ask(wire: Wire) -> None:
    """Make sure that the org answers, and in this version."""
    try:
        wire.request("GET", f"/services/data/v{wire.api_version}").fields()
    except NotFoundError as error:
        unknown = error
    else:
        return
    listed = wire.request("GET", "/services/data").json()
    versions = listed if isinstance(listed, list) else []
    known = [
        str(each["version"]) for each in versions if isinstance(each, dict) and "version" in each
    ]
    if not known or wire.api_version in known:
        raise unknown
    raise InputError(
        f"This org knows the API versions {known[0]} to {known[-1]}, not {wire.api_version}: "
        f'connect(..., api_version="{known[-1]}")'
    )
