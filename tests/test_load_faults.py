"""One fault at each request of a load: every row is in the org once, and the load knows it."""

from __future__ import annotations

import contextlib
from collections import Counter

import pandas as pd
import pytest

import bulknb
from bulknb._auth import Secret
from bulknb.errors import AuthenticationError, BulkError, NotFoundError
from bulknb.sandbox import Fault, Sandbox

ROWS = 10
CHUNK_BYTES = 60  # two jobs
UNAVAILABLE = b'[{"errorCode":"SERVER_UNAVAILABLE","message":"try later"}]'
EXPIRED = b'[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]'


class Faulty:
    """The sandbox's application with a fault at the n-th request of the load."""

    def __init__(self, sandbox: Sandbox, at: int, kind: str) -> None:
        self.application = sandbox.app
        self.at = at
        self.kind = kind
        self.served = 0
        self.closes = 0
        self.requests: list[tuple[str, str]] = []

    def __call__(self, environ, start_response):
        self.served += 1
        self.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if self.kind == "expired" and self.served >= self.at:
            return self.refuse(start_response, "401 Unauthorized", EXPIRED)
        if self.served != self.at or self.kind == "expired":
            return self.application(environ, start_response)
        if self.kind == "lost before":
            raise ConnectionResetError
        if self.kind == "expired once":
            return self.refuse(start_response, "401 Unauthorized", EXPIRED)
        if self.kind == "refused":
            return self.refuse(start_response, "503 Service Unavailable", UNAVAILABLE)
        list(self.application(environ, lambda *_: None))
        raise ConnectionResetError  # the org has done it, and the answer is lost

    def refuse(self, start_response, status: str, body: bytes):
        start_response(status, [("Content-Type", "application/json")])
        return [body]

    def connect(self, sandbox: Sandbox) -> bulknb.Org:
        org = bulknb.connect(
            instance_url=sandbox.url,
            access_token=sandbox.token,
            transport=self,
            clock=sandbox.clock,
        )
        org._wire._renew = lambda: Secret(sandbox.token)
        self.served = 0
        self.requests.clear()
        return org


def frame() -> pd.DataFrame:
    return pd.DataFrame({"Name": [f"Acme {n}" for n in range(ROWS)]})


def load(org: bulknb.Org) -> bulknb.Load:
    return org.load(frame(), "Account", "insert", chunk_bytes=CHUNK_BYTES)


def test_a_load_without_a_fault_makes_two_jobs_by_seventeen_requests(sandbox):
    sound = Faulty(sandbox, 0, "")

    load(sound.connect(sandbox)).wait()

    counts = Counter(method for method, _ in sound.requests)
    assert (counts["POST"], counts["PUT"], counts["PATCH"]) == (2, 2, 2)
    assert sound.served >= 17


@pytest.mark.parametrize("at", range(2, 18))
@pytest.mark.parametrize("kind", ["lost before", "lost after", "refused", "expired once"])
def test_one_fault_anywhere_ends_well_with_every_row_once(sandbox, at, kind):
    faulty = Faulty(sandbox, at, kind)

    done = load(faulty.connect(sandbox)).wait()

    names = [record["Name"] for record in sandbox.records("Account")]
    assert sorted(names) == sorted(f"Acme {n}" for n in range(ROWS))
    assert done.counts["success"] == ROWS
    ids = {record["Name"]: record["Id"] for record in sandbox.records("Account")}
    assert done.frame["Id"].tolist() == [ids[name] for name in done.frame["Name"]]
    puts = Counter(path for method, path in faulty.requests if method == "PUT")
    assert set(puts.values()) == {1}


def test_a_close_that_is_lost_again_and_again_is_repeated_on_the_same_job(sandbox):
    class LosesCloses(Faulty):
        def __call__(self, environ, start_response):
            if environ["REQUEST_METHOD"] == "PATCH" and self.closes < 8:
                self.closes += 1
                raise ConnectionResetError
            return super().__call__(environ, start_response)

    faulty = LosesCloses(sandbox, 0, "")

    done = load(faulty.connect(sandbox)).wait()

    assert faulty.closes == 8
    assert done.counts["success"] == len(sandbox.records("Account")) == ROWS
    assert len(done.jobs) == 2


def test_a_job_that_somebody_deletes_leaves_the_others_accounted_for(sandbox):
    sound = Faulty(sandbox, 0, "")
    org = sound.connect(sandbox)
    broken = bulknb.Load(org._wire, frame(), "Account", "insert", chunk_bytes=CHUNK_BYTES)
    follow = broken._work.follow

    def delete_then_follow():
        broken.jobs[0].delete()
        follow()

    broken._work.follow = delete_then_follow
    with pytest.raises(NotFoundError):
        broken.start().wait()

    outcomes = broken.frame["outcome"].value_counts()
    assert outcomes["success"] == len(sandbox.records("Account"))
    assert outcomes["success"] + outcomes["unknown"] == ROWS


@pytest.mark.parametrize("at", range(2, 18))
def test_a_session_that_expires_leaves_no_row_unaccounted_for(sandbox, at):
    faulty = Faulty(sandbox, at, "expired")

    broken = load(faulty.connect(sandbox))
    with pytest.raises(AuthenticationError, match="Sign in again"):
        broken.wait()

    sandbox.clock.advance(3_600)
    there = {record["Name"] for record in sandbox.records("Account")}
    outcome = broken.frame.set_index("Name")["outcome"]
    assert set(outcome[outcome == "success"].index) <= there
    assert not there & set(outcome[outcome == "not_sent"].index)
    assert set(outcome) <= {"success", "unknown", "not_sent"}
    assert broken.counts["sent"] == ROWS


@pytest.mark.parametrize("kind", ["fail_job", "abort", "internal_error", "counts_lag", "expire"])
@pytest.mark.parametrize("api", ["2.0", "1.0"])
def test_whatever_befalls_the_job_each_row_is_told_as_it_is(sandbox, org, kind, api):
    names = [f"Acme {n}" for n in range(500)]
    sandbox.faults.add(Fault(kind))

    load = org.load(pd.DataFrame({"Name": names}), "Account", "insert", api=api)
    with contextlib.suppress(BulkError):
        load.wait()

    sandbox.clock.advance(3_600)
    there = {record["Name"]: record["Id"] for record in sandbox.records("Account")}
    frame = load.frame.set_index("Name")
    success = frame[frame["outcome"] == "success"]
    assert success["Id"].to_dict().items() <= there.items()
    outside = frame["outcome"].isin(["failed", "unprocessed", "not_sent"])
    assert not set(there) & set(frame.index[outside])
    unknowable = kind == "expire" or (kind, api) == ("internal_error", "1.0")
    assert load.counts["unknown"] == (500 if unknowable else 0)
    assert load.counts.drop("sent").sum() == 500
