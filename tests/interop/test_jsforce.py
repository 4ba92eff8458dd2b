"""jsforce: both bulk APIs, REST, sign-in, and sessions renewed by a refresh token."""

import pytest

CLIENT = "jsforce"

BULK = pytest.mark.parametrize("bulk", ["bulk1", "bulk2"])


def test_bulk_1_loads_upserts_and_deletes(check, names):
    good, bad = check(
        "bulk1", operation="insert", rows=[{"Name": "j1", "Phone": "1"}, {"Phone": "2"}]
    )
    assert (good["success"], bad["success"]) == (True, False)
    assert bad["errors"][0].startswith("REQUIRED_FIELD_MISSING")
    check("bulk1", operation="update", rows=[{"Id": good["id"], "ExternalId__c": "j1"}])
    rows = [{"ExternalId__c": "j1", "Name": "j1 ü"}]
    (done,) = check("bulk1", operation="upsert", rows=rows, key="ExternalId__c")
    assert done["id"] == names("j1")["j1 ü"]["Id"] == good["id"]
    check("bulk1", operation="delete", rows=[{"Id": good["id"]}])
    assert not names("j1")


def test_bulk_2_loads_upserts_and_deletes(check, names):
    rows = [{"Name": "j2", "Phone": "1"}, {"Phone": "2"}]
    done = check("bulk2", operation="insert", rows=rows)
    (good,), (bad,) = done["successfulResults"], done["failedResults"]
    assert done["unprocessedRecords"] == []
    assert bad["sf__Error"].startswith("REQUIRED_FIELD_MISSING")
    key = good["sf__Id"]
    check("bulk2", operation="update", rows=[{"Id": key, "ExternalId__c": "j2"}])
    rows = [{"ExternalId__c": "j2", "Name": "j2 ü"}]
    check("bulk2", operation="upsert", rows=rows, key="ExternalId__c")
    assert names("j2")["j2 ü"]["Id"] == key
    check("bulk2", operation="hardDelete", rows=[{"Id": key}])
    assert not names("j2")


@BULK
def test_it_queries(check, bulk):
    name = f"j3 {bulk}"
    check(bulk, operation="insert", rows=[{"Name": f"{name} {n} ü"} for n in range(3)])
    soql = f"SELECT Name FROM Account WHERE Name LIKE '{name} %' ORDER BY Name"
    found = check(f"{bulk}Query", soql=soql)
    assert [row["Name"] for row in found] == [f"{name} {n} ü" for n in range(3)]


def test_bulk_2_queries_deleted_records_too(check):
    made = check("bulk2", operation="insert", rows=[{"Name": "j4"}])
    key = made["successfulResults"][0]["sf__Id"]
    check("bulk2", operation="delete", rows=[{"Id": key}])
    soql = "SELECT Id FROM Account WHERE Name = 'j4'"
    assert check("bulk2Query", soql=soql, scanAll=False) == []
    assert check("bulk2Query", soql=soql, scanAll=True) == [{"Id": key}]


@pytest.mark.usefixtures("time_is_held")
def test_bulk_1_aborts(check, names):
    assert check("bulk1Abort", rows=[{"Name": "j5"}]) == {"state": "Aborted", "batches": 1}
    assert not names("j5")


@pytest.mark.usefixtures("time_is_held")
def test_bulk_2_aborts_a_load_and_keeps_its_rows_as_unprocessed(check, names):
    done = check("bulk2Abort", rows=[{"Name": "j6"}])
    assert done["state"] == "Aborted"
    assert done["unprocessed"] == [{"Name": "j6"}]
    assert done["after"]["errorCode"] == "NOT_FOUND"
    assert not names("j6")


@pytest.mark.usefixtures("time_is_held")
def test_bulk_2_aborts_a_query(check):
    assert check("bulk2QueryAbort", soql="SELECT Id FROM Account") == {"state": "Aborted"}


def test_bulk_2_refuses_a_query_that_does_not_fit(check):
    error = check("bulk2Refused", soql="SELECT Nothing__c FROM Account")
    assert error["errorCode"] == "INVALID_FIELD"


def test_a_record_is_created_read_updated_upserted_and_deleted(check):
    done = check("crud", name="j7")
    key = done["created"]["id"]
    assert (done["read"]["Id"], done["read"]["Industry"]) == (key, "Energy")
    assert done["updated"]["success"] is True
    assert done["upserted"]["created"] is True
    assert {row["Id"]: row["Industry"] for row in done["found"]}[key] is None
    assert done["deleted"]["success"] is True
    assert done["after"]["errorCode"] in {"NOT_FOUND", "ENTITY_IS_DELETED"}


def test_several_records_go_in_one_request(check, names):
    done = check("collections", names=["j8 a", "j8 b"])
    assert [row["success"] for row in done["created"]] == [True, True, False]
    assert done["created"][2]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert [row["Industry"] for row in done["read"]] == ["Energy", "Energy"]
    assert all(row["success"] for row in done["updated"] + done["deleted"])
    assert not names("j8")


def test_objects_and_fields_are_described(check):
    found = check("describe")
    assert {"Account", "Contact", "User"} <= set(found["objects"])
    assert {"Id", "Name", "ExternalId__c"} <= set(found["fields"])


def test_the_user_and_the_usage_are_known(check, sandbox):
    found = check("identity")
    (user,) = sandbox.records("User")
    assert (found["username"], found["id"]) == (user["Username"], user["Id"])
    assert found["usage"]["apiUsage"]["limit"] == found["limits"]["Max"]


def test_it_signs_in(check, sandbox):
    grants = [
        {"grant_type": "client_credentials"},
        {"grant_type": "password", "username": "me@example.com", "password": "secret"},
    ]
    assert check("signIn", grants=grants) == [sandbox.url] * 2


def test_a_dead_session_is_renewed_in_rest_and_both_bulk_apis(check):
    assert check("refreshed", refreshToken="refresh") == [1, 1, 1]
