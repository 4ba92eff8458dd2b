"""A load with close=False is uploaded whole, and nothing of it is processed before the close."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from mortal import Crash, connect

import bulknb
from bulknb import Job, Load, _work
from bulknb._ledger import LEASE_SECONDS, Ledger
from bulknb._sending.part import UPLOADED, Part
from bulknb.errors import (
    ApiError,
    InputError,
    JobFailedError,
    LedgerError,
    NotFoundError,
    StillRunningError,
)
from bulknb.sandbox import Sandbox

ROWS = 9
#: Three jobs.
CHUNKS = {"rows_per_chunk": 3, "close": False}
REFUSED = b'[{"errorCode":"INVALIDJOB","message":"No more of that"}]'


def frame() -> pd.DataFrame:
    return pd.DataFrame({"Name": [f"Acme {n}" for n in range(ROWS)]}, index=list("abcdefghi"))


def held(org: bulknb.Org, **options) -> Load:
    load = org.load(frame(), "Account", "insert", **CHUNKS | options)
    with pytest.raises(StillRunningError, match=r"close\(\)"):
        load.wait()
    return load


def states(load: Load) -> list[str | None]:
    return [job.refresh().state for job in load.jobs]


def in_org(sandbox: Sandbox) -> list[str]:
    return sorted(record["Name"] for record in sandbox.records("Account"))


def died(sandbox: Sandbox, *, uploads: int = 3) -> bulknb.Org:
    """Return the org, seen from another kernel, after one died that knew of so many uploads."""
    load = Load(connect(sandbox)._wire, frame(), "Account", "insert", **CHUNKS)
    load._work.begin(Ledger())
    note = load._work._sending.note

    def writes(part: Part, state: str) -> None:
        if (part.number, state) == (uploads, UPLOADED):
            raise Crash
        note(part, state)

    load._work._sending.note = writes
    with contextlib.suppress(Crash):
        load._work.send_all()
    sandbox.clock.advance(LEASE_SECONDS + 1)
    return connect(sandbox)


def test_everything_is_uploaded_and_nothing_processed_before_the_close(sandbox, org):
    load = held(org)

    sandbox.clock.advance(3_600)
    assert load.held
    assert states(load) == ["Open"] * 3
    assert in_org(sandbox) == []
    now = load.progress
    assert (now.stage, now.total, now.uploaded, now.sent) == (_work.HELD, ROWS, ROWS, 0)
    with pytest.raises(StillRunningError, match="9 rows uploaded to 3 jobs"):
        _ = load.frame

    load.close().wait()

    assert not load.held
    assert load.counts["success"] == ROWS
    assert in_org(sandbox) == sorted(frame()["Name"])
    assert load.close() is load  # once more changes nothing
    methods = [method for method, _, _ in sandbox.requests]
    assert (methods.count("PUT"), methods.count("PATCH")) == (3, 3)


def test_jobs_are_closed_in_the_order_of_their_rows(sandbox, org):
    load = held(org)
    jobs = [job.id for job in load.jobs]

    load.close().wait()

    closed = [path for method, path, _ in sandbox.requests if method == "PATCH"]
    assert [path.rsplit("/", 1)[-1] for path in closed] == jobs


def test_uploads_do_not_wait_for_each_other_and_closes_keep_to_the_concurrency(org):
    load = held(org, concurrency=1).close().wait()

    jobs = load.history.sort_values("created_date")
    assert load.counts["success"] == ROWS
    assert jobs["created_date"].iloc[-1] < jobs["system_modstamp"].iloc[0]
    assert jobs["system_modstamp"].is_monotonic_increasing


def test_a_held_load_says_so_in_its_text_and_on_its_card(org):
    load = held(org)

    assert repr(load) == "<Load insert Account: 9 rows, 9 uploaded, waits for close()>"
    card = load._repr_html_()
    assert "uploaded, waits for close()" in card
    assert "9 rows uploaded to 3 jobs: nothing is processed before close()" in card
    load.close().wait()
    assert repr(load) == "<Load insert Account: 9 sent, 9 success>"


def test_await_of_a_held_load_says_what_to_do_too(org):
    load = held(org)

    async def waits() -> None:
        await load

    with (
        ThreadPoolExecutor(1) as thread,
        pytest.raises(StillRunningError, match=r"close\(\).*abort\(\)"),
    ):
        thread.submit(asyncio.run, waits()).result()


def test_whoever_waits_while_rows_are_uploaded_is_told_when_it_is_held(org):
    load = Load(org._wire, frame(), "Account", "insert", **CHUNKS)
    waiting = threading.Event()
    send = load._work.send_all
    load._work.send_all = lambda: (waiting.wait(30), send())
    load.start()
    with ThreadPoolExecutor(1) as thread:
        told = thread.submit(load.wait)
        waiting.set()
        with pytest.raises(StillRunningError, match="is held"):
            told.result(30)
    with pytest.raises(StillRunningError, match="is held"):
        load.wait(timeout=0)


def test_a_close_that_is_said_early_closes_each_job_when_it_has_its_rows(sandbox, org):
    load = Load(org._wire, frame(), "Account", "insert", **CHUNKS)
    load.listen(lambda load: load.close() if load.progress.uploaded else None)

    load.start().wait()

    assert load.counts["success"] == len(in_org(sandbox)) == ROWS


def test_an_abort_while_it_is_held_writes_nothing(sandbox, org):
    load = held(org)
    jobs = load.jobs

    load.abort()
    load.wait()

    assert load.counts["not_sent"] == len(load.remaining) == ROWS
    assert load.committed.empty
    assert {job.refresh().state for job in jobs} == {"Aborted"}
    with pytest.raises(InputError, match=r"given up: retry\(\)"):
        load.close()
    assert not org.resume()
    assert load.retry().wait().counts["success"] == ROWS  # which closes by itself
    assert load.counts["success"] == len(in_org(sandbox)) == ROWS


def test_if_an_upload_fails_nothing_is_sent_and_no_job_is_left_open(sandbox):
    puts = []

    def refuses_the_last(environ, start_response):
        if environ["REQUEST_METHOD"] != "PUT":
            return sandbox.app(environ, start_response)
        puts.append(environ["PATH_INFO"])
        if len(puts) < 3:
            return sandbox.app(environ, start_response)
        start_response("400 Bad Request", [("Content-Type", "application/json")])
        return [REFUSED]

    org = connect(sandbox, refuses_the_last)
    load = org.load(frame(), "Account", "insert", **CHUNKS)
    with pytest.raises(ApiError, match="No more of that"):
        load.wait()

    assert load.counts["not_sent"] == ROWS
    with pytest.raises(ApiError, match="No more of that"):
        load.close()
    assert set(org.jobs(object="Account").frame["state"]) == {"Aborted"}
    assert in_org(sandbox) == []


def close_one(job: Job) -> None:
    job.close().wait()


def abort_one(job: Job) -> None:
    job.abort()


@pytest.mark.parametrize(
    ("elsewhere", "then", "success", "not_sent"),
    [
        (close_one, Load.close, 9, 0),
        (close_one, Load.abort, 3, 6),
        (abort_one, Load.close, 6, 3),
        (abort_one, Load.abort, 0, 9),
    ],
)
def test_what_others_did_to_a_held_job_is_found_out(
    sandbox, org, elsewhere, then, success, not_sent
):
    load = held(org)
    elsewhere(org.job(load.jobs[0].id))

    then(load)
    if (elsewhere, then) == (abort_one, Load.close):
        with pytest.raises(JobFailedError, match=r"aborted while it waited.*retry\(\)"):
            load.wait()
    else:
        load.wait()

    assert load.counts[["success", "not_sent", "unknown"]].tolist() == [success, not_sent, 0]
    assert in_org(sandbox) == sorted(load.committed["Name"])


@pytest.mark.parametrize("then", [Load.close, Load.abort])
def test_rows_of_held_jobs_that_are_gone_are_unknown(sandbox, org, then):
    load = held(org)
    for id in load.history["id"]:
        org.job(id).abort().delete()

    with contextlib.suppress(NotFoundError):
        then(load)
    with pytest.raises(NotFoundError):
        load.wait()

    assert set(load.frame["unknown_reason"]) == {"results_expired"}
    assert in_org(sandbox) == []


def test_a_close_that_cannot_be_written_down_closes_nothing(sandbox, org, tmp_path):
    load = held(org)
    ledger = load._ledger
    kept, ledger.path = ledger.path, tmp_path / "link.sqlite"
    ledger.path.symlink_to(kept)

    with pytest.raises(LedgerError):
        load.close()
    assert load.held
    assert states(load) == ["Open"] * 3

    ledger.path = kept
    assert load.close().wait().counts["success"] == ROWS


def test_a_held_load_is_kept_from_other_kernels(sandbox, org, monkeypatch):
    monkeypatch.setattr(_work, "_HELD_SECONDS", 0.01)
    load = held(org)
    kept = threading.Event()
    keep = load._work._keep
    for _ in range(3):
        sandbox.clock.advance(LEASE_SECONDS / 2)
        kept.clear()
        load._work._keep = lambda: (keep(), kept.set())
        assert kept.wait(30)

    loads = org.resume()

    assert (len(loads), loads.elsewhere) == (0, 1)
    assert load.close().wait().counts["success"] == ROWS


def test_a_held_load_of_a_dead_kernel_is_held_again_without_its_frame(sandbox):
    org = died(sandbox)

    [load] = org.resume()
    with pytest.raises(StillRunningError, match="9 rows uploaded to 3 jobs"):
        load.wait()
    assert "waits for close()" in repr(load)
    sandbox.clock.advance(3_600)
    assert in_org(sandbox) == []

    assert load.close().wait().counts["success"] == ROWS
    assert in_org(sandbox) == sorted(frame()["Name"])
    assert not org.resume()


def test_with_an_upload_in_doubt_all_jobs_are_aborted_unless_the_frame_is_there(sandbox):
    org = died(sandbox, uploads=2)

    [load] = org.resume().wait()
    assert load.counts["not_sent"] == ROWS
    assert set(org.jobs(object="Account").frame["state"]) == {"Aborted"}
    with pytest.raises(InputError, match=r"org\.resume\(frame\)"):
        load.close()

    [again] = org.resume(frame())
    with pytest.raises(StillRunningError, match="9 rows uploaded to 3 jobs"):
        again.wait()
    assert in_org(sandbox) == []
    assert again.close().wait().counts["success"] == ROWS


def test_the_frame_has_only_the_missing_jobs_uploaded(sandbox):
    org = died(sandbox, uploads=2)
    before = len(sandbox.requests)

    [load] = org.resume(frame())
    with pytest.raises(StillRunningError, match="9 rows uploaded to 3 jobs"):
        load.wait()

    assert [method for method, _, _ in sandbox.requests[before:]].count("PUT") == 1
    assert load.close().wait().counts["success"] == ROWS
    assert in_org(sandbox) == sorted(frame()["Name"])


def test_a_close_that_was_said_is_done_by_whoever_resumes(sandbox, org):
    load = Load(org._wire, frame(), "Account", "insert", **CHUNKS)
    load._work.begin(Ledger())
    load._work.send_all()
    load.close()  # and the kernel dies
    sandbox.clock.advance(LEASE_SECONDS + 1)

    [resumed] = org.resume().wait()

    assert resumed.counts["success"] == len(in_org(sandbox)) == ROWS


def test_bulk_api_1_refuses_to_be_held_before_any_request(sandbox, org):
    before = len(sandbox.requests)

    with pytest.raises(InputError, match=r'as soon as it is added.*close=False needs api="2\.0"'):
        org.load(frame(), "Account", "insert", api="1.0", close=False)

    assert len(sandbox.requests) == before


def test_what_is_heard_while_a_load_is_held_is_remembered_at_once(org):
    load = held(org)

    other = org.create_job("insert", "Contact")

    assert other.id in org.history.frame()["id"].tolist()
    load.abort().wait()
