"""salesforce-bulk: Bulk API 1.0 with XML documents, and rows in CSV and JSON."""

import pytest

CLIENT = "salesforce-bulk"

CONTENT_TYPES = pytest.mark.parametrize("content_type", ["CSV", "JSON"])


@CONTENT_TYPES
def test_it_loads_upserts_and_deletes(check, names, content_type):
    def load(operation, rows, **more):
        return check("load", operation=operation, rows=rows, content_type=content_type, **more)

    prefix = f"b1 {content_type}"
    made = load("insert", [{"Name": f"{prefix} ü", "ExternalId__c": prefix}, {"Name": ""}])
    (key, *told), bad = made["results"]
    assert [str(word).lower() for word in told[:2]] == ["true", "true"]
    assert str(bad[1]).lower() == "false"
    assert "REQUIRED_FIELD_MISSING" in str(bad)
    assert names(prefix)[f"{prefix} ü"]["Id"] == key
    assert (made["status"]["numberRecordsFailed"], made["batches"]) == ("1", 1)
    rows = [{"ExternalId__c": prefix, "Name": prefix}]
    ((again, *_),) = load("upsert", rows, key="ExternalId__c", concurrency="Serial")["results"]
    assert again == key
    ((_, success, *_),) = load("update", [{"Id": key, "Industry": "Energy"}])["results"]
    assert str(success).lower() == "true"
    assert names(prefix)[prefix]["Industry"] == "Energy"
    load("delete", [{"Id": key}])
    assert not names(prefix)


@CONTENT_TYPES
def test_it_queries(check, content_type):
    check("load", operation="insert", rows=[{"Name": f"b2 {n} ü"} for n in range(3)])
    soql = "SELECT Id, Name FROM Account WHERE Name LIKE 'b2 %' ORDER BY Name"
    found = check("query", soql=soql, content_type=content_type)
    assert {row["Name"] for row in found["rows"]} == {"b2 0 ü", "b2 1 ü", "b2 2 ü"}
    assert found["sent"] == soql


def test_it_finds_deleted_records_by_query_all(check):
    made = check("load", operation="insert", rows=[{"Name": "b3"}])
    check("load", operation="delete", rows=[{"Id": made["results"][0][0]}])
    soql = "SELECT Name, IsDeleted FROM Account WHERE Name = 'b3'"
    found = check("query", soql=soql, operation="queryAll")
    assert found["rows"] == [{"Name": "b3", "IsDeleted": "true"}]


def test_a_batch_that_cannot_be_loaded_raises_the_clients_own_error(check):
    error = check("refused", rows=[{"Name": "b4", "Nothing__c": "1"}])
    assert error == {
        "state": "Failed",
        "message": "InvalidBatch : Field name not found : Nothing__c",
    }


@pytest.mark.usefixtures("time_is_held")
def test_it_aborts(check, names):
    assert check("abort", rows=[{"Name": "b5"}]) == {"job": "Aborted", "batch": "NotProcessed"}
    assert not names("b5")
