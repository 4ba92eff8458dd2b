"""What becomes of single rows, and in which words."""

import pytest

from bulknb.sandbox import Field, ObjectType, ValidationRule


def test_a_row_without_a_required_value_fails_alone(failures, sandbox):
    assert failures("Name,Phone\nA,1\n,2\n") == [
        "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --"
    ]
    assert [record["Name"] for record in sandbox.records("Account")] == ["A"]


def test_a_bad_cell_is_named_by_column_value_and_type(failures):
    csv = "Name,StageName,ExternalId__c,CloseDate\nA,Closed Won,1,2003-04-98\n"
    assert failures(csv, "Opportunity") == [
        "INVALID_FIELD:Failed to deserialize field at col 3. Due to, '2003-04-98' is not a valid"
        " value for the type xsd:date:CloseDate --"
    ]


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("NumberOfEmployees", "1.5", "INVALID_FIELD"),
        ("NumberOfEmployees", "3000000000", "INVALID_FIELD"),
        ("NumberOfEmployees", "1_0", "INVALID_FIELD"),
        ("AnnualRevenue", "nan", "INVALID_FIELD"),
        ("AnnualRevenue", "1e30", "NUMBER_OUTSIDE_VALID_RANGE"),
        ("AccountNumber", "x" * 41, "STRING_TOO_LONG"),
        ("OwnerId", "me", "MALFORMED_ID"),
        ("OwnerId", "005xx0000000009", "INVALID_CROSS_REFERENCE_KEY"),
        ("OwnerId", "001xx0000000001", "MALFORMED_ID"),
        ("CreatedDate", "2020-01-01T00:00:00Z", "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ("Id", "001xx0000000001", "INVALID_FIELD_FOR_INSERT_UPDATE"),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_refused(failures, column, cell, code):
    (error,) = failures(f"Name,{column}\nA,{cell}\n")
    assert error.startswith(f"{code}:")
    assert error.endswith(f":{column} --")


def test_an_email_address_needs_the_form_of_one(failures):
    (error,) = failures("LastName,Email\nA,nobody\n", "Contact")
    assert error == "INVALID_EMAIL_ADDRESS:Email: invalid email address: nobody:Email --"


def test_values_are_kept_typed(load, sandbox):
    load(
        "Name,AnnualRevenue,NumberOfEmployees\nA,1e3,7\n",
    )
    load("Name,StageName,CloseDate\nO,Closed Won,2026-02-03Z\n", "Opportunity")
    (account,) = sandbox.records("Account")
    assert (account["AnnualRevenue"], account["NumberOfEmployees"]) == (1000.0, 7)
    assert account["IsDeleted"] is False
    assert sandbox.records("Opportunity")[0]["CloseDate"] == "2026-02-03"


def test_a_datetime_is_kept_in_utc(load, sandbox):
    sandbox.create_object(ObjectType("Log__c", (Field("At__c", "datetime"),)))
    load("At__c\n2026-01-01T01:30:00.250+02:00\n", "Log__c")
    assert sandbox.records("Log__c")[0]["At__c"] == "2025-12-31T23:30:00.250Z"


def test_a_row_of_another_length_fails_alone(failures):
    assert failures("Name,Phone,Type,Industry\nA,1,Other,Other\nB,2,Other\n") == [
        "INVALID_FIELD:Number of fields in header is different from the row. header = 4 row = 3:--"
    ]


def test_a_parent_is_found_by_its_external_id_in_any_letter_case(load, failures, sandbox):
    load("Name,ExternalId__c\nA,acc-1\n")
    csv = "LastName,Account.ExternalId__c\nGood,ACC-1\nBad,ACC-2\n"
    assert failures(csv, "Contact") == [
        "INVALID_FIELD:Foreign key external ID: ACC-2 not found for field ExternalId__c"
        " in entity Account:--"
    ]
    (account,), (contact,) = sandbox.records("Account"), sandbox.records("Contact")
    assert contact["AccountId"] == account["Id"]


def test_an_upsert_creates_then_updates(load, api, sandbox):
    load("Name,ExternalId__c\nA,1\n", operation="upsert", externalIdFieldName="ExternalId__c")
    job = load(
        "Name,ExternalId__c\nB,1\nC,2\n", operation="upsert", externalIdFieldName="externalid__c"
    )
    saved = api("GET", f"v62.0/jobs/ingest/{job}/successfulResults").text
    assert sorted(line.split('","', 1)[1] for line in saved.splitlines()[1:]) == [
        'false","B","1"',
        'true","C","2"',
    ]
    assert [record["Name"] for record in sandbox.records("Account")] == ["B", "C"]


def test_an_upsert_goes_by_a_lookup_field_too(load, sandbox):
    for name in ("Old", "New"):
        csv = f"LastName,Email\n{name},a@example.com\n"
        load(csv, "Contact", "upsert", externalIdFieldName="Email")
    assert [record["LastName"] for record in sandbox.records("Contact")] == ["New"]


def test_the_same_key_twice_in_a_transaction_fails_once(failures):
    csv = "Name,ExternalId__c\nA,K\nB,k\n"
    assert failures(csv, operation="upsert", externalIdFieldName="ExternalId__c") == [
        "DUPLICATE_EXTERNAL_ID:Duplicate external id specified: k:ExternalId__c --"
    ]


def test_an_upsert_needs_a_key(failures):
    csv = "Name,ExternalId__c\nA,\n"
    assert failures(csv, operation="upsert", externalIdFieldName="ExternalId__c") == [
        "MISSING_ARGUMENT:ExternalId__c not specified:--"
    ]


def test_a_unique_value_is_taken_once(load, failures, sandbox):
    load("Name,ExternalId__c\nA,1\n")
    holder = sandbox.records("Account")[0]["Id"]
    text = "DUPLICATE_VALUE:duplicate value found: ExternalId__c duplicates value on record with id"
    assert sorted(failures("Name,ExternalId__c\nB,1\nC,2\nD,2\n")) == [
        f"{text}: {holder}:ExternalId__c --",
        f"{text}: <unknown>:ExternalId__c --",
    ]


def test_an_empty_cell_leaves_a_value_and_na_clears_it(load, sandbox):
    load("Name,Phone,Website\nA,1,w\n")
    key = sandbox.records("Account")[0]["Id"]
    load(f"Id,Phone,Website\n{key[:15]},,#N/A\n", operation="update")
    (account,) = sandbox.records("Account")
    assert (account["Phone"], account["Website"]) == ("1", None)


def test_an_update_needs_an_id_that_exists(failures):
    csv = "Id,Name\n,A\n001xx0000000009,B\n003xx0000000009,C\nhere,D\n"
    assert sorted(failures(csv, operation="update")) == [
        "INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--",
        "MALFORMED_ID:Account ID: id value of incorrect type: 003xx0000000009AAA:Id --",
        "MALFORMED_ID:Id: id value of incorrect type: here:Id --",
        "MISSING_ARGUMENT:Id not specified:--",
    ]


def test_a_delete_hides_and_a_hard_delete_erases(api, load, failures, sandbox):
    load("Name\nA\nB\n")
    first, second = (record["Id"] for record in sandbox.records("Account"))
    load(f"Id\n{first}\n", operation="delete")
    load(f"Id\n{second}\n", operation="hardDelete")
    assert sandbox.records("Account") == []
    everything = api("GET", "v62.0/queryAll?q=SELECT Name, IsDeleted FROM Account").json
    assert [(row["Name"], row["IsDeleted"]) for row in everything["records"]] == [("A", True)]
    assert failures(f"Id\n{first}\n", operation="delete") == [
        "ENTITY_IS_DELETED:entity is deleted:--"
    ]


def test_the_key_of_a_deleted_record_is_free_again(load, sandbox):
    upsert = {"operation": "upsert", "externalIdFieldName": "ExternalId__c"}
    load("Name,ExternalId__c\nA,1\n", **upsert)
    old = sandbox.records("Account")[0]["Id"]
    load(f"Id\n{old}\n", operation="delete")
    load("Name,ExternalId__c\nB,1\n", **upsert)
    (account,) = sandbox.records("Account")
    assert account["Id"] != old


def test_a_broken_validation_rule_fails_its_rows_and_nothing_else(failures, sandbox):
    sandbox.create_object(
        ObjectType(
            "Fragile__c",
            (Field("Amount__c", "double"),),
            validation_rules=(
                ValidationRule("Big", when=lambda record: record["Amount__c"] > 5, message="Big."),
            ),
        )
    )

    [error] = failures('Amount__c\n4\n""\n', "Fragile__c")

    assert error.startswith(
        'FIELD_CUSTOM_VALIDATION_EXCEPTION:The formula in the ""Big"" validation rule is invalid'
    )
    assert len(sandbox.records("Fragile__c")) == 1


def test_a_validation_rule_sees_typed_values_of_the_whole_record(failures, load, sandbox):
    sandbox.create_object(
        ObjectType(
            "Trip__c",
            (
                Field("Key__c", external_id=True),
                Field("Start__c", "date"),
                Field("End__c", "date"),
                Field("Paid__c", "boolean"),
            ),
            validation_rules=(
                ValidationRule(
                    "Ends_after_start",
                    when=lambda trip: (trip["End__c"] - trip["Start__c"]).days < 0,
                    message="A trip ends after its start.",
                    field="End__c",
                ),
            ),
        )
    )
    upsert = {"operation": "upsert", "externalIdFieldName": "Key__c"}
    load("Key__c,Start__c,End__c\n1,2026-01-02,2026-01-03\n", "Trip__c", **upsert)
    assert failures("Key__c,End__c\n1,2026-01-01\n", "Trip__c", **upsert) == [
        "FIELD_CUSTOM_VALIDATION_EXCEPTION:A trip ends after its start.:End__c --"
    ]
    assert sandbox.records("Trip__c")[0]["End__c"] == "2026-01-03"


def test_a_failed_update_tells_the_id(load, api, sandbox):
    load("Name\nA\n")
    key = sandbox.records("Account")[0]["Id"]
    job = load(f"Id,NumberOfEmployees\n{key},many\n", operation="update")
    failed = api("GET", f"v62.0/jobs/ingest/{job}/failedResults").text.splitlines()[1]
    assert failed.startswith(f'"{key}","INVALID_FIELD:')


def test_a_multi_line_value_survives(load, api, sandbox):
    text = 'two\nlines, a comma and a "quote"'
    quoted = text.replace('"', '""')
    job = load(f'Name,Description\nA,"{quoted}"\n')
    assert sandbox.records("Account")[0]["Description"] == text
    saved = api("GET", f"v62.0/jobs/ingest/{job}/successfulResults").text
    assert f'"{quoted}"\n' in saved
