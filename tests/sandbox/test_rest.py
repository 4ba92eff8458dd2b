"""Versions, objects, describe, sign-in: the REST resources around the Bulk API."""

import pytest

from bulknb.sandbox import Field, ObjectType


def test_an_object_is_described_as_declared(api, sandbox):
    sandbox.create_object(
        ObjectType(
            "Flight__c",
            (
                Field("Key__c", external_id=True, unique=True, required=True, length=20),
                Field("Account__c", "reference", reference_to="Account"),
                Field("Fare__c", "currency", precision=10, scale=2),
                Field("Class__c", "picklist", picklist=("Economy", "First")),
            ),
            label="Flight",
        )
    )
    found = api("GET", "v62.0/sobjects/flight__c/describe").json
    assert (found["name"], found["label"], found["keyPrefix"]) == ("Flight__c", "Flight", "a00")
    fields = {field["name"]: field for field in found["fields"]}
    key = fields["Key__c"]
    assert (key["type"], key["length"], key["soapType"]) == ("string", 20, "xsd:string")
    assert (key["externalId"], key["idLookup"], key["unique"]) == (True, True, True)
    assert (key["nillable"], key["custom"], key["createable"]) == (False, True, True)
    account = fields["Account__c"]
    assert (account["referenceTo"], account["relationshipName"]) == (["Account"], "Account__r")
    assert (fields["Fare__c"]["precision"], fields["Fare__c"]["scale"]) == (10, 2)
    assert [v["value"] for v in fields["Class__c"]["picklistValues"]] == ["Economy", "First"]
    assert fields["Id"]["createable"] is fields["CreatedDate"]["updateable"] is False
    assert fields["OwnerId"]["defaultedOnCreate"] is True


def test_a_parent_tells_of_its_children(api):
    found = api("GET", "v62.0/sobjects/Account/describe").json["childRelationships"]
    ways = {(child["childSObject"], child["field"]) for child in found}
    assert {("Contact", "AccountId"), ("Asset", "AccountId")} <= ways
    assert api("GET", "v62.0/sobjects/Attachment/describe").json["childRelationships"] == []


def test_describe_has_the_recorded_keys_in_their_order(api):
    found = api("GET", "v61.0/sobjects/Contact/describe").json
    (account,) = (field for field in found["fields"] if field["name"] == "AccountId")
    for keys in (found, account, found["childRelationships"][0]):
        assert list(keys) == sorted(keys)
    assert (len(found), len(account)) == (45, 57)
    assert set(api("GET", "v61.0/sobjects/Contact").json["objectDescribe"]) < set(found)


def test_the_standard_objects_are_there(api):
    found = api("GET", "v62.0/sobjects").json["sobjects"]
    names = {kind["name"] for kind in found}
    assert names == {
        *("Account", "Contact", "Lead", "Opportunity", "Case", "Asset", "Attachment", "User"),
        *("Organization", "UserPermissionAccess"),
    }
    path = found[0]["urls"]["describe"].removeprefix("/services/")
    assert api("GET", path).json["name"] == found[0]["name"]
    assert api("GET", "v62.0/sobjects/Nothing/describe").status_code == 404


def test_slashes_too_many_do_not_matter(api):
    assert api("GET", "v62.0//sobjects/Account/describe/").status_code == 200
    wanted = {"object": "Account", "operation": "insert"}
    assert api("POST", "v62.0/jobs/ingest/", json=wanted).status_code == 200


def test_the_resources_of_a_version(api):
    assert api("GET", "v59.0").json["jobs"] == "/services/data/v59.0/jobs"


@pytest.mark.parametrize("version", ["30.0", "9.0"])
def test_a_retired_version_says_so_in_each_dialect(api, version):
    for path in (f"v{version}", f"v{version}/query?q=x", f"v{version}/jobs/ingest"):
        answer = api("GET", path)
        assert (answer.status_code, answer.json[0]["errorCode"]) == (410, "GONE")
        assert version in answer.json[0]["message"]
    answer = api("POST", f"async/{version}/job", json={})
    assert (answer.status_code, answer.json["exceptionCode"]) == (400, "InvalidVersion")


def test_each_version_of_the_list_is_served(api):
    for version in api("GET", "data").json:
        assert api("GET", version["url"].removeprefix("/services/")).status_code == 200


def test_the_columns_of_a_query_are_told_without_its_rows(api):
    query = {"q": "SELECT Id, Birthdate, Account.Name FROM Contact", "columns": "true"}
    found = api("GET", "v62.0/query", query_string=query).json
    assert (found["entityName"], found["idSelected"], found["keyPrefix"]) == (
        "Contact",
        True,
        "003",
    )
    id_column, birthdate, account = found["columnMetadata"]
    assert (id_column["columnName"], id_column["updatable"]) == ("Id", False)
    assert (birthdate["apexType"], birthdate["joinColumns"]) == ("Date", [])
    (name,) = account["joinColumns"]
    assert (account["foreignKeyName"], name["columnName"]) == ("Account", "Name")


def test_the_org_describes_itself_in_one_record(api, sandbox):
    query = {"q": "SELECT Id, Name, OrganizationType FROM Organization"}
    (found,) = api("GET", "v62.0/query", query_string=query).json["records"]
    assert sandbox.token.startswith(found["Id"][:15])
    assert found["OrganizationType"] == "Developer Edition"


def test_pretty_print_is_for_those_who_ask(api):
    plain = api("GET", "v62.0").text
    pretty = api("GET", "v62.0", headers={"X-PrettyPrint": "1"})
    assert plain.startswith('{"jobs":"')
    assert pretty.text.startswith('{\n  "jobs" : "')


def test_client_credentials_sign_in(api, sandbox):
    form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
    answer = api("POST", "oauth2/token", data=form, headers={"Authorization": ""}).json
    assert (answer["access_token"], answer["token_type"]) == (sandbox.token, "Bearer")
    assert (answer["instance_url"], answer["issued_at"]) == ("http://127.0.0.1", "1767603600000")
    user = api("GET", "oauth2/userinfo").json
    assert answer["id"].endswith(f"/id/{user['organization_id']}/{user['user_id']}")


def test_a_sign_in_that_cannot_be_is_refused(api):
    for form, error in [
        ({"grant_type": "client_credentials", "client_id": "a"}, "invalid_client"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({}, "unsupported_grant_type"),
    ]:
        answer = api("POST", "oauth2/token", data=form)
        assert (answer.status_code, answer.json["error"]) == (400, error)


def test_every_request_is_remembered(api, sandbox):
    api("GET", "v62.0")
    api("GET", "v62.0/nothing")
    assert sandbox.requests == (
        ("GET", "/services/data/v62.0", 200),
        ("GET", "/services/data/v62.0/nothing", 404),
    )
