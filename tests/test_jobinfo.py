from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bulknb import BatchInfo, JobInfo
from bulknb._jobinfo import JOB_FIELDS
from bulknb.errors import UnexpectedAnswerError

SAMPLES = Path(__file__).parent / "data" / "samples"
JOB_JSON = sorted(
    path
    for pattern in ("v1/job-*.json", "v2/ingest-*.json", "v2/query-[cpa]*.json", "v2/get-*.json")
    for path in SAMPLES.glob(pattern)
)
JOB_XML = sorted(SAMPLES.glob("v1/job-*.xml"))
BATCH_JSON = sorted(SAMPLES.glob("v1/batch-[cf]*.json"))
BATCH_XML = sorted(SAMPLES.glob("v1/batch-[cf]*.xml"))
BATCH_LISTS = sorted(SAMPLES.glob("v1/batchlist-*.xml"))


def name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", JOB_JSON, ids=name)
def test_every_json_job_is_read_whole(path):
    raw = json.loads(path.read_bytes())

    info = JobInfo.from_dict(raw)

    assert info.raw == raw
    assert info.id == raw["id"]
    assert info.total_processing_time_ms == raw.get("totalProcessingTime")
    assert info.retries == raw.get("retries", raw.get("numberRetries"))
    assert info.created_date.tzinfo is UTC
    assert info.api_version == str(raw["apiVersion"])


@pytest.mark.parametrize("path", JOB_XML, ids=name)
def test_every_xml_job_is_a_classic_one_with_counts_and_times(path):
    info = JobInfo.from_xml(path.read_bytes())

    assert info.job_type == "Classic"
    assert info.number_batches_total is not None
    assert info.total_processing_time_ms is not None
    assert str(info.total_processing_time_ms) == info.raw["totalProcessingTime"]


@pytest.mark.parametrize("path", BATCH_JSON + BATCH_XML, ids=name)
def test_every_batch_is_read(path):
    text = path.read_text()

    batch = (
        BatchInfo.from_dict(json.loads(text))
        if path.suffix == ".json"
        else BatchInfo.from_xml(text)
    )

    assert batch.id.startswith("751")
    assert batch.job_id.startswith("750")
    assert (batch.state == "Failed") == (batch.state_message is not None)


@pytest.mark.parametrize("path", BATCH_LISTS, ids=name)
def test_every_batch_list_is_read(path):
    batches = BatchInfo.list_from_xml(path.read_bytes())

    assert len(batches) == (0 if path.stem == "batchlist-empty" else 1)
    assert all(batch.id.startswith("751") for batch in batches)


def test_the_samples_are_there():
    assert len(JOB_JSON) >= 15
    assert len(JOB_XML) >= 9
    assert len(BATCH_JSON) + len(BATCH_XML) >= 7
    assert len(BATCH_LISTS) == 5


def test_both_date_forms_are_the_same_instant():
    json_form = JobInfo.from_dict({"createdDate": "2024-09-09T19:25:27.000+0000"})
    xml_form = JobInfo.from_dict({"createdDate": "2024-09-09T19:25:27.000Z"})

    assert json_form.created_date == xml_form.created_date
    assert json_form.created_date == datetime(2024, 9, 9, 19, 25, 27, tzinfo=UTC)


@pytest.mark.parametrize("version", [60.0, 60, "60.0"])
def test_api_version_is_one_text_from_number_or_text(version):
    assert JobInfo.from_dict({"apiVersion": version}).api_version == "60.0"


def test_what_is_absent_null_or_empty_is_none_not_zero():
    info = JobInfo.from_dict({"id": "750", "apexProcessingTime": None, "externalIdFieldName": ""})

    assert info.apex_processing_time_ms is None
    assert info.external_id_field_name is None
    assert info.number_records_processed is None


def test_an_unknown_field_and_an_unknown_state_do_no_harm():
    info = JobInfo.from_dict({"id": "750", "state": "Paused", "mood": "fine"})

    assert info.state == "Paused"
    assert info.raw["mood"] == "fine"
    assert not info.done
    assert not info.can_close


def test_a_value_of_the_wrong_type_names_its_field():
    with pytest.raises(UnexpectedAnswerError, match="numberRecordsFailed is not a Int64"):
        JobInfo.from_dict({"numberRecordsFailed": "many"})


def test_a_short_answer_leaves_what_was_known():
    whole = JobInfo.from_dict(json.loads((SAMPLES / "v2/ingest-created-upsert.json").read_text()))
    short = JobInfo.from_dict(
        json.loads((SAMPLES / "v2/ingest-patched-uploadcomplete.json").read_text())
    )

    info = whole.updated(short)

    assert info.state == "UploadComplete"
    assert info.line_ending == "LF"


@pytest.mark.parametrize(
    ("sample", "kind", "done", "close", "abort"),
    [
        ("v2/ingest-created-upsert.json", "V2Ingest", False, True, True),
        ("v2/ingest-patched-uploadcomplete.json", "V2Ingest", False, False, True),
        ("v2/ingest-inprogress.json", "V2Ingest", False, False, True),
        ("v2/ingest-jobcomplete.json", "V2Ingest", True, False, False),
        ("v2/ingest-failed.json", "V2Ingest", True, False, False),
        ("v2/query-created.json", "V2Query", False, False, True),
        ("v2/query-aborted-documented.json", "V2Query", True, False, False),
        ("v2/get-query-of-classic-insert.json", "Classic", False, True, True),
        ("v1/job-created.json", "Classic", False, True, True),
        ("v1/job-closed.json", "Classic", True, False, False),
    ],
)
def test_the_kind_of_a_job_and_what_its_state_allows(sample, kind, done, close, abort):
    info = JobInfo.from_dict(json.loads((SAMPLES / sample).read_text()))

    assert info.job_type == kind
    assert (info.done, info.can_close, info.can_abort) == (done, close, abort)


@pytest.mark.parametrize(
    ("sample", "done"),
    [
        ("job-closed-batch-queued", False),
        ("job-closed-batch-inprogress", False),
        ("job-closed-batch-completed", True),
        ("job-closed-no-batches", True),
    ],
)
def test_a_closed_classic_job_is_done_only_when_no_batch_waits_or_runs(sample, done):
    info = JobInfo.from_xml((SAMPLES / f"v1/{sample}.xml").read_bytes())

    assert info.state == "Closed"
    assert info.done is done


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE jobInfo [<!ENTITY x "y">]><jobInfo><id>&x;</id></jobInfo>',
        "<jobInfo><id>750</jobInfo>",
        "<html><body>Sign in</body></html>",
        "<a>" * 100 + "</a>" * 100,
        "",
    ],
    ids=["doctype", "broken", "html", "deep", "empty"],
)
def test_bad_xml_is_refused(document):
    with pytest.raises(UnexpectedAnswerError):
        JobInfo.from_xml(document)


def test_a_doctype_within_cdata_is_only_text():
    info = JobInfo.from_xml("<jobInfo><object><![CDATA[<!DOCTYPE x>]]></object></jobInfo>")

    assert info.object == "<!DOCTYPE x>"


def test_field_names_follow_the_one_rule():
    times = [name for name in JOB_FIELDS if "processing_time" in name]

    assert len(times) == 3
    assert all(name.endswith("_ms") for name in times)
    assert all(name == name.lower() for name in JOB_FIELDS)
