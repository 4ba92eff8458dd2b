"""CumulusCI: the steps of which it builds loads and extracts, by Bulk API 1.0."""

import pytest

CLIENT = "cumulusci"

# Between two looks at a job it waits for ten seconds.
pytestmark = pytest.mark.interop_big


def test_it_inserts_in_the_order_of_the_rows_in_several_batches(check, names):
    rows = [["m1 a"], [""], ['m1 ü, "b"']]
    done = check("load", operation="insert", fields=["Name"], rows=rows, batch_size=2)
    assert (done["status"], done["batches"]) == ("Row failure", 2)
    assert (done["processed"], done["failed"]) == (3, 1)
    first, bad, last = done["results"]
    assert [row["success"] for row in done["results"]] == [True, False, True]
    assert bad["error"].startswith("REQUIRED_FIELD_MISSING")
    found = {record["Id"]: name for name, record in names("m1 ").items()}
    assert found == {first["id"]: "m1 a", last["id"]: 'm1 ü, "b"'}


def test_it_updates_upserts_deletes_and_hard_deletes(check, names):
    def load(operation, fields, *rows, **options):
        done = check("load", operation=operation, fields=fields, rows=rows, **options)
        assert done["status"] == "Success", done
        return done["results"]

    (made,) = load("insert", ["Name", "ExternalId__c"], ["m2", "m2"])
    load("update", ["Id", "Industry"], [made["id"], "Energy"], bulk_mode="Serial")
    assert names("m2")["m2"]["Industry"] == "Energy"
    rows = [["m2", "m2!"], ["m2 b", "m2 b"]]
    same, new = load("upsert", ["ExternalId__c", "Name"], *rows, update_key="ExternalId__c")
    assert (same["id"], same["created"], new["created"]) == (made["id"], False, True)
    assert set(names("m2")) == {"m2!", "m2 b"}
    load("delete", ["Id"], [same["id"]])
    load("hardDelete", ["Id"], [new["id"]])
    assert not names("m2")


def test_it_tells_why_a_batch_cannot_be_loaded(check, names):
    done = check("broken", fields=["Name", "Nothing__c"], rows=[["m3", "1"]])
    assert done["status"] == "Job failure"
    assert done["errors"] == ["InvalidBatch : Field name not found : Nothing__c"]
    assert not names("m3")


def test_it_queries(check):
    check("load", operation="insert", fields=["Name"], rows=[[f"m4 {n} ü"] for n in range(3)])
    soql = "SELECT Name FROM Account WHERE Name LIKE 'm4 %' ORDER BY Name"
    found = check("query", fields=["Name"], soql=soql)
    assert found == {"count": 3, "rows": [["m4 0 ü"], ["m4 1 ü"], ["m4 2 ü"]]}


def test_it_understands_that_a_query_found_nothing(check):
    soql = "SELECT Name FROM Account WHERE Name = 'nobody'"
    assert check("query", fields=["Name"], soql=soql)["rows"] == []


def test_it_keeps_the_values_before_an_upsert(check):
    fields = ["ExternalId__c", "Name"]
    check("load", operation="insert", fields=fields, rows=[["m5", "m5 ü"]])
    (found,) = check(
        "previous",
        operation="upsert",
        fields=fields,
        rows=[["m5", "new"]],
        update_key="ExternalId__c",
    )
    assert (found["ExternalId__c"], found["Name"]) == ("m5", "m5 ü")


def test_it_selects_records_instead_of_making_them(check, names):
    check("load", operation="insert", fields=["Name"], rows=[["m6 a"], ["m6 b"]])
    done = check(
        "select",
        fields=["Name"],
        rows=[["x"], ["y"]],
        condition="WHERE Name LIKE 'm6 %'",
    )
    assert done["status"] == "Success"
    chosen = {record["Id"] for record in names("m6 ").values()}
    assert {result["id"] for result in done["results"]} == chosen
