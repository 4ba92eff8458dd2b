"""Where the token may go: one origin, and URLs that stay on it."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from .errors import InputError, UnexpectedAnswerError

__all__ = ["is_loopback", "origin_of", "own_path", "trusted_origin"]

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SALESFORCE = (".salesforce.com", ".force.com", ".salesforce.mil", ".cloudforce.com")
_EXAMPLE = "https://yourcompany.my.salesforce.com"

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|::1")
#: What a URL may be written in. Parsers disagree on the rest: some take a backslash for a slash,
#: some leave out a tab or a line break.
_PLAIN = re.compile(r"[!-\[\]-~]+")
#: The API writes some of its own paths without the first slash: see contentUrl in "Create a Job".
_PATH = re.compile(r"/(?!/)|services/")


def origin_of(url: str, name: str = "instance_url") -> str:
    """Return scheme, host and port of a URL that a token may be sent to in secrecy.

    `name` is the argument that it came by. A scheme that is missing is https.

    Raises
    ------
    InputError
        It is no URL, holds a user name, or is http to another machine.
    """
    url = url.strip()
    parts = _split(url if "://" in url else f"https://{url}")
    if parts is None:
        raise InputError(f"{name} should look like {_EXAMPLE}")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise InputError(f"{name} must be https: over http the token would travel in the open")
    return _origin(parts)


def trusted_origin(url: str, name: str = "instance_url", *, any_host: bool = False) -> str:
    """Return the origin of a URL, if that is Salesforce's or on this machine.

    Raises
    ------
    InputError
        As `origin_of`, or it is anybody else's.
    """
    origin = origin_of(url, name)
    host = str(urlsplit(origin).hostname)
    if any_host or host in _LOOPBACK or host.endswith(_SALESFORCE):
        return origin
    raise InputError(
        f"{name} is at {host}, which is not Salesforce's: the token was not sent there. If that is "
        "your own host or proxy for Salesforce, connect(..., any_host=True) allows it"
    )


def is_loopback(origin: str) -> bool:
    """Tell whether an origin is on this machine."""
    return urlsplit(origin).hostname in _LOOPBACK


def own_path(url: str, origin: str) -> str:
    """Return the path of a URL that the server of an origin handed out, if it stays there.

    Raises
    ------
    UnexpectedAnswerError
        It points elsewhere: neither the token nor data would be sent there.
    """
    if _PLAIN.fullmatch(url):
        if _PATH.match(url):
            return url if url.startswith("/") else f"/{url}"
        parts = _split(url)
        if parts and _origin(parts) == origin:
            return parts._replace(scheme="", netloc="").geturl() or "/"
    raise UnexpectedAnswerError("The server handed out a URL of another host; it was not used")


def _split(url: str) -> SplitResult | None:
    """Return the parts of a web address; None if it is none, or one that parsers could dispute."""
    try:
        parts = urlsplit(url)
        plain = bool(_PLAIN.fullmatch(url)) and parts.port != 0  # .port raises if out of range
    except ValueError:
        return None
    plain = plain and parts.scheme in ("http", "https") and "@" not in parts.netloc
    return parts if plain and _HOST.fullmatch(parts.hostname or "") else None


def _origin(parts: SplitResult) -> str:
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
