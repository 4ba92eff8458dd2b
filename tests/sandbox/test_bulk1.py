"""The resources of Bulk API 1.0."""

import json
import re

import pytest

JOBS = "async/62.0/job"
XML = {"Content-Type": "application/xml; charset=UTF-8"}
JSON = {"Content-Type": "application/json"}
NAMESPACE = "http://www.force.com/2009/06/asyncapi/dataload"

CREATE = f"""\
<?xml version="1.0" encoding="UTF-8"?> <jobInfo
xmlns="{NAMESPACE}"> <operation>insert</operation>
<object>Account</object> <contentType>CSV</contentType> </jobInfo>"""
CLOSE = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<jobInfo
   xmlns="{NAMESPACE}">
 <state>Closed</state>
</jobInfo>"""
ABORT = f'<jobInfo xmlns="{NAMESPACE}"><state>Aborted</state></jobInfo>'


def tag(answer, name):
    found = re.search(f"<{name}>(.*?)</{name}>", answer.text, re.DOTALL)
    return found and found[1]


def refused(answer):
    return answer.status_code, tag(answer, "exceptionCode"), tag(answer, "exceptionMessage")


@pytest.fixture
def make(api):
    def create(operation="insert", object="Account", **more):
        wanted = {"operation": operation, "object": object, "contentType": "CSV", **more}
        return api("POST", JOBS, data=json.dumps(wanted), headers=JSON).json["id"]

    return create


@pytest.fixture
def send(api):
    """Add a batch and return its id, whatever format the answer has."""

    def add(job, body):
        answer = api("POST", f"{JOBS}/{job}/batch", data=body, headers=XML)
        assert answer.status_code == 201, answer.text
        return re.search(r"751\w{15}", answer.text)[0]

    return add


def test_the_documented_requests_create_close_and_abort(api):
    created = api("POST", JOBS, data=CREATE, headers=XML)
    assert (created.status_code, tag(created, "state")) == (201, "Open")
    job = tag(created, "id")
    assert created.headers["Location"] == f"/services/async/62.0/job/{job}"
    closed = api("POST", f"{JOBS}/{job}", data=CLOSE, headers=XML)
    assert (closed.status_code, tag(closed, "state")) == (200, "Closed")
    other = tag(api("POST", JOBS, data=CREATE, headers=XML), "id")
    aborted = api("POST", f"{JOBS}/{other}", data=ABORT, headers=XML)
    assert (aborted.status_code, tag(aborted, "state")) == (200, "Aborted")


def test_a_json_request_is_answered_in_json(api, make):
    job = make(concurrencyMode=1)
    closed = api("POST", f"{JOBS}/{job}", data='{"state" : "Closed"}', headers=JSON)
    assert closed.content_type == "application/json"
    assert closed.json["state"] == "Closed"
    assert closed.json["concurrencyMode"] == "Serial"
    assert list(closed.json) == sorted(closed.json)
    assert api("GET", f"{JOBS}/{job}").content_type == "application/xml"


def test_the_answer_to_a_close_has_the_old_stamp(api, make, sandbox):
    job = make()
    sandbox.clock.advance(10)
    closed = api("POST", f"{JOBS}/{job}", data=CLOSE, headers=XML)
    assert tag(closed, "systemModstamp") == tag(closed, "createdDate")
    later = api("GET", f"{JOBS}/{job}")
    assert tag(later, "systemModstamp") == "2026-01-05T09:00:10.000Z"
    assert tag(later, "createdDate") == "2026-01-05T09:00:00.000Z"


def test_a_batch_is_processed_while_the_job_is_open(api, make, send, sandbox):
    job = make()
    batch = send(job, "Name,ExternalId__c\nA,1\n,2\n")
    sandbox.clock.advance(60)
    info = api("GET", f"{JOBS}/{job}/batch/{batch}")
    assert tag(info, "state") == "Completed"
    assert (tag(info, "numberRecordsProcessed"), tag(info, "numberRecordsFailed")) == ("2", "1")
    times = [tag(info, f"{name}ProcessingTime") for name in ("apex", "apiActive", "total")]
    assert 0 == int(times[0]) < int(times[1]) < int(times[2])
    job_info = api("GET", f"{JOBS}/{job}")
    assert tag(job_info, "state") == "Open"
    assert tag(job_info, "totalProcessingTime") == times[2]
    assert tag(job_info, "numberBatchesCompleted") == "1"


CSV_RESULT = """\
"Id","Success","Created","Error"
"001xx0000000001AAA","true","true",""
"","false","false","REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --"
"""
JSON_RESULT = [
    {"success": True, "created": True, "id": "001xx0000000001AAA", "errors": []},
    {
        "success": False,
        "created": False,
        "id": None,
        "errors": [
            {
                "message": "Required fields are missing: [Name]",
                "fields": ["Name"],
                "statusCode": "REQUIRED_FIELD_MISSING",
                "extendedErrorDetails": None,
            }
        ],
    },
]


def test_results_of_a_csv_batch_come_in_the_order_sent(api, make, send, sandbox):
    job = make()
    batch = send(job, "Name,Phone\r\nA,1\r\n,2\r\n")
    sandbox.clock.advance(60)
    result = api("GET", f"{JOBS}/{job}/batch/{batch}/result")
    assert (result.text, result.content_type) == (CSV_RESULT, "text/csv")
    request = api("GET", f"{JOBS}/{job}/batch/{batch}/request")
    assert request.data == b"Name,Phone\r\nA,1\r\n,2\r\n"


def test_a_json_job_speaks_json_even_to_an_xml_request(api, make, send, sandbox):
    job = make(contentType="JSON")
    batch = send(job, '[{"Name": "A", "NumberOfEmployees": 5}, {"Phone": null}]')
    sandbox.clock.advance(60)
    info = api("GET", f"{JOBS}/{job}/batch/{batch}", headers=XML)
    assert (info.content_type, info.json["state"]) == ("application/json", "Completed")
    assert info.json["stateMessage"] is None
    assert api("GET", f"{JOBS}/{job}/batch").json == {"batchInfo": [info.json]}
    assert api("GET", f"{JOBS}/{job}/batch/{batch}/result").json == JSON_RESULT
    assert sandbox.records("Account")[0]["NumberOfEmployees"] == 5


def test_an_xml_job_takes_and_gives_xml(api, make, send, load, sandbox):
    load("Name,ExternalId__c\nParent,p\n")
    job = make(object="Contact", contentType="XML")
    batch = send(
        job,
        f"""<?xml version="1.0"?><sObjects xmlns="{NAMESPACE}"
          xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
          <sObject><LastName>A &amp; B</LastName><Phone xsi:nil="true"/>
            <Account><sObject><ExternalId__c>p</ExternalId__c></sObject></Account></sObject>
          <sObject><FirstName>x</FirstName></sObject></sObjects>""",
    )
    sandbox.clock.advance(60)
    (contact,) = sandbox.records("Contact")
    assert contact["LastName"] == "A & B"
    assert contact["AccountId"] == sandbox.records("Account")[0]["Id"]
    result = api("GET", f"{JOBS}/{job}/batch/{batch}/result")
    names = re.findall(r"<(\w+)[ >\n]", result.text)
    assert names == [
        *("results", "result", "id", "success", "created"),
        *("result", "errors", "fields", "message", "statusCode", "success", "created"),
    ]


def test_a_nested_json_parent_is_found(make, send, load, sandbox):
    load("Name,ExternalId__c\nParent,p\n")
    job = make(object="Contact", contentType="JSON")
    send(job, '[{"LastName": "A", "Account": {"ExternalId__c": "p"}}]')
    sandbox.clock.advance(60)
    assert sandbox.records("Contact")[0]["AccountId"] is not None


@pytest.mark.parametrize("content_type", ["CSV", "JSON", "XML"])
def test_a_query_has_a_result_list_and_a_result(api, make, send, load, sandbox, content_type):
    load("Name\nA\n")
    job = make("query", contentType=content_type)
    batch = send(job, "SELECT Id, Name, CreatedDate, Owner.Name FROM Account")
    sandbox.clock.advance(60)
    results = api("GET", f"{JOBS}/{job}/batch/{batch}/result")
    result_id = re.search(r"752\w{12}", results.text)[0]
    rows = api("GET", f"{JOBS}/{job}/batch/{batch}/result/{result_id}")
    key = sandbox.records("Account")[0]["Id"]
    match content_type:
        case "CSV":
            assert rows.text.splitlines()[0] == '"Id","Name","CreatedDate","Owner.Name"'
            assert rows.text.splitlines()[1].startswith(f'"{key}","A","2026-01-05T09:00:0')
        case "JSON":
            assert results.json == [result_id]
            (row,) = rows.json
            assert list(row) == ["attributes", "Id", "Name", "CreatedDate", "Owner"]
            assert row["attributes"]["url"] == f"/services/data/v62.0/sobjects/Account/{key}"
            assert 1767603600000 <= row["CreatedDate"] < 1767603610000
            assert row["Owner"]["Name"] == "Integration User"
        case "XML":
            assert tag(results, "result") == result_id
            assert rows.text.count(f"<sf:Id>{key}</sf:Id>") == 2
            assert "<sf:type>User</sf:type><sf:Name>Integration User</sf:Name>" in rows.text


def test_a_query_without_rows_says_so(api, make, send, sandbox):
    job = make("query")
    batch = send(job, "SELECT Id FROM Account")
    sandbox.clock.advance(60)
    result_id = tag(api("GET", f"{JOBS}/{job}/batch/{batch}/result"), "result")
    rows = api("GET", f"{JOBS}/{job}/batch/{batch}/result/{result_id}")
    assert rows.text.strip() == '"Records not found for this query"'


@pytest.mark.parametrize(
    ("soql", "message"),
    [
        ("SELECT Bad FROM Account", "InvalidBatch : Failed to process query: INVALID_FIELD: "),
        (
            "SELECT Id FROM Contact",
            "InvalidBatch : Failed to process query: INVALID_TYPE_FOR_OPERATION: The root entity"
            " of the requested query (Contact) does not match the entity of the requested Bulk"
            " API Job (Account).",
        ),
        (
            "SELECT COUNT() FROM Account",
            "InvalidBatch : Failed to process query: FUNCTIONALITY_NOT_ENABLED: ",
        ),
    ],
)
def test_a_query_that_fails_fails_its_batch(api, make, send, sandbox, soql, message):
    job = make("query")
    batch = send(job, soql)
    sandbox.clock.advance(60)
    info = api("GET", f"{JOBS}/{job}/batch/{batch}")
    assert tag(info, "state") == "Failed"
    assert tag(info, "stateMessage").startswith(message)
    assert refused(api("GET", f"{JOBS}/{job}/batch/{batch}/result")) == (
        400,
        "InvalidBatch",
        "Records not processed",
    )


def test_a_batch_has_ten_thousand_rows_at_most(api, make, send, sandbox):
    job = make()
    batch = send(job, "Name\n" + "x\n" * 10_001)
    sandbox.clock.advance(60)
    assert tag(api("GET", f"{JOBS}/{job}/batch/{batch}"), "state") == "Failed"
    assert sandbox.records("Account") == []


def test_an_unknown_column_fails_the_batch(api, make, send, sandbox):
    job = make()
    batch = send(job, "Name,Nope\nA,B\n")
    sandbox.clock.advance(60)
    info = api("GET", f"{JOBS}/{job}/batch/{batch}")
    assert tag(info, "stateMessage") == "InvalidBatch : Field name not found : Nope"
    assert tag(api("GET", f"{JOBS}/{job}"), "numberBatchesFailed") == "1"


def test_a_batch_that_fails_at_once_makes_room_for_the_next(api, make, send, sandbox):
    job = make()
    slow, quick = ("Name\n" + "x\n" * rows for rows in (5000, 10))
    # The five slow ones take all the room; the others have to wait for it together.
    bodies = [slow] * 5 + ["Nope\nA\n"] * 2 + [quick] * 3
    batches = [send(job, body) for body in bodies]
    sandbox.clock.advance(600)
    states = [tag(api("GET", f"{JOBS}/{job}/batch/{batch}"), "state") for batch in batches]
    assert states == ["Completed"] * 5 + ["Failed"] * 2 + ["Completed"] * 3
    assert len(sandbox.records("Account")) == 5 * 5000 + 3 * 10


def test_an_abort_stops_batches_that_wait_and_lets_running_ones_end(api, make, send, sandbox):
    job = make(concurrencyMode="Serial")
    rows = "\n".join(["Name", *("x" for _ in range(1000)), ""])
    batches = [send(job, rows) for _ in range(3)]
    while tag(api("GET", f"{JOBS}/{job}"), "numberBatchesInProgress") == "0":
        sandbox.clock.advance(0.1)
    assert tag(api("POST", f"{JOBS}/{job}", data=ABORT, headers=XML), "state") == "Aborted"
    sandbox.clock.advance(60)
    states = [tag(api("GET", f"{JOBS}/{job}/batch/{batch}"), "state") for batch in batches]
    assert sorted(states) == ["Completed", "NotProcessed", "NotProcessed"]
    assert len(sandbox.records("Account")) == 1000


def test_serial_batches_run_one_at_a_time(api, make, send, sandbox):
    jobs = [make(concurrencyMode=mode) for mode in ("Serial", "Parallel")]
    rows = "\n".join(["Name", *("x" for _ in range(600)), ""])
    for job in jobs:
        for _ in range(3):
            send(job, rows)
    most = dict.fromkeys(jobs, 0)
    for _ in range(100):
        sandbox.clock.advance(0.1)
        for job in jobs:
            running = tag(api("GET", f"{JOBS}/{job}"), "numberBatchesInProgress")
            most[job] = max(most[job], int(running))
    assert (most[jobs[0]], most[jobs[1]]) == (1, 3)


def test_a_closed_job_takes_no_batch_and_no_second_close(api, make):
    job = make()
    api("POST", f"{JOBS}/{job}", data=CLOSE, headers=XML)
    answer = api("POST", f"{JOBS}/{job}/batch", data="Name\nA\n", headers=XML)
    assert refused(answer)[:2] == (400, "InvalidJobState")
    answer = api("POST", f"{JOBS}/{job}", data=CLOSE, headers=XML)
    assert refused(answer) == (400, "InvalidJobState", "Job already closed")
    answer = api("POST", f"{JOBS}/{job}", data=ABORT, headers=XML)
    assert refused(answer) == (400, "InvalidJobState", "Job already completed")


def test_an_aborted_job_takes_no_other_state(api, make):
    job = make()
    api("POST", f"{JOBS}/{job}", data=ABORT, headers=XML)
    for body in (CLOSE, ABORT):
        answer = api("POST", f"{JOBS}/{job}", data=body, headers=XML)
        assert refused(answer) == (400, "InvalidJobState", "Job already aborted")


def test_a_job_is_not_opened_and_its_author_not_changed(api, make):
    job = make()
    answer = api("POST", f"{JOBS}/{job}", data=CLOSE.replace("Closed", "Open"), headers=XML)
    assert refused(answer) == (400, "InvalidJobState", "Job is in invalid state")
    answer = api("POST", f"{JOBS}/{job}", data=CLOSE.replace("state>", "createdById>"), headers=XML)
    assert refused(answer) == (400, "InvalidJob", "CreatedById cannot be specified")


def test_a_close_may_say_once_more_which_job_it_is(api, make):
    job = make()
    body = CLOSE.replace("<state>", f"<id>{job}</id><state>")
    assert tag(api("POST", f"{JOBS}/{job}", data=body, headers=XML), "state") == "Closed"


def test_an_assignment_rule_is_told_again(api, make):
    job = make(object="Lead", assignmentRuleId="01QD0000000EEzv")
    names = re.findall(r"<(\w+)>", api("GET", f"{JOBS}/{job}").text)
    place = names.index("assignmentRuleId")
    assert names[place - 1 : place + 2] == ["apiVersion", "assignmentRuleId", "numberRecordsFailed"]


def test_a_job_takes_batches_for_a_day(api, make, sandbox):
    job = make()
    sandbox.clock.advance(24 * 3600 + 1)
    answer = api("POST", f"{JOBS}/{job}/batch", data="Name\nA\n", headers=XML)
    assert refused(answer)[:2] == (400, "InvalidJobState")


@pytest.mark.parametrize(
    ("wanted", "code", "message"),
    [
        ({"operation": "INSERT"}, "InvalidJob", "Unable to parse Job"),
        ({"object": "Nope"}, "InvalidJob", "Unable to find object: Nope"),
        ({"createdById": "x"}, "InvalidJob", "CreatedById cannot be specified"),
        ({"contentType": "csv"}, "InvalidJob", "Unable to parse Job"),
        ({"operation": "query", "contentType": "ZIP_CSV"}, "InvalidJob", None),
        ({"operation": "upsert"}, "InvalidJob", None),
        ({"externalIdFieldName": "ExternalId__c"}, "InvalidJob", None),
        ({"concurrencyMode": 2}, "InvalidJob", "Unable to parse Job"),
    ],
)
def test_a_job_that_makes_no_sense_is_not_created(api, wanted, code, message):
    wanted = {"operation": "insert", "object": "Account", **wanted}
    answer = api("POST", JOBS, data=json.dumps(wanted), headers=JSON)
    assert (answer.status_code, answer.json["exceptionCode"]) == (400, code)
    assert message in (None, answer.json["exceptionMessage"])


def test_what_is_not_there_is_an_error_400(api, make):
    job = make()
    for path, code in [
        (f"{JOBS}/750xx0000000099", "InvalidJob"),
        (f"{JOBS}/{job}/batch/751xx0000000099", "InvalidBatch"),
    ]:
        assert refused(api("GET", path))[:2] == (400, code)


def test_a_batch_has_some_content_and_not_too_much(api, make):
    job = make()
    answer = api("POST", f"{JOBS}/{job}/batch", data=" \n", headers=XML)
    assert refused(answer)[:2] == (400, "InvalidBatch")
    answer = api("POST", f"{JOBS}/{job}/batch", data="x" * 10_000_001, headers=XML)
    assert refused(answer) == (
        400,
        "ClientInputError",
        "Failed to read request. Exceeded max size limit of 10000000",
    )
    answer = api("POST", f"{JOBS}/{job}/batch", data="ü" * 5_300_000, headers=XML)
    assert refused(answer)[1:] == (
        "ClientInputError",
        "Failed to read request. Exceeded max size limit of 10485760",
    )


def test_a_document_type_is_refused(api, make, send, sandbox):
    doctype = '<!DOCTYPE jobInfo [<!ENTITY a "Closed">]>'
    job = make(contentType="XML")
    answer = api("POST", f"{JOBS}/{job}", data=f"{doctype}<jobInfo>&a;</jobInfo>", headers=XML)
    assert refused(answer)[:2] == (400, "InvalidXml")
    batch = send(job, f"{doctype}<sObjects/>")
    sandbox.clock.advance(60)
    assert tag(api("GET", f"{JOBS}/{job}/batch/{batch}"), "state") == "Failed"


def test_what_xml_cannot_hold_is_replaced(api):
    wanted = "<jobInfo><operation>insert</operation><object>a\x85b&lt;</object></jobInfo>"
    assert refused(api("POST", JOBS, data=wanted.encode()))[2].endswith("&lt;")
    answer = api("GET", f"{JOBS}/750%01")
    assert refused(answer)[2] == "Unable to find job: 750\N{REPLACEMENT CHARACTER}"


def test_xml_without_a_content_type_is_xml_data(api):
    body = CREATE.replace("<contentType>CSV</contentType>", "")
    assert tag(api("POST", JOBS, data=body), "contentType") == "XML"
