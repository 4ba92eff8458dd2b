"""The wire against servers that are not what they should be: real sockets, real answers."""

from __future__ import annotations

import copy
import http.server
import logging
import pickle
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import bulknb
from bulknb._auth import Secret
from bulknb._wire import Wire
from bulknb.errors import (
    ApiError,
    AuthenticationError,
    InputError,
    LimitError,
    NotFoundError,
    ServerError,
    UnexpectedAnswerError,
    UnreachableError,
)

TOKEN = "00Dxx0000000001!planted.secret.token"
JSON = {"Content-Type": "application/json;charset=UTF-8"}
HTML = {"Content-Type": "text/html"}


class Steps:
    """A clock whose sleep only adds up."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@contextmanager
def serving(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[tuple[str, list[str]]]:
    """Serve the answers in turn, the last one for ever; yield the URL and a log of requests."""
    log: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            status, headers, body = answers[min(len(log), len(answers) - 1)]
            log.append(f"{self.command} {self.path} {self.headers.get('Authorization')}")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def __getattr__(self, name: str) -> object:
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", log
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wire_to(url: str) -> Wire:
    return Wire(url, Secret(TOKEN), api_version="62.0", clock=Steps())


def failure(url: str, method: str = "GET") -> Exception:
    with pytest.raises(bulknb.BulkError) as caught:
        wire_to(url).request(method, "/services/data/v62.0")
    return caught.value


def test_nothing_there_says_what_to_check():
    error = failure("http://127.0.0.1:9")

    assert isinstance(error, UnreachableError)
    assert "Check instance_url" in str(error)


def test_an_html_page_instead_of_json_says_what_to_check():
    with (
        serving((200, HTML, b"<html>Sign in</html>")) as (url, _),
        pytest.raises(UnexpectedAnswerError, match=r"an HTML page.*instance_url"),
    ):
        bulknb.connect(instance_url=url, access_token=TOKEN)


def test_an_html_error_page_is_no_api_error():
    with serving((404, HTML, b"<html>not here</html>")) as (url, _):
        assert isinstance(failure(url), UnexpectedAnswerError)


@pytest.mark.parametrize(
    ("status", "body", "cls", "code"),
    [
        (401, b'[{"message":"x","errorCode":"INVALID_SESSION_ID"}]', AuthenticationError, ""),
        (404, b'[{"errorCode":"NOT_FOUND","message":"x"}]', NotFoundError, ""),
        (
            400,
            b'{"exceptionCode":"InvalidSessionId","exceptionMessage":"x"}',
            AuthenticationError,
            "",
        ),
        (403, b'[{"message":"x","errorCode":"REQUEST_LIMIT_EXCEEDED"}]', LimitError, ""),
        (400, b'{"error":"invalid_grant","error_description":"x"}', ApiError, "invalid_grant"),
        (400, b'[{"errorCode":"NEWLY_INVENTED","message":"x"}]', ApiError, "NEWLY_INVENTED"),
        (500, b'[{"errorCode":"NEWLY_INVENTED","message":"x"}]', ServerError, "NEWLY_INVENTED"),
    ],
)
def test_a_refusal_arrives_with_its_class_code_and_words(status, body, cls, code):
    with serving((status, JSON, body)) as (url, _):
        error = failure(url)

    assert type(error) is cls
    assert error.status == status
    assert error.server_message == "x"
    assert code in ("", error.code)


def test_a_redirect_is_not_followed():
    with serving((200, JSON, b"{}")) as (elsewhere, visited):
        with serving((307, {"Location": elsewhere}, b"")) as (url, _):
            error = failure(url)
        assert visited == []

    assert isinstance(error, UnexpectedAnswerError)
    assert "redirects" in str(error)


def test_a_get_is_repeated_and_anything_else_is_sent_once():
    trouble = (503, JSON, b'[{"errorCode":"SERVER_UNAVAILABLE","message":"x"}]')
    fine = (200, JSON, b"{}")
    with serving(trouble, trouble, fine) as (url, log):
        assert wire_to(url).request("GET", "/a").json() == {}
        assert len(log) == 3
    with serving(trouble, fine) as (url, log):
        assert isinstance(failure(url, "POST"), ServerError)
        assert len(log) == 1


def test_a_gateways_html_page_is_trouble_on_the_way_and_asked_again():
    page = (502, HTML, b"<html>Bad gateway</html>")
    with serving(page, (200, JSON, b"{}")) as (url, log):
        assert wire_to(url).request("GET", "/a").json() == {}
        assert len(log) == 2
    with serving(page) as (url, _):
        assert isinstance(failure(url, "POST"), ServerError)


def test_the_server_says_how_long_to_wait():
    busy = (429, {**JSON, "Retry-After": "7"}, b'[{"errorCode":"X","message":"x"}]')
    with serving(busy, (200, JSON, b"{}")) as (url, _):
        wire = wire_to(url)
        wire.request("GET", "/a")

    assert wire.clock.monotonic() == 7


def test_the_daily_limit_is_not_hammered():
    gone = (403, JSON, b'[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"x"}]')
    with serving(gone) as (url, log):
        failure(url)
        assert len(log) == 1


def test_a_cut_answer_is_no_answer():
    with serving((200, {**JSON, "Content-Length": "100"}, b"{}")) as (url, _):
        assert isinstance(failure(url), UnreachableError)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "//evil.example/x",
        "/\\evil.example",
        "http://127.0.0.1@evil.example/x",
        "@evil.example/x",
        "http://127.0.0.1:1.evil.example/",
        "",
    ],
)
def test_a_url_of_another_host_is_refused(url):
    with pytest.raises(UnexpectedAnswerError):
        wire_to("http://127.0.0.1:1").own_path(url)


@pytest.mark.parametrize(
    "url", ["http://example.com", "ftp://127.0.0.1", "https://a@b.example", "", "https://"]
)
def test_a_token_is_not_sent_just_anywhere(url):
    with pytest.raises(InputError):
        wire_to(url)


def test_connect_without_anything_says_how(monkeypatch):
    for name in ("BULKNB_INSTANCE_URL", "BULKNB_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(InputError, match=r"sandbox\.start"):
        bulknb.connect()


def test_the_token_shows_nowhere(caplog):
    caplog.set_level(logging.DEBUG)
    secret = Secret(TOKEN)
    wire = Wire("http://127.0.0.1:9", secret, api_version="62.0", clock=Steps())

    with pytest.raises(UnreachableError) as caught:
        wire.request("GET", "/services/data")
    trace = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )

    for text in (repr(secret), repr(wire), str(vars(wire)), str(caught.value), trace, caplog.text):
        assert TOKEN not in text
    assert caught.value.__context__ is None
    for copying in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="not copied or pickled"):
            copying(secret)


def test_an_api_error_survives_pickling():
    error = LimitError(403, "REQUEST_LIMIT_EXCEEDED", "x", "Wait")

    assert str(pickle.loads(pickle.dumps(error))) == str(error)
