"""Single records, and up to 200 of them, over REST."""

import pytest

from bulknb.sandbox import Field, ObjectType

ACCOUNTS = "v62.0/sobjects/Account"


@pytest.fixture
def account(api):
    """Return the path of an account named Acme."""
    return f"{ACCOUNTS}/{api('POST', ACCOUNTS, json={'Name': 'Acme'}).json['id']}"


def test_a_record_is_created(api, sandbox):
    answer = api("POST", ACCOUNTS, json={"Name": "Acme", "NumberOfEmployees": 3})
    (record,) = sandbox.records("Account")
    assert answer.status_code == 201
    assert answer.json == {"id": record["Id"], "success": True, "errors": []}
    assert (record["Name"], record["NumberOfEmployees"]) == ("Acme", 3)


def test_a_record_is_read_whole_or_in_part(api, account):
    whole = api("GET", account).json
    assert whole["attributes"] == {"type": "Account", "url": f"/services/data/{account}"}
    assert (whole["Name"], whole["IsDeleted"], whole["Industry"]) == ("Acme", False, None)
    part = api("GET", account, query_string={"fields": "Name, Industry"}).json
    assert list(part) == ["attributes", "Name", "Industry", "Id"]
    assert api("GET", account[:-3]).json == whole
    error = api("GET", account, query_string={"fields": "Nothing__c"})
    assert (error.status_code, error.json[0]["errorCode"]) == (400, "INVALID_FIELD")


def test_an_update_changes_what_it_names_and_clears_what_is_null_or_empty(api, sandbox, account):
    for value in ("Energy", None, "Energy", ""):
        answer = api("PATCH", account, json={"Industry": value})
        assert (answer.status_code, answer.data) == (204, b"")
        (record,) = sandbox.records("Account")
        assert (record["Name"], record["Industry"]) == ("Acme", value or None)


def test_a_deleted_record_is_gone_and_said_to_be_deleted(api, sandbox, account):
    assert api("DELETE", account).status_code == 204
    assert sandbox.records("Account") == []
    for method in ("GET", "DELETE"):
        answer = api(method, account)
        assert (answer.status_code, answer.json[0]["errorCode"]) == (404, "ENTITY_IS_DELETED")


@pytest.mark.parametrize("key", ["001xx0000000099AAA", "x", "003xx0000000001AAA"])
def test_an_id_that_names_no_record_is_not_found(api, account, key):
    for method, sent in [("GET", None), ("PATCH", {}), ("DELETE", None)]:
        assert api(method, f"{ACCOUNTS}/{key}", json=sent).status_code == 404


@pytest.mark.parametrize(
    ("sent", "code", "fields"),
    [
        ({"Industry": "Energy"}, "REQUIRED_FIELD_MISSING", ["Name"]),
        ({"Name": "x" * 256}, "STRING_TOO_LONG", ["Name"]),
        ({"Name": "x", "IsDeleted": True}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["IsDeleted"]),
    ],
)
def test_a_record_that_cannot_be_is_refused_with_its_fields(api, sandbox, sent, code, fields):
    answer = api("POST", ACCOUNTS, json=sent)
    (error,) = answer.json
    assert (answer.status_code, error["errorCode"], error["fields"]) == (400, code, fields)
    assert sandbox.records("Account") == []


@pytest.mark.parametrize("sent", [{"Nothing__c": 1}, {"Name": ["a"]}, {"Name": {"a": {"b": 1}}}])
def test_what_no_record_can_hold_is_refused(api, sandbox, sent):
    assert api("POST", ACCOUNTS, json=sent).status_code == 400
    assert sandbox.records("Account") == []


def test_a_parent_may_be_named_by_its_external_id(api, sandbox):
    api("POST", ACCOUNTS, json={"Name": "Acme", "ExternalId__c": "a1"})
    sent = {"LastName": "Ada", "Account": {"ExternalId__c": "a1"}}
    assert api("POST", "v62.0/sobjects/Contact", json=sent).status_code == 201
    (contact,) = sandbox.records("Contact")
    assert contact["AccountId"] == sandbox.records("Account")[0]["Id"]


def test_an_external_id_creates_changes_reads_and_deletes(api, sandbox):
    path = f"{ACCOUNTS}/ExternalId__c/a%20b"
    made = api("PATCH", path, json={"Name": "Acme"})
    assert (made.status_code, made.json["created"]) == (201, True)
    again = api("PATCH", path, json={"Industry": "Energy"})
    assert (again.status_code, again.json["created"]) == (200, False)
    assert again.json["id"] == made.json["id"]
    assert api("PATCH", path.replace("62", "45"), json={"Phone": "1"}).status_code == 204
    found = api("GET", path).json
    assert (found["ExternalId__c"], found["Industry"], found["Phone"]) == ("a b", "Energy", "1")
    assert api("PATCH", path, json={"externalid__c": "c"}).status_code == 400
    assert api("DELETE", path).status_code == 204
    assert sandbox.records("Account") == []
    assert api("GET", path).status_code == 404
    assert api("GET", f"{ACCOUNTS}/Phone/1").status_code == 404


def test_an_external_id_may_be_a_number(api, sandbox):
    sandbox.create_object(ObjectType("Seat__c", (Field("Row__c", "double", external_id=True),)))
    path = "v62.0/sobjects/Seat__c/Row__c"
    made = api("PATCH", f"{path}/7", json={}).json
    assert api("GET", f"{path}/7.0").json["Id"] == made["id"]
    assert api("GET", f"{path}/seven").status_code == 404
    api("POST", "v62.0/sobjects/Seat__c", json={"Row__c": 7})
    answer = api("GET", f"{path}/7")
    assert (answer.status_code, answer.json[0]["errorCode"]) == (300, "DUPLICATE_EXTERNAL_ID")


def test_an_object_says_in_short_what_it_is(api):
    found = api("GET", ACCOUNTS).json
    assert (found["objectDescribe"]["name"], found["recentItems"]) == ("Account", [])


COLLECTION = "v62.0/composite/sobjects"


def records(*fields, kind="Account", **more):
    return {"records": [{"attributes": {"type": kind}, **row} for row in fields], **more}


def test_a_collection_is_created_changed_read_and_deleted(api, sandbox):
    done = api("POST", COLLECTION, json=records({"Name": "a"}, {"Phone": "1"}, {"Name": "b"})).json
    assert [row["success"] for row in done] == [True, False, True]
    assert done[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    ids = [done[0]["id"], done[2]["id"]]
    changes = records(*({"id": key, "Phone": "2"} for key in ids))
    assert [row["id"] for row in api("PATCH", COLLECTION, json=changes).json] == ids
    wanted = {"ids": [*ids, "001xx0000000099AAA"], "fields": ["Phone"]}
    *found, missing = api("POST", f"{COLLECTION}/Account", json=wanted).json
    assert [(row["Id"], row["Phone"]) for row in found] == [(key, "2") for key in ids]
    assert missing is None
    query = {"ids": ids[0], "fields": "Phone"}
    assert api("GET", f"{COLLECTION}/Account", query_string=query).json == found[:1]
    gone = api("DELETE", COLLECTION, query_string={"ids": ",".join([*ids, "x"])}).json
    assert [row["success"] for row in gone] == [True, True, False]
    assert sandbox.records("Account") == []


def test_a_collection_is_upserted_by_an_external_id(api, sandbox):
    sent = records({"Name": "a", "ExternalId__c": "1"})
    path = f"{COLLECTION}/Account/ExternalId__c"
    told = [api("PATCH", path, json=sent).json[0]["created"] for _ in range(2)]
    assert told == [True, False]
    assert len(sandbox.records("Account")) == 1


def test_all_or_none_saves_none_if_one_is_refused(api, sandbox):
    done = api("POST", COLLECTION, json=records({"Name": "a"}, {}, allOrNone=True)).json
    codes = [row["errors"][0]["statusCode"] for row in done]
    assert codes == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUIRED_FIELD_MISSING"]
    assert sandbox.records("Account") == []
    done = api("POST", COLLECTION, json=records({"Name": "a"}, {"Name": "b"}, allOrNone=True)).json
    assert [row["success"] for row in done] == [True, True]


@pytest.mark.parametrize(
    "sent",
    [{}, {"records": 1}, {"records": [1]}, records(*[{"Name": "a"}] * 201)],
)
def test_a_collection_that_is_none_is_refused(api, sandbox, sent):
    assert api("POST", COLLECTION, json=sent).status_code == 400
    assert sandbox.records("Account") == []


def test_a_record_of_no_object_fails_alone(api):
    done = api("POST", COLLECTION, json=records({"Name": "a"}, kind="Nothing__c")).json
    assert done[0]["errors"][0]["statusCode"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b'{"Name": "\\ud800"}',
        b'{"": 1, "Name.": 2, ".Name": 3, "Id": [], "a": {"b": {"c": 1}}}',
        b'{"Name": "a", "name": "b", "NumberOfEmployees": 1e999, "AnnualRevenue": NaN}',
        b'{"Name": "a", "NumberOfEmployees": ' + b"9" * 5000 + b"}",
        b'{"records": [{"attributes": {"type": ["Account"]}}, {"attributes": 1}, {}]}',
        b'{"records": [{"attributes": {"type": "Account"}, "id": {}, "Id": 5}], "allOrNone": 1}',
        b'{"ids": ["\\u0000", ""], "fields": ["Id", ""]}',
        b'{"ids": {}, "fields": null}',
    ],
)
def test_nothing_that_is_sent_breaks_the_resources_of_records(api, account, body):
    answers = [
        api(method, path, data=body, headers={"Content-Type": "application/json"})
        for method, path in [
            ("POST", ACCOUNTS),
            ("PATCH", account),
            ("PATCH", f"{ACCOUNTS}/ExternalId__c/%00%ff"),
            ("PATCH", f"{ACCOUNTS}/Id/%ff"),
            ("GET", f"{ACCOUNTS}/ExternalId__c/{'x' * 5000}"),
            ("GET", f"{ACCOUNTS}/%00?fields=%ff"),
            ("POST", COLLECTION),
            ("PATCH", COLLECTION),
            ("PATCH", f"{COLLECTION}/Account/ExternalId__c"),
            ("DELETE", f"{COLLECTION}?ids=%ff,,&allOrNone=%00"),
            ("POST", f"{COLLECTION}/Account"),
            ("GET", f"{COLLECTION}/Account?ids=%ff&fields=%00"),
            ("POST", "oauth2/introspect"),
        ]
    ]
    assert max(answer.status_code for answer in answers) < 500
