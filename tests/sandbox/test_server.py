"""The sandbox as a server: over HTTP, in threads and in a process of its own."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from bulknb import sandbox as sandboxes
from bulknb.sandbox import AcceleratedClock, ManualClock, Sandbox

JOBS = "/services/data/v62.0/jobs/ingest"


@pytest.fixture
def connect():
    """Return a session that is signed in to a sandbox."""
    sessions = []

    def open_session(token):
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {token}"
        sessions.append(session)
        return session

    yield open_session
    for session in sessions:
        session.close()


def begin(session, url, rows=1000, first=0):
    wanted = {"object": "Account", "operation": "insert"}
    job = f"{url}{JOBS}/" + session.post(url + JOBS, json=wanted).json()["id"]
    lines = (f"A{row},{row}" for row in range(first, first + rows))
    body = "\n".join(["Name,ExternalId__c", *lines, ""])
    assert session.put(f"{job}/batches", data=body).status_code == 201
    assert session.patch(job, json={"state": "UploadComplete"}).status_code == 200
    return job


def test_the_server_answers_on_loopback_until_closed(connect):
    with sandboxes.start() as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        session = connect(sandbox.token)
        assert session.get(sandbox.url + JOBS).json()["done"] is True
        assert requests.get(sandbox.url + JOBS, timeout=5).status_code == 401
    with pytest.raises(requests.ConnectionError):
        session.get(sandbox.url + JOBS)


def test_a_job_goes_on_although_nobody_asks(connect):
    with sandboxes.start(speed=1000) as sandbox:
        begin(connect(sandbox.token), sandbox.url)
        asked = len(sandbox.requests)
        done = threading.Event()
        # The data file is read past the API: asking it would itself let time pass.
        org = sandbox._org
        for _ in range(200):
            with org.lock:
                if org.store.row("SELECT 1 FROM job WHERE state = 'JobComplete'"):
                    break
            done.wait(0.05)
        assert org.store.row("SELECT state FROM job")["state"] == "JobComplete"
        assert len(sandbox.requests) == asked


def test_a_manual_clock_moves_a_served_org(connect):
    clock = ManualClock()
    with sandboxes.start(clock=clock) as sandbox:
        session = connect(sandbox.token)
        job = begin(session, sandbox.url)
        assert session.get(job).json()["state"] == "UploadComplete"
        clock.sleep(60)
        assert session.get(job).json()["state"] == "JobComplete"


def test_many_clients_at_once_lose_nothing(connect):
    with sandboxes.start(clock=ManualClock()) as sandbox:
        sessions = [connect(sandbox.token) for _ in range(6)]

        def work(number):
            begin(sessions[number], sandbox.url, rows=300, first=300 * number)
            sandbox.clock.advance(5)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(6)))
        sandbox.clock.advance(600)
        assert len(sandbox.records("Account")) == 1800


def test_uploads_in_pieces_and_with_expectations_arrive(connect):
    with sandboxes.start(clock=ManualClock()) as sandbox:
        session = connect(sandbox.token)
        wanted = {"object": "Account", "operation": "insert"}
        job = f"{sandbox.url}{JOBS}/" + session.post(sandbox.url + JOBS, json=wanted).json()["id"]
        pieces = iter([b"Name\n", b"A\n", b"B\n"])
        assert session.put(f"{job}/batches", data=pieces).status_code == 201
        session.patch(job, json={"state": "UploadComplete"})
        sandbox.clock.advance(60)
        assert [record["Name"] for record in sandbox.records("Account")] == ["A", "B"]


def test_a_file_keeps_the_org_for_the_next_start(tmp_path, connect):
    path, clock = str(tmp_path / "org.db"), ManualClock()
    with sandboxes.start(path=path, clock=clock) as sandbox:
        job = begin(connect(sandbox.token), sandbox.url)
        while not sandbox.records("Account"):
            clock.advance(0.1)
    # It stopped in the middle of a batch, and goes on where it was.
    with Sandbox(path=path, clock=clock) as sandbox:
        clock.advance(600)
        assert len(sandbox.records("Account")) == 1000
    with sandboxes.start(path=path, clock=clock) as sandbox:
        found = connect(sandbox.token).get(sandbox.url + JOBS).json()["records"]
        assert [(record["id"], record["state"]) for record in found] == [
            (job.rpartition("/")[2], "JobComplete")
        ]
        assert len(sandbox.records("User")) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_of_its_own_serves_until_it_is_told_to_stop(number):
    command = [sys.executable, "-m", "bulknb.sandbox", "--speed", "100"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url, token = (process.stdout.readline().strip() for _ in range(2))
        answer = requests.get(url + JOBS, headers={"Authorization": f"Bearer {token}"}, timeout=30)
        assert answer.status_code == 200
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stdout.read() == ""


def test_an_accelerated_clock_runs_ahead():
    clock = AcceleratedClock(1000)
    before = clock.time(), clock.monotonic()
    clock.sleep(20)  # a fiftieth of a second
    assert clock.time() - before[0] >= 20
    assert clock.monotonic() - before[1] >= 20
    with pytest.raises(ValueError, match="above zero"):
        AcceleratedClock(0)


def test_a_clock_and_a_speed_exclude_each_other():
    with pytest.raises(ValueError, match="not both"):
        Sandbox(clock=ManualClock(), speed=2)
