"""One HTTP call to the org: auth, time-outs, retries of reads, errors as `errors` has them.

Rules held here for everybody: the token goes to one origin only and is put on at the last moment;
no redirect is followed; a GET may be repeated, any other method is sent once; after trouble all
requests wait behind one gate; an answer counts only with the expected status and content type.
"""

from __future__ import annotations

import io
import logging
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter

from ._answer import Answer, refusal
from ._auth import Secret
from ._gate import TROUBLE, Clock, Gate, is_spent
from ._heard import Ear
from ._origin import is_loopback, origin_of, own_path
from .errors import (
    SIGN_IN,
    AuthenticationError,
    BulkError,
    UnexpectedAnswerError,
    UnreachableError,
)

__all__ = ["Answer", "Clock", "WSGIApplication", "Wire"]

log = logging.getLogger("bulknb.wire")

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 60.0
_SLOWEST_BYTES_PER_SECOND = 50_000
_TRIES = 4
_PIECE_BYTES = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS
#: A body that is larger, and so many times what came over the line, was packed to do harm.
_BOMB_BYTES = 64_000_000
_BOMB_RATIO = 200

_ORGANIZATION = re.compile("(00D[A-Za-z0-9]{12})!")
_BROKEN = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    zlib.error,
    OSError,
    ValueError,  # a header that cannot be sent
)

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
#: Takes the body of an answer, piece by piece.
Write = Callable[[bytes], object]
T = TypeVar("T")


@dataclass(frozen=True)
class _Call:
    """A request, and what is made of its answer: see `Wire.request` and `Wire.download`."""

    request: requests.Request
    expect: tuple[int, ...] = (200,)
    patience: float | None = None
    write: Write | None = None
    head: Callable[[Answer], object] | None = None
    again: Callable[[], object] | None = None

    @property
    def repeats(self) -> bool:
        """Whether it is sent again after trouble on the way."""
        written = self.write is not None and self.again is None
        return self.request.method == "GET" and self.patience is None and not written


class Wire:
    """The way to one org.

    Parameters
    ----------
    instance_url : str
        Scheme and host of the org; https, or http on this machine.
    token : Secret
        Session id or OAuth access token.
    api_version : str
        Such as "62.0".
    renew : callable, optional
        Gives a fresh token when the session has expired.
    sign_in : str
        What the user can do when that is no use any more.
    transport : WSGI application, optional
        Called in this process instead of the network.
    clock : optional
        The `time` module, or something with its ``time``, ``monotonic`` and ``sleep``.
    ledger : path, optional
        Where what becomes of loads and jobs is kept, if not in the user's own ledger.

    Attributes
    ----------
    ear : Ear
        Is told what the server says of jobs.
    names : dict of str to str
        User id -> name, None where it cannot be read, as far as it was asked for.
    describes : dict
        Lower-cased object -> when it was described last, by the clock's ``monotonic``, and how.
    """

    def __init__(
        self,
        instance_url: str,
        token: Secret,
        *,
        api_version: str,
        renew: Callable[[], Secret] | None = None,
        sign_in: str = SIGN_IN,
        transport: WSGIApplication | None = None,
        clock: Clock = time,
        ledger: str | Path | None = None,
    ) -> None:
        self.origin = origin_of(instance_url)
        self.api_version = api_version
        self.clock = clock
        self.ledger = ledger
        self._token = token
        self._renew = renew
        self._sign_in = sign_in
        self._renewing = threading.Lock()
        self._gate = Gate(clock)
        self.ear = Ear(clock)
        self.names: dict[str, str | None] = {}
        self.describes: dict[str, tuple[float, dict[str, Any]]] = {}
        self._session = requests.Session()
        self._session.headers["Accept-Encoding"] = "gzip"
        # A proxy from the environment is for the world outside, not for this machine.
        self._session.trust_env = not is_loopback(self.origin)
        if transport is not None:
            self._session.mount(self.origin, WSGIAdapter(transport))

    def __repr__(self) -> str:
        return f"Wire({self.origin}, v{self.api_version})"

    @property
    def organization(self) -> str | None:
        """The org's id of 15 characters, if the session tells: its id begins with it and "!".

        None for a server on this machine: all that stand for an org may bear the same.
        """
        found = None if is_loopback(self.origin) else _ORGANIZATION.match(self._token())
        return found and found[1]

    @property
    def paused(self) -> str:
        """Why nothing moves, if the org has no API calls left for now; else nothing."""
        return "paused: API limit" if self._gate.spent else ""

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str | None = None,
        accept: str | None = None,
        auth_header: str = "Authorization",
        expect: tuple[int, ...] = (200,),
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
    ) -> Answer:
        """Send one request and return its answer.

        A GET is repeated after network trouble, HTTP 429 and 5xx, waiting as the server asks or
        longer each time; nothing else is ever sent twice. When the session has expired and can be
        renewed, the request that was refused is sent anew, unless it is an upload. When the org's
        API calls are used up, a GET is sent at most once a minute.

        With `patience` there is one try only, and no more than about so many seconds are spent.

        Raises
        ------
        UnreachableError
            No whole answer came.
        UnexpectedAnswerError
            A redirect, or a page that is not the API's.
        ApiError
            The API refused; the subclass says why.
        """
        named = {"Content-Type": content_type, "Accept": accept, **(headers or {})}
        request = requests.Request(
            method,
            self.origin + self.own_path(path),
            headers={name: value for name, value in named.items() if value},
            data=body,
            params=dict(params or {}),
        )
        return self._signed(_Call(request, expect, patience), auth_header)

    def download(
        self,
        path: str,
        write: Write,
        *,
        head: Callable[[Answer], object] | None = None,
        auth_header: str = "Authorization",
        params: Mapping[str, str] | None = None,
        again: Callable[[], object] | None = None,
    ) -> Answer:
        """Hand the CSV that a GET brings to ``write``, piece by piece; return the answer's head.

        ``head`` gets it before the first piece.

        Repeated as `request` does if ``again`` is there to be called before; else only for a
        renewed session: who calls it knows how to begin again.

        Raises
        ------
        UnreachableError
            The body did not come to its end, as its length, its chunks or its gzip say.
        UnexpectedAnswerError, ApiError
            As `request`; nothing was written.
        """
        request = requests.Request(
            "GET",
            self.origin + self.own_path(path),
            headers={"Accept": "text/csv"},
            params=dict(params or {}),
        )
        return self._signed(_Call(request, write=write, head=head, again=again), auth_header)

    def post_form(self, path: str, fields: Callable[[], Mapping[str, str]]) -> Answer:
        """Send a form with secrets in it, once and without the token, and return its answer.

        `fields` is called when the form is about to leave, so that no frame of a traceback has it.

        Raises
        ------
        UnreachableError, UnexpectedAnswerError, ApiError
            As `request`.
        """
        request = requests.Request("POST", self.origin + self.own_path(path), auth=_Form(fields))
        return self._try(_Call(request))

    def own_path(self, url: str) -> str:
        """Return the path of a URL that the server handed out, if it is this org's own.

        Raises
        ------
        UnexpectedAnswerError
            It points elsewhere: neither the token nor data would be sent there.
        """
        return own_path(url, self.origin)

    def _tokens(self, method: str) -> Iterator[Secret]:
        """Give the token, then a fresh one if this one was refused and there is another."""
        token = self._token
        yield token
        # An upload is not repeated: whether its data arrived is not known.
        if method != "PUT" and (fresh := self._fresh(token)):
            yield fresh

    def _fresh(self, expired: Secret) -> Secret | None:
        """Return another token than the expired one, if there is: one renewal serves all."""
        with self._renewing:
            if self._token is expired and self._renew:
                self._token = self._renew()
            return None if self._token is expired else self._token

    def _signed(self, call: _Call, auth_header: str) -> Answer:
        """Send the call with the token; anew with a fresh one."""
        for token in self._tokens(call.request.method):
            call.request.auth = _Signature(auth_header, token)
            try:
                return self._try(call)
            except AuthenticationError as error:
                refused = error
        raise refused.with_advice(self._sign_in)

    def _try(self, call: _Call) -> Answer:
        """Send the call; a GET again after trouble on the way, if what is written can be undone."""
        read = call.request.method == "GET"
        for attempt in range(1, (_TRIES if call.repeats else 1) + 1):
            if call.again:
                call.again()
            self._gate.enter(read=read, patience=call.patience)
            try:
                answer = self._send(call)
            except BulkError as failure:
                error = failure
            else:
                self._gate.heard(None)
                return answer
            self._gate.heard(error, attempt=attempt, read=read)
            if not isinstance(error, TROUBLE) or is_spent(error, read=read):
                break
        raise error

    def _send(self, call: _Call) -> Answer:
        started = time.perf_counter()
        body = io.BytesIO()
        with self._told(lambda: self._opened(call)) as response:
            head = Answer(response.status_code, response.headers, b"")
            write: Write = body.write
            if call.write and head.status in call.expect:
                head.csv()  # a login page is not written
                write = call.write
                if call.head:
                    call.head(head)
            pieces = _unpacked(response.raw)
            while piece := self._told(lambda: next(pieces, b"")):
                write(piece)  # what goes wrong here is no matter of the line
        log.debug(
            "%s %s -> %d in %.0f ms",
            call.request.method,
            urlsplit(call.request.url).path,
            head.status,
            1000 * (time.perf_counter() - started),
        )
        answer = replace(head, body=body.getvalue())
        if answer.status in call.expect:
            return answer
        raise refusal(answer, self.clock.time())

    def _opened(self, call: _Call) -> requests.Response:
        """Send the call and return its answer, the body still to be read."""
        size = len(call.request.data) if call.request.data else 0
        connect, read = _CONNECT_SECONDS, _READ_SECONDS + size / _SLOWEST_BYTES_PER_SECOND
        if call.patience is not None:
            connect, read = min(connect, call.patience), call.patience
        # Proxies and CA bundles of the environment count; the netrc does not, as auth is given.
        request = self._session.prepare_request(call.request)
        settings = self._session.merge_environment_settings(request.url or "", {}, True, None, None)
        return self._session.send(
            request, allow_redirects=False, timeout=(connect, read), **settings
        )

    def _told(self, step: Callable[[], T]) -> T:
        """Return what a step on the line gives; tell its trouble in words of our own."""
        failure: BaseException
        try:
            return step()
        except KeyboardInterrupt:
            failure = KeyboardInterrupt()
        except _BROKEN as error:
            failure = UnreachableError(f"No answer from {self.origin}: {_reason(error)}")
        raise failure  # here, so that no frame of the traceback holds the token


class _Signature(requests.auth.AuthBase):
    """Puts the token on a request that is about to leave."""

    def __init__(self, header: str, token: Secret) -> None:
        self._header = header
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        prefix = "Bearer " if self._header == "Authorization" else ""
        request.headers[self._header] = prefix + self._token()
        return request


class _Form(requests.auth.AuthBase):
    """Fills in a form that is about to leave."""

    def __init__(self, fields: Callable[[], Mapping[str, str]]) -> None:
        self._fields = fields

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
        request.prepare_body(urlencode(self._fields()), None)
        return request


class WSGIAdapter(BaseAdapter):
    """Calls a WSGI application in this process: no port, no socket."""

    def __init__(self, application: WSGIApplication) -> None:
        super().__init__()
        self._application = application

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Return the application's answer."""
        url = urlsplit(request.url or "")
        body = request.body or b""
        environ = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "SERVER_NAME": url.hostname,
            "SERVER_PORT": str(url.port or 80),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": url.netloc,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": url.scheme,
            "wsgi.input": io.BytesIO(body.encode() if isinstance(body, str) else body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in request.headers.items():
            key = name.upper().replace("-", "_")
            environ["CONTENT_TYPE" if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        started: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            started.update(status=int(status.split()[0]), headers=headers)

        content = b"".join(self._application(environ, start_response))
        promised = dict(started["headers"]).get("Content-Length", len(content))
        if len(content) < int(promised):
            raise requests.ConnectionError("the answer was cut")
        response = requests.Response()
        response.request, response.url = request, request.url or ""
        response.status_code = started["status"]
        response.headers.update(started["headers"])
        response.raw = urllib3.HTTPResponse(
            io.BytesIO(content),
            headers=started["headers"],
            status=started["status"],
            preload_content=False,
            decode_content=False,
        )
        return response

    def close(self) -> None:
        """Nothing is held open."""


def _unpacked(raw: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Yield a body in pieces of bounded size; urllib3 takes half a gzip stream for a whole one."""
    pieces = raw.stream(_PIECE_BYTES, decode_content=False)
    if raw.headers.get("Content-Encoding", "").lower() not in ("gzip", "x-gzip"):
        yield from pieces
        return
    unpacker = zlib.decompressobj(_GZIP)
    came = gave = 0
    for piece in pieces:
        came += len(piece)
        full = True
        while piece or full:  # what is unpacked already may fill more than one piece
            if piece and unpacker.eof:  # a gzip stream may have several members
                unpacker = zlib.decompressobj(_GZIP)
            plain = unpacker.decompress(piece, _PIECE_BYTES)
            piece = unpacker.unconsumed_tail or unpacker.unused_data
            full = len(plain) == _PIECE_BYTES
            gave += len(plain)
            if gave > max(_BOMB_BYTES, _BOMB_RATIO * came):
                raise UnexpectedAnswerError(
                    f"The answer unpacks to more than {gave:,} bytes out of {came:,}: no data are "
                    "like that, so it was not read on. Check what stands between you and Salesforce"
                )
            if plain:
                yield plain
    # A 201 or a 204 may say gzip, and have nothing to unpack.
    if not unpacker.eof and (came or raw.status == 200):
        raise zlib.error("the gzip stream was cut")


def _reason(error: Exception) -> str:
    """Say what went wrong on the way, in words without the request."""
    if isinstance(error, requests.exceptions.SSLError):
        return (
            "the TLS certificate was not accepted. Behind a proxy that has its own, name them in "
            "REQUESTS_CA_BUNDLE"
        )
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "it took too long. Check the network, then ask again"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy did not let it through. Check HTTPS_PROXY and NO_PROXY"
    if isinstance(error, requests.ConnectionError):
        return "nothing listens there, or the name is unknown. Check instance_url and the network"
    return "the connection broke off before the whole answer came"
