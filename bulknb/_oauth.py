"""Signing in by OAuth 2.0: credentials -> a login that can be renewed.

Sources: "OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration", "… Client Credentials Flow
for Server-to-Server Integration" and "… Refresh Token Flow" (Salesforce Help). Passwords are not
taken: Salesforce blocks that flow, and SOAP login() ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ._answer import Answer
from ._auth import Login, Secret, checked
from ._gate import Clock
from ._origin import trusted_origin
from ._wire import Wire, WSGIApplication
from .errors import AuthenticationError, InputError

__all__ = ["Fields", "client_fields", "jwt_fields", "pem_of", "refresh_fields", "sign_in"]

#: Gives what a form is filled in with, secrets among it.
Fields = Callable[[], Mapping[str, str]]

_PATH = "/services/oauth2/token"
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: Salesforce takes no assertion that is good for longer.
_JWT_SECONDS = 180


def sign_in(
    fields: Fields,
    login_url: str,
    *,
    again: str,
    any_host: bool,
    transport: WSGIApplication | None,
    clock: Clock,
) -> Login:
    """Return the login that Salesforce gives for these fields.

    Parameters
    ----------
    fields : callable
        See `jwt_fields`, `client_fields` and `refresh_fields`.
    login_url : str
        Whom to ask; credentials go there only.
    again : str
        What the user can do when the credentials are refused.
    any_host : bool
        Whether addresses that are not Salesforce's are fine.

    Raises
    ------
    InputError
        `login_url`, or the address that Salesforce answers, is not Salesforce's.
    AuthenticationError
        The credentials are refused.
    UnreachableError, UnexpectedAnswerError
        Nothing answers there, or something that is not Salesforce.
    """
    origin = trusted_origin(login_url, "login_url", any_host=any_host)
    wire = Wire(origin, Secret(""), api_version="", transport=transport, clock=clock)

    def ask() -> tuple[str, Secret]:
        try:
            return _read(wire.post_form(_PATH, fields))
        except AuthenticationError as error:
            refused = error
        raise refused.with_advice(f"{refused.advice}. {again}")

    url, token = ask()
    instance_url = trusted_origin(url, "The instance_url of the sign-in", any_host=any_host)
    return Login(instance_url, token, renew=lambda: ask()[1], sign_in=again)


def jwt_fields(
    client_id: str, username: str, key: Secret, *, login_url: str, clock: Clock
) -> Fields:
    """Return what the JWT bearer flow sends: an assertion, signed anew each time.

    Raises
    ------
    InputError
        PyJWT is missing, or the key is not one to sign with.
    """

    def assertion() -> str:
        claims = {
            "iss": client_id,
            "sub": username,
            "aud": trusted_origin(login_url, "login_url", any_host=True),
            "exp": int(clock.time()) + _JWT_SECONDS,
        }
        return _signed(claims, key)

    assertion()  # a key that cannot sign is told now, not in the middle of a request
    return lambda: {"grant_type": _JWT_BEARER, "assertion": assertion()}


def client_fields(client_id: str, client_secret: Secret) -> Fields:
    """Return what the client credentials flow sends."""
    secret = checked(client_secret, "client_secret")
    return lambda: {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret(),
    }


def refresh_fields(client_id: str, refresh_token: Secret, client_secret: Secret | None) -> Fields:
    """Return what the refresh token flow sends; some apps do without a client secret."""
    secrets = {"refresh_token": checked(refresh_token, "refresh_token")}
    if client_secret:
        secrets["client_secret"] = checked(client_secret, "client_secret")
    return lambda: {
        "grant_type": "refresh_token",
        "client_id": client_id,
        **{name: secret() for name, secret in secrets.items()},
    }


def pem_of(private_key: Secret) -> Secret:
    """Return the text of a private key that was given as such, or as the path of its file.

    Raises
    ------
    InputError
        There is no such file.
    """
    if "-----BEGIN" in private_key():
        return private_key
    try:
        return Secret(Path(private_key()).expanduser().read_text(encoding="ascii"))
    except (OSError, ValueError):
        pass
    raise InputError(  # here, and without the path: it may be a key after all
        "private_key= is neither the text of a PEM file (-----BEGIN PRIVATE KEY-----) nor the path "
        "of one that can be read"
    )


def _read(answer: Answer) -> tuple[str, Secret]:
    """Return where the org is, and the token."""
    said = answer.fields("access_token", "instance_url")
    url, token = str(said["instance_url"]), Secret(str(said["access_token"]))
    del said  # with the token in it
    return url, checked(token)


def _signed(claims: Mapping[str, object], key: Secret) -> str:
    try:
        import jwt
    except ImportError:
        raise InputError("To sign in by JWT, PyJWT is needed: pip install 'bulknb[jwt]'") from None
    try:
        return jwt.encode(dict(claims), key(), algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError, NotImplementedError):
        pass
    raise InputError(  # here, where no frame of the traceback holds the key
        "private_key= cannot sign: it has to be an RSA key in PEM, without a passphrase"
    )
