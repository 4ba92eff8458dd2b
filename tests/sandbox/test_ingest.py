"""The resources of Bulk API 2.0 ingest."""

import gzip
import json

import pytest
import urllib3

JOBS = "v62.0/jobs/ingest"
INSERT = {"object": "Account", "operation": "insert"}


@pytest.fixture
def job(api):
    return api("POST", JOBS, json=INSERT).json["id"]


def change(api, job, state):
    return api("PATCH", f"{JOBS}/{job}", json={"state": state})


def error(answer):
    (found,) = answer.json
    return answer.status_code, found["errorCode"]


def test_a_job_takes_one_upload_and_a_close(api, job, sandbox):
    assert api("GET", f"{JOBS}/{job}").json["state"] == "Open"
    uploaded = api("PUT", f"{JOBS}/{job}/batches", data="Name\nA\n")
    assert (uploaded.status_code, uploaded.data) == (201, b"")
    assert change(api, job, "UploadComplete").json["state"] == "UploadComplete"
    sandbox.clock.advance(60)
    assert api("GET", f"{JOBS}/{job}").json["state"] == "JobComplete"


def test_a_second_upload_is_taken_and_makes_the_close_fail(api, job):
    for _ in range(2):
        assert api("PUT", f"{JOBS}/{job}/batches", data="Name\nA\n").status_code == 201
    refused = change(api, job, "UploadComplete")
    assert error(refused) == (400, "INVALIDJOB")
    assert refused.json[0]["message"].startswith(f"Found multiple contents for job: <{job}>")
    assert change(api, job, "Aborted").status_code == 200


@pytest.mark.parametrize(
    ("before", "then", "message"),
    [
        ("UploadComplete", "UploadComplete", "Closing already Closed Job not allowed"),
        ("Aborted", "UploadComplete", "Closing already Aborted Job not allowed"),
        ("Aborted", "Aborted", "Aborting already Aborted Job not allowed"),
        ("JobComplete", "Aborted", "Aborting already Completed Job not allowed"),
    ],
)
def test_a_state_that_does_not_allow_it_refuses(api, job, sandbox, before, then, message):
    api("PUT", f"{JOBS}/{job}/batches", data="Name\nA\n")
    change(api, job, "Aborted" if before == "Aborted" else "UploadComplete")
    sandbox.clock.advance(60 if before == "JobComplete" else 0)
    refused = change(api, job, then)
    assert error(refused) == (400, "INVALIDJOBSTATE")
    assert refused.json[0]["message"] == message


def test_a_closed_job_takes_no_data(api, job):
    change(api, job, "UploadComplete")
    refused = api("PUT", f"{JOBS}/{job}/batches", data="Name\nA\n")
    assert error(refused) == (400, "INVALIDJOBSTATE")


def test_a_job_is_deleted_unless_it_is_open_or_at_work(api, job, sandbox):
    assert error(api("DELETE", f"{JOBS}/{job}")) == (400, "INVALIDJOBSTATE")
    change(api, job, "Aborted")
    assert api("DELETE", f"{JOBS}/{job}").status_code == 204
    assert error(api("GET", f"{JOBS}/{job}")) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (INSERT | {"operation": "INSERT"}, "INVALIDJOB"),
        (INSERT | {"object": "Nothing"}, "INVALIDENTITY"),
        (INSERT | {"operation": "upsert"}, "INVALIDJOB"),
        (INSERT | {"operation": "upsert", "externalIdFieldName": "Phone"}, "INVALIDJOB"),
        (INSERT | {"externalIdFieldName": "ExternalId__c"}, "INVALIDJOB"),
        (INSERT | {"columnDelimiter": "DOT"}, "INVALIDJOB"),
        (INSERT | {"lineEnding": "CR"}, "INVALIDJOB"),
        (INSERT | {"contentType": "JSON"}, "INVALIDJOB"),
    ],
)
def test_a_job_that_makes_no_sense_is_not_created(api, wanted, code):
    assert error(api("POST", JOBS, json=wanted)) == (400, code)
    assert api("GET", JOBS).json["records"] == []


def test_a_body_that_is_no_json_object_is_refused(api, job):
    assert error(api("POST", JOBS, data="{")) == (400, "JSON_PARSER_ERROR")
    assert error(api("PATCH", f"{JOBS}/{job}", data="[]")) == (400, "JSON_PARSER_ERROR")
    assert error(change(api, job, "Done")) == (400, "INVALIDJOB")


def multipart(api, wanted, csv):
    parts = {
        "job": (None, json.dumps(wanted), "application/json"),
        "content": ("content", csv, "text/csv"),
    }
    body, content_type = urllib3.encode_multipart_formdata(parts, boundary="BOUNDARY")
    return api("POST", JOBS, data=body, headers={"Content-Type": content_type})


def test_a_job_that_comes_with_its_data_is_closed_at_once(api, sandbox):
    created = multipart(api, INSERT, "Name\nZürich\n")
    assert created.status_code == 200
    assert created.json["state"] == "UploadComplete"
    assert "contentUrl" not in created.json
    refused = api("PUT", f"{JOBS}/{created.json['id']}/batches", data="Name\nA\n")
    assert error(refused) == (400, "INVALIDJOBSTATE")
    sandbox.clock.advance(60)
    assert api("GET", f"{JOBS}/{created.json['id']}").json["state"] == "JobComplete"
    assert [record["Name"] for record in sandbox.records("Account")] == ["Zürich"]


def test_data_of_more_than_100000_characters_do_not_come_with_the_job(api):
    assert multipart(api, INSERT, "Name\n" + "ü" * 99_995).status_code == 200
    assert error(multipart(api, INSERT, "Name\n" + "ü" * 99_996)) == (400, "INVALIDBATCH")
    assert error(multipart(api, [], "Name\nA\n")) == (400, "JSON_PARSER_ERROR")
    assert len(api("GET", JOBS).json["records"]) == 1


def test_the_options_header_of_a_call_is_no_obstacle(api):
    headers = {"Sforce-Call-Options": "client=x; defaultNamespace=battle"}
    assert api("POST", JOBS, json=INSERT, headers=headers).status_code == 200


def test_jobs_came_with_version_41(api):
    assert error(api("POST", "v40.0/jobs/ingest", json=INSERT)) == (404, "NOT_FOUND")
    assert api("POST", "v41.0/jobs/ingest", json=INSERT).json["apiVersion"] == 41.0


def failure(api, load, csv, **more):
    job = load(csv, **more)
    info = api("GET", f"{JOBS}/{job}").json
    assert (info["state"], info["numberRecordsProcessed"]) == ("Failed", 0)
    return info["errorMessage"], api("GET", f"{JOBS}/{job}/unprocessedrecords").text


@pytest.mark.parametrize(("setting", "csv"), [("LF", 'Name\r\n"A"\r\n'), ("CRLF", 'Name\n"A"\n')])
def test_lines_that_end_otherwise_than_the_job_says_fail_it(api, load, setting, csv):
    newline = {"LF": "\n", "CRLF": "\r\n"}[setting]
    message, unprocessed = failure(api, load, csv, lineEnding=setting)
    assert message == (
        "ClientInputError : LineEnding is invalid on user data."
        f" Current LineEnding setting is {setting}"
    )
    assert unprocessed == f'Name{newline}"A"{newline}'


def test_a_line_end_inside_a_value_may_be_another(load, sandbox):
    load('Name,Description\n"A","one\r\ntwo"\n')
    assert sandbox.records("Account")[0]["Description"] == "one\r\ntwo"


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        ("Name,Nope\nA,1\nB,2\n", "InvalidBatch : Field name not found : Nope"),
        (
            ",".join(["Name"] * 5001) + "\nA\nB\n",
            "InvalidBatch : Maximum number of fields exceeded: 5000",
        ),
        ("x" * 32_001 + "\nA\nB\n", "InvalidBatch : The header is longer than 32000 characters"),
    ],
)
def test_all_rows_of_a_job_that_failed_at_its_header_are_unprocessed(api, load, csv, message):
    said, unprocessed = failure(api, load, csv)
    assert said == message
    header, *rows = unprocessed.splitlines()
    assert header == csv.splitlines()[0]
    assert sorted(row.replace('"', "") for row in rows) == csv.splitlines()[1:]


@pytest.mark.parametrize(("setting", "newline"), [("LF", "\n"), ("CRLF", "\r\n")])
def test_a_header_may_have_32000_characters(api, load, sandbox, setting, newline):
    header = "Name".ljust(32_000)  # ours: space around a name does not count
    job = load(newline.join([header, "A", ""]), lineEnding=setting)
    assert api("GET", f"{JOBS}/{job}").json["state"] == "JobComplete"
    assert [record["Name"] for record in sandbox.records("Account")] == ["A"]


def test_a_job_closed_without_data_fails(api, load):
    job = load("")
    assert api("GET", f"{JOBS}/{job}").json["state"] == "Failed"
    assert api("GET", f"{JOBS}/{job}/successfulResults").text == '"sf__Id","sf__Created"\n'


def test_each_row_of_a_job_aborted_at_work_is_in_one_result(api, job, sandbox):
    names = [f"A{row}" if row % 7 else "" for row in range(25_000)]
    csv = "\n".join(["Name,Phone", *(f"{name},{row}" for row, name in enumerate(names)), ""])
    api("PUT", f"{JOBS}/{job}/batches", data=csv)
    change(api, job, "UploadComplete")
    while api("GET", f"{JOBS}/{job}").json.get("numberRecordsProcessed", 0) < 3000:
        sandbox.clock.advance(0.5)
    change(api, job, "Aborted")
    found = {}
    for name, added in (("successfulResults", 2), ("failedResults", 2), ("unprocessedrecords", 0)):
        lines = api("GET", f"{JOBS}/{job}/{name}").text.splitlines()[1:]
        found[name] = [line.replace('"', "").split(",")[added:] for line in lines]
    assert all(len(rows) > 400 for rows in found.values())
    rows = [row for part in found.values() for row in part]
    assert sorted(rows, key=lambda row: int(row[1])) == [
        [name, str(row)] for row, name in enumerate(names)
    ]
    info = api("GET", f"{JOBS}/{job}").json
    processed = len(found["successfulResults"]) + len(found["failedResults"])
    assert info["numberRecordsProcessed"] == processed
    assert info["numberRecordsFailed"] == len(found["failedResults"])
    sandbox.clock.advance(600)
    assert api("GET", f"{JOBS}/{job}").json == info
    assert len(sandbox.records("Account")) == len(found["successfulResults"])


DELIMITERS = {"BACKQUOTE": "`", "CARET": "^", "COMMA": ",", "PIPE": "|", "SEMICOLON": ";"}


@pytest.mark.parametrize(("name", "sign"), [*DELIMITERS.items(), ("TAB", "\t")])
@pytest.mark.parametrize(("ending", "newline"), [("LF", "\n"), ("CRLF", "\r\n")])
def test_results_have_the_delimiter_and_line_end_of_the_job(
    api, load, sandbox, name, sign, ending, newline
):
    data = newline.join([f"Name{sign}Phone", f'"a{sign}b"{sign}1', f"{sign}2", ""])
    job = load(data, columnDelimiter=name, lineEnding=ending)
    saved = api("GET", f"{JOBS}/{job}/successfulResults")
    key = sandbox.records("Account")[0]["Id"]
    assert saved.data.decode() == newline.join(
        [
            f'"sf__Id"{sign}"sf__Created"{sign}Name{sign}Phone',
            sign.join([f'"{key}"', '"true"', f'"a{sign}b"', '"1"']),
            "",
        ]
    )


def test_the_header_of_results_is_the_uploaded_line_as_it_was(api, load):
    job = load('\ufeff"Name",phone\nA,1\n'.encode())
    assert api("GET", f"{JOBS}/{job}/failedResults").text == '"sf__Id","sf__Error","Name",phone\n'
    assert api("GET", f"{JOBS}/{job}/unprocessedrecords").text == '"Name",phone\n'
    assert api("GET", f"{JOBS}/{job}/unprocessedRecords").text == '"Name",phone\n'


def test_results_come_in_another_order(api, load):
    names = [f"A{number}" for number in range(50)]
    job = load("\n".join(["Name", *names, ""]))
    lines = api("GET", f"{JOBS}/{job}/successfulResults").text.splitlines()[1:]
    found = [line.split('"')[-2] for line in lines]
    assert found != names
    assert sorted(found) == sorted(names)


def test_a_compressed_upload_is_unpacked(api, job, sandbox):
    packed = gzip.compress(b"Name\nA\n")
    headers = {"Content-Encoding": "gzip"}
    assert api("PUT", f"{JOBS}/{job}/batches", data=packed, headers=headers).status_code == 201
    change(api, job, "UploadComplete")
    sandbox.clock.advance(60)
    assert len(sandbox.records("Account")) == 1
    headers = {"Content-Encoding": "br"}
    refused = api("POST", JOBS, data=packed, headers=headers)
    assert error(refused) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_an_id_of_15_characters_is_the_same_job(api, job):
    assert api("GET", f"{JOBS}/{job[:15]}").json["id"] == job


def test_a_list_has_a_thousand_jobs_a_page_in_no_order(api, sandbox):
    # Made past the API, which would take a second for so many.
    wanted = INSERT | {"state": "Open"}
    made = [sandbox._org.new_job("V2Ingest", "62.0", **wanted)["id"] for _ in range(1050)]
    first = api("GET", JOBS).json
    assert (first["done"], len(first["records"])) == (False, 1000)
    path = first["nextRecordsUrl"]
    assert path.startswith(f"/services/data/{JOBS}?queryLocator=")
    second = api("GET", path.removeprefix("/services/")).json
    assert (second["done"], second["nextRecordsUrl"]) == (True, None)
    listed = [record["id"] for record in first["records"] + second["records"]]
    assert listed != made
    assert sorted(listed) == made


def test_a_list_can_be_of_one_type(api, job):
    api("POST", "async/62.0/job", json=INSERT)
    everything = api("GET", JOBS).json["records"]
    assert {record["jobType"] for record in everything} == {"Classic", "V2Ingest"}
    for name in ("Classic", "V2Ingest"):
        found = api("GET", f"{JOBS}?jobType={name}").json["records"]
        assert [record["jobType"] for record in found] == [name]
    assert api("GET", f"{JOBS}?isPkChunkingEnabled=true").json["records"] == []
    assert len(api("GET", f"{JOBS}?concurrencyMode=parallel").json["records"]) == 2
    assert api("GET", f"{JOBS}?concurrencyMode=serial").json["records"] == []


def test_the_pages_of_a_list_keep_its_filters(api, sandbox):
    kinds = ["V2Ingest", "Classic"] * 1001
    for kind in kinds:
        sandbox._org.new_job(kind, "62.0", **INSERT, state="Open")
    first = api("GET", f"{JOBS}?jobType=Classic&concurrencyMode=parallel").json
    second = api("GET", first["nextRecordsUrl"].removeprefix("/services/")).json
    assert (len(first["records"]), len(second["records"])) == (1000, 1)
    found = first["records"] + second["records"]
    assert {record["jobType"] for record in found} == {"Classic"}


def test_a_classic_job_has_no_results_here(api):
    job = api("POST", "async/62.0/job", json=INSERT).json["id"]
    assert api("GET", f"{JOBS}/{job}/successfulResults").status_code == 204
    assert error(change(api, job, "Aborted")) == (404, "NOT_FOUND")
