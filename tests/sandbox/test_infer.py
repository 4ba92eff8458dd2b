"""Objects that get their fields from a frame."""

from datetime import date

import pandas as pd
import pytest

FRAME = pd.DataFrame(
    {
        "Key__c": ["A", "B", "C"],
        "Seats__c": pd.array([180, None, 4], dtype="Int64"),
        "Fare__c": [99.5, None, 1234.123456],
        "Cancelled__c": [True, False, False],
        "Day__c": [date(2013, 1, 1), None, date(2013, 12, 31)],
        "Departure__c": pd.to_datetime(["2013-01-01T05:15", None, "2013-12-31T23:59"]),
        "Class__c": pd.Categorical(["First", None, "Economy"]),
        "Remark__c": ["", None, "x" * 300],
    }
)


@pytest.fixture
def fields(api):
    """Return what describe says of an object, field by field."""

    def read(name):
        found = api("GET", f"v62.0/sobjects/{name}/describe").json["fields"]
        return {field["name"]: field for field in found}

    return read


def test_a_dtype_becomes_a_field_type(sandbox, fields):
    sandbox.create_object("Flight__c", FRAME, external_id="Key__c")
    types = {name: fields("Flight__c")[name]["type"] for name in FRAME}
    assert types == {
        "Key__c": "string",
        "Seats__c": "double",
        "Fare__c": "double",
        "Cancelled__c": "boolean",
        "Day__c": "date",
        "Departure__c": "datetime",
        "Class__c": "picklist",
        "Remark__c": "textarea",
    }
    assert fields("Flight__c")["Seats__c"]["scale"] == 0
    values = [value["value"] for value in fields("Flight__c")["Class__c"]["picklistValues"]]
    assert values == ["Economy", "First"]


def test_the_external_id_is_unique_and_required(sandbox, fields):
    sandbox.create_object("Flight__c", FRAME, external_id="Key__c")
    key, seats = fields("Flight__c")["Key__c"], fields("Flight__c")["Seats__c"]
    assert (key["externalId"], key["unique"], key["nillable"]) == (True, True, False)
    assert (seats["externalId"], seats["unique"], seats["nillable"]) == (False, False, True)


def test_no_rows_are_saved_unless_asked_for(sandbox):
    sandbox.create_object("Flight__c", FRAME)
    assert sandbox.records("Flight__c") == []


def test_the_rows_of_the_frame_may_be_saved_as_records(sandbox):
    sandbox.create_object("Flight__c", FRAME, external_id="Key__c", load=True)
    first, second, third = sandbox.records("Flight__c")
    assert {name: first[name] for name in FRAME} == {
        "Key__c": "A",
        "Seats__c": 180,
        "Fare__c": 99.5,
        "Cancelled__c": True,
        "Day__c": "2013-01-01",
        "Departure__c": "2013-01-01T05:15:00.000Z",
        "Class__c": "First",
        "Remark__c": None,
    }
    assert [second[name] for name in FRAME] == ["B", None, None, False, None, None, None, None]
    assert (third["Fare__c"], third["Remark__c"]) == (1234.123456, "x" * 300)


def test_a_load_finds_what_was_saved(sandbox, load, api):
    sandbox.create_object("Flight__c", FRAME, external_id="Key__c", load=True)
    job = load(
        "Key__c,Seats__c\nA,200\nD,100\n", "Flight__c", "upsert", externalIdFieldName="Key__c"
    )
    created = api("GET", f"v62.0/jobs/ingest/{job}/successfulResults").text
    assert created.count('"false","A"') == created.count('"true","D"') == 1


def test_a_frame_that_cannot_be_an_object_is_refused(sandbox):
    with pytest.raises(ValueError, match="no column Id__c"):
        sandbox.create_object("Flight__c", FRAME, external_id="Id__c")
    with pytest.raises(ValueError, match="'a b' cannot be the API name"):
        sandbox.create_object("Flight__c", pd.DataFrame({"a b": [1]}))
    with pytest.raises(ValueError, match="declares twice: id"):
        sandbox.create_object("Flight__c", pd.DataFrame({"Id": ["x"]}))
    with pytest.raises(ValueError, match="give an ObjectType, or a name and a frame"):
        sandbox.create_object("Flight__c")


def test_an_object_is_made_once(sandbox):
    sandbox.create_object("Flight__c", FRAME)
    with pytest.raises(ValueError, match="has an object flight__c already"):
        sandbox.create_object("flight__c", FRAME)


def test_of_rows_that_cannot_all_be_saved_none_is(sandbox):
    frame = pd.DataFrame({"Key__c": ["A", "B", "A"]})
    with pytest.raises(ValueError, match="row 2 of the frame: DUPLICATE_VALUE"):
        sandbox.create_object("Flight__c", frame, external_id="Key__c", load=True)
    assert sandbox.records("Flight__c") == []
