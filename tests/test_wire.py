"""The wire against servers that are not what they should be: real sockets, real answers."""

from __future__ import annotations

import copy
import gzip
import http.server
import logging
import pickle
import signal
import ssl
import threading
import time
import traceback
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

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
def serving(
    *answers: tuple[int, dict[str, str], bytes], tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[str]]]:
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
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
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
        (400, b'{"error":"invalid_grant","error_description":"x"}', AuthenticationError, ""),
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


BUSY = (429, {**JSON, "Retry-After": "100"}, b'[{"errorCode":"X","message":"x"}]')
SPENT = (403, JSON, b'[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"x"}]')
FINE = (200, JSON, b"{}")


def test_what_one_request_is_told_to_wait_all_wait():
    with serving(BUSY, FINE) as (url, log):
        wire = wire_to(url)
        with pytest.raises(LimitError):
            wire.request("POST", "/a")
        with pytest.raises(UnreachableError, match="wait 100 s"):
            wire.request("GET", "/b", patience=5)
        assert len(log) == 1
        wire.request("GET", "/c")

    assert wire.clock.monotonic() == 100


def test_a_pause_is_shared_by_threads_of_which_none_sends_meanwhile():
    class Noting(Steps):
        def sleep(self, seconds: float) -> None:
            asked.append(len(log))
            super().sleep(seconds)

    asked: list[int] = []
    with serving(BUSY, FINE) as (url, log):
        wire = Wire(url, Secret(TOKEN), api_version="62.0", clock=Noting())
        with pytest.raises(LimitError):
            wire.request("POST", "/first")
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda n: wire.request("GET", f"/{n}"), range(8)))

    assert [answer.status for answer in answers] == [200] * 8
    assert asked[0] == 1
    assert wire.clock.monotonic() >= 100


def test_without_a_word_of_the_server_the_pauses_grow_and_are_drawn_by_lot():
    trouble = (503, JSON, b'[{"errorCode":"SERVER_UNAVAILABLE","message":"x"}]')
    waits = set()
    with serving(trouble) as (url, log):
        for _ in range(20):
            wire = wire_to(url)
            with pytest.raises(ServerError):
                wire.request("GET", "/a")
            waits.add(wire.clock.monotonic())
        assert len(log) == 20 * 4

    assert len(waits) == 20
    assert all(0.3 <= seconds <= 0.5 + 1 + 2 for seconds in waits)


def test_ctrl_c_ends_a_pause_at_once(caplog, ctrl_c):
    caplog.set_level(logging.INFO)
    paused = threading.Event()

    class Telling(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            paused.set()

    def interrupt() -> None:
        paused.wait(10)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    handler = Telling()
    logging.getLogger("bulknb.wire").addHandler(handler)
    started = time.monotonic()
    try:
        with serving(BUSY) as (url, _):
            wire = Wire(url, Secret(TOKEN), api_version="62.0")
            with ThreadPoolExecutor(1) as thread:
                thread.submit(interrupt)
                with pytest.raises(KeyboardInterrupt):
                    wire.request("GET", "/a")
    finally:
        logging.getLogger("bulknb.wire").removeHandler(handler)
    assert time.monotonic() - started < 20


def test_spent_api_calls_are_asked_for_once_a_minute():
    with serving(SPENT, SPENT, FINE) as (url, log):
        wire = wire_to(url)
        for _ in range(10):
            with pytest.raises(LimitError, match="API calls are renewed"):
                wire.request("GET", "/a")
        assert (len(log), wire.paused) == (1, "paused: API limit")
        wire.clock.sleep(60)
        for _ in range(10):
            with pytest.raises(LimitError, match="in 60 s at the earliest" if _ else "renewed"):
                wire.request("GET", "/a")
        assert (len(log), wire.paused) == (2, "paused: API limit")
        wire.clock.sleep(60)
        wire.request("GET", "/a")
        wire.request("GET", "/a")
        assert (len(log), wire.paused) == (4, "")


def test_spent_api_calls_do_not_keep_the_user_from_trying():
    with serving(SPENT, FINE) as (url, log):
        wire = wire_to(url)
        with pytest.raises(LimitError):
            wire.request("GET", "/a")
        assert wire.request("PATCH", "/abort").status == 200
        assert wire.request("GET", "/a").status == 200
        assert len(log) == 3


def test_spent_batches_are_no_reason_to_stop_looking():
    body = b'{"exceptionCode":"ExceededQuota","exceptionMessage":"ApiBatchItems Limit exceeded"}'
    with serving((400, JSON, body), FINE) as (url, _):
        wire = wire_to(url)
        with pytest.raises(LimitError):
            wire.request("POST", "/batch")
        assert wire.paused == ""
        assert wire.request("GET", "/a").status == 200


def packed(size: int) -> tuple[int, dict[str, str], bytes]:
    return (200, {**JSON, "Content-Encoding": "gzip"}, gzip.compress(b" " * size + b"{}"))


def test_a_packed_answer_is_unpacked():
    with serving(packed(70_000)) as (url, _):
        assert wire_to(url).request("GET", "/a").json() == {}


@pytest.mark.parametrize("status", [200, 404])
def test_a_bomb_is_not_unpacked(status):
    _, headers, body = packed(100_000_000)
    with serving((status, headers, body)) as (url, log):
        tracemalloc.start()
        error = failure(url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert isinstance(error, UnexpectedAnswerError)
    assert "unpacks to more than" in str(error)
    assert len(log) == 1
    assert peak < 100_000_000


def test_a_packed_answer_that_was_cut_is_no_answer():
    _, headers, body = packed(100)
    with serving((200, headers, body[:-9])) as (url, _):
        assert isinstance(failure(url), UnreachableError)
    with serving((200, headers, b"no gzip")) as (url, _):
        assert isinstance(failure(url), UnreachableError)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now, now + timedelta(days=1)
    ).sign(key, hashes.SHA256())
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    with serving(FINE, tls=tls) as (url, log):
        error = failure(url.replace("http:", "https:"), "POST")

    assert isinstance(error, UnreachableError)
    assert "certificate" in str(error)
    assert log == []


def test_a_cut_answer_is_no_answer():
    with serving((200, {**JSON, "Content-Length": "100"}, b"{}")) as (url, _):
        assert isinstance(failure(url), UnreachableError)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "https://127.0.0.1:1/x",
        "//evil.example/x",
        "/\\evil.example",
        "/\tevil",
        "/x\n",
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
    ("url", "path"),
    [
        ("/services/data", "/services/data"),
        (
            "services/data/v62.0/jobs/ingest/750/batches",
            "/services/data/v62.0/jobs/ingest/750/batches",
        ),
        ("http://127.0.0.1:1/a?b=c", "/a?b=c"),
        ("HTTP://127.0.0.1:1", "/"),
    ],
)
def test_a_url_of_the_org_itself_is_used(url, path):
    assert wire_to("http://127.0.0.1:1").own_path(url) == path


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
