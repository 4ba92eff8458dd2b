"""What Bulk API 1.0 alone has: batches in every format, attachments, queries in chunks."""

from __future__ import annotations

import base64
import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import bulknb
from bulknb import Job
from bulknb._jobs.bodies import batch_body
from bulknb.errors import InputError, JobFailedError, StillRunningError
from bulknb.sandbox import content

SOQL = "SELECT Id, Name FROM Account"
PHOTO = bytes(range(256))
FORMATS = pytest.mark.parametrize("kind", ["CSV", "JSON", "XML"])


def classic(org, operation="insert", object="Account", **more) -> Job:
    return org.create_job(operation, object, api="1.0", **more)


@pytest.fixture
def account(org, sandbox) -> str:
    classic(org).upload("Name\nAcme\n").close().wait()
    return sandbox.records("Account")[0]["Id"]


@FORMATS
def test_a_frame_becomes_the_same_records_in_every_format(org, sandbox, account, kind):
    frame = pd.DataFrame(
        {
            "LastName": ["Doe & <Sons>", 'Smith "Jo"'],
            "Birthdate": pd.to_datetime(["1980-01-31", "1990-12-01"]).date,
            "AccountId": [account, None],
        },
        index=["a", "b"],
    )

    job = classic(org, object="Contact", contentType=kind).upload(frame).close().wait()

    assert job.results()["Success"].tolist() == ["true", "true"]
    doe, smith = sandbox.records("Contact")
    assert (doe["LastName"], doe["Birthdate"]) == ("Doe & <Sons>", "1980-01-31")
    assert (doe["AccountId"], smith["AccountId"]) == (account, None)


@FORMATS
def test_a_missing_value_leaves_the_field_alone_or_clears_it(org, sandbox, account, kind):
    def change(name, phone, nulls):
        frame = pd.DataFrame({"Id": [account], "Name": [name], "Phone": [phone]})
        job = classic(org, "update", contentType=kind).upload(frame, nulls=nulls).close().wait()
        assert job.info.number_records_failed == 0
        return sandbox.records("Account")[0]["Phone"]

    assert change("Acme", "123", "keep") == "123"
    assert change("Acme", None, "keep") == "123"
    assert change("Acme", None, "clear") is None


@FORMATS
def test_a_parent_is_named_by_a_field_of_its_own_in_every_format(org, sandbox, kind):
    frame = pd.DataFrame({"Name": ["Acme"], "ExternalId__c": ["A1"]})
    classic(org).upload(frame).close().wait()
    contact = pd.DataFrame({"LastName": ["Doe"], "Account.ExternalId__c": ["A1"]})

    job = classic(org, object="Contact", contentType=kind).upload(contact).close().wait()

    assert job.results()["Error"].tolist() == [""]
    assert sandbox.records("Contact")[0]["AccountId"] == sandbox.records("Account")[0]["Id"]


def test_numbers_and_booleans_are_those_of_json(org):
    frame = pd.DataFrame({"N": [1, 2], "F": [0.5, np.nan], "B": [True, False]})
    job = classic(org, contentType="JSON")

    sent = json.loads(job.batch_request(job.add_batch(frame).id))

    assert sent == [{"N": 1, "F": 0.5, "B": True}, {"N": 2, "B": False}]


PLAIN = st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"]) | st.sampled_from("\t\r\n")


@FORMATS
@given(texts=st.lists(st.text(PLAIN, min_size=1), min_size=1))
@example(texts=[" a ", "\r\n", '"', "]]>&lt;", "é\u2028"])
def test_any_text_arrives_as_it_is_in_every_format(kind, texts):
    assume("#N/A" not in texts)
    frame = pd.DataFrame({"Name": texts, "Parent.Code__c": texts})

    body = batch_body(frame, kind, tz=None, nulls="keep", files=None)

    read = content.READERS[kind](body.decode())
    assert read.columns == ["Name", "Parent.Code__c"]
    assert read.rows == [[text, text] for text in texts]


@FORMATS
def test_a_wrong_word_for_missing_values_is_refused_in_every_format(org, kind):
    with pytest.raises(InputError, match="keep"):
        classic(org, contentType=kind).upload(pd.DataFrame({"Name": ["A"]}), nulls="Clear")


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"Owner:User.Email": ["x"]}, "use a CSV job"),
        ({"Name": ["a\x07b"]}, "control character"),
    ],
)
def test_what_xml_cannot_carry_stays_here(org, sandbox, frame, words):
    job = classic(org, contentType="XML")
    before = len(sandbox.requests)

    with pytest.raises(InputError, match=words):
        job.upload(pd.DataFrame(frame))
    assert len(sandbox.requests) == before


def test_batches_give_results_in_the_order_sent(org):
    job = classic(org)
    first = job.add_batch(b"Name,Phone\nB,1\nA,2\n")
    second = job.add_batch(b"Name,Phone\n,1\nC,2\n")
    assert job.batch(second.id).job_id == job.id

    results = job.close().wait().results()

    assert {batch.id for batch in job.batches()} == {first.id, second.id}
    of_second = results[results["batch_id"] == second.id]
    assert of_second["Success"].tolist() == ["false", "true"]
    assert job.batch_results(second.id)["Success"].tolist() == ["false", "true"]
    assert job.batch(second.id).number_records_failed == 1
    assert job.batch_request(second.id) == b"Name,Phone\n,1\nC,2\n"


def test_a_long_frame_becomes_as_many_batches_as_it_needs(org, sandbox):
    job = classic(org).upload(pd.DataFrame({"Name": [f"A{row}" for row in range(20_001)]}))

    rows = [batch.number_records_processed for batch in job.close().wait().batches()]

    assert rows == [10_000, 10_000, 1]
    assert len(sandbox.records("Account")) == 20_001


def test_rows_of_many_bytes_become_more_batches(org):
    wide = pd.DataFrame({"Name": ["A"] * 400, "Description": ["x" * 30_000] * 400})

    job = classic(org).upload(wide).close().wait()

    assert len(job.batches()) == 2
    assert job.info.number_records_processed == 400
    assert job.info.number_records_failed == 0


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("CSV", b"Name\n" + b"x" * 10 * 1024 * 1024, "10 MB"),
        ("CSV", "Name\n" + "x" * 10_000_000, "10,000,000 characters"),
        ("CSV", pd.DataFrame({"Name": ["A"] * 10_001}), "10,000 rows"),
        ("ZIP_CSV", bytes(10 * 1024 * 1024 + 1), "10 MB"),
    ],
)
def test_a_batch_beyond_the_limits_stays_here(org, sandbox, kind, data, words):
    job = classic(org, contentType=kind)
    before = len(sandbox.requests)

    with pytest.raises(InputError, match=words):
        job.add_batch(data)
    assert len(sandbox.requests) == before


def test_characters_of_several_bytes_are_counted_as_characters(org):
    text = "Name\n" + "ä" * 5_200_000

    assert classic(org).add_batch(text).state == "Queued"


@pytest.mark.parametrize("kind", ["ZIP_CSV", "ZIP_JSON", "ZIP_XML"])
def test_a_column_of_bytes_and_paths_is_attached(org, sandbox, account, tmp_path, kind):
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    frame = pd.DataFrame(
        {
            "Name": ["bytes", "path", "text"],
            "ParentId": account,
            "Body": [b"one", tmp_path / "photo.jpg", str(tmp_path / "photo.jpg")],
        }
    )
    job = classic(org, object="Attachment", contentType=kind).upload(frame, files="Body")

    results = job.close().wait().results()

    assert results["Error"].tolist() == ["", "", ""]
    bodies = [base64.b64decode(record["Body"]) for record in sandbox.records("Attachment")]
    assert bodies == [b"one", PHOTO, PHOTO]
    [batch] = job.batches()
    sent = zipfile.ZipFile(io.BytesIO(job.batch_request(batch.id)))
    assert sent.namelist() == ["request.txt", "Body/0", "Body/1.jpg", "Body/2.jpg"]


@pytest.mark.parametrize("data", ["text", "frame"])
def test_files_are_attached_by_the_names_that_cells_say(org, sandbox, account, data):
    rows = {"Name": ["a"], "ParentId": [account], "Body": ["#photos/a.jpg"]}
    frame = pd.DataFrame(rows)
    job = classic(org, object="Attachment", contentType="ZIP_CSV")

    job.upload(
        frame if data == "frame" else frame.to_csv(index=False), files={"photos/a.jpg": PHOTO}
    )

    assert job.close().wait().info.number_records_failed == 0
    assert base64.b64decode(sandbox.records("Attachment")[0]["Body"]) == PHOTO


def test_a_zip_made_elsewhere_is_sent_as_it_is(org):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        target.writestr("request.txt", "Name\nAcme\n")
    job = classic(org, contentType="ZIP_CSV")

    batch = job.add_batch(packed.getvalue())

    assert job.batch_request(batch.id) == packed.getvalue()


@pytest.mark.parametrize(
    ("data", "files", "words"),
    [
        ({"Body": [b""] * 1_001}, "Body", "1,000 files"),
        ({"Body": [bytes(11 * 1024 * 1024)] * 2}, "Body", "20 MB"),
        ({"Body": [1]}, "Body", "not int"),
        ({"Body": ["/no/such/file"]}, "Body", "Row 0, column 'Body': the file cannot be read"),
        ({"Body": [b""]}, "Photo", "no column"),
        ({"Body": ["#a"]}, {"../a": b""}, "no name"),
        ({"Body": ["#a"]}, {"request.txt": b""}, "no name"),
        ({"Body": ["#a"]}, {"a" * 513: b""}, "512 bytes"),
        ("Body\n#a\n", "Body", "maps the names"),
    ],
)
def test_files_that_cannot_be_attached_stay_here(org, sandbox, data, files, words):
    job = classic(org, object="Attachment", contentType="ZIP_CSV")
    before = len(sandbox.requests)

    with pytest.raises(InputError, match=words):
        job.upload(data if isinstance(data, str) else pd.DataFrame(data), files=files)
    assert len(sandbox.requests) == before


def test_files_need_a_job_of_zips(org):
    with pytest.raises(InputError, match='contentType="ZIP_CSV"'):
        classic(org).upload(pd.DataFrame({"Body": [b""]}), files="Body")


@pytest.mark.parametrize("id", ["750xx0000000001AAA", "751/../../x", "751xx0000000001AAB"])
def test_what_is_no_batch_id_is_never_asked_for(org, sandbox, id):
    job = classic(org)
    before = len(sandbox.requests)

    with pytest.raises(InputError, match="batch id"):
        job.batch_request(id)
    assert len(sandbox.requests) == before


@FORMATS
def test_a_query_is_read_back_in_every_format(org, account, kind):
    frame = pd.DataFrame({"LastName": ["Doe", "Al & Co"], "AccountId": [account, None]})
    classic(org, object="Contact").upload(frame).close().wait()
    soql = "SELECT Id, LastName, Birthdate, Account.Name FROM Contact"

    job = classic(org, "query", "Contact", contentType=kind).upload(soql).close().wait()

    rows = job.results().sort_values("LastName")
    assert rows["LastName"].tolist() == ["Al & Co", "Doe"]
    assert rows["Account.Name"].tolist() == ["", "Acme"]
    assert rows["Birthdate"].tolist() == ["", ""]
    assert set(rows.columns) == {"Id", "LastName", "Birthdate", "Account.Name"}
    assert rows["Id"].str.startswith("003").all()


def test_a_query_job_takes_no_frame(org):
    job = classic(org, "query")

    for act in (job.upload, job.add_batch):
        with pytest.raises(InputError, match="SOQL"):
            act(pd.DataFrame({"Name": ["Acme"]}))


def test_a_query_in_chunks_is_whole_and_its_parent_is_told_apart(org):
    classic(org).upload(pd.DataFrame({"Name": [f"A{row}" for row in range(25)]})).close().wait()

    job = classic(org, "query", pk_chunking={"chunkSize": 10}, concurrencyMode="Serial")
    job.upload(SOQL).close().wait()

    assert job.info.concurrency_mode == "Serial"
    frame = job.batches().frame
    assert frame["state"].tolist() == ["NotProcessed", *["Completed"] * 3]
    assert frame["chunked_parent"].tolist() == [True, False, False, False]
    assert sorted(job.results()["Name"]) == sorted(f"A{row}" for row in range(25))


def test_a_query_that_was_aborted_gives_no_result(org):
    job = classic(org, "query").upload(SOQL)
    job.abort()

    with pytest.raises(JobFailedError, match="not all of its batches"):
        job.results()
    assert job.batches().frame["chunked_parent"].isna().all()


def test_a_batch_that_failed_or_runs_is_named(org):
    job = classic(org, "query").upload("SELECT Nothing FROM Account")
    [batch] = job.batches()
    with pytest.raises(StillRunningError, match=batch.id):
        job.batch_results(batch.id)

    job.close().wait()

    with pytest.raises(JobFailedError, match="No such column 'Nothing'"):
        job.batch_results(batch.id)


def test_headers_of_1_0_leave_with_the_request(sandbox):
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        return sandbox.app(environ, start_response)

    org = bulknb.connect(
        instance_url=sandbox.url, access_token=sandbox.token, api_version="62.0", transport=app
    )
    classic(
        org,
        "query",
        "Attachment",
        pk_chunking={"chunkSize": 50_000, "parent": "Account"},
        headers={"Sforce-Disable-Batch-Retry": "true", "Sforce-Line-Ending": "CRLF"},
    )

    assert seen["HTTP_SFORCE_ENABLE_PKCHUNKING"] == "chunkSize=50000; parent=Account"
    assert seen["HTTP_SFORCE_DISABLE_BATCH_RETRY"] == "true"
    assert seen["HTTP_SFORCE_LINE_ENDING"] == "CRLF"
