"""Transformation specs: batches of Bulk API 1.0 whose columns are not yet those of the object."""

from datetime import UTC, datetime

import pytest

from bulknb.sandbox import Field, ManualClock, ObjectType, Sandbox

JOBS = "async/62.0/job"
HEADER = "Salesforce Field,Csv Header,Value,Hint\n"

# Both are the example of "Map Data Fields", in a year when '40 was long ago.
DOCUMENTED_SPEC = f"""{HEADER}Name,Full Name,,
Title,Job Title,,
LeadSource,Lead Source,Purchased List,
Description,,Imported from XYZ.csv,
Birthdate,Date of Birth,,dd MM yy
"""
DOCUMENTED_ROWS = """\
Full Name,Job Title,Lead Source,Date of Birth,Comment
"Cat, Tom",DSH,Web,10 Feb 40,likes Jerry
Jerry Mouse,House Mouse,,10 Feb 40,likes Tom
"""
MEETING = ObjectType(
    "Meeting__c",
    (Field("Start__c", "datetime"), Field("Day__c", "date"), Field("Held__c", "boolean")),
)


@pytest.fixture
def sandbox():
    clock = ManualClock(datetime(2012, 1, 5, tzinfo=UTC).timestamp())
    with Sandbox(clock=clock, objects=[MEETING]) as sandbox:
        yield sandbox


@pytest.fixture
def make(api):
    def create(object="Contact", operation="insert", **more):
        wanted = {"operation": operation, "object": object, "contentType": "CSV", **more}
        return api("POST", JOBS, json=wanted).json["id"]

    return create


@pytest.fixture
def load_by(api, make, sandbox):
    """Load rows by a spec and return the records."""

    def run(spec, rows, object):
        job = make(object)
        answer = api("POST", f"{JOBS}/{job}/spec", data=spec, content_type="text/csv")
        assert answer.status_code == 201, answer.text
        api("POST", f"{JOBS}/{job}/batch", data=rows, content_type="text/csv")
        sandbox.clock.advance(60)
        return sandbox.records(object)

    return run


def test_the_documented_spec_loads_the_documented_rows(load_by):
    tom, jerry = load_by(DOCUMENTED_SPEC, DOCUMENTED_ROWS, "Contact")
    assert (tom["LastName"], tom["FirstName"]) == ("Cat", "Tom")
    assert (jerry["LastName"], jerry["FirstName"]) == ("Mouse", "Jerry")
    assert (tom["Title"], tom["LeadSource"], jerry["LeadSource"]) == (
        "DSH",
        "Web",
        "Purchased List",
    )
    for person in (tom, jerry):
        assert person["Birthdate"] == "1940-02-10"
        assert person["Description"] == "Imported from XYZ.csv"


def test_an_upload_is_answered_with_its_place_and_no_body(api, make):
    job = make()
    answer = api("POST", f"{JOBS}/{job}/spec", data=DOCUMENTED_SPEC, content_type="text/csv")
    assert (answer.status_code, answer.data) == (201, b"")
    place = answer.headers["Location"]
    assert place.startswith(f"/services/async/62.0/job/{job}/spec/0Aj")


@pytest.mark.parametrize(
    ("hint", "text", "stored"),
    [
        ("dd.MM.yyyy HH:mm", "24.12.2025 18:30", "2025-12-24T18:30:00.000Z"),
        ("MM/dd/yyyy hh:mm a", "12/24/2025 06:30 PM", "2025-12-24T18:30:00.000Z"),
        ("yyyyMMddHHmmss", "20251224183005", "2025-12-24T18:30:05.000Z"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSZ", "2025-12-24T18:30:05.250+0100", "2025-12-24T17:30:05.250Z"),
        ("d MMMM yy", "1 March 31", "2031-03-01T00:00:00.000Z"),
        ("d MMMM yy", "1 March 33", "1933-03-01T00:00:00.000Z"),
    ],
)
def test_a_hint_says_how_a_moment_is_written(load_by, hint, text, stored):
    (found,) = load_by(f"{HEADER}Start__c,When,,{hint}\n", f"When\n{text}\n", "Meeting__c")
    assert found["Start__c"] == stored


def test_a_hint_says_what_is_true(load_by):
    spec = f'{HEADER}Held__c,Took place,no,"(?i)y(es)?"\n'
    found = load_by(spec, 'Took place,x\nYes,\ny,\nnot yet,\n"",x\n', "Meeting__c")
    assert [record["Held__c"] for record in found] == [True, True, False]


def test_a_value_that_does_not_fit_its_hint_fails_its_row_alone(load_by):
    spec = f"{HEADER}Day__c,Day,,dd.MM.yyyy\n"
    (found,) = load_by(spec, "Day\n31.02.2025\n28.02.2025\n", "Meeting__c")
    assert found["Day__c"] == "2025-02-28"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("Field,Column\n", "ClientInputError", "The header of a transformation spec is"),
        (HEADER + "Title,Job,,\n" * 1000, "ClientInputError", "less than 8192 characters"),
        (f"{HEADER}Day__c,Day,,QQ\n", "ClientInputError", "The letter Q"),
        (f"{HEADER}Day__c,Day,,dd dd\n", "ClientInputError", "The hint of Day__c"),
        (f"{HEADER}Held__c,Took place,,(\n", "ClientInputError", "The hint of Held__c"),
        ("", "InvalidBatch", "A batch must contain some content"),
    ],
)
def test_a_spec_that_cannot_be_read_is_refused(api, make, text, code, message):
    path = f"{JOBS}/{make('Meeting__c')}/spec"
    answer = api("POST", path, data=text, content_type="application/json")
    assert (answer.status_code, answer.json["exceptionCode"]) == (400, code)
    assert message in answer.json["exceptionMessage"]


@pytest.mark.parametrize(
    "more", [{"contentType": "JSON"}, {"contentType": "XML"}, {"operation": "query"}]
)
def test_only_a_job_that_loads_csv_can_have_a_spec(api, make, more):
    path = f"{JOBS}/{make(**more)}/spec"
    answer = api("POST", path, data=DOCUMENTED_SPEC, content_type="application/json")
    assert (answer.status_code, answer.json["exceptionCode"]) == (400, "InvalidJob")


def test_a_closed_job_takes_no_spec(api, make):
    job = make()
    api("POST", f"{JOBS}/{job}", json={"state": "Closed"})
    answer = api("POST", f"{JOBS}/{job}/spec", data=HEADER, content_type="application/json")
    assert (answer.status_code, answer.json["exceptionCode"]) == (400, "InvalidJobState")
