"""What may befall the pages of a query on their way: the whole result or an error, never less."""

from __future__ import annotations

import gzip
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from altered import accounts, altered, connect
from werkzeug.test import Client

import bulknb
from bulknb._jobs import QueryJob
from bulknb._jobs import query as query_module
from bulknb.errors import ReconcileError, UnexpectedAnswerError, UnreachableError
from bulknb.sandbox import Fault, Sandbox

SOQL = "SELECT Id, Name, Description FROM Account"
FRAMINGS = ("short", "chunked", "unfinished chunks", "close", "gzip", "cell")
STEP = 97


class Cutter:
    """A server before the sandbox, which cuts the pages of results that it hands on.

    Attributes
    ----------
    framing : str
        How the cut answer is framed.
    at : int
        After how many bytes it is cut.
    times : int
        How many of the next pages are cut.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.framing, self.at, self.times, self.served = "", 0, 0, 0
        client = Client(sandbox.app)
        cutter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                del self.headers["Accept-Encoding"]
                answer = client.get(self.path, headers=dict(self.headers))
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                cutter.send(self, answer.get_data())

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Cutter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def send(self, handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        framing = ""
        if "/results" in handler.path:
            self.served += 1
            framing = self.framing if self.served <= self.times else ""
        if framing == "gzip":
            body = gzip.compress(body, mtime=0)
            handler.send_header("Content-Encoding", "gzip")
        sent = body[: self.at] if framing else body
        if framing == "chunked":  # at the end of a row, with the chunk that ends the body
            sent = sent[: sent.rfind(b"\n") + 1]
        if framing in ("chunked", "unfinished chunks"):
            handler.send_header("Transfer-Encoding", "chunked")
            sent = b"%x\r\n%s\r\n" % (len(sent), sent) if sent else b""
            sent += b"0\r\n\r\n" if framing == "chunked" else b""
        elif framing != "close":
            length = len(body) if framing == "short" else len(sent)
            handler.send_header("Content-Length", str(length))
        if framing:
            handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(sent)
        handler.close_connection = bool(framing)


@pytest.fixture(scope="module")
def page() -> Iterator[tuple[Cutter, QueryJob, list[str]]]:
    """A job whose result is one page of 4 kB, behind the cutter."""
    texts = [f'row {n}, said "{"x" * (n % 90)}"\nand ""more""' for n in range(34)]
    rows = "".join('"{}","{}"\n'.format(n, text.replace('"', '""')) for n, text in enumerate(texts))
    with Sandbox(seed=7, speed=1_000) as sandbox, Cutter(sandbox) as cutter:
        org = sandbox.connect(in_process=True)
        data = f"Name,Description\n{rows}".encode()
        org.create_job("insert", "Account").upload(data).close().wait()
        job = org.create_job("query", query=SOQL).wait()
        behind = bulknb.connect(
            instance_url=cutter.url,
            access_token=sandbox.token,
            api_version="62.0",
            clock=sandbox.clock,
        )
        yield cutter, behind.job(job.id), texts


def size_of(page: tuple[Cutter, QueryJob, list[str]], framing: str) -> int:
    cutter, job, _ = page
    cutter.framing = ""
    body = job._request("GET", "/results").body
    return len(gzip.compress(body, mtime=0) if framing == "gzip" else body)


def cut(page: tuple[Cutter, QueryJob, list[str]], framing: str, at: int, times: int) -> list[str]:
    """Return the descriptions that a page brings which is cut so many times."""
    cutter, job, _ = page
    cutter.framing, cutter.at, cutter.times, cutter.served = framing, at, times, 0
    return job.results()["Description"].tolist()


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_page_cut_once_at_any_97th_byte_comes_whole_by_asking_again(page, framing):
    cutter, _, texts = page

    for at in range(0, size_of(page, framing), STEP):
        assert cut(page, framing, at, times=1) == texts, at
        assert cutter.served == 2, at


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_page_cut_every_time_is_an_error(page, framing):
    cutter, _, _ = page

    for at in range(0, size_of(page, framing), 3 * STEP):
        with pytest.raises((ReconcileError, UnreachableError)):
            cut(page, framing, at, times=99)
        assert cutter.served == 5, at


@pytest.mark.parametrize("framing", ["cell", "close"])
def test_a_cut_within_the_last_row_is_seen_at_every_byte(page, framing):
    _, _, texts = page
    size = size_of(page, framing)

    for at in range(size - len(texts[-1]) - 10, size):
        assert cut(page, framing, at, times=1) == texts, at


def test_a_page_in_gzip_comes_whole(page):
    _, _, texts = page

    assert cut(page, "gzip", 1 << 20, times=1) == texts


FAULTS = ("drop_before", "drop_after", "trunc", "trunc_ok", "gzip_trunc", "wrong_count_header")


@pytest.mark.parametrize("kind", [*FAULTS, "500", "503", "429"])
def test_a_fault_in_page_7_of_12_costs_one_more_request(org, sandbox, kind):
    names = accounts(sandbox, 120)
    sandbox.faults.add(Fault(kind, path="/results", nth=7))
    before = len(sandbox.requests)

    query = org.query(SOQL, page_rows=10).wait()

    assert query.frame()["Name"].tolist() == names
    assert sandbox.faults.happened[-1][1] == kind
    seen = sum(path.endswith("/results") for _, path, _ in sandbox.requests[before:])
    assert seen == (12 if kind in ("drop_before", "500", "503", "429") else 13)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_in_page_7_that_stays_is_an_error(org, sandbox, kind):
    accounts(sandbox, 120)
    sandbox.faults.add(*[Fault(kind, path="/results", nth=7 + more) for more in range(20)])

    query = org.query(SOQL, page_rows=10)

    with pytest.raises((ReconcileError, UnreachableError)):
        query.frame()
    with pytest.raises((ReconcileError, UnreachableError)):
        list(query)


def test_a_login_page_in_place_of_results_is_an_error(org, sandbox):
    accounts(sandbox, 120)
    sandbox.faults.add(Fault("html200", path="/results", nth=7))

    with pytest.raises(UnexpectedAnswerError, match="HTML"):
        org.query(SOQL, page_rows=10).frame()


def test_a_session_that_ends_between_pages_is_renewed(org, sandbox):
    names = accounts(sandbox, 120)
    sandbox.faults.add(Fault("401", path="/results", nth=7))
    org._wire._renew = lambda: bulknb._auth.Secret(sandbox.token)

    assert org.query(SOQL, page_rows=10).frame()["Name"].tolist() == names


@pytest.mark.parametrize("version", ["48.0", "62.0"])
def test_locators_in_a_circle_are_an_error(sandbox, version):
    accounts(sandbox, 120)
    first = []

    def circling(headers, body):
        first.append(headers["Sforce-Locator"])
        return headers | {"Sforce-Locator": first[len(first) % 3]} if len(
            first
        ) > 4 else headers, body

    org = connect(sandbox, altered(sandbox, "/results", circling), version=version)

    with pytest.raises(ReconcileError, match="circle"):
        org.query(SOQL, page_rows=10).frame()


def test_result_pages_in_a_circle_are_an_error(sandbox, monkeypatch):
    accounts(sandbox, 120)
    monkeypatch.setattr("bulknb.sandbox.bulk2_query.PAGE_ROWS", 10)
    monkeypatch.setattr(query_module, "PAGE_ROWS", 10)
    first = []

    def again(headers, body):
        first.append(body)
        return headers, first[0]

    org = connect(sandbox, altered(sandbox, "/resultPages", again))

    with pytest.raises(ReconcileError, match="circle"):
        org.query(SOQL).frame()
    with pytest.raises(ReconcileError, match="circle"):
        org.create_job("query", query=SOQL).wait().result_pages()


@pytest.mark.parametrize("end", ["null", "", None])
def test_the_last_page_has_null_an_empty_locator_or_none(sandbox, end):
    names = accounts(sandbox, 30)

    def ending(headers, body):
        if headers["Sforce-Locator"] == "null":
            del headers["Sforce-Locator"]
            headers |= {} if end is None else {"Sforce-Locator": end}
        return headers, body

    org = connect(sandbox, altered(sandbox, "/results", ending))

    assert org.query(SOQL, page_rows=10).frame()["Name"].tolist() == names


def test_a_locator_that_ends_too_early_is_an_error(sandbox):
    accounts(sandbox, 30)
    org = connect(
        sandbox,
        altered(
            sandbox, "/results", lambda heads, body: (heads | {"Sforce-Locator": "null"}, body)
        ),
    )

    with pytest.raises(ReconcileError, match="found 30 records, its pages hold 10"):
        org.query(SOQL, page_rows=10).frame()


def test_a_page_without_a_count_is_an_error(sandbox):
    accounts(sandbox, 3)

    def uncounted(headers, body):
        del headers["Sforce-NumberOfRecords"]
        return headers, body

    org = connect(sandbox, altered(sandbox, "/results", uncounted))

    with pytest.raises(ReconcileError, match="says nothing"):
        org.query(SOQL).frame()


def test_a_count_of_the_job_that_lags_behind_is_waited_for(org, sandbox):
    names = accounts(sandbox, 30)
    sandbox.faults.add(Fault("counts_lag", rows=5))

    assert org.query(SOQL).frame()["Name"].tolist() == names


def test_a_page_with_other_columns_is_an_error(sandbox):
    accounts(sandbox, 20)
    bodies = []

    def renamed(headers, body):
        bodies.append(body)
        return headers, body.replace(b'"Name"', b'"Other"') if len(bodies) > 1 else body

    org = connect(sandbox, altered(sandbox, "/results", renamed))

    with pytest.raises(ReconcileError, match="columns"):
        org.query(SOQL, page_rows=10).frame()


def test_bytes_that_are_no_utf8_are_named_by_page_and_offset_and_not_shown(sandbox):
    accounts(sandbox, 20)

    def broken(headers, body):
        return headers, body.replace(b"Acme 012", b"Acm\xff 012")

    org = connect(sandbox, altered(sandbox, "/results", broken))

    with pytest.raises(
        UnexpectedAnswerError, match=r"Page 2 of job 750\w+ is not UTF-8 at byte"
    ) as e:
        org.query(SOQL, page_rows=10).frame()
    assert "Acm" not in str(e.value)
    assert e.value.__context__ is None


def test_a_value_that_is_not_of_its_type_is_an_error_that_shows_no_value(sandbox):
    accounts(sandbox, 20)

    def broken(headers, body):
        return headers, body.replace(b'"8"', b'"eight"')

    org = connect(sandbox, altered(sandbox, "/results", broken))
    soql = "SELECT Name, NumberOfEmployees FROM Account"

    with pytest.raises(UnexpectedAnswerError, match=r"column 2 .*types=False") as refused:
        org.query(soql).frame()
    assert "eight" not in str(refused.value)
    assert set(org.query(soql, types=False).frame()["NumberOfEmployees"]) == {"eight"}


# Pages on disk


def interrupted(org: bulknb.Org, sandbox: Sandbox, folder: Path) -> None:
    """Run a query of twelve pages that ends with an error at the seventh."""
    sandbox.faults.add(*[Fault("drop_before", path="/results", nth=7 + n) for n in range(5)])
    with pytest.raises(UnreachableError):
        org.query(SOQL, page_rows=10, folder=folder).wait()


def test_another_session_goes_on_at_the_page_that_is_missing(org, sandbox, tmp_path):
    names = accounts(sandbox, 120)
    interrupted(org, sandbox, tmp_path)
    sandbox.faults.clear()
    before = len(sandbox.requests)

    query = sandbox.connect(in_process=True).resume_query(tmp_path).wait()

    assert query.frame()["Name"].tolist() == names
    later = sandbox.requests[before:]
    assert {method for method, _, _ in later} == {"GET"}
    assert sum(path.endswith("/results") for _, path, _ in later) == 6
    assert query.progress.pages == 12


def test_a_whole_result_on_disk_needs_no_page(org, sandbox, tmp_path):
    names = accounts(sandbox, 120)
    org.query(SOQL, folder=tmp_path).wait()
    before = len(sandbox.requests)

    assert org.resume_query(tmp_path).frame()["Name"].tolist() == names
    assert not any("/results" in path for _, path, _ in sandbox.requests[before:])


def test_pages_side_by_side_are_not_fetched_again_either(org, sandbox, tmp_path, monkeypatch):
    monkeypatch.setattr("bulknb.sandbox.bulk2_query.PAGE_ROWS", 10)
    monkeypatch.setattr(query_module, "PAGE_ROWS", 10)
    names = accounts(sandbox, 120)
    org.query(SOQL, folder=tmp_path).wait()
    for file in sorted(tmp_path.rglob("*.arrow"))[3:5]:
        file.unlink()
    before = len(sandbox.requests)

    assert org.resume_query(tmp_path).frame()["Name"].tolist() == names
    assert sum(path.endswith("/results") for _, path, _ in sandbox.requests[before:]) == 2


def test_what_is_left_of_a_page_that_was_being_written_is_no_page(org, sandbox, tmp_path):
    names = accounts(sandbox, 120)
    interrupted(org, sandbox, tmp_path)
    sandbox.faults.clear()
    [folder] = [path for path in tmp_path.iterdir() if path.name.startswith("job-")]
    (folder / "page-000006.part").write_bytes(b"ARROW1")

    assert org.resume_query(tmp_path).frame()["Name"].tolist() == names
    assert {path.suffix for path in folder.iterdir()} == {".arrow"}


def test_a_page_that_was_damaged_on_disk_is_fetched_again(org, sandbox, tmp_path):
    names = accounts(sandbox, 50)
    org.query(SOQL, page_rows=10, folder=tmp_path).wait()
    first, second, third, fourth, _ = sorted(tmp_path.rglob("*.arrow"))
    first.write_bytes(b"")
    second.write_bytes(second.read_bytes()[:-100])
    for file, rows in ((third, []), (fourth, [{"Name": "of another program"}])):
        with pa.ipc.new_file(file, pa.schema({"Name": pa.string()})) as writer:
            for batch in pa.Table.from_pylist(rows).to_batches():
                writer.write_batch(batch)
    before = len(sandbox.requests)

    assert org.resume_query(tmp_path).frame()["Name"].tolist() == names
    assert sum(path.endswith("/results") for _, path, _ in sandbox.requests[before:]) == 4


def test_a_process_that_was_killed_is_taken_over_by_another_at_its_page(tmp_path):
    with Sandbox(seed=7, speed=1_000).start() as sandbox:
        names = accounts(sandbox, 120)
        sandbox.faults.add(Fault("stall", path="/results", nth=7, seconds=1_000_000))
        script = (
            "import bulknb, sys\n"
            "org = bulknb.connect(api_version='62.0')\n"
            "org.query(sys.argv[1], page_rows=10, folder=sys.argv[2]).wait()\n"
        )
        environment = {"BULKNB_INSTANCE_URL": sandbox.url, "BULKNB_ACCESS_TOKEN": sandbox.token}
        with subprocess.Popen(
            [sys.executable, "-c", script, SOQL, str(tmp_path)], env=os.environ | environment
        ) as process:
            pause = threading.Event()
            while len(list(tmp_path.rglob("*.arrow"))) < 6 and process.poll() is None:
                pause.wait(0.02)
            process.kill()
        before = len(sandbox.requests)

        frame = sandbox.connect().resume_query(tmp_path).frame()

        assert process.returncode < 0
        assert frame["Name"].tolist() == names
        assert sum(path.endswith("/results") for _, path, _ in sandbox.requests[before:]) == 6


def test_a_folder_holds_one_query(org, sandbox, tmp_path):
    accounts(sandbox, 3)
    org.query(SOQL, folder=tmp_path).wait()

    with pytest.raises(bulknb.errors.InputError, match="resume_query"):
        org.query(SOQL, folder=tmp_path)
    with pytest.raises(bulknb.errors.InputError, match="holds no query"):
        org.resume_query(tmp_path / "elsewhere")


def test_no_file_of_a_query_holds_the_token(org, sandbox, tmp_path):
    accounts(sandbox, 3)
    org.query(SOQL, folder=tmp_path).wait()

    for file in tmp_path.rglob("*.*"):
        assert sandbox.token.encode() not in file.read_bytes()
