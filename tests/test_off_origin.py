"""Not a byte leaves for another host, whatever URL a server hands out.

One server answers as an org does, but with hostile URLs; another one, on an address of its own,
waits for anything to arrive. Names are looked up by nobody.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

import bulknb
from bulknb.errors import BulkError, UnexpectedAnswerError
from bulknb.sandbox import ManualClock
from bulknb.sandbox.server import Server

TOKEN = "00Dxx0000000001!planted.secret.token"
JOB_ID = "750xx0000000001AAA"
PATH = f"/services/data/v62.0/jobs/ingest?queryLocator={JOB_ID}"


class Evil:
    """A listener that answers everything with 200, and keeps what arrives."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.2", 0))
        self.port = self._socket.getsockname()[1]
        self.visits: list[bytes] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                visitor, _ = self._socket.accept()
            except OSError:
                return
            with visitor:
                visitor.settimeout(1)
                self.visits.append(visitor.recv(65536))
                visitor.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


class Hostile:
    """An org on 127.0.0.1 whose next answer is chosen; notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, tuple[str, list[tuple[str, str]], object]] = {}
        self._server = Server(self._answer, 0)
        self.port = self._server.port
        self.url = f"http://127.0.0.1:{self.port}"
        self.close = self._server.close

    def _answer(self, environ, start_response):
        environ["wsgi.input"].read()
        self.asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        status, headers, document = self.answers.get(
            environ["REQUEST_METHOD"], ("200 OK", [], {"records": []})
        )
        start_response(status, [("Content-Type", "application/json"), *headers])
        return [json.dumps(document).encode()]

    def connect(self) -> bulknb.Org:
        self.answers = {}
        org = bulknb.connect(instance_url=self.url, access_token=TOKEN, clock=ManualClock())
        self.asked.clear()
        return org


@contextmanager
def closing(thing) -> Iterator:
    try:
        yield thing
    finally:
        thing.close()


@pytest.fixture(scope="module")
def evil() -> Iterator[Evil]:
    with closing(Evil()) as evil:
        yield evil


@pytest.fixture(scope="module")
def hostile() -> Iterator[Hostile]:
    with closing(Hostile()) as hostile:
        yield hostile


@pytest.fixture(autouse=True)
def _nothing_leaves(evil, monkeypatch):
    """Whatever the test does: nobody visits the evil host, or looks up another name than ours."""
    names = []
    look_up = socket.getaddrinfo

    def noting(host, *args, **options):
        names.append(host)
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", noting)
    monkeypatch.setattr("bulknb._wire._CONNECT_SECONDS", 0.2)  # https to a server of http hangs
    yield
    assert evil.visits == []
    assert set(names) <= {"127.0.0.1", "localhost"}


def hostile_urls(mine: int, other: int) -> list[str]:
    """URLs that lead, or might lead a careless reader, from 127.0.0.1:mine to another place."""
    evil, home = f"127.0.0.2:{other}", f"127.0.0.1:{mine}"
    return [
        f"http://{evil}{PATH}",
        f"https://{evil}{PATH}",
        f"//{evil}{PATH}",
        f"///{evil}{PATH}",
        f"////{evil}{PATH}",
        f"/\\{evil}{PATH}",
        f"\\\\{evil}{PATH}",
        f"\\/{evil}{PATH}",
        f"/\t/{evil}{PATH}",
        f"/\n/{evil}{PATH}",
        f"\t//{evil}{PATH}",
        f" //{evil}{PATH}",
        f"@{evil}{PATH}",
        f":x@{evil}{PATH}",
        f".{evil}{PATH}",
        f".evil.example{PATH}",
        f":{other}{PATH}",
        f"http:{evil}{PATH}",
        f"http:/{evil}{PATH}",
        f"http:///{evil}{PATH}",
        f"http:\\\\{evil}{PATH}",
        f"ht\ntp://{evil}{PATH}",
        f"http://\t{evil}{PATH}",
        f"http://{home}@{evil}{PATH}",
        f"http://{home}:x@{evil}{PATH}",
        f"http://{home}%40{evil}{PATH}",
        f"http://{home}\\@{evil}{PATH}",
        f"http://{home}#@{evil}{PATH}\n",
        f"http://{evil}#@{home}{PATH}",
        f"http://{evil}?@{home}{PATH}",
        f"http://{evil}\\@{home}{PATH}",
        f"http://{home}.evil.example{PATH}",
        f"http://127.0.0.1:{other}{PATH}",
        f"http://127.0.0.1{PATH}",
        f"http://127.0.0.1:{mine}0{PATH}",
        f"https://{home}{PATH}",
        f"http://localhost:{mine}{PATH}",
        f"http://user@{home}{PATH}",
        f"http://user:word@{home}{PATH}",
        f"http://2130706434:{other}{PATH}",
        f"http://0x7f000002:{other}{PATH}",
        f"http://0177.0.0.2:{other}{PATH}",
        f"http://127.2:{other}{PATH}",
        f"http://[::ffff:127.0.0.2]:{other}{PATH}",
        f"http://127\u30020.0\uff0e2:{other}{PATH}",
        f"http://\u24ea127.0.0.2:{other}{PATH}",
        f"http://evil\u3002example{PATH}",
        f"http://\u0455alesforce.com{PATH}",
        f"http://xn--lesforce-65g.com{PATH}",
        "http://evil.example" + PATH,
        "https://login.salesforce.com.evil.example" + PATH,
        "javascript:alert(1)",
        "data:application/json,{}",
        "file:///etc/passwd",
        f"ftp://{evil}{PATH}",
        f"gopher://{evil}{PATH}",
        "http://[",
        "http://127.0.0.1:99999999/",
        "http://127.0.0.1:x/",
        "http://",
        "?queryLocator=x",
        "\x00",
    ]


URLS = range(len(hostile_urls(1, 2)))


def test_there_are_sixty_of_them_all_different():
    assert len(set(hostile_urls(1, 2))) == len(URLS) >= 60


@pytest.mark.parametrize("at", URLS)
def test_the_next_page_of_a_list_is_only_fetched_at_home(hostile, evil, at):
    org = hostile.connect()
    url = hostile_urls(hostile.port, evil.port)[at]
    hostile.answers = {"GET": ("200 OK", [], {"records": [], "nextRecordsUrl": url})}

    with pytest.raises(UnexpectedAnswerError, match="another host"):
        org.jobs()
    assert hostile.asked == ["GET /services/data/v62.0/jobs/ingest"]


@pytest.mark.parametrize("at", URLS)
def test_data_go_to_the_job_itself_and_not_to_its_content_url(hostile, evil, at):
    org = hostile.connect()
    url = hostile_urls(hostile.port, evil.port)[at]
    job = {"id": JOB_ID, "state": "Open", "contentUrl": url, "resultUrl": url}
    hostile.answers = {
        "POST": ("200 OK", [("Location", "http://evil.example/")], job),
        "PUT": ("201 Created", [("Location", f"http://127.0.0.2:{evil.port}/")], {}),
        "GET": ("200 OK", [], job),
    }

    org.create_job("insert", "Account").upload(b"Name\nAcme\n")

    assert f"PUT /services/data/v62.0/jobs/ingest/{JOB_ID}/batches" in hostile.asked


@pytest.mark.parametrize("at", URLS)
def test_a_sign_in_hands_no_token_to_another_host(hostile, evil, at):
    url = hostile_urls(hostile.port, evil.port)[at]
    said = {"access_token": TOKEN, "instance_url": url, "id": url}
    hostile.answers = {"POST": ("200 OK", [], said), "GET": ("200 OK", [], {})}

    assert signs_in_here_or_nowhere(
        client_id="app", refresh_token="r", login_url=hostile.url, clock=ManualClock()
    )


@pytest.mark.parametrize("at", URLS)
def test_an_address_that_was_copied_from_somewhere_gets_no_token(hostile, evil, at):
    url = hostile_urls(hostile.port, evil.port)[at]

    assert signs_in_here_or_nowhere(instance_url=url, access_token=TOKEN, clock=ManualClock())


def signs_in_here_or_nowhere(**given) -> bool:
    """Of an address the host counts, and this machine's is fine at whatever port."""
    try:
        org = bulknb.connect(**given)
    except BulkError:
        return True
    return urlsplit(org.url).hostname in {"127.0.0.1", "localhost"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "POST", "DELETE"])
def test_no_redirect_is_followed(hostile, evil, method, status):
    wire = hostile.connect()._wire
    for url in (f"http://127.0.0.2:{evil.port}/x", f"{hostile.url}/elsewhere", "//evil.example"):
        hostile.asked.clear()
        hostile.answers = {method: (f"{status} Moved", [("Location", url)], {})}

        with pytest.raises(UnexpectedAnswerError, match="redirects"):
            wire.request(method, "/services/data/v62.0/x", body=b"Name\nAcme\n")
        assert len(hostile.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_of_a_sign_in_is_followed(hostile, evil, status):
    hostile.asked.clear()
    hostile.answers = {
        "POST": (f"{status} Moved", [("Location", f"http://127.0.0.2:{evil.port}/x")], {})
    }

    with pytest.raises(UnexpectedAnswerError, match="redirects"):
        bulknb.connect(client_id="app", refresh_token="r", login_url=hostile.url)
    assert len(hostile.asked) == 1


def test_the_evil_host_would_have_noticed():
    with closing(Evil()) as evil, socket.socket() as visitor:
        visitor.connect(("127.0.0.2", evil.port))
        visitor.sendall(b"token")
        assert visitor.recv(100).startswith(b"HTTP/1.1 200")
        assert evil.visits == [b"token"]
