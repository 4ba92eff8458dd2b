"""simple-salesforce: both bulk APIs and REST."""

import csv

import pytest

CLIENT = "simple-salesforce"


def test_bulk_1_inserts_in_the_order_of_the_rows(check, names):
    done = check("bulk1", operation="insert", rows=[{"Name": "s1 a"}, {}, {"Name": "s1 b"}])
    assert [row["success"] for row in done] == [True, False, True]
    assert done[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert {r["Id"] for r in names("s1 ").values()} == {done[0]["id"], done[2]["id"]}


def test_bulk_1_inserts_in_several_serial_batches(check, names):
    done = check("bulk1_two_batches", rows=[{"Name": f"s2 {number}"} for number in range(5)])
    assert len(done) == len(names("s2 ")) == 5


def test_bulk_1_gives_results_together_with_the_rows(check):
    (done,) = check("bulk1_details", rows=[{"Name": "s3"}])
    assert (done["Name"], done["success"]) == ("s3", True)


def test_bulk_1_updates_upserts_deletes_and_hard_deletes(check, names):
    (made,) = check("bulk1", operation="insert", rows=[{"Name": "s4", "ExternalId__c": "s4"}])
    check("bulk1", operation="update", rows=[{"Id": made["id"], "Industry": "Energy"}])
    assert names("s4")["s4"]["Industry"] == "Energy"
    rows = [{"ExternalId__c": "s4", "Name": "s4"}, {"ExternalId__c": "s4 b", "Name": "s4 b"}]
    done = check("bulk1", operation="upsert", rows=rows, external_id_field="ExternalId__c")
    assert [row["created"] for row in done] == [False, True]
    for operation, row in [("delete", done[0]), ("hard_delete", done[1])]:
        (gone,) = check("bulk1", operation=operation, rows=[{"Id": row["id"]}])
        assert gone["success"]
    assert not names("s4")
    soql = "SELECT Id, IsDeleted FROM Account WHERE Name LIKE 's4%'"
    assert check("bulk1_query", operation="query", soql=soql) == []
    (found,) = check("bulk1_query", operation="query_all", soql=soql)
    assert (found["Id"], found["IsDeleted"]) == (done[0]["id"], True)


def test_bulk_2_inserts_and_tells_good_rows_from_bad(check, names):
    records = [{"Name": "t1 ü"}, {"Name": ""}, {"Name": 't1 "quoted",\nlines'}]
    done = check("bulk2", operation="insert", records=records)
    assert (done["numberRecordsProcessed"], done["numberRecordsFailed"]) == (3, 1)
    assert len(_rows(done["successful"])) == len(names("t1 ")) == 2
    assert names('t1 "quoted",\nlines')
    (failed,) = _rows(done["failed"])
    assert failed["sf__Error"].startswith("REQUIRED_FIELD_MISSING")
    assert _rows(done["unprocessed"]) == []


def test_bulk_2_updates_upserts_deletes_and_hard_deletes(check, names):
    made = check("bulk2", operation="insert", records=[{"Name": "t2", "ExternalId__c": "t2"}])
    (row,) = _rows(made["successful"])
    check("bulk2", operation="update", records=[{"Id": row["sf__Id"], "Industry": "Energy"}])
    assert names("t2")["t2"]["Industry"] == "Energy"
    records = [{"ExternalId__c": "t2", "Name": "t2"}, {"ExternalId__c": "t2 b", "Name": "t2 b"}]
    done = check("bulk2", operation="upsert", records=records, external_id_field="ExternalId__c")
    rows = {row["Name"]: row for row in _rows(done["successful"])}
    assert (rows["t2"]["sf__Created"], rows["t2 b"]["sf__Created"]) == ("false", "true")
    for operation, name in [("delete", "t2"), ("hard_delete", "t2 b")]:
        gone = check("bulk2", operation=operation, records=[{"Id": rows[name]["sf__Id"]}])
        assert gone["numberRecordsFailed"] == 0
    assert not names("t2")
    soql = "SELECT Name, IsDeleted FROM Account WHERE Name LIKE 't2%'"
    assert _pages(check("bulk2_query", operation="query", soql=soql, max_records=10)) == [[]]
    (page,) = _pages(check("bulk2_query", operation="query_all", soql=soql, max_records=10))
    assert page == [{"Name": "t2", "IsDeleted": "true"}]


def test_bulk_2_inserts_by_several_jobs_at_the_same_time(check, names):
    done = check("bulk2_jobs", records=[{"Name": f"t6 {number}"} for number in range(5)])
    assert [job["numberRecordsTotal"] for job in done] == [2, 2, 1]
    assert len({job["job_id"] for job in done}) == 3
    assert len(names("t6 ")) == 5


def test_bulk_2_reads_another_delimiter_and_line_end(check, names):
    (done,) = check("bulk2_pipes", csv="Name|BillingCity\r\nt3|Rome\r\n")
    assert done["numberRecordsTotal"] == 1
    assert names("t3")["t3"]["BillingCity"] == "Rome"


def test_bulk_2_queries_page_by_page(check):
    check("bulk1", operation="insert", rows=[{"Name": f"t4 {number}"} for number in range(5)])
    soql = "SELECT Name FROM Account WHERE Name LIKE 't4 %' ORDER BY Name"
    pages = _pages(check("bulk2_query", operation="query", soql=soql, max_records=2))
    assert [[row["Name"] for row in page] for page in pages] == [
        ["t4 0", "t4 1"],
        ["t4 2", "t4 3"],
        ["t4 4"],
    ]


def test_bulk_2_downloads_into_files(check):
    check("bulk1", operation="insert", rows=[{"Name": f"t5 {number}"} for number in range(3)])
    soql = "SELECT Name FROM Account WHERE Name LIKE 't5 %' ORDER BY Name"
    parts = check("bulk2_download", soql=soql, max_records=2)
    assert [part["count"] for part in parts] == [2, 1]
    rows = [row["Name"] for part in parts for row in _rows(part["text"])]
    assert rows == ["t5 0", "t5 1", "t5 2"]


def test_a_record_is_created_read_updated_and_deleted(check):
    done = check("crud", name="r1")
    assert (done["created"]["success"], done["created"]["errors"]) == (True, [])
    assert (done["read"]["Name"], done["read"]["NumberOfEmployees"]) == ("r1", 3)
    assert done["read"]["attributes"]["type"] == "Account"
    assert (done["updated"], done["again"]["NumberOfEmployees"]) == (204, 4)
    assert done["deleted"] == 204
    assert done["after"]["status"] == 404


def test_a_record_is_upserted_by_its_external_id(check):
    done = check("external_id", key="r2", name="r2")
    assert done["statuses"] == [201, 200]
    assert (done["found"]["Name"], done["found"]["Industry"]) == ("r2", "Energy")


@pytest.mark.parametrize(
    ("what", "kind", "status", "code"),
    [
        ("row", "SalesforceMalformedRequest", 400, "REQUIRED_FIELD_MISSING"),
        ("column", "SalesforceMalformedRequest", 400, "INVALID_FIELD"),
        ("object", "SalesforceResourceNotFound", 404, "NOT_FOUND"),
        ("soql", "SalesforceMalformedRequest", 400, "INVALID_FIELD"),
    ],
)
def test_what_is_wrong_raises_the_clients_own_error(check, what, kind, status, code):
    error = check("refused")[what]
    assert (error["kind"], error["status"]) == (kind, status)
    assert error["content"][0]["errorCode"] == code


def test_a_dead_session_is_told_as_one(check):
    assert check("expired")["kind"] == "SalesforceExpiredSession"


def test_objects_and_fields_are_described(check):
    found = check("describe")
    assert {"Account", "Contact", "User"} <= set(found["objects"])
    assert (found["fields"]["AnnualRevenue"], found["about"]) == ("currency", "Account")


def test_a_long_query_is_followed_to_its_last_page(check):
    rows = [{"Name": f"r3 {number:04}"} for number in range(2001)]
    check("bulk1", operation="insert", rows=rows)
    soql = "SELECT Name FROM Account WHERE Name LIKE 'r3 %' ORDER BY Name"
    found = check("query", soql=soql)
    assert (len(found["first"]["records"]), found["first"]["done"]) == (2000, False)
    assert found["all"] == found["first"]["totalSize"] == 2001


def test_limits_and_usage_are_read(check):
    found = check("limits")
    assert found["usage"]["total"] == found["limits"]["Max"]
    assert 0 < found["usage"]["used"] < found["usage"]["total"]


def test_the_user_is_known(check):
    assert check("user")["preferred_username"] == "integration@example.com"


def _rows(text):
    return list(csv.DictReader(text.splitlines(keepends=True)))


def _pages(texts):
    return [_rows(text) for text in texts]
