"""The resources of Bulk API 2.0 ingest."""

import pytest

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
    import gzip

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


def test_a_classic_job_has_no_results_here(api):
    job = api("POST", "async/62.0/job", json=INSERT).json["id"]
    assert api("GET", f"{JOBS}/{job}/successfulResults").status_code == 204
    assert error(change(api, job, "Aborted")) == (404, "NOT_FOUND")
