"""What changed from one load, or set of jobs, to another."""

from __future__ import annotations

import pandas as pd
import pytest

import bulknb
from bulknb.sandbox import Field, ObjectType, ValidationRule

TICKET = ObjectType(
    "Ticket__c",
    (Field("Name", required=True), Field("Seats__c", "double", scale=0)),
    apex_ms_per_row=1.0,
    validation_rules=(
        ValidationRule("Seats", when=lambda row: row["Seats__c"] == 0, message="No seat."),
    ),
)


def job(**fields) -> dict:
    """A finished upsert of Contact: 1,000 rows in 10 s on the clock."""
    return {
        "id": "750000000000000001",
        "object": "Contact",
        "operation": "upsert",
        "state": "JobComplete",
        "jobType": "V2Ingest",
        "createdDate": "2026-05-01T06:00:00.000+0000",
        "systemModstamp": "2026-05-01T06:00:10.000+0000",
        "numberRecordsProcessed": 1_000,
        "numberRecordsFailed": 2,
        "retries": 0,
        "apexProcessingTime": 2_300,
        "apiActiveProcessingTime": 4_500,
        "totalProcessingTime": 5_000,
        **fields,
    }


def slower(**fields) -> dict:
    return job(
        apexProcessingTime=9_100,
        apiActiveProcessingTime=11_300,
        totalProcessingTime=12_000,
        numberRecordsFailed=14,
        **fields,
    )


def row(comparison: bulknb.Comparison, part: str) -> list[float]:
    known = comparison.frame.set_index("part")
    return known.loc[part, ["a", "b", "difference", "ratio"]].tolist()


def test_each_part_is_compared_per_1000_rows():
    found = bulknb.compare(job(), slower())

    assert row(found, "apex") == pytest.approx([2_300, 9_100, 6_800, 9_100 / 2_300])
    assert row(found, "api") == [2_200, 2_200, 0, 1]
    assert row(found, "rest") == pytest.approx([500, 700, 200, 1.4])
    assert row(found, "total") == pytest.approx([5_000, 12_000, 7_000, 2.4])
    assert row(found, "failed") == [2, 14, 12, 7]
    assert row(found, "rows_per_second") == [100, 100, 0, 1]
    assert row(found, "wall") == [10, 10, 0, 1]
    assert row(found, "parallelism") == pytest.approx([0.5, 1.2, 0.7, 2.4])
    assert set(found.frame[["a", "b", "difference", "ratio"]].dtypes.astype(str)) == {"Float64"}


def test_jobs_of_other_sizes_compare_by_the_row():
    half = [slower(numberRecordsProcessed=500), slower(numberRecordsProcessed=500, id="750-2")]

    assert row(bulknb.compare(job(), half), "apex")[1] == 18_200


def test_the_biggest_change_is_pointed_at():
    assert str(bulknb.compare(job(), slower())).splitlines() == [
        "Processing went from 5.0 to 12 ms a row (2.4 times); most of the change is Apex: 2.3 to "
        "9.1 ms a row.",
        "Failures went from 2.0 to 14 of 1,000 rows (7.0 times).",
        "On the clock, 100 rows a second, with 0.50 to 1.2 batches side by side.",
    ]


def test_what_hardly_changed_is_about_the_same():
    text = str(bulknb.compare(job(), job(totalProcessingTime=5_100)))

    assert text.startswith("Processing is about the same, 5.0 to 5.1 ms a row.")


def test_what_one_side_does_not_say_is_missing():
    found = bulknb.compare(job(), job(apexProcessingTime=None))

    assert found.frame.set_index("part")["b"].isna()["apex"]
    assert found.frame.set_index("part")["ratio"].notna()["total"]
    nothing = bulknb.compare(job(), [])
    assert nothing.frame["b"].isna().all()
    assert "not known of both" in str(nothing)


def test_jobs_that_are_not_done_are_left_out_and_told():
    running = job(state="InProgress", totalProcessingTime=0)

    found = bulknb.compare(job(), [slower(), running])

    assert row(found, "rows")[:2] == [1_000, 1_000]
    assert "1 job is not done yet, and left out." in str(found)


def test_different_work_is_called_so():
    text = str(bulknb.compare(job(), slower(object="Lead", operation="insert")))

    assert "The two are different work: upsert Contact and insert Lead." in text


def test_1_0_jobs_have_no_clock_to_compare():
    classic = job(jobType="Classic", state="Closed", numberBatchesQueued=0)
    classic |= {"numberBatchesInProgress": 0, "numberBatchesTotal": 1}

    found = bulknb.compare(job(), classic)

    assert found.frame.set_index("part")["b"].isna()["rows_per_second"]
    assert "On the clock" not in str(found)


def test_two_loads_compare_their_failures_by_code(sandbox, org):
    sandbox.create_object(TICKET)
    june = org.load(pd.DataFrame({"Name": "a", "Seats__c": [1] * 400}), "Ticket__c", "insert")
    june.wait()
    sandbox.set_trigger("Ticket__c", apex_ms_per_row=4.0)
    july = org.load(
        pd.DataFrame({"Name": "a", "Seats__c": [1] * 300 + [0] * 100}), "Ticket__c", "insert"
    ).wait()

    found = bulknb.compare(june, july)

    assert row(found, "apex")[:2] == pytest.approx([1_000, 4_000], rel=0.1)
    code = "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    assert row(found, code)[:3] == [0, 250, 250]
    assert f"most of the change is {code}: 0 to 250 of 1,000 rows" in str(found)
    assert "most of the change is Apex" in found._repr_html_()


def test_jobs_of_an_org_compare_too(sandbox, org):
    sandbox.create_object(TICKET)
    org.load(pd.DataFrame({"Name": ["a"] * 50}), "Ticket__c", "insert").wait()
    jobs = org.jobs()

    assert row(bulknb.compare(jobs, jobs), "total")[3] == 1
