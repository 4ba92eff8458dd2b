"""Columns of cells and records at once: the same as one by one, only faster."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulknb.sandbox import Field, ObjectType, ids, soql, values
from bulknb.sandbox.store import Store

FIELDS = [
    Field("Whole__c", "int"),
    Field("Money__c", "currency"),
    Field("Small__c", "double", precision=5, scale=3),
    Field("Fraction__c", "percent", precision=4, scale=4),
    Field("Flag__c", "boolean"),
    Field("Day__c", "date"),
    Field("Text__c", length=4),
]
NUMBER = st.from_regex(r"-?[0-9]{1,19}(\.[0-9]{0,5})?(e[0-9]{1,3})?", fullmatch=True)
CELL = NUMBER | st.sampled_from(
    ["", "-", ".5", "5.", "-0", "1_0", "nan", "1\n2", "\n", "٣", "true", "0", "2026-01-05", "x"]
)


def read_one_by_one(field, texts):
    read = values.reader(field)
    return [read(text) if text else None for text in texts]


def result(function, *args):
    """What comes of a call: values with their types, or the kind of error."""
    try:
        return [(type(value), str(value)) for value in function(*args)]
    except (ValueError, values.RefusedError) as error:
        return type(error)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.type)
@settings(max_examples=50, derandomize=True, database=None, deadline=None)
@given(texts=st.lists(CELL, max_size=4))
def test_a_column_is_read_like_its_cells(field, texts):
    whole = result(values.read_all, field, texts)
    one_by_one = result(read_one_by_one, field, texts)
    if isinstance(one_by_one, type):  # of several bad cells, a column may name another one
        assert isinstance(whole, type)
    else:
        assert whole == one_by_one


def test_ids_in_a_row_are_those_made_one_by_one():
    numbers = range(3_840, 7_700)
    assert list(ids.run("a00", numbers)) == [ids.make("a00", number) for number in numbers]
    assert [ids.number(key) for key in ids.run("a00", numbers)] == list(numbers)


PARENT = ObjectType("Parent__c", (Field("Name__c"),), key_prefix="a00")
CHILD = ObjectType(
    "Child__c",
    (
        Field("Key__c", external_id=True),
        Field("Parent__c", "reference", reference_to="Parent__c"),
    ),
    key_prefix="a01",
)
OBJECTS = {kind.name.lower(): kind for kind in (PARENT, CHILD)}


@pytest.fixture
def store():
    store = Store(":memory:")
    for kind in OBJECTS.values():
        store.create_table(kind)
    yield store
    store.close()


def record(kind, number, **fields):
    stamps = dict.fromkeys(("CreatedDate", "LastModifiedDate", "SystemModstamp"), f"day {number}")
    return kind.blank() | {"Id": ids.make(kind.key_prefix, number)} | stamps | fields


def test_records_written_together_keep_their_own_system_fields(store):
    records = [record(PARENT, 1, OwnerId="me"), record(PARENT, 2, CreatedById="you")]
    records += [record(PARENT, number, IsDeleted=number == 5) for number in range(3, 900)]
    store.save(PARENT, records)
    found = store.find(PARENT, "Id", [record["Id"] for record in records])
    assert found == records
    store.save(PARENT, [records[0] | {"LastModifiedDate": "later", "Name__c": "A"}])
    (changed,) = store.find(PARENT, "LastModifiedDate", ["later"])
    assert changed == records[0] | {"LastModifiedDate": "later", "Name__c": "A"}


@pytest.mark.parametrize(
    "condition",
    ["Key__c = 'k'", "Id > 'a01xx0000000001'", "Parent__r.CreatedDate = null AND Key__c = 'k'"],
)
def test_records_and_their_parents_are_looked_up_by_index(store, condition):
    text = f"SELECT Id, Parent__r.Name__c, Parent__r.OwnerId FROM Child__c WHERE {condition}"
    query = soql.parse(text, OBJECTS)
    plan = store.rows("EXPLAIN QUERY PLAN " + query.statement, *query.parameters)
    steps = [step["detail"] for step in plan]
    assert steps
    assert not any("MATERIALIZE" in step or step.startswith("SCAN") for step in steps)
