"""What an org would say to a load, and what it would cost, before anything is sent."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from bulknb.errors import InputError
from bulknb.sandbox import Field, ObjectType

ORDER = ObjectType(
    "Order__c",
    (
        Field("Key__c", external_id=True, unique=True),
        Field("Name", length=5, required=True),
        Field("Kind__c", "picklist", picklist=("New", "Used")),
        Field("Price__c", "currency", precision=5, scale=2),
        Field("Count__c", "int"),
        Field("Day__c", "date"),
        Field("At__c", "datetime"),
        Field("Open__c", "boolean"),
        Field("Account__c", "reference", reference_to="Account"),
    ),
)
ID = "001000000000001AAA"


@pytest.fixture
def org(sandbox, org):
    sandbox.create_object(ORDER)
    return org


def orders(**columns: object) -> pd.DataFrame:
    fine = {"Key__c": ["a", "b", "c"], "Name": ["x", "y", "z"]}
    return pd.DataFrame({**fine, **columns}, index=["r1", "r2", "r3"])


def found(check) -> list[tuple[object, str, str]]:
    return [(p.row, p.column, p.severity) for p in check.problems.itertuples()]


def test_a_frame_that_fits_has_no_problems_and_sends_nothing(sandbox, org):
    frame = orders(
        Kind__c=["New", None, "Used"],
        Price__c=[1.5, None, 999.99],
        Count__c=pd.array([1, None, -5], dtype="Int64"),
        Day__c=pd.Timestamp("2013-01-31"),
        At__c=pd.Timestamp("2013-01-31 17:05", tz="UTC"),
        Open__c=True,
        Account__c=[ID, ID[:15], None],
    )

    check = org.check(frame, "Order__c", "upsert", external_id="Key__c")

    assert check.problems.empty
    assert check.ok
    assert {method for method, _, _ in sandbox.requests} <= {"GET"}


@pytest.mark.parametrize(
    ("column", "values", "bad", "problem"),
    [
        ("Name", ["x", "longer", "z"], ["r2"], "longer than 5 characters"),
        ("Kind__c", ["New", "new", ""], ["r2"], "none of the picklist's values"),
        ("Price__c", [1000.0, 1.0, -1000.5], ["r1", "r3"], "more than 3 digits before"),
        ("Price__c", ["1.00", "1.005", "a"], ["r2"], "more than 2 digits after"),
        ("Price__c", ["1.00", "1e2", "a"], ["r3"], "no number"),
        ("Count__c", ["1", "1.5", "x"], ["r2", "r3"], "no whole number"),
        ("Count__c", [1, 2**31, -(2**31)], ["r2"], "32 bits"),
        ("Count__c", [1, 2**70, 3], ["r2"], "32 bits"),
        ("Day__c", ["2013-01-31", "31.1.2013", ""], ["r2"], "no date"),
        ("At__c", ["2013-01-31T17:05:00Z", "yesterday", None], ["r2"], "no datetime"),
        ("Open__c", ["TRUE", "yes", "0"], ["r2"], "neither true nor false"),
        ("Account__c", [ID, "007", ""], ["r2"], "no Id"),
        ("Account__c", [ID, "001A00000000001AAA", ""], ["r2"], "letter case has changed"),
        ("Key__c", ["a", "", None], ["r2", "r3"], "is blank: upsert"),
        ("Key__c", ["a", "A", "b"], ["r2"], "in an earlier row"),
        ("Name", ["x", b"y", "z"], ["r2"], "is a bytes"),
    ],
)
def test_a_bad_cell_is_named_by_row_and_column(org, column, values, bad, problem):
    check = org.check(orders(**{column: values}), "Order__c", "upsert", external_id="Key__c")

    these = check.problems[check.problems["problem"].str.contains(problem, regex=False)]
    assert these["row"].tolist() == bad
    assert set(these["column"]) == {column}


def test_all_columns_that_do_not_fit_are_named_with_what_is_near(org):
    frame = orders(Nme="x", CreatedDate="x").drop(columns="Name")

    check = org.check(frame, "Order__c", "insert")

    said = check.problems.drop_duplicates("column").set_index("column")["problem"]
    assert "Did you mean 'Name'" in said["Nme"]
    assert "read-only" in said["CreatedDate"]
    assert "required field has no column. Did you mean 'Nme'" in said["Name"]
    assert not check.ok


def test_a_required_field_may_be_missing_where_records_are_there(org):
    check = org.check(orders().drop(columns="Name"), "Order__c", "upsert", external_id="Key__c")

    assert found(check) == [(None, "Name", "warning")]
    assert check.ok


def test_a_blank_in_a_required_field_is_an_error_on_insert(org):
    assert found(org.check(orders(Name=["x", "", None]), "Order__c", "insert")) == [
        ("r2", "Name", "error"),
        ("r3", "Name", "error"),
    ]


def test_a_restricted_picklist_refuses_and_an_open_one_does_not(org, monkeypatch):
    frame = orders(Kind__c=["New", "Old", "Used"])
    assert found(org.check(frame, "Order__c", "insert")) == [("r2", "Kind__c", "warning")]

    description = org.describe("Order__c")
    for field in description["fields"]:
        field["restrictedPicklist"] = field["type"] == "picklist"
    monkeypatch.setattr("bulknb._check.describe", lambda wire, name: description)

    assert found(org.check(frame, "Order__c", "insert")) == [("r2", "Kind__c", "error")]


def test_cleared_cells_are_no_problems(org):
    frame = orders(Kind__c=[None] * 3, Price__c=[1.0, None, 2.0], Day__c=[None] * 3)

    assert org.check(frame, "Order__c", "insert", nulls="clear").problems.empty


def test_the_cost_is_that_of_the_load(org):
    frame = pd.concat([orders()] * 7_000, ignore_index=True)
    frame["Key__c"] = [f"k{row}" for row in frame.index]

    check = org.check(frame, "Order__c", "insert", chunk_bytes=200_000)
    load = org.load(frame.head(300), "Order__c", "insert").wait()

    assert check.cost.rows == 21_000
    assert check.cost.jobs == -(-check.cost.bytes // 200_000)
    assert check.cost.batches >= check.cost.jobs
    assert check.left["batches"] > check.cost.batches
    assert org.check(frame.head(300), "Order__c", "insert").cost.jobs == len(load.jobs)


def test_more_than_is_left_today_is_a_warning(sandbox, org, monkeypatch):
    monkeypatch.setattr("bulknb._preflight._left_today", lambda wire: {"batches": 0, "calls": 9})

    problems = org.check(orders(), "Order__c", "insert").problems

    assert problems["problem"].tolist() == [
        "Only 0 batches are left today",
        "Only 9 calls are left today",
    ]


def test_the_time_to_expect_comes_from_past_loads_of_the_kind(org):
    assert org.check(orders(), "Order__c", "insert").seconds is None
    history = org.load(orders(), "Order__c", "insert").wait().history

    check = org.check(pd.concat([orders()] * 2), "Order__c", "insert", history=history)
    other = org.check(orders(), "Order__c", "upsert", external_id="Key__c", history=history)

    took = (history["system_modstamp"] - history["created_date"]).dt.total_seconds()[0]
    assert check.seconds == pytest.approx(2 * took)
    assert other.seconds is None


def test_the_preview_is_what_the_load_sends(org):
    frame = orders(day__C=pd.Timestamp("2013-01-31")).rename(columns={"Name": "name"})

    check = org.check(frame, "order__c", "upsert", external_id="key__c")
    load = org.load(frame, "Order__c", "upsert", external_id="Key__c").wait()

    job, _, csv = check.preview(3).partition("\n\n")
    assert csv.encode() == load._work.rows.data(0, 3)
    assert json.loads(job) == {
        "object": "Order__c",
        "operation": "upsert",
        "externalIdFieldName": "Key__c",
        "contentType": "CSV",
        "lineEnding": "LF",
    }
    assert csv.startswith('"Key__c","Name","Day__c"\n"a","x",2013-01-31\n')


def test_a_check_reads_well_as_text_and_html(org):
    good = org.check(orders(), "Order__c", "insert")
    bad = org.check(orders(Name=["<b>", "longer", "longer"]), "Order__c", "insert")

    assert repr(good).startswith("<Check insert Order__c: rows 3; errors 0; warnings 0; bytes ")
    assert "no past load of this kind" in repr(good)
    assert "longer than 5 characters (2 rows, such as &#39;r2&#39;)" in bad._repr_html_()
    assert bad.summary.loc[0, ["column", "rows", "example_row"]].tolist() == ["Name", 2, "r2"]


def test_a_row_that_fits_no_file_is_a_problem(org):
    check = org.check(orders(), "Order__c", "insert", chunk_bytes=20)

    assert check.problems["problem"].tolist() == ["Row 'r1' alone is larger than 20 bytes"]
    assert check.cost is None


def test_a_stream_cannot_be_checked_and_then_loaded(org):
    with pytest.raises(InputError, match="read once"):
        org.check(iter([orders()]), "Order__c", "insert")


def test_a_file_is_checked_like_a_frame(org, tmp_path):
    orders(Name=["x", "longer", "z"]).to_csv(tmp_path / "orders.csv", index=False)

    check = org.check(tmp_path / "orders.csv", "Order__c", "insert")

    assert found(check) == [(1, "Name", "error")]


def test_columns_in_levels_are_refused(org):
    frame = orders()
    frame.columns = pd.MultiIndex.from_product([["a"], frame.columns])

    with pytest.raises(InputError, match="levels"):
        org.check(frame, "Order__c", "insert")
