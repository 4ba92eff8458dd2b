from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import bulknb
from bulknb._frames import read_plain_xml
from bulknb._jobinfo import JOB_FIELDS, JobInfo
from bulknb._xml import NAMESPACE, read_xml, write_xml
from bulknb.errors import InputError, UnexpectedAnswerError

XML = f'<jobInfo xmlns="{NAMESPACE}">{{}}</jobInfo>'
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


FIELDS = {
    field.metadata["api"]: field.metadata["dtype"] for field in fields(JobInfo) if field.metadata
}
USUAL = {
    "string": st.text(max_size=5) | st.sampled_from(["Closed", "Open", "JobComplete", "query"]),
    "Int64": st.integers(-1, 3) | st.integers(0, 2**53),
    "boolean": st.booleans(),
    "datetime64[us, UTC]": st.datetimes(
        datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)
    ).map(lambda time: time.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"),
}
#: A value of another type that the field can still mean.
UNUSUAL = {
    "string": st.integers(0, 99) | st.booleans() | st.lists(st.integers(), max_size=1),
    "Int64": st.integers(0, 99).map(str) | st.just(7.0) | st.just(" 8 ") | st.just(7.5),
    "boolean": st.sampled_from(["true", "false", 0, 1]),
    "datetime64[us, UTC]": st.sampled_from(
        ["2024-09-09T19:25:27Z", "2024-09-09 19:25:27+02:00", "2024-09-09T19:25:27.1234567Z"]
    ),
}


def record(values: dict[str, st.SearchStrategy]) -> st.SearchStrategy:
    """A job with some of its fields, some null or blank, and others that nobody knows."""
    mandatory = {"id": st.text(min_size=1, max_size=5), "state": values["string"]}
    optional = {
        api: values[dtype] | st.sampled_from([None, ""])
        for api, dtype in FIELDS.items()
        if api not in mandatory
    }
    optional |= {
        "apiVersion": st.floats(1, 99).map(lambda version: round(version, 1)) | values["string"],
        "numberRetries": values["Int64"] | st.none(),
        "futureField": st.just({"a": [1]}) | st.text(max_size=3),
    }
    return st.fixed_dictionaries(mandatory, optional=optional)


def one_by_one(raws: list[dict]) -> pd.DataFrame:
    """What the careful way makes of them: a JobInfo each."""
    infos = [JobInfo.from_dict(raw) for raw in raws]
    columns = {
        name: pd.Series([getattr(info, name) for info in infos], dtype=dtype)
        for name, dtype in JOB_FIELDS.items()
    }
    return pd.DataFrame(columns).assign(
        done=pd.Series([info.done for info in infos], dtype="boolean")
    )


def pages(raws: list[dict]) -> list[bytes]:
    return [
        json.dumps({"done": True, "nextRecordsUrl": None, "records": raws[at : at + 3]}).encode()
        for at in range(0, len(raws), 3)
    ]


@settings(deadline=None, max_examples=30)
@given(
    st.lists(record(USUAL), max_size=8)
    | st.lists(record({dtype: USUAL[dtype] | UNUSUAL[dtype] for dtype in USUAL}), max_size=4)
)
def test_records_at_once_are_what_they_are_one_by_one(raws):
    expected = one_by_one(raws)
    for given_as in (
        iter(raws),
        pages(raws),
        [JobInfo.from_dict(raw) for raw in raws],
    ):
        frame = bulknb.jobs_frame(given_as)
        assert_frame_equal(frame[list(expected)], expected)


@settings(deadline=None, max_examples=30)
@given(st.lists(record(USUAL), max_size=5))
def test_a_frame_of_records_or_of_history_is_read_as_the_records_are(raws):
    history = bulknb.jobs_frame(raws)

    assert_frame_equal(
        bulknb.jobs_frame(pd.DataFrame(raws, columns=[*FIELDS, "numberRetries"])), history
    )
    assert_frame_equal(bulknb.jobs_frame(history), history)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from([api for api in FIELDS if api != "jobType"]),
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=4)
            | st.just("7"),
            min_size=1,
        ),
        max_size=4,
    )
)
def test_plain_xml_means_what_the_strict_reader_says(contents):
    for content in contents:
        document = write_xml("jobInfo", content).decode()
        _, strict = read_xml(document)
        plain = read_plain_xml(document, "jobInfo")
        assert plain in (None, strict)
        assert plain is not None or re.search(
            "[&<>\x80-\x9f\ufffe\uffff]", "".join(content.values())
        )


@pytest.mark.parametrize(
    "document",
    [
        "<jobInfo><id>750</id></jobInfo>",
        XML.format("<id>750</id><id>751</id>"),
        XML.format("<id a='1'>750</id>"),
        XML.format("<id>7<!-- -->50</id>"),
        XML.format("<id><![CDATA[750]]></id>"),
        XML.format("<id>&#55;50</id>"),
        XML.format("<a><id>750</id></a>"),
        XML.format("<id>750</id></jobInfo><jobInfo>"),
        XML.format("<id>750</state>"),
        XML.format("text"),
        '<!DOCTYPE jobInfo [<!ENTITY e "x">]>' + XML.format("<id>750</id>"),
        XML.format("<id>750</id>").replace("jobInfo", "batchInfo"),
    ],
)
def test_xml_of_another_layout_is_left_to_the_strict_reader(document):
    assert read_plain_xml(document, "jobInfo") is None
    assert read_plain_xml(XML.format("<id>750</id>"), "jobInfo") == {"id": "750"}


@pytest.mark.parametrize(
    "text",
    [
        '{"id": "750", "numberRecordsProcessed": 100000000000000000000}',
        '{"id": "750", "errorMessage": "\\ud800"}',
        '{"id": "750", "retries": "many"}',
        '{"id": "750", "createdDate": 1700000000000}',
    ],
)
def test_a_value_that_its_field_cannot_hold_is_named(text):
    field = list(json.loads(text))[1]
    page = f'{{"records":[{text}]}}'
    for given_as in (text, [page], json.loads(text)):
        with pytest.raises(UnexpectedAnswerError, match=field):
            bulknb.jobs_frame(given_as)


@pytest.mark.parametrize(
    "page",
    [b'{"records":[null]}', b'{"records":[{"object":"Account"}]}', b'{"records":null}', b"\xff{}"],
)
def test_a_page_without_jobs_in_it_is_refused(page):
    with pytest.raises(InputError):
        bulknb.jobs_frame([b'{"records":[{"id":"750"}]}', page])


def test_duration_and_pace_are_those_on_the_clock():
    row = bulknb.jobs_frame(sample("v2/ingest-jobcomplete.json")).iloc[0]

    assert row["duration_ms"] == 16_000
    assert row["rows_per_second"] == pytest.approx(row["number_records_processed"] / 16)
    running = bulknb.jobs_frame(sample("v2/ingest-inprogress.json"))
    assert running[["duration_ms", "rows_per_second"]].isna().all(axis=None)


def test_a_column_of_mixed_types_in_a_frame_is_read_value_by_value():
    raws = [{"id": "750", "apiVersion": 60.0}, {"id": "751", "apiVersion": "61.0"}, {"id": "752"}]

    frame = bulknb.jobs_frame(pd.DataFrame(raws))

    assert frame["api_version"].tolist() == ["60.0", "61.0", pd.NA]
    with pytest.raises(InputError, match="not one of jobs"):
        bulknb.jobs_frame(pd.DataFrame({"Name": ["Acme"]}))


def test_xml_that_is_not_utf_8_is_refused():
    with pytest.raises(UnexpectedAnswerError):
        bulknb.jobs_frame(XML.format("<id>750\xff</id>").encode("latin-1"))
