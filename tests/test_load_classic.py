"""Loads by Bulk API 1.0: batches of one job, results by batch and position."""

from __future__ import annotations

import pandas as pd
import pytest

from bulknb.errors import InputError, LimitError, ReconcileError
from bulknb.sandbox import Fault

ROWS = 4
BY_BATCHES = {"api": "1.0", "chunk_bytes": 21}  # two rows in each


@pytest.fixture
def frame() -> pd.DataFrame:
    names = [f"A{row}" for row in range(ROWS)]
    return pd.DataFrame({"Name": names}, index=[f"row {row}" for row in range(ROWS)])


def test_a_frame_goes_as_batches_of_one_job_and_comes_back_on_its_index(sandbox, org, frame):
    frame.loc["row 1", "Name"] = None

    load = org.load(frame, "Account", "insert", **BY_BATCHES).wait()

    [job] = load.jobs
    assert (job.info.job_type, job.info.number_batches_total) == ("Classic", 2)
    assert load.failed.index.tolist() == ["row 1"]
    assert load.failed["error_code"].tolist() == ["REQUIRED_FIELD_MISSING"]
    ids = {record["Name"]: record["Id"] for record in sandbox.records("Account")}
    there = load.committed
    assert there["Id"].tolist() == [ids[name] for name in there["Name"]]
    assert load.frame["created"].tolist() == [True, False, True, True]


@pytest.mark.parametrize(("mode", "said"), [("serial", "Serial"), ("parallel", "Parallel")])
def test_the_mode_is_the_jobs_concurrency(org, frame, mode, said):
    load = org.load(frame, "Account", "insert", api="1.0", mode=mode).wait()
    assert load.jobs[0].info.concurrency_mode == said


def test_a_batch_has_ten_thousand_rows_at_most(org):
    frame = pd.DataFrame({"Name": ["Acme"] * 10_001})
    load = org.load(frame, "Account", "insert", api="1.0").wait()
    assert load.jobs[0].info.number_batches_total == 2
    assert load.counts["success"] == 10_001


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"api": "3.0"}, 'api is "2.0" or "1.0"'),
        ({"mode": "serial"}, "2.0 has no serial mode"),
        ({"api": "1.0", "mode": "Serial"}, 'mode is "parallel" or "serial"'),
        ({"concurrency": 0}, "1 or more"),
    ],
)
def test_options_that_do_not_go_together_are_refused(org, frame, options, message):
    with pytest.raises(InputError, match=message):
        org.load(frame, "Account", "insert", **options)


def test_only_so_many_batches_are_at_work_at_a_time(sandbox, org, frame):
    org.load(frame, "Account", "insert", **BY_BATCHES, concurrency=1).wait()

    kinds = [
        "add" if method == "POST" else "look"
        for method, path, _ in sandbox.requests
        if path.endswith("/batch")
    ]
    assert all("look" in between for between in "".join(kinds).split("add")[1:])


def test_a_batch_that_arrives_after_its_answer_was_lost_is_not_sent_again(sandbox, org, frame):
    sandbox.faults.add(Fault("drop_after", method="POST", path="/batch$"))

    load = org.load(frame, "Account", "insert", **BY_BATCHES).wait()

    assert load.counts["success"] == ROWS
    assert len(sandbox.records("Account")) == ROWS
    assert len(load.jobs) == 2  # the first one was closed to be sure


def test_a_batch_whose_content_comes_cut_is_known_again(sandbox, org, frame):
    sandbox.faults.add(
        Fault("drop_after", method="POST", path="/batch$"),
        Fault("trunc_ok", method="GET", path="/request$"),
    )

    load = org.load(frame, "Account", "insert", **BY_BATCHES).wait()

    assert load.counts["success"] == len(sandbox.records("Account")) == ROWS


@pytest.mark.parametrize("later", [1, 2, 3, 6])
def test_a_batch_that_comes_late_finds_its_job_closed(sandbox, org, frame, later):
    sandbox.faults.add(Fault("zombie", method="POST", path="/batch$", nth=2, later=later))

    load = org.load(frame, "Account", "insert", **BY_BATCHES).wait()

    assert load.counts["success"] == len(sandbox.records("Account")) == ROWS


def test_a_batch_that_the_network_doubles_is_told(sandbox, org, frame):
    sandbox.faults.add(Fault("dup", method="POST", path="/batch$"))

    load = org.load(frame, "Account", "insert", **BY_BATCHES)

    with pytest.raises(ReconcileError, match="in the org twice"):
        load.wait()


def test_a_batch_that_fails_midway_is_unknown(sandbox, org, frame):
    sandbox.faults.add(Fault("internal_error", nth=2))

    load = org.load(frame, "Account", "insert", **BY_BATCHES).wait()

    assert load.counts[["success", "unknown"]].tolist() == [2, 2]
    unknown = load.frame[load.frame["outcome"] == "unknown"]
    assert set(unknown["unknown_reason"]) == {"batch_failed"}
    assert unknown.index.tolist() == ["row 2", "row 3"]


def test_a_batch_that_could_not_be_read_touched_no_row(sandbox, org, frame):
    sandbox.faults.add(Fault("fail_batch", nth=1))

    load = org.load(frame, "Account", "insert", **BY_BATCHES).wait()

    assert load.counts[["success", "unprocessed"]].tolist() == [2, 2]
    assert "planned to fail" in load.frame.loc["row 0", "error_message"]
    assert len(sandbox.records("Account")) == 2


def test_batches_beyond_the_days_allocation_are_not_sent(sandbox, org, frame):
    sandbox.faults.add(Fault("allocation", nth=2))

    load = org.load(frame, "Account", "insert", **BY_BATCHES)

    with pytest.raises(LimitError, match="ApiBatchItems"):
        load.wait()
    assert load.counts[["success", "not_sent"]].tolist() == [2, 2]
    assert len(sandbox.records("Account")) == 2


def test_somebody_who_aborts_the_job_leaves_batches_unprocessed(sandbox, org, frame):
    sandbox.faults.add(Fault("abort", nth=1))

    load = org.load(frame, "Account", "insert", **BY_BATCHES).wait()

    assert load.counts["sent"] == load.counts["success"] + load.counts["unprocessed"] == ROWS
    assert len(sandbox.records("Account")) == load.counts["success"]
