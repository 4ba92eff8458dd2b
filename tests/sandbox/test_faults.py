"""Faults of requests and of jobs, each at the point where it is planned."""

import contextlib
import gzip
import json
import socket
import zlib
from http import HTTPStatus

import pytest
from werkzeug.test import Client

from bulknb.errors import BulkError
from bulknb.sandbox import Fault, FaultPlan, ManualClock, Sandbox
from bulknb.sandbox.faults import JOB_KINDS, REQUEST_KINDS

JOBS = "v62.0/jobs/ingest"
QUERY = "v62.0/jobs/query"
CLASSIC = "async/62.0/job"
INSERT = {"object": "Account", "operation": "insert"}
PLANNED = "/services/data/v62.0/jobs/ingest"


def rows(count):
    return "Name\n" + "".join(f"A{number}\n" for number in range(count))


def create(api):
    return api("POST", JOBS, json=INSERT)


def jobs(api):
    return api("GET", JOBS).json["records"]


# Which request


def test_there_are_22_faults_of_requests_and_10_of_jobs():
    assert (len(set(REQUEST_KINDS)), len(set(JOB_KINDS))) == (22, 10)


def test_a_fault_is_met_by_the_request_of_its_ordinal(api, sandbox):
    sandbox.faults.add(Fault("500", at=3))
    assert [api("GET", JOBS).status_code for _ in range(4)] == [200, 200, 500, 200]
    assert sandbox.faults.happened == [(3, "500")]


def test_a_fault_is_met_by_the_nth_request_that_matches(api, sandbox):
    sandbox.faults.add(Fault("503", method="post", path=r"/jobs/ingest$", nth=2))
    requests = [("POST", JOBS), ("GET", JOBS), ("POST", QUERY), ("POST", JOBS), ("POST", JOBS)]
    answers = [api(method, path, json=INSERT).status_code for method, path in requests]
    assert answers == [200, 200, 400, 503, 200]


def test_a_fault_without_more_is_met_by_the_next_request(api, sandbox):
    sandbox.faults.add(Fault("502"))
    assert [api("GET", JOBS).status_code for _ in range(2)] == [502, 200]


def test_two_faults_for_the_same_request_befall_two_requests(api, sandbox):
    sandbox.faults.add(Fault("500"), Fault("500"), Fault("502", method="GET", nth=2))
    assert [api("GET", JOBS).status_code for _ in range(4)] == [500, 500, 502, 200]


def test_faults_may_come_with_the_sandbox():
    with Sandbox(clock=ManualClock(), faults=[Fault("429")], demo=True) as sandbox:
        headers = {"Host": "127.0.0.1", "Authorization": f"Bearer {sandbox.token}"}
        answer = Client(sandbox.app).get(PLANNED, headers=headers)
        assert answer.status_code == 429


def test_by_chance_the_same_seed_gives_the_same_faults():
    def happened(seed):
        plan = FaultPlan(seed=seed, rate=0.3)
        for _ in range(200):
            plan.next_request("GET", "/")
        return plan.happened

    assert happened(1) == happened(1) != happened(2)
    assert 30 < len(happened(1)) < 90
    assert {kind for _, kind in happened(1)} <= set(REQUEST_KINDS)


def test_a_cleared_plan_lets_everything_go_well(api, sandbox):
    sandbox.faults.add(Fault("500"), Fault("other_user"))
    sandbox.faults.clear()
    assert create(api).json["createdById"] == sandbox.add_user("integration@example.com")


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "drop_around"},
        {"kind": "500", "at": 1, "path": "/jobs"},
        {"kind": "500", "at": 2, "nth": 2},
        {"kind": "abort", "method": "GET"},
        {"kind": "500", "at": 0},
        {"kind": "slow", "seconds": -1},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=wrong["kind"]):
        Fault(wrong.pop("kind"), **wrong)


def test_only_faults_of_requests_happen_by_chance():
    with pytest.raises(ValueError, match="abort"):
        FaultPlan(rate=0.5, kinds=["500", "abort"])


# What the org has not seen


@pytest.mark.parametrize("kind", ["drop_before", "drop_mid", "stall"])
def test_a_connection_that_ends_early_leaves_no_job(api, sandbox, kind):
    sandbox.faults.add(Fault(kind, method="POST"))
    with pytest.raises(ConnectionResetError):
        create(api)
    assert jobs(api) == []


def test_a_stall_takes_its_time(api, sandbox):
    began = sandbox.clock.time()
    sandbox.faults.add(Fault("stall", seconds=90))
    with pytest.raises(ConnectionResetError):
        api("GET", JOBS)
    assert sandbox.clock.time() - began == 90


@pytest.mark.parametrize(
    ("kind", "status"),
    [("500", 500), ("502", 502), ("503", 503), ("429", 429), ("limit403", 403), ("401", 401)],
)
def test_an_error_instead_of_an_answer_leaves_no_job(api, sandbox, kind, status):
    sandbox.faults.add(Fault(kind, seconds=17))
    answer = create(api)
    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == ("17" if kind in {"503", "429"} else None)
    assert jobs(api) == []


def test_a_dead_session_and_a_used_up_day_speak_each_dialect(api, sandbox):
    def error(kind, path):
        sandbox.faults.add(Fault(kind))
        answer = api("POST", path, json=INSERT)
        return answer.status_code, answer.json

    expired = {"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}
    assert error("401", JOBS) == (401, [expired])
    status, body = error("401", CLASSIC)
    assert (status, body["exceptionCode"]) == (400, "InvalidSessionId")
    assert error("limit403", JOBS)[1][0]["errorCode"] == "REQUEST_LIMIT_EXCEEDED"
    status, body = error("limit403", CLASSIC)
    assert (status, body["exceptionCode"]) == (400, "ExceededQuota")


def test_a_login_page_and_a_redirect_are_no_answers(api, sandbox):
    sandbox.faults.add(Fault("html200"))
    page = create(api)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    sandbox.faults.add(Fault("redirect_other_host"))
    moved = create(api)
    assert moved.status_code == 302
    assert "127.0.0.1" not in moved.headers["Location"]
    assert jobs(api) == []


def test_a_zombie_arrives_some_requests_later(api, sandbox):
    sandbox.faults.add(Fault("zombie", method="POST", later=2))
    with pytest.raises(ConnectionResetError):
        create(api)
    assert [len(jobs(api)) for _ in range(4)] == [0, 0, 1, 1]


def test_a_zombie_brings_its_body(api, sandbox):
    job = create(api).json["id"]
    sandbox.faults.add(Fault("zombie", method="PUT", later=1))
    with pytest.raises(ConnectionResetError):
        api("PUT", f"{JOBS}/{job}/batches", data="Name\nA\n")
    api("GET", JOBS)
    api("PATCH", f"{JOBS}/{job}", json={"state": "UploadComplete"})
    sandbox.clock.advance(60)
    assert [record["Name"] for record in sandbox.records("Account")] == ["A"]


# What the org has done


def test_an_answer_that_is_lost_leaves_the_job(api, sandbox):
    sandbox.faults.add(Fault("drop_after", method="POST"))
    with pytest.raises(ConnectionResetError):
        create(api)
    assert len(jobs(api)) == 1


def test_a_gateway_that_gives_up_leaves_the_job(api, sandbox):
    sandbox.faults.add(Fault("504_after"))
    assert create(api).status_code == HTTPStatus.GATEWAY_TIMEOUT
    assert len(jobs(api)) == 1


def test_a_slow_answer_is_a_good_one(api, sandbox):
    began = sandbox.clock.time()
    sandbox.faults.add(Fault("slow", seconds=45))
    job = create(api).json
    assert sandbox.clock.time() - began == 45
    # The org was not slow: it made the job at once.
    assert job["createdDate"] == "2026-01-05T09:00:00.000+0000"


def test_a_request_may_arrive_twice(api, sandbox):
    sandbox.faults.add(Fault("dup", method="POST"))
    create(api)
    assert len(jobs(api)) == 2
    sandbox.faults.add(Fault("dup", method="PATCH"))
    job = create(api).json["id"]
    api("PUT", f"{JOBS}/{job}/batches", data="Name\nA\n")
    closed = api("PATCH", f"{JOBS}/{job}", json={"state": "UploadComplete"})
    assert closed.json[0]["errorCode"] == "INVALIDJOBSTATE"
    assert api("GET", f"{JOBS}/{job}").json["state"] == "UploadComplete"


def test_half_an_answer_may_or_may_not_agree_with_its_length(api, sandbox, load):
    path = f"{JOBS}/{load(rows(100))}/successfulResults"
    whole = api("GET", path).data
    for kind, length in (("trunc", len(whole)), ("trunc_ok", len(whole) // 2)):
        sandbox.faults.add(Fault(kind))
        answer = api("GET", path)
        assert answer.headers["Content-Length"] == str(length)
        assert answer.data == whole[: len(whole) // 2]


def test_half_a_gzip_stream_lacks_its_end(api, sandbox, load):
    path = f"{JOBS}/{load(rows(100))}/successfulResults"
    whole = api("GET", path).data
    sandbox.faults.add(Fault("gzip_trunc"))
    answer = api("GET", path)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Content-Length"] == str(len(answer.data))
    with pytest.raises(EOFError):
        gzip.decompress(answer.data)
    assert whole.startswith(zlib.decompressobj(wbits=31).decompress(answer.data))


@pytest.mark.parametrize("says", ["application/json", "application/xml"])
def test_a_stale_answer_has_the_state_of_before(api, sandbox, says):
    job = api("POST", CLASSIC, json=INSERT).json["id"]
    api("POST", f"{CLASSIC}/{job}", json={"state": "Closed"})
    true = api("GET", f"{CLASSIC}/{job}", content_type=says).text
    sandbox.faults.add(Fault("stale_state"))
    assert api("GET", f"{CLASSIC}/{job}", content_type=says).text == true.replace("Closed", "Open")


def test_a_count_in_a_header_may_be_wrong(api, sandbox, load):
    load(rows(5))
    wanted = {"operation": "query", "query": "SELECT Name FROM Account"}
    job = api("POST", QUERY, json=wanted).json["id"]
    sandbox.clock.advance(60)
    sandbox.faults.add(Fault("wrong_count_header", path="/results"))
    answer = api("GET", f"{QUERY}/{job}/results")
    assert answer.headers["Sforce-NumberOfRecords"] == "6"
    assert answer.text.count("\n") == 6


def test_rows_may_come_in_another_order_but_whole(api, sandbox, load):
    text = 'Name;Description\n"A\n1";"x"\n"B";"y\n\nz"\n"C";"w"\n'
    path = f"{JOBS}/{load(text, columnDelimiter='SEMICOLON')}/successfulResults"
    plain = api("GET", path).text
    sandbox.faults.add(Fault("reorder_rows"))
    turned = api("GET", path).text
    assert turned != plain
    assert turned.partition("\n")[0] == plain.partition("\n")[0]
    assert turned.count('"A\n1"') == turned.count('"y\n\nz"') == 1
    assert sorted(turned) == sorted(plain)


# Over HTTP


@pytest.fixture
def raw(sandbox):
    """Send a request on a socket and return all bytes until the connection ends."""
    sandbox.start()
    port = int(sandbox.url.rpartition(":")[2])

    def send(method, path, body=b""):
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
            f"Authorization: Bearer {sandbox.token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(head.encode() + body)
            return b"".join(iter(lambda: connection.recv(65_536), b""))

    return send


@pytest.mark.parametrize(("kind", "made"), [("drop_before", 0), ("drop_after", 1)])
def test_the_server_ends_a_dropped_connection_without_a_byte(raw, sandbox, kind, made):
    sandbox.faults.add(Fault(kind, method="POST"))
    assert raw("POST", PLANNED, json.dumps(INSERT).encode()) == b""
    answer = raw("GET", PLANNED)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b'"id":') == made


def test_the_server_ends_a_truncated_answer_early(raw, sandbox):
    whole = raw("GET", PLANNED)
    sandbox.faults.add(Fault("trunc"))
    half = raw("GET", PLANNED)
    body = whole.partition(b"\r\n\r\n")[2]
    assert half.startswith(b"HTTP/1.1 200")
    assert f"Content-Length: {len(body)}\r\n".encode() in half
    assert half.partition(b"\r\n\r\n")[2] == body[: len(body) // 2]


def test_whatever_happens_to_a_list_of_jobs_the_client_has_its_own_error_for_it(sandbox):
    org = sandbox.connect(in_process=True)
    for kind in REQUEST_KINDS:
        sandbox.faults.add(Fault(kind))
        with contextlib.suppress(BulkError):
            org.jobs()
        assert sandbox.faults.happened[-1][1] == kind
        sandbox.clock.advance(60)  # after limit403 it asks once a minute
        sandbox.faults.clear()


# Everything again


def story(seed):
    """Return every answer of a session in which much goes wrong."""
    plan = FaultPlan([Fault("lock_rows"), Fault("abort", at=3)], seed=seed, rate=0.3)
    with Sandbox(clock=ManualClock(), seed=seed, token="00D!chosen", faults=plan) as sandbox:
        client = Client(sandbox.app)
        headers = {"Host": "127.0.0.1", "Authorization": f"Bearer {sandbox.token}"}
        answers = []

        def send(method, path="", **options):
            try:
                answer = client.open(PLANNED + path, method=method, headers=headers, **options)
            except ConnectionResetError:
                answers.append("lost")
                return {}
            answers.append((answer.status, sorted(answer.headers), answer.data))
            return (answer.is_json and answer.get_json(silent=True)) or {}

        for _ in range(6):
            answer = send("POST", json=INSERT)
            job = answer.get("id", "none") if isinstance(answer, dict) else "none"
            send("PUT", f"/{job}/batches", data=rows(300))
            send("PATCH", f"/{job}", json={"state": "UploadComplete"})
            sandbox.clock.advance(7.3)
            send("GET", f"/{job}")
            send("GET", f"/{job}/successfulResults")
        return answers


def test_the_same_seed_gives_the_same_bytes_faults_included():
    assert story(3) == story(3)
    assert story(3) != story(4)
