"""Locks that rows failed for, traced to the parents that were fought for."""

from __future__ import annotations

import pandas as pd
import pytest

import bulknb
from bulknb import _locks
from bulknb.errors import InputError, StillRunningError
from bulknb.sandbox import Field, ObjectType

ROWS, PARENTS, PER_CHUNK = 1_200, 40, 200
VISIT = ObjectType(
    "Visit__c",
    (
        Field("Key__c", external_id=True, unique=True),
        Field("Account__c", "reference", reference_to="Account"),
        Field("Payer__c", "reference", reference_to="Account"),
    ),
    apex_ms_per_row=40.0,
    locks_parents=True,
)


@pytest.fixture
def accounts(sandbox, org) -> list[str]:
    """The Ids of the parents."""
    sandbox.create_object(VISIT)
    names = [f"A{number:02}" for number in range(PARENTS)]
    org.load(pd.DataFrame({"Name": names, "ExternalId__c": names}), "Account", "insert").wait()
    return [record["Id"] for record in sandbox.records("Account")]


def visits(accounts: list[str]) -> pd.DataFrame:
    """Every tenth visit is to one of the first three accounts; each other one stays in a chunk."""
    hot, calm = accounts[:3], accounts[4:]
    parent = [
        hot[row % 3] if row % 10 == 0 else calm[row // PER_CHUNK * 6 + row % 6]
        for row in range(ROWS)
    ]
    return pd.DataFrame({"Key__c": [f"v{row}" for row in range(ROWS)], "Account__c": parent})


@pytest.fixture
def fight(org, accounts) -> bulknb.Load:
    load = org.load(visits(accounts), "Visit__c", "insert", rows_per_chunk=PER_CHUNK)
    return load.wait()


def numbers(found: bulknb.Locks, kind: str) -> dict[str, float]:
    [finding] = [finding for finding in found.findings if finding.kind == kind]
    return dict(finding.numbers)


def test_a_lock_fight_is_traced_to_its_parents(accounts, fight):
    found = fight.locks()

    failed = fight.failed["Account__c"].value_counts()
    assert set(failed.index) == set(accounts[:3])
    assert set(found.parents["parent"]) == set(accounts[:3])
    assert found.parents["column"].unique().tolist() == ["Account__c"]
    assert found.parents.set_index("parent")["failed"].to_dict() == failed.to_dict()
    assert (found.parents["rows"] == 40).all()
    assert (found.parents[["jobs", "batches"]] == 6).all(axis=None)
    assert (found.parents["retries"] == fight.history["retries"].sum()).all()
    assert numbers(found, "failures") == {"failed": len(fight.failed), "parents": 3, "split": 3}
    assert (
        f"{len(fight.failed)} of {len(fight.failed)} failed rows did so for a lock, under 3 "
        in (str(found))
    )
    assert numbers(found, "retries")["retries"] > 0


def test_parents_kept_together_do_not_fight(org, accounts, fight):
    remedy = fight.locks().remedies.set_index("remedy").loc["keep_together"]

    assert remedy["how"] == 'load.retry(keep_together="Account__c", rows_per_chunk=200)'
    again = org.load(
        visits(accounts).assign(Key__c=lambda frame: frame["Key__c"] + "-2"),
        *("Visit__c", "insert"),
        keep_together="Account__c",
        rows_per_chunk=PER_CHUNK,
    ).wait()
    assert again.counts["failed"] == 0
    took = (again.history["system_modstamp"].max() - again.history["created_date"].min()).seconds
    assert took < remedy["measured_seconds"]
    assert took == pytest.approx(remedy["seconds"], rel=0.5)
    assert "No row failed for a lock" in str(again.locks())


def test_serial_mode_takes_the_time_of_all_batches_one_after_the_other(org, accounts, fight):
    remedy = fight.locks().remedies.set_index("remedy").loc["serial"]

    serial = org.load(
        visits(accounts).assign(Key__c=lambda frame: frame["Key__c"] + "-3"),
        *("Visit__c", "insert"),
        api="1.0",
        mode="serial",
        rows_per_chunk=PER_CHUNK,
    ).wait()
    assert serial.counts["failed"] == 0
    busy = serial.history["total_processing_time_ms"].sum() / 1_000
    assert busy == pytest.approx(remedy["seconds"], rel=0.15)


def test_a_remedy_is_priced_by_calm_jobs_of_the_past(fight):
    calm = fight.history.iloc[[0]].assign(
        retries=0, total_processing_time_ms=9_000, number_records_processed=1_000
    )
    past = pd.concat([calm.assign(id=f"750calm{number}") for number in range(3)])

    serial = fight.locks(past=past).remedies.set_index("remedy").loc["serial"]

    assert serial["seconds"] == pytest.approx(9 * ROWS / 1_000)


def test_a_parent_named_by_its_external_id_is_found_by_one_value_for_each_id(org, accounts):
    names = dict(zip(accounts, (f"A{number:02}" for number in range(PARENTS)), strict=True))
    frame = visits(accounts)
    frame["Account__r.ExternalId__c"] = frame.pop("Account__c").map(names)
    frame["Payer__c"] = [accounts[4 + row // PER_CHUNK * 6 + row % 6] for row in range(ROWS)]

    load = org.load(frame, "Visit__c", "insert", rows_per_chunk=PER_CHUNK).wait()

    parents = load.locks().parents
    assert parents["column"].unique().tolist() == ["Account__r.ExternalId__c"]
    assert set(parents["parent"]) == {"A00", "A01", "A02"}
    assert parents["failed"].sum() == len(load.failed) > 0


def test_of_two_references_the_one_that_the_errors_name_is_to_blame(org, accounts):
    frame = visits(accounts).assign(Payer__c=accounts[3])
    frame = frame.assign(
        outcome="failed",
        job_id="750000000000000001",
        error_code="UNABLE_TO_LOCK_ROW",
        error_message="unable to obtain exclusive access to this record or 1 records: "
        + frame["Account__c"].str[:15],
    )

    found = bulknb.locks(frame, ["Payer__c", "Account__c"])

    assert found.parents["column"].unique().tolist() == ["Account__c"]
    assert found.parents["failed"].sum() == ROWS


def test_1_0_batches_count_as_they_were_sent(org, accounts):
    load = org.load(
        visits(accounts), "Visit__c", "insert", api="1.0", rows_per_chunk=PER_CHUNK
    ).wait()

    parents = load.locks().parents

    assert set(parents["parent"]) == set(accounts[:3])
    assert parents["jobs"].tolist() == [1] * 3
    assert parents["batches"].tolist() == [6] * 3


def test_batches_follow_the_rows_through_chunks_that_are_sorted(org, accounts):
    frame = visits(accounts)
    load = org.load(
        frame, "Visit__c", "insert", keep_together="Account__c", rows_per_chunk=PER_CHUNK
    ).wait()

    batch = load._work.batch_numbers(len(frame))
    assert pd.Series(batch).groupby(frame["Account__c"]).nunique().max() == 1
    jobs = pd.Series(batch).groupby(load.frame["job_id"]).nunique()
    assert (jobs == 1).all()


def test_a_lock_within_the_message_of_a_trigger_is_one_too(accounts):
    frame = visits(accounts).head(4)
    frame = frame.assign(
        outcome=["failed"] * 3 + ["success"],
        job_id="750000000000000001",
        error_code=[
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
            "UNABLE_TO_LOCK_ROW",
            "NOT_FOUND",
            None,
        ],
        error_message=["AfterInsert: UNABLE_TO_LOCK_ROW, []", None, "not there", None],
    )

    found = bulknb.locks(frame.set_axis(["same"] * 4), "Account__c")

    assert found.parents["failed"].sum() == 2
    assert "2 of 3 failed rows did so for a lock, under 2 parents (Account__c)." in str(found)


def test_without_a_column_of_parents_the_errors_name_them(accounts):
    frame = pd.DataFrame(
        {
            "Key__c": ["a", "b", "c"],
            "outcome": ["failed", "failed", "success"],
            "job_id": "750000000000000001",
            "error_code": ["UNABLE_TO_LOCK_ROW", "UNABLE_TO_LOCK_ROW", None],
            "error_message": [f"exclusive access to this record or 1 records: {accounts[0]}"] * 2
            + [None],
        }
    )

    [parent] = bulknb.locks(frame, []).parents.to_dict("records")

    assert (parent["parent"], parent["failed"]) == (accounts[0], 2)
    assert pd.isna(parent["column"])


def test_other_jobs_on_the_same_objects_in_the_same_time_are_named(sandbox, org, accounts):
    nightly = org.create_job("update", "Account")
    nightly.upload(pd.DataFrame({"Id": accounts, "Name": "x"})).close()
    elsewhere = org.create_job("insert", "Lead")
    elsewhere.upload(pd.DataFrame({"LastName": ["L"], "Company": "C"})).close()
    load = org.load(visits(accounts), "Visit__c", "insert", rows_per_chunk=PER_CHUNK).wait()

    found = load.locks(past=org.jobs().frame)

    assert found.overlaps["id"].tolist() == [nightly.id]
    assert found.overlaps["seconds"].iloc[0] > 0
    assert "1 other job worked on Account or Visit__c meanwhile, update Account for" in str(found)
    # The jobs that made the accounts had ended before.
    assert len(org.jobs(object="Account")) == 2


def test_who_else_was_there_is_unknown_without_a_history(fight):
    assert "Whether other jobs worked on Account or Visit__c meanwhile is unknown" in (
        str(fight.locks())
    )
    alone = fight.locks(past=fight.history)
    assert "No other job worked on Account or Visit__c meanwhile." in str(alone)


def test_a_load_without_locks_says_so(org, accounts):
    load = org.load(pd.DataFrame({"Name": ["A"]}), "Account", "insert").wait()

    found = load.locks()

    assert str(found) == "No row failed for a lock, and no job was tried again."
    assert found.parents.empty
    assert found.overlaps.empty


def test_what_was_in_no_job_met_no_batch(org, accounts):
    frame = visits(accounts).assign(outcome="not_sent", job_id=None, error_code=None)
    found = bulknb.locks(frame.assign(error_message=None), "Account__c")

    assert found.parents.empty


def test_a_column_that_is_not_there_is_refused(fight):
    with pytest.raises(InputError, match="no column 'AccountId'"):
        fight.locks(by="AccountId")
    with pytest.raises(InputError, match="no column 'AccountId'"):
        bulknb.locks(fight.frame, "AccountId")


def test_parents_stand_in_the_table_and_in_no_sentence(accounts, fight, caplog):
    found = fight.locks()

    assert accounts[0] in found._repr_html_()
    for text in (str(found), repr(found), caplog.text):
        assert not any(account[:15] in text for account in accounts)


def test_values_from_the_frame_are_escaped():
    frame = pd.DataFrame(
        {
            "Name": ["<b>x"],
            "outcome": "failed",
            "job_id": "750",
            "error_code": "UNABLE_TO_LOCK_ROW",
            "error_message": "locked",
        }
    )

    html = bulknb.locks(frame, "Name")._repr_html_()

    assert "&lt;b&gt;x" in html
    assert "<b>" not in html


def test_a_load_that_goes_on_has_no_locks_to_show_yet(org, accounts):
    load = bulknb.Load(org._wire, visits(accounts), "Visit__c", "insert")

    with pytest.raises(StillRunningError):
        _locks.locks_of(load, by=None, past=None)
