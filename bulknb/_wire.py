"""One HTTP call to the org: auth, time-outs, retries of reads, errors as `errors` has them.

Rules held here for everybody: the token goes to one origin only and is put on at the last moment;
no redirect is followed; a GET may be repeated, any other method is sent once; an answer counts
only with the expected status and content type.
"""

from __future__ import annotations

import io
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter

from ._auth import Secret
from ._xml import read_xml
from .errors import (
    ApiError,
    AuthenticationError,
    BulkError,
    InputError,
    LimitError,
    ServerError,
    UnexpectedAnswerError,
    UnreachableError,
    from_answer,
)

__all__ = ["Answer", "Clock", "Wire"]

log = logging.getLogger("bulknb.wire")

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 60.0
_SLOWEST_BYTES_PER_SECOND = 50_000
_TRIES = 4
_LONGEST_RETRY_SECONDS = 60.0
_JITTER = random.SystemRandom()

_LOOPBACK = ("127.0.0.1", "localhost", "::1")

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Clock(Protocol):
    """What is needed of the `time` module; tests hand in one that they turn by hand."""

    def time(self) -> float: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...


@dataclass(frozen=True)
class Answer:
    """A successful answer: status, headers (names in any case), body as bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type without its parameters, in lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Return the body as JSON.

        Raises
        ------
        UnexpectedAnswerError
            It is something else, such as a login page.
        """
        if self.content_type == "application/json":
            try:
                return json.loads(self.body)
            except ValueError:
                pass
        raise UnexpectedAnswerError(_not_the_api(self.content_type, "JSON"))

    def csv(self) -> bytes:
        """Return the body if it is CSV.

        Raises
        ------
        UnexpectedAnswerError
            It is something else, such as a login page.
        """
        if self.content_type != "text/csv":
            raise UnexpectedAnswerError(_not_the_api(self.content_type, "CSV"))
        return self.body


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
    transport : WSGI application, optional
        Called in this process instead of the network.
    clock : optional
        The `time` module, or something with its ``time``, ``monotonic`` and ``sleep``.
    renew : callable, optional
        Gives a fresh token when the session has expired.
    """

    def __init__(
        self,
        instance_url: str,
        token: Secret,
        *,
        api_version: str,
        renew: Callable[[], Secret] | None = None,
        transport: WSGIApplication | None = None,
        clock: Clock = time,
    ) -> None:
        self.origin = _origin(instance_url)
        self.api_version = api_version
        self.clock = clock
        self._token = token
        self._renew = renew
        self._renewing = threading.Lock()
        self._session = requests.Session()
        # A proxy from the environment is for the world outside, not for this machine.
        self._session.trust_env = urlsplit(self.origin).hostname not in _LOOPBACK
        if transport is not None:
            self._session.mount(self.origin, WSGIAdapter(transport))

    def __repr__(self) -> str:
        return f"Wire({self.origin}, v{self.api_version})"

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
    ) -> Answer:
        """Send one request and return its answer.

        A GET is repeated after network trouble, HTTP 429 and 5xx, waiting as the server asks or
        longer each time; nothing else is ever sent twice. When the session has expired and can be
        renewed, the request that was refused is sent anew, unless it is an upload.

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
        call = requests.Request(
            method,
            self.origin + self.own_path(path),
            headers={name: value for name, value in named.items() if value},
            data=body,
            params=dict(params or {}),
        )
        token = self._token
        try:
            return self._try(call, auth_header, token, expect)
        except AuthenticationError as error:
            expired = error
        # An upload is not repeated: whether its data arrived is not known.
        fresh = None if method == "PUT" else self._fresh(token)
        if fresh is None:
            raise expired
        return self._try(call, auth_header, fresh, expect)

    def own_path(self, url: str) -> str:
        """Return the path of a URL that the server handed out, if it is this org's own.

        Raises
        ------
        UnexpectedAnswerError
            It points elsewhere: neither the token nor data would be sent there.
        """
        if url.startswith("/") and not url.startswith(("//", "/\\")):
            return url
        if url.startswith(f"{self.origin}/"):
            return url.removeprefix(self.origin)
        raise UnexpectedAnswerError("The server handed out a URL of another host; it was not used")

    def _try(
        self, call: requests.Request, auth_header: str, token: Secret, expect: tuple[int, ...]
    ) -> Answer:
        """Send the call; a GET again after trouble on the way."""
        call.auth = _Signature(auth_header, token)
        for tries_left in reversed(range(_TRIES if call.method == "GET" else 1)):
            try:
                return self._send(call, expect)
            except (UnreachableError, ServerError, LimitError) as error:
                if not tries_left or _is_daily(error):
                    raise
                self.clock.sleep(_pause(error, _TRIES - tries_left))
        raise AssertionError("the loop above returns or raises")

    def _fresh(self, expired: Secret) -> Secret | None:
        """Return another token than the expired one, if there is: one renewal serves all."""
        with self._renewing:
            if self._token is expired and self._renew:
                self._token = self._renew()
            return None if self._token is expired else self._token

    def _send(self, call: requests.Request, expect: tuple[int, ...]) -> Answer:
        size = len(call.data) if call.data else 0
        timeout = (_CONNECT_SECONDS, _READ_SECONDS + size / _SLOWEST_BYTES_PER_SECOND)
        started = time.perf_counter()
        trouble = None
        try:
            # Proxies and CA bundles of the environment count; the netrc does not, as auth is given.
            request = self._session.prepare_request(call)
            settings = self._session.merge_environment_settings(
                request.url or "", {}, True, None, None
            )
            response = self._session.send(
                request, allow_redirects=False, timeout=timeout, **settings
            )
            with response:
                content = response.raw.read(decode_content=True)
            answer = Answer(response.status_code, response.headers, content)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            trouble = _reason(error)
        if trouble:  # raised here, so that the error holds no request, and so no token
            raise UnreachableError(f"No answer from {self.origin}: {trouble}")
        log.debug(
            "%s %s -> %d in %.0f ms",
            call.method,
            urlsplit(call.url).path,
            answer.status,
            1000 * (time.perf_counter() - started),
        )
        if answer.status in expect:
            return answer
        raise _refusal(answer)


class _Signature(requests.auth.AuthBase):
    """Puts the token on a request that is about to leave."""

    def __init__(self, header: str, token: Secret) -> None:
        self._header = header
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        prefix = "Bearer " if self._header == "Authorization" else ""
        request.headers[self._header] = prefix + self._token()
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
            io.BytesIO(content), headers=started["headers"], preload_content=False
        )
        return response

    def close(self) -> None:
        """Nothing is held open."""


def _origin(instance_url: str) -> str:
    """Return scheme, host and port of a URL that is safe to send a token to."""
    url = urlsplit(instance_url if "://" in instance_url else f"https://{instance_url}")
    if not url.hostname or url.username or url.password or url.scheme not in ("http", "https"):
        raise InputError("instance_url should look like https://yourcompany.my.salesforce.com")
    if url.scheme == "http" and url.hostname not in _LOOPBACK:
        raise InputError("instance_url must be https: over http the token would travel in the open")
    return f"{url.scheme}://{url.netloc}"


def _not_the_api(content_type: str, wanted: str) -> str:
    got = "an HTML page" if "html" in content_type else (content_type or "nothing readable")
    return (
        f"The answer is {got}, not {wanted}. Check that instance_url is the org's own address "
        "(https://yourcompany.my.salesforce.com) and that no proxy or login page stands between"
    )


def _refusal(answer: Answer) -> BulkError:
    """Return the error for an answer that is not the expected one."""
    if 300 <= answer.status < 400:
        host = urlsplit(answer.headers.get("Location", "")).hostname or "elsewhere"
        return UnexpectedAnswerError(
            f"The server redirects to {host}; this is not followed, for the token's sake. "
            "Use the org's own address as instance_url"
        )
    code, message = _server_words(answer)
    if not code and answer.status < 500 and (answer.status < 400 or "html" in answer.content_type):
        wanted = f"an answer of the API (HTTP {answer.status})"
        return UnexpectedAnswerError(_not_the_api(answer.content_type, wanted))
    error = from_answer(answer.status, code or "HTTP", message or "no message")
    error.retry_after = _retry_after(answer.headers.get("Retry-After", ""))
    return error


def _server_words(answer: Answer) -> tuple[str, str]:
    """Return (code, message) out of the error bodies of 2.0, REST, OAuth and 1.0."""
    if answer.content_type == "application/xml":
        root, content = read_xml(answer.body)
        if root == "error" and isinstance(content, dict):
            return str(content.get("exceptionCode", "")), str(content.get("exceptionMessage", ""))
        return "", ""
    try:
        body = json.loads(answer.body)
    except ValueError:
        return "", ""
    first = body[0] if isinstance(body, list) and body else body
    if not isinstance(first, dict):
        return "", ""
    code = first.get("errorCode") or first.get("exceptionCode") or first.get("error") or ""
    message = first.get("message") or first.get("exceptionMessage")
    return str(code), str(message or first.get("error_description") or "")


def _retry_after(value: str) -> float | None:
    return float(value) if value.isdecimal() else None


def _is_daily(error: BulkError) -> bool:
    """Tell whether the org's daily calls are used up: asking again soon is no use."""
    return isinstance(error, LimitError) and error.status != 429


def _pause(error: BulkError, attempt: int) -> float:
    """Return the seconds to wait: what the server asks, else doubling with full jitter."""
    asked = error.retry_after if isinstance(error, ApiError) else None
    if asked is not None:
        return min(asked, _LONGEST_RETRY_SECONDS)
    return _JITTER.uniform(0.1, 0.25 * 2**attempt)


def _reason(error: Exception) -> str:
    """Say what went wrong on the way, in words without the request."""
    if isinstance(error, requests.exceptions.SSLError):
        return "the TLS certificate was not accepted"
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "it took too long. Check the network, then ask again"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy did not let it through"
    if isinstance(error, requests.ConnectionError):
        return "nothing listens there, or the name is unknown. Check instance_url and the network"
    return "the connection broke off before the whole answer came"
