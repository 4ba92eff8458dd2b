"""Rows that are not in the org are sent again, and the first load's frame tells of it."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest

from bulknb import Load
from bulknb._retry import folded
from bulknb._work import Work
from bulknb.errors import AuthenticationError, InputError, LimitError, StillRunningError
from bulknb.sandbox import Fault, Field, ObjectType

KEY = "Key__c"


@pytest.fixture
def org(sandbox, org):
    fields = (Field(KEY, external_id=True, unique=True), Field("Name"), Field("Size__c", "int"))
    sandbox.create_object(ObjectType("Item__c", fields))
    return org


@pytest.fixture
def frame() -> pd.DataFrame:
    keys = [f"O'Neil {row}" for row in range(6)]
    return pd.DataFrame({KEY: keys, "Name": list("abcdef")}, index=list("uvwxyz"))


def keys_in(sandbox) -> list[str]:
    return sorted(record[KEY] for record in sandbox.records("Item__c"))


def test_what_failed_for_a_lock_is_sent_again_and_folded_into_the_frame(sandbox, org, frame):
    sandbox.faults.add(Fault("lock_rows", rows=2))
    load = org.load(frame, "Item__c", "insert").wait()
    assert load.failed.index.tolist() == ["u", "v"]
    reasons = load.errors().iloc[0]
    assert (reasons["error_code"], reasons["transient"]) == ("UNABLE_TO_LOCK_ROW", True)
    assert "order_by" in reasons["remedy"]

    again = load.retry(order_by="Name").wait()

    assert again.counts["sent"] == 2
    assert load.counts["success"] == 6
    assert load.frame.index.tolist() == frame.index.tolist()
    assert load.frame["job_id"].nunique() == 2
    ids = {record[KEY]: record["Id"] for record in sandbox.records("Item__c")}
    assert load.frame["Id"].tolist() == [ids[key] for key in frame[KEY]]
    assert load.frame["error_code"].isna().all()
    assert repr(load) == "<Load insert Item__c: 6 sent, 6 success>"


def test_a_failure_that_stays_is_not_sent_again_unless_it_is_said(sandbox, org, frame):
    frame.loc["w", KEY] = frame.loc["v", KEY]
    load = org.load(frame, "Item__c", "insert").wait()
    assert not load.errors()["transient"].any()
    assert "upsert, or drop it" in load.errors()["remedy"].iloc[0]

    with pytest.raises(InputError, match="nothing to retry"):
        load.retry()
    again = load.retry("all").wait()

    assert again.counts["failed"] == 1
    assert load.counts[["success", "failed"]].tolist() == [5, 1]


def test_corrected_rows_go_by_their_labels_and_stay_corrected(sandbox, org, frame):
    frame.loc["w", KEY] = frame.loc["v", KEY]
    load = org.load(frame, "Item__c", "insert").wait()
    corrected = load.failed.assign(**{KEY: "unique"})

    load.retry(corrected).wait()

    assert load.counts["success"] == 6
    assert load.frame.loc["w", KEY] == "unique"
    assert "unique" in keys_in(sandbox)


def test_a_correction_of_a_row_that_is_in_or_unknown_is_refused(org, frame):
    load = org.load(frame, "Item__c", "insert").wait()

    with pytest.raises(InputError, match="Row 'u' is in the org already"):
        load.retry(frame.head(1))
    with pytest.raises(InputError, match="Row 'nobody' is not in the frame"):
        load.retry(frame.head(1).rename(index={"u": "nobody"}))
    with pytest.raises(InputError, match='takes "transient", "all", or a frame'):
        load.retry("failed")


@pytest.fixture
def half_known(sandbox, org, frame):
    """A 1.0 load whose batch fails when its rows are in."""
    sandbox.faults.add(Fault("internal_error"))
    load = org.load(frame, "Item__c", "insert", api="1.0").wait()
    assert load.counts["unknown"] == len(keys_in(sandbox)) == 6
    return load


def test_unknown_rows_of_an_insert_are_never_sent_without_a_key(sandbox, half_known):
    assert half_known.retry() is half_known
    assert half_known.counts["unknown"] == 6
    assert len(keys_in(sandbox)) == 6


def test_unknown_rows_are_looked_up_and_only_the_missing_ones_sent(sandbox, org, frame, half_known):
    gone = [r["Id"] for r in sandbox.records("Item__c") if r[KEY] in ("O'Neil 1", "O'Neil 4")]
    org.load(pd.DataFrame({"Id": gone}), "Item__c", "hardDelete").wait()

    again = half_known.retry(key=KEY).wait()

    assert again.frame.index.tolist() == ["v", "y"]
    assert half_known.counts["success"] == 6
    assert half_known.frame["unknown_reason"].isna().all()
    assert keys_in(sandbox) == frame[KEY].tolist()
    ids = {record[KEY]: record["Id"] for record in sandbox.records("Item__c")}
    assert half_known.frame["Id"].tolist() == [ids[key] for key in frame[KEY]]


def test_unknown_rows_that_are_all_there_need_no_load(half_known):
    assert half_known.retry(key=KEY) is half_known
    assert half_known.counts["success"] == 6
    with pytest.raises(InputError, match="nothing to retry"):
        half_known.retry()


def test_unknown_rows_of_a_delete_are_looked_up_by_id(sandbox, org, frame):
    made = org.load(frame, "Item__c", "insert").wait().committed[["Id"]]
    sandbox.faults.add(Fault("internal_error"))
    load = org.load(made, "Item__c", "delete", api="1.0").wait()
    assert load.counts["unknown"] == 6

    assert load.retry() is load

    assert load.counts["success"] == 6
    assert load.frame["Id"].tolist() == made["Id"].tolist()


def test_beyond_the_daily_allocation_rows_are_unknown_and_a_key_finds_them(sandbox, org, frame):
    sandbox.faults.add(Fault("allocation"))

    load = org.load(frame, "Item__c", "insert").wait()

    assert load.counts["unknown"] == 6
    assert set(load.frame["unknown_reason"]) == {"allocation_exceeded"}
    load.retry(key=KEY).wait()
    assert load.counts["success"] == 6
    assert keys_in(sandbox) == frame[KEY].tolist()


def test_a_lineage_of_retries_ends_in_the_first_frame(sandbox, org, frame):
    sandbox.faults.add(Fault("lock_rows", at=1, rows=2), Fault("lock_rows", at=2, rows=1))
    load = org.load(frame, "Item__c", "insert").wait()

    again = load.retry().wait()
    assert load.counts["failed"] == 1
    again.retry().wait()

    assert again.counts["success"] == 2
    assert load.counts["success"] == 6


def test_rows_that_are_being_sent_again_are_not_sent_a_third_time(sandbox, org, frame, monkeypatch):
    sandbox.faults.add(Fault("lock_rows", rows=2))
    load = org.load(frame, "Item__c", "insert").wait()
    hold = threading.Event()
    begin = Work.send_all
    monkeypatch.setattr(Work, "send_all", lambda work: (hold.wait(30), begin(work)))
    again = load.retry()

    for each in (load, again):
        with pytest.raises(StillRunningError):
            each.retry()
    hold.set()
    again.wait()

    assert keys_in(sandbox) == frame[KEY].tolist()


def test_rows_that_are_sent_again_are_not_resumed_as_well(sandbox, org, frame):
    sandbox.faults.add(Fault("allocation", nth=2))
    load = org.load(frame, "Item__c", "insert", api="1.0", chunk_bytes=60)
    with pytest.raises(LimitError):
        load.wait()
    assert 0 < load.counts["not_sent"] < 6

    load.retry().wait()

    assert load.error is None
    assert load.counts["success"] == 6
    assert not org.resume()
    assert keys_in(sandbox) == frame[KEY].tolist()


def test_rows_of_a_job_that_may_still_run_are_not_sent_again(sandbox, org, frame):
    load = Load(org._wire, frame, "Item__c", "insert")
    follow = load._work.follow

    def follow_with_a_dead_session():
        sandbox.expire_sessions()
        follow()

    load._work.follow = follow_with_a_dead_session
    with pytest.raises(AuthenticationError):
        load.start().wait()
    assert set(load.frame["unknown_reason"]) == {"unreachable"}

    with pytest.raises(InputError, match=r"org\.resume\(\) first"):
        load.retry(key=KEY)
    [resumed] = sandbox.connect(in_process=True).resume(frame).wait()

    assert resumed.counts["success"] == 6
    assert keys_in(sandbox) == frame[KEY].tolist()


def test_rows_of_a_file_are_sent_again_from_it(sandbox, org, frame, tmp_path):
    sandbox.faults.add(Fault("lock_rows", rows=2))
    file = tmp_path / "items.csv"
    frame.to_csv(file, index=False)
    load = org.load(file, "Item__c", "insert").wait()

    with pytest.raises(InputError, match="sorts rows in memory"):
        load.retry(order_by="Name")
    again = load.retry().wait()

    assert again.frame.index.tolist() == [0, 1]
    assert load.counts["success"] == 6
    assert keys_in(sandbox) == sorted(frame[KEY])


def test_rows_of_a_stream_are_gone_and_a_frame_has_them(sandbox, org, frame):
    sandbox.faults.add(Fault("lock_rows", rows=2))
    load = org.load(iter([frame]), "Item__c", "insert").wait()

    with pytest.raises(InputError, match="read a single time only"):
        load.retry()
    load.retry(frame.head(2)).wait()

    assert load.counts["success"] == 6
    assert keys_in(sandbox) == sorted(frame[KEY])


@pytest.mark.parametrize("ordered", [False, True])
def test_newer_values_join_the_categories_of_a_column(ordered):
    sizes = pd.Categorical(["small", "large"], ["small", "large"], ordered=ordered)
    frame, newer = pd.DataFrame({"Size__c": sizes}), pd.DataFrame({"Size__c": ["huge"]})

    found = folded(frame, newer, np.array([1]))

    assert found["Size__c"].tolist() == ["small", "huge"]
    assert found["Size__c"].cat.ordered == ordered
    assert frame["Size__c"].tolist() == ["small", "large"]
