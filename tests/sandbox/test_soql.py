"""SOQL: what a query finds, and how a bad one is refused."""

import pytest

from bulknb.sandbox import Field, ObjectType


@pytest.fixture
def find(api, load, sandbox):
    """Return the names that a query finds among a few things."""
    sandbox.create_object(
        ObjectType(
            "Thing__c",
            (
                Field("Name"),
                Field("Size__c", "double"),
                Field("Made__c", "date"),
                Field("Seen__c", "datetime"),
                Field("Good__c", "boolean"),
                Field("Account__c", "reference", reference_to="Account"),
            ),
        )
    )
    load("Name,ExternalId__c\nAcme,acme\n")
    load(
        "Name,Size__c,Made__c,Seen__c,Good__c,Account__r.ExternalId__c\n"
        "anna,1,2026-01-01,2026-01-01T00:00:00Z,true,acme\n"
        "Berta,2.5,2026-02-01,2026-01-01T12:00:00Z,false,\n"
        "it's,-3,,,true,\n"
        "100%,,,,,\n",
        "Thing__c",
    )

    def run(where):
        answer = api("GET", "v62.0/query", query_string={"q": f"SELECT Name FROM Thing__c {where}"})
        assert answer.status_code == 200, answer.text
        return [record["Name"] for record in answer.json["records"]]

    return run


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("", ["anna", "Berta", "it's", "100%"]),
        ("WHERE Name = 'ANNA'", ["anna"]),
        (r"where name = 'it\'s'", ["it's"]),
        ("WHERE Name LIKE '%a'", ["anna", "Berta"]),
        (r"WHERE Name LIKE '%\%'", ["100%"]),
        ("WHERE Name LIKE 'b_rta'", ["Berta"]),
        ("WHERE Name IN ('anna', 'it\\'s')", ["anna", "it's"]),
        ("WHERE Name NOT IN ('anna')", ["Berta", "it's", "100%"]),
        ("WHERE Size__c > -3 AND Size__c <= 2.5", ["anna", "Berta"]),
        ("WHERE Size__c = null", ["100%"]),
        ("WHERE Size__c != 1", ["Berta", "it's", "100%"]),
        ("WHERE Size__c <> null", ["anna", "Berta", "it's"]),
        ("WHERE NOT Size__c > 0", ["it's", "100%"]),
        ("WHERE NOT (Size__c > 0 OR Name = '100%')", ["it's"]),
        ("WHERE Good__c = TRUE", ["anna", "it's"]),
        ("WHERE Good__c = false", ["Berta", "100%"]),
        ("WHERE Made__c >= 2026-01-15", ["Berta"]),
        ("WHERE Seen__c < 2026-01-01T13:00:00+01:00", ["anna"]),
        ("WHERE Account__r.Name = 'Acme'", ["anna"]),
        ("WHERE Account__c = null AND Size__c > 0", ["Berta"]),
        ("WHERE Size__c = 1 OR Size__c = 2.5 AND Good__c = true", ["anna"]),
        ("ORDER BY Size__c", ["100%", "it's", "anna", "Berta"]),
        ("ORDER BY Size__c DESC NULLS LAST", ["Berta", "anna", "it's", "100%"]),
        ("ORDER BY Good__c DESC, Name ASC", ["anna", "it's", "100%", "Berta"]),
        ("ORDER BY Name LIMIT 2", ["100%", "anna"]),
        ("LIMIT 0", []),
    ],
)
def test_a_query_finds(find, where, names):
    assert find(where) == names


def test_a_record_is_found_by_either_form_of_its_id(find, sandbox):
    key = sandbox.records("Thing__c")[1]["Id"]
    assert find(f"WHERE Id = '{key}'") == find(f"WHERE Id = '{key[:15]}'") == ["Berta"]


def test_fields_come_in_the_order_and_spelling_declared(api, load):
    load("Name,Phone\nA,1\n")
    soql = "select phone, ACCOUNT.NAME, owner.username FROM account"
    (record,) = api("GET", "v62.0/query", query_string={"q": soql}).json["records"]
    assert list(record) == ["attributes", "Phone", "Name", "Owner"]
    assert record["Owner"]["attributes"]["type"] == "User"


def test_a_missing_parent_is_null(api, load):
    load("LastName\nA\n", "Contact")
    soql = "SELECT Account.Name FROM Contact"
    (record,) = api("GET", "v62.0/query", query_string={"q": soql}).json["records"]
    assert record["Account"] is None


def test_a_count_has_no_records(api, load):
    load("Name\nA\nB\n")
    answer = api("GET", "v62.0/query", query_string={"q": "SELECT COUNT() FROM Account"})
    assert answer.json == {"totalSize": 2, "done": True, "records": []}


def test_long_answers_come_in_pages(api, load):
    load("Name\n" + "".join(f"A{row:04}\n" for row in range(4100)))
    path, names, sizes = "data/v62.0/query?q=SELECT Name FROM Account", [], []
    while path:
        page = api("GET", path).json
        names += [record["Name"] for record in page["records"]]
        sizes.append(len(page["records"]))
        assert page["totalSize"] == 4100
        path = page.get("nextRecordsUrl", "").removeprefix("/services/")
    assert (sizes, page["done"]) == ([2000, 2000, 100], True)
    assert names == [f"A{row:04}" for row in range(4100)]


@pytest.mark.parametrize(
    ("soql", "code", "place"),
    [
        ("SELECT Id, BadField FROM Account", "INVALID_FIELD", "Row:1:Column:12"),
        ("SELECT Id FROM Nope", "INVALID_TYPE", "Row:1:Column:16"),
        ("SELECT Id FROM Account\nWHERE Nope = 1", "INVALID_FIELD", "Row:2:Column:7"),
        ("SELECT Nope.Name FROM Account", "INVALID_FIELD", "Row:1:Column:8"),
        ("SELECT Owner.Owner.Name FROM Account", "INVALID_FIELD", "Row:1:Column:14"),
        ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD", "Row:1:Column:37"),
        ("SELECT Id FROM Account WHERE AnnualRevenue = '5'", "INVALID_FIELD", "Column:46"),
        ("SELECT Id FROM Account WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR", "Column:35"),
        ("SELECT Id,, Name FROM Account", "MALFORMED_QUERY", "Row:1:Column:11"),
        ("SELECT Id FROM Account WHERE Name ~ 'a'", "MALFORMED_QUERY", "Row:1:Column:35"),
        ("SELECT Id FROM", "MALFORMED_QUERY", "unexpected end"),
        ("SELECT Id FROM Account; DROP TABLE job", "MALFORMED_QUERY", "Row:1:Column:23"),
    ],
)
def test_a_bad_query_is_refused_and_the_place_is_shown(api, soql, code, place):
    answer = api("GET", "v62.0/query", query_string={"q": soql})
    (found,) = answer.json
    assert (answer.status_code, found["errorCode"]) == (400, code)
    assert list(found) == ["message", "errorCode"]
    assert place in found["message"]
