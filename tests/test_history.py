from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import bulknb
from bulknb._jobinfo import JOB_FIELDS
from bulknb.errors import InputError

SAMPLES = Path(__file__).parent / "data" / "samples"


def sample(name: str) -> dict:
    return json.loads((SAMPLES / name).read_text())


def test_columns_are_typed_even_without_a_row():
    frame = bulknb.jobs_frame([])

    assert {name: str(dtype) for name, dtype in frame.dtypes.items() if name in JOB_FIELDS} == (
        JOB_FIELDS
    )
    assert frame.empty


def test_dicts_json_xml_infos_and_list_pages_are_all_read():
    xml = (SAMPLES / "v1/job-closed-documented.xml").read_bytes()
    text = (SAMPLES / "v2/ingest-jobcomplete.json").read_text()
    page = sample("v2/list-ingest-with-classic.json")
    info = bulknb.JobInfo.from_dict(sample("v2/ingest-failed.json"))

    frame = bulknb.jobs_frame([xml, text, page, info, sample("v1/job-closed.json")])

    assert frame["job_type"].tolist() == ["Classic", "V2Ingest", "Classic", "V2Ingest", "Classic"]
    assert bulknb.jobs_frame(xml)["total_processing_time_ms"].tolist() == [3647]


def test_the_three_times_nest_into_parts_of_a_finished_job():
    row = bulknb.jobs_frame(sample("v1/job-closed.json")).iloc[0]

    assert (row["apex_ms"], row["api_ms"], row["rest_ms"]) == (64, 225 - 64, 403 - 225)


@pytest.mark.parametrize(
    "name", ["v2/ingest-inprogress.json", "v2/ingest-inprogress-active-above-total.json"]
)
def test_a_running_job_has_no_parts(name):
    frame = bulknb.jobs_frame(sample(name))

    assert frame["total_processing_time_ms"].tolist() == [0]
    assert frame[["apex_ms", "api_ms", "rest_ms"]].isna().all(axis=None)


def test_times_that_a_list_leaves_out_are_missing_not_zero():
    frame = bulknb.jobs_frame(sample("v2/list-ingest-with-classic.json"))

    assert frame["total_processing_time_ms"].isna().all()
    assert frame["number_records_processed"].isna().all()


def test_parallelism_is_processing_time_over_wall_clock():
    frame = bulknb.jobs_frame(sample("v2/ingest-jobcomplete.json"))

    assert frame["parallelism"].iloc[0] == pytest.approx(4.103 / 16)


def test_dates_are_utc_microseconds():
    frame = bulknb.jobs_frame(sample("v2/ingest-jobcomplete.json"))

    assert frame["created_date"].iloc[0] == pd.Timestamp("2024-09-09T19:25:27Z")


@pytest.mark.parametrize("junk", [3, "hello", {"name": "x"}, [None], '"text"'])
def test_what_is_no_job_is_refused(junk):
    with pytest.raises(InputError):
        bulknb.jobs_frame(junk)
