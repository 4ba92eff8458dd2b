"""A body that is streamed: unpacked in bounded pieces, and only whole."""

from __future__ import annotations

import gzip
import os
import traceback

import pytest

from bulknb._auth import Secret
from bulknb._wire import Wire, WSGIAdapter
from bulknb.errors import NotFoundError, ServerError, UnexpectedAnswerError, UnreachableError
from bulknb.sandbox import ManualClock

TOKEN = "00Dxx0000000001!planted.secret.token"
DATA = os.urandom(3 << 20) + b"\0" * (3 << 20)


def wire(body: bytes, status: str = "200 OK", **headers: str) -> Wire:
    def application(environ, start_response):
        given = {"Content_Type": "text/csv"} | headers
        start_response(status, [(name.replace("_", "-"), value) for name, value in given.items()])
        return [body]

    return Wire(
        "http://127.0.0.1",
        Secret(TOKEN),
        api_version="62.0",
        transport=application,
        clock=ManualClock(),
    )


def download(wire: Wire) -> bytes:
    pieces: list[bytes] = []
    wire.download("/page", pieces.append)
    assert max(map(len, pieces), default=0) <= 1 << 20
    return b"".join(pieces)


def test_a_plain_body_comes_as_it_is():
    assert download(wire(DATA)) == DATA


def test_the_head_of_an_answer_is_told_before_its_body():
    told: list[object] = []

    answer = wire(b"Id\n", Sforce_Locator="next").download(
        "/page", told.append, head=lambda head: told.append(head.headers["Sforce-Locator"])
    )

    assert told == ["next", b"Id\n"]
    assert answer.headers["Sforce-Locator"] == "next"


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_packed_body_is_unpacked(level):
    assert download(wire(gzip.compress(DATA, level), Content_Encoding="gzip")) == DATA


def test_several_gzip_members_are_one_body():
    packed = gzip.compress(b"one,") + gzip.compress(b"two") + gzip.compress(b"")

    assert download(wire(packed, Content_Encoding="gzip")) == b"one,two"


@pytest.mark.parametrize("kept", [0, 1, 9, 10, 20, -8, -1])
def test_a_gzip_stream_without_its_end_is_no_body(kept):
    packed = gzip.compress(b"Id,Name\n1,Acme\n" * 9)[:kept]

    with pytest.raises(UnreachableError, match="broke off"):
        download(wire(packed, Content_Encoding="gzip"))


def test_what_is_packed_to_fill_the_disk_is_not_unpacked():
    bomb = gzip.compress(b"\0" * 100_000_000)

    with pytest.raises(UnexpectedAnswerError, match="unpacks to more than"):
        download(wire(bomb, Content_Encoding="gzip"))


@pytest.mark.parametrize(
    ("status", "body", "headers", "error"),
    [
        ("200 OK", b"<html>", {"Content_Type": "text/html"}, UnexpectedAnswerError),
        ("302 Found", b"", {"Location": "https://elsewhere.example.com/"}, UnexpectedAnswerError),
        ("204 No Content", b"", {}, UnexpectedAnswerError),
        (
            "404 Not Found",
            b'[{"errorCode": "NOT_FOUND", "message": "no"}]',
            {"Content_Type": "application/json"},
            NotFoundError,
        ),
    ],
)
def test_what_is_not_the_page_is_an_error_and_nothing_of_it_is_written(
    status, body, headers, error
):
    written: list[bytes] = []

    with pytest.raises(error):
        wire(body, status, **headers).download("/page", written.append)
    assert written == []


def test_an_error_of_the_disk_is_told_as_such():
    def full(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        wire(DATA).download("/page", full)


def test_after_a_page_that_was_refused_all_requests_wait_as_long_as_the_server_asks():
    busy = wire(b"[]", "503 Service Unavailable", Retry_After="30", Content_Type="application/json")

    with pytest.raises(ServerError):
        download(busy)
    assert busy.clock.monotonic() == 0
    with pytest.raises(ServerError):
        busy.request("POST", "/jobs")
    assert busy.clock.monotonic() == 30


@pytest.mark.parametrize("status", ["201 Created", "204 No Content"])
def test_what_says_gzip_and_has_nothing_to_unpack_is_empty(status):
    empty = wire(b"", status, Content_Encoding="gzip")

    assert empty.request("PUT", "/batches", expect=(201, 204)).body == b""


def failing(body: bytes) -> None:
    raise OSError(28, "No space left on device")


def interrupting(body: bytes) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("write", [failing, interrupting, bytes])
def test_no_traceback_of_a_body_that_breaks_off_holds_the_token(write):
    cut = wire(gzip.compress(DATA)[:-9], Content_Encoding="gzip")

    with pytest.raises((OSError, KeyboardInterrupt, UnreachableError)) as failed:
        cut.download("/page", write)
    trace = failed.value.__traceback__.tb_next  # the test's own frame holds what it plants
    shown = traceback.TracebackException(
        type(failed.value), failed.value, trace, capture_locals=True
    )
    assert "in download" in (text := "".join(shown.format()))
    assert TOKEN not in text


def test_the_token_goes_to_the_org_alone():
    with pytest.raises(UnexpectedAnswerError, match="another host"):
        wire(b"").download("https://elsewhere.example.com/page", print)


def test_a_body_that_breaks_off_comes_anew_if_what_was_written_can_be_undone():
    answers = iter([gzip.compress(DATA)[:-9], gzip.compress(DATA)])

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/csv"), ("Content-Encoding", "gzip")])
        return [next(answers)]

    pieces: list[bytes] = []
    there = wire(b"")
    there._session.mount("http://127.0.0.1", WSGIAdapter(application))
    there.download("/page", pieces.append, again=pieces.clear)

    assert b"".join(pieces) == DATA
