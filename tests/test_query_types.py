"""The types of a query's columns, and values that other clients change."""

from __future__ import annotations

import base64
import datetime as dt
import functools

import pandas as pd
import pyarrow as pa
import pytest
from altered import altered, connect
from pandas.testing import assert_frame_equal

import bulknb
from bulknb import _selection
from bulknb._cuts import Cutter
from bulknb._query_types import column_types
from bulknb._typed import read_rows, to_column
from bulknb.errors import InputError
from bulknb.sandbox import Field, ObjectType, Sandbox
from bulknb.sandbox.schema import TYPES

TEXT = pd.StringDtype("pyarrow")
HARD = ["NA", "None", "null", "007", 'a "quote",', "two\nlines\r\nand one", " b ", "é 雪 😀", pd.NA]


def every_type(parent: str) -> dict[str, tuple[Field, pd.Series]]:
    """Field and values by column: all types that a record may be given and a query may select."""
    rows = len(HARD)
    whole = pd.Series([0, 1, -1, 2**31 - 1, -(2**31), 7, 42, 100, None], dtype="Int64")
    money = pd.Series([0.0, 0.01, -1.5, 1e9, 123456789.12, 1 / 4, 2.0, 1e12, None], dtype="Float64")
    days = pd.Series([*pd.date_range("1999-12-28", periods=rows - 1), None])
    moments = pd.Series([*pd.date_range("2026-03-29T00:59:59.5Z", periods=rows - 1), None])
    columns = {
        "Key__c": (Field("Key__c", external_id=True, unique=True), [f"k{n}" for n in range(rows)]),
        "Text__c": (Field("Text__c"), HARD),
        "Area__c": (Field("Area__c", "textarea"), HARD),
        "Pick__c": (Field("Pick__c", "picklist"), ["A", "b", pd.NA] * 3),
        "Many__c": (Field("Many__c", "multipicklist"), ["A;b", pd.NA, "A"] * 3),
        "Combo__c": (Field("Combo__c", "combobox"), HARD),
        "Secret__c": (Field("Secret__c", "encryptedstring"), HARD),
        "Parent__c": (
            Field("Parent__c", "reference", reference_to="Account"),
            [parent, pd.NA, parent] * 3,
        ),
        "Mail__c": (Field("Mail__c", "email"), ["a@example.com", pd.NA, "b@example.com"] * 3),
        "Phone__c": (Field("Phone__c", "phone"), ["0049 1", pd.NA, "+1 (5)"] * 3),
        "Url__c": (Field("Url__c", "url"), ["https://example.com/?a=1&b", pd.NA, "x"] * 3),
    }
    typed = {
        name: (field, pd.Series(values, dtype=TEXT)) for name, (field, values) in columns.items()
    }
    return typed | {
        "Whole__c": (Field("Whole__c", "int"), whole),
        "Double__c": (Field("Double__c", "double"), money),
        "Money__c": (Field("Money__c", "currency"), money),
        "Percent__c": (Field("Percent__c", "percent"), money),
        "Flag__c": (
            Field("Flag__c", "boolean"),
            pd.Series([True, False, True] * 3, dtype="boolean"),
        ),
        "Day__c": (Field("Day__c", "date"), days.astype("datetime64[us]")),
        "Moment__c": (Field("Moment__c", "datetime"), moments.astype("datetime64[us, UTC]")),
    }


def things(org: bulknb.Org, sandbox: Sandbox, rows: int) -> tuple[pd.DataFrame, str]:
    """Load an object with a column of every type; return what was sent, and the query for it."""
    org.create_job("insert", "Account").upload(b"Name\nAcme\n").close().wait()
    columns = every_type(sandbox.records("Account")[0]["Id"])
    sandbox.create_object(ObjectType("Thing__c", tuple(field for field, _ in columns.values())))
    sent = pd.DataFrame({name: values for name, (_, values) in columns.items()})[:rows]
    assert org.load(sent, "Thing__c", "insert").wait().failed.empty
    return sent, f"SELECT {', '.join(columns)} FROM Thing__c ORDER BY Key__c"


@pytest.mark.parametrize("api", ["2.0", "1.0"])
def test_every_type_comes_back_equal_by_load_and_query(org, sandbox, api):
    sent, soql = things(org, sandbox, len(HARD))

    assert_frame_equal(org.query(soql, api=api).frame(), sent)


def test_every_type_means_all_that_describe_can_name():
    tried = {field.type for field, _ in every_type("").values()}

    # A record's id is given by the org; binary data have tests of their own.
    assert tried | {"id", "base64"} == set(TYPES)


@pytest.mark.parametrize("more", [{}, {"api": "1.0"}, {"all_rows": True}])
def test_binary_data_go_up_as_attachments_and_are_refused_by_name_in_a_query(org, sandbox, more):
    parent, _ = things(org, sandbox, 1)
    frame = pd.DataFrame(
        {"Name": ["a.bin"], "ParentId": parent["Parent__c"], "Body": [bytes(range(256))]}
    )
    job = org.create_job("insert", "Attachment", api="1.0", contentType="ZIP_CSV")
    job.upload(frame, files="Body").close().wait()
    jobs = len(org.jobs())

    with pytest.raises(InputError, match=r"Body: Bulk queries give no binary data: leave it out"):
        org.query("SELECT Name, Body FROM Attachment", **more)

    assert len(org.jobs()) == jobs
    back = org.query("SELECT Name, ParentId FROM Attachment", **more).frame()
    assert back.to_numpy().tolist() == [["a.bin", frame["ParentId"][0]]]
    [record] = sandbox.records("Attachment")
    assert base64.b64decode(record["Body"]) == frame["Body"][0]


@pytest.mark.parametrize("folder", [False, True])
def test_every_cell_of_a_frame_can_be_changed_and_the_query_keeps_its_own(
    org, sandbox, tmp_path, folder
):
    sent, soql = things(org, sandbox, 2)
    query = org.query(soql, folder=tmp_path if folder else None)

    frame = query.frame()
    for name in frame:
        frame.loc[0, name] = frame.loc[1, name]

    assert_frame_equal(frame[:1], frame[1:].reset_index(drop=True))
    assert_frame_equal(query.frame(), sent)


def test_an_id_and_a_reference_are_texts_of_18_characters(org):
    org.create_job("insert", "Account").upload(b"Name\nAcme\n").close().wait()

    frame = org.query("SELECT Id, OwnerId FROM Account").frame()

    assert frame.dtypes.tolist() == [TEXT, TEXT]
    assert frame.map(len).to_numpy().tolist() == [[18, 18]]


def page(csv: str, types: dict[str, str] | None) -> pd.DataFrame:
    cutter = Cutter(functools.partial(read_rows, types=types), ",")
    cutter.write(csv.encode())
    rows = pa.concat_tables(cutter.rest())
    return pd.DataFrame({name: to_column(rows[name]) for name in rows.column_names})


def test_without_types_every_cell_is_the_text_that_was_sent():
    csv = '"Id","n","t"\n"001","","NA"\n"","007","2026-01-01T00:00:00.000Z"\n'

    frame = page(csv, None)

    assert frame.to_numpy().tolist() == [
        ["001", "", "NA"],
        ["", "007", "2026-01-01T00:00:00.000Z"],
    ]


def test_with_types_an_empty_cell_is_missing_and_words_are_not():
    frame = page('"t"\n""\n"NA"\n"None"\n"null"\n"nan"\n"NULL"\n"#N/A"\n', {})

    assert frame["t"].tolist() == [pd.NA, "NA", "None", "null", "nan", "NULL", "#N/A"]


def test_times_are_read_to_the_millisecond():
    frame = page('"at"\n"17:05:00.123Z"\n""\n', {"at": "time"})

    assert frame["at"].tolist() == [dt.time(17, 5, 0, 123_000), None]


def test_a_type_that_nobody_knows_yet_is_text():
    assert page('"x"\n"(1,2)"\n', {"x": "hologram"})["x"].tolist() == ["(1,2)"]


def test_columns_are_typed_whatever_their_letter_case():
    assert page('"NUMBER"\n"5"\n', {"number": "int"})["NUMBER"].tolist() == [5]


def test_numbers_with_exponents_are_numbers():
    frame = page('"x"\n"1.5E7"\n"-2E-3"\n', {"x": "double"})

    assert frame["x"].tolist() == [1.5e7, -2e-3]


def test_nul_characters_are_kept_and_counted(org, sandbox):
    org.create_job("insert", "Account").upload(b"Name\nAc_me\nA_c_m\n").close().wait()
    behind = connect(
        sandbox,
        altered(sandbox, "/results", lambda headers, body: (headers, body.replace(b"_", b"\0"))),
    )

    query = behind.query("SELECT Name FROM Account").wait()

    assert query.frame()["Name"].tolist() == ["Ac\0me", "A\0c\0m"]
    assert query.nuls == 3
    assert "3 NUL" in query._repr_html_()


def test_texts_stay_in_arrows_memory():
    assert page('"x"\n"a"\n', {})["x"].dtype == TEXT


@pytest.mark.parametrize(
    ("selected", "column", "kind"),
    [
        ("LastName", "lastname", "string"),
        ("c.BIRTHDATE", "birthdate", "date"),
        ("Contact.CreatedDate", "createddate", "datetime"),
        ("Account.AnnualRevenue", "account.annualrevenue", "currency"),
        ("Account.Owner.IsActive", "account.owner.isactive", "boolean"),
        ("toLabel(LeadSource) source", "source", "string"),
        ("FORMAT(Account.AnnualRevenue) money", "money", "string"),
        ("convertCurrency(Account.AnnualRevenue) money", "money", "currency"),
        ("Nobody.Knows", "nobody.knows", None),
    ],
)
def test_a_column_has_the_type_of_the_field_at_the_end_of_its_path(org, selected, column, kind):
    selection = _selection.read(f"SELECT Id, {selected} FROM Contact c WHERE Id != null")

    assert column_types(org._wire, selection).get(column) == kind


def test_compound_fields_are_refused_with_their_parts(org, monkeypatch):
    described = bulknb._check.describe

    def with_address(wire, name, **options):
        description = described(wire, name, **options)
        for field in description["fields"]:
            if field["name"] in ("BillingStreet", "BillingCity"):
                field["compoundFieldName"] = "BillingAddress"
        address = {"name": "BillingAddress", "type": "address", "compoundFieldName": None}
        return description | {"fields": [*description["fields"], address]}

    monkeypatch.setattr("bulknb._query_types.describe", with_address)

    with pytest.raises(InputError, match=r"BillingAddress.*\(BillingStreet, BillingCity\)"):
        org.query("SELECT Id, BillingAddress FROM Account")


def described(sandbox: Sandbox) -> int:
    return sum(path.endswith("/describe") for _, path, _ in sandbox.requests)


def test_a_describe_is_remembered_for_a_minute(org, sandbox):
    selection = _selection.read("SELECT Id, Name FROM Account")
    first = column_types(org._wire, selection)

    assert column_types(org._wire, selection) == first
    assert described(sandbox) == 1
    sandbox.clock.sleep(61)
    assert column_types(org._wire, selection) == first
    assert described(sandbox) == 2


def test_a_describe_is_asked_for_anew_if_it_lacks_a_column(org, sandbox):
    wire = org._wire
    column_types(wire, _selection.read("SELECT Id FROM Account"))
    came, description = wire.describes["account"]
    fields = [field for field in description["fields"] if field["name"] != "Name"]
    wire.describes["account"] = came, description | {"fields": fields}
    sandbox.clock.sleep(1)

    types = column_types(wire, _selection.read("SELECT Id, Name FROM Account"))

    assert types["name"] == "string"
    assert described(sandbox) == 2


def test_a_column_that_no_describe_has_costs_no_second_one(org, sandbox):
    column_types(org._wire, _selection.read("SELECT Id, Nobody__c FROM Account"))

    assert described(sandbox) == 1
