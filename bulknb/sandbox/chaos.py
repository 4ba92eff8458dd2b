"""Faults of requests, around the application: what a network and a bad day do to a client.

A connection that ends is a ConnectionResetError out of the application. In process the client
gets it as it is; the server cuts the connection without another byte (`bulknb.sandbox.server`).
An answer shorter than its Content-Length is cut by waitress itself. The server hands on
whole requests only, so that over HTTP ``drop_mid`` looks like ``drop_before``.
"""

import gzip
import io
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bulknb.sandbox import ids
from bulknb.sandbox.clock import Clock
from bulknb.sandbox.faults import Fault, FaultPlan
from bulknb.sandbox.web import JSON, SPENT

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

OTHER_HOST = "https://login.example.com/"
UNKNOWN_STATE = "Validating"

_HTML = "text/html; charset=UTF-8"
_LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Login</title></head><body></body></html>"

_JOB_PATH = re.compile(r"/(?:jobs/ingest|jobs/query|job)/(750\w{12}(?:\w{3})?)/?$")
_STATE = re.compile(r'(?<="state":")\w+(?=")|(?<=<state>)\w+(?=</state>)')
_PROCESSED = re.compile(r'(?<="numberRecordsProcessed":)\d+|(?<=<numberRecordsProcessed>)\d+(?=</)')
_ENDED = frozenset({"JobComplete", "Failed", "Aborted", "Closed"})
_STATE_BEFORE = {
    "UploadComplete": "Open",
    "InProgress": "UploadComplete",
    "JobComplete": "InProgress",
    "Failed": "InProgress",
    "Aborted": "InProgress",
    "Closed": "Open",
    "Completed": "InProgress",
}


@dataclass(frozen=True)
class Answer:
    """A whole answer, its headers by their names as sent."""

    status: str
    headers: dict[str, str]
    body: bytes

    def with_body(self, body: bytes) -> "Answer":
        """Return the same answer about another body."""
        headers = self.headers | {"Content-Length": str(len(body))}
        return replace(self, headers=headers, body=body)

    def map_text(self, change: Callable[[str], str]) -> "Answer":
        """Return the same answer, its text changed."""
        text = change(self.body.decode(errors="surrogateescape"))
        return self.with_body(text.encode(errors="surrogateescape"))


class Chaos:
    """An application to whose requests happens what a plan says.

    Parameters
    ----------
    application : WSGI application
        What answers the requests.
    plan : FaultPlan
        What goes wrong, and when.
    clock : Clock
        What slow answers wait by.
    """

    def __init__(self, application: "WSGIApplication", plan: FaultPlan, clock: Clock) -> None:
        self._application = application
        self._plan = plan
        self._clock = clock
        self._zombies: list[tuple[int, WSGIEnvironment]] = []
        self._lock = threading.Lock()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request, or raise ConnectionResetError."""
        ordinal, fault = self._plan.next_request(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        self._apply_zombies(ordinal)
        if fault is None and not self._plan.touches_jobs:
            return self._application(environ, start_response)
        path = environ["PATH_INFO"]  # the application tidies it up
        answer = self._faulty(fault, ordinal, environ) if fault else self._apply(environ)
        if environ["REQUEST_METHOD"] == "GET":
            answer = self._as_shown(path, answer)
        start_response(answer.status, list(answer.headers.items()))
        return [answer.body]

    def _apply(self, environ: "WSGIEnvironment") -> Answer:
        """Let the org answer, without compression."""
        environ.pop("HTTP_ACCEPT_ENCODING", None)
        status, headers = "", {}

        def start(
            code: str, found: list[tuple[str, str]], _: object = None
        ) -> Callable[[bytes], object]:
            nonlocal status, headers
            status, headers = code, dict(found)
            return lambda _: None

        parts = self._application(environ, start)
        try:
            return Answer(status, headers, b"".join(parts))
        finally:
            if close := getattr(parts, "close", None):
                close()

    def _apply_zombies(self, ordinal: int) -> None:
        """Let those requests arrive that were believed lost and whose time has come."""
        with self._lock:
            due = [environ for at, environ in self._zombies if at < ordinal]
            self._zombies = [(at, environ) for at, environ in self._zombies if at >= ordinal]
        for environ in due:
            self._apply(environ)

    def _faulty(self, fault: Fault, ordinal: int, environ: "WSGIEnvironment") -> Answer:
        """Return what the client gets of a request with a fault."""
        match fault.kind:
            case "drop_before":
                raise ConnectionResetError
            case "drop_mid":
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0) // 2)
                raise ConnectionResetError
            case "drop_after":
                self._apply(environ)
                raise ConnectionResetError
            case "stall":
                self._clock.sleep(fault.seconds)
                raise ConnectionResetError
            case "zombie":
                with self._lock:
                    self._zombies.append((ordinal + fault.later, _kept(environ)))
                raise ConnectionResetError
            case "slow":
                answer = self._apply(environ)
                self._clock.sleep(fault.seconds)
                return answer
            case "dup":
                environ = _kept(environ)
                self._apply(dict(environ))
                environ["wsgi.input"].seek(0)
            case "401":
                environ |= {"HTTP_AUTHORIZATION": "Bearer dead", "HTTP_X_SFDC_SESSION": "dead"}
            case "limit403":
                environ[SPENT] = True
            case kind if kind in _INSTEAD:
                return _INSTEAD[kind](fault)
        answer = self._apply(environ)
        change = _CHANGED.get(fault.kind)
        return change(answer) if change else answer

    def _as_shown(self, path: str, answer: Answer) -> Answer:
        """Return an answer about a job as the job's own faults show it."""
        found = _JOB_PATH.search(path)
        job = ids.normal(found[1]) if found else None
        if job is None or not answer.status.startswith("200"):
            return answer
        if self._plan.take_answer("unknown_state", job):
            answer = answer.map_text(lambda text: _STATE.sub(UNKNOWN_STATE, text))
        state = _STATE.search(answer.body.decode(errors="surrogateescape"))
        if state and state[0] in _ENDED and (fault := self._plan.take_answer("counts_lag", job)):
            rows = fault.rows
            answer = answer.map_text(
                lambda text: _PROCESSED.sub(lambda n: str(max(0, int(n[0]) - rows)), text)
            )
        return answer


def _kept(environ: "WSGIEnvironment") -> "WSGIEnvironment":
    """Return a request that can be made later: the server takes its body back."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return dict(environ) | {"wsgi.input": io.BytesIO(body)}


# What comes instead of an answer of the org


def _instead(status: str, body: bytes, content_type: str = JSON, **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"Content-Type": content_type, **names}, b"").with_body(body)


def _error(code: str) -> bytes:
    return b'[{"errorCode":"%b","message":"A fault that was planned"}]' % code.encode()


def _retry_after(status: str, code: str, fault: Fault) -> Answer:
    return _instead(status, _error(code), Retry_After=str(round(fault.seconds)))


_INSTEAD: dict[str, Callable[[Fault], Answer]] = {
    "500": lambda _: _instead("500 Internal Server Error", _error("UNKNOWN_EXCEPTION")),
    "502": lambda _: _instead("502 Bad Gateway", b"<html>Bad Gateway</html>", _HTML),
    "503": lambda fault: _retry_after("503 Service Unavailable", "SERVER_UNAVAILABLE", fault),
    "429": lambda fault: _retry_after("429 Too Many Requests", "TOO_MANY_REQUESTS", fault),
    "html200": lambda _: _instead("200 OK", _LOGIN_PAGE, _HTML),
    "redirect_other_host": lambda _: _instead("302 Found", b"", _HTML, Location=OTHER_HOST),
}


# What becomes of an answer of the org


def _gateway_timeout(answer: Answer) -> Answer:
    return _instead("504 Gateway Timeout", b"<html>Gateway Timeout</html>", _HTML)


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _cut_short(answer: Answer) -> Answer:
    return replace(answer.with_body(answer.body), body=_half(answer.body))


def _cut_gzip(answer: Answer) -> Answer:
    packed = answer.headers.get("Content-Encoding") == "gzip"
    body = answer.body if packed else gzip.compress(answer.body, mtime=0)
    cut = answer.with_body(_half(body))
    return replace(cut, headers=cut.headers | {"Content-Encoding": "gzip"})


def _stale(answer: Answer) -> Answer:
    return answer.map_text(
        lambda text: _STATE.sub(lambda state: _STATE_BEFORE.get(state[0], state[0]), text)
    )


def _miscounted(answer: Answer) -> Answer:
    count = answer.headers.get("Sforce-NumberOfRecords")
    if count is None:
        return answer
    return replace(answer, headers=answer.headers | {"Sforce-NumberOfRecords": str(int(count) + 1)})


def _reordered(answer: Answer) -> Answer:
    if not answer.headers.get("Content-Type", "").startswith("text/csv"):
        return answer

    def turn(text: str) -> str:
        rows = [""]
        for line in io.StringIO(text, newline=""):
            if rows[-1].count('"') % 2:  # that was a line end within quotes
                rows[-1] += line
            else:
                rows.append(line)
        header, *rest = rows[1:] or [""]
        return header + "".join(reversed(rest))

    return answer.map_text(turn)


_CHANGED: dict[str, Callable[[Answer], Answer]] = {
    "504_after": _gateway_timeout,
    "trunc": _cut_short,
    "trunc_ok": lambda answer: answer.with_body(_half(answer.body)),
    "gzip_trunc": _cut_gzip,
    "stale_state": _stale,
    "wrong_count_header": _miscounted,
    "reorder_rows": _reordered,
}
