"""Values and names in a SOQL text: they come back as they were, and change nothing else."""

from __future__ import annotations

import doctest
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulknb import _selection, soql
from bulknb.errors import InputError
from bulknb.sandbox import syntax

ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


def read_back(literal: str) -> str:
    """Return the text that a literal means, by the rules of the guide."""
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), literal[1:-1])


def test_the_examples_of_the_documentation_hold():
    assert doctest.testmod(soql).failed == 0


@settings(max_examples=5_000, deadline=None)
@given(TEXTS)
@example("' OR Name != '")
@example("\\' OR Id != null --")
@example("\\")
@example("a\nb\r\tc")
@example(") LIMIT 1")
def test_any_text_comes_back_the_same_and_is_one_value(text):
    query = f"SELECT Id FROM Account WHERE Name = {soql.quote(text)} AND Id != null LIMIT 5"

    tree = syntax.read(query)

    both = tree.where
    assert [(part.path.names, part.operator) for part in both.parts] == [
        (("Name",), "="),
        (("Id",), "!="),
    ]
    assert read_back(both.parts[0].value) == text
    assert tree.limit == 5
    assert _selection.read(query).clauses == {"WHERE", "LIMIT"}


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_a_list_of_texts_comes_back_as_the_list_of_an_in(texts):
    tree = syntax.read(f"SELECT Id FROM Account WHERE Name IN {soql.quote(texts)}")

    assert [read_back(value) for value in tree.where.values] == texts


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.decimals(allow_nan=False, allow_infinity=False),
    )
)
def test_a_number_comes_back_the_same_and_never_has_an_exponent(number):
    tree = syntax.read(f"SELECT Id FROM Account WHERE AnnualRevenue = {soql.quote(number)}")

    assert tree.where.value.type == "NUMBER"
    assert type(number)(str(tree.where.value)) == number
    assert "e" not in tree.where.value.lower()


@settings(max_examples=500, deadline=None)
@given(st.datetimes(min_value=datetime(1700, 1, 1), timezones=st.timezones()))
def test_a_moment_comes_back_to_the_millisecond_in_utc(moment):
    tree = syntax.read(f"SELECT Id FROM Account WHERE CreatedDate > {soql.quote(moment)}")

    assert tree.where.value.type == "DATETIME"
    back = datetime.fromisoformat(str(tree.where.value))
    assert timedelta(0) <= moment.astimezone(UTC) - back < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "null"),
        (pd.NA, "null"),
        (pd.NaT, "null"),
        (float("nan"), "null"),
        (True, "true"),
        (np.bool_(False), "false"),
        (np.int64(5), "5"),
        (np.float32(0.5), "0.5"),
        (1e22, "10000000000000000000000"),
        (Decimal("1E-7"), "0.0000001"),
        (date(2026, 1, 31), "2026-01-31"),
        (time(17, 5), "17:05:00.000Z"),
        (pd.Timestamp("2026-01-01 00:30", tz="Europe/Paris"), "2025-12-31T23:30:00.000Z"),
        (datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-5))), "2026-01-01T05:00:00.000Z"),
        (["a", None, 1], "('a', null, 1)"),
        (pd.Series(["x", "it's"]), "('x', 'it\\'s')"),
        (np.array([1, 2]), "(1, 2)"),
        (pd.Index(["a"]), "('a')"),
        ({"only"}, "('only')"),
    ],
)
def test_a_value_is_written_as_soql_has_it(value, said):
    assert soql.quote(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("inf"), "infinite"),
        (datetime(2026, 1, 1), "time zone"),
        (np.datetime64("2026-01-01T00:00"), "time zone"),
        ([], "empty list"),
        (pd.Series([], dtype="string"), "empty list"),
        ("a\0b", "NUL"),
        (b"bytes", "bytes"),
        ({"a": 1}, "dict"),
        ([["nested"]], "list"),
        (object(), "object"),
    ],
)
def test_a_value_that_soql_does_not_have_is_refused(value, said):
    with pytest.raises(InputError, match=said):
        soql.quote(value)


@pytest.mark.parametrize("path", ["Id", "Account.Owner.Name", "Carrier__r.Code__c", "ns__Field__c"])
def test_a_name_is_given_back(path):
    assert soql.name(path) == path
    assert soql.names([path, "Id"]) == f"{path}, Id"


@pytest.mark.parametrize(
    "path", ["", "a b", "a'", "1a", "a.", ".a", "a..b", "a,b", "a;--", "é", None]
)
def test_what_is_no_name_is_refused(path):
    with pytest.raises(InputError, match="no API name"):
        soql.name(path)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("SELECT Id FROM A", "SELECT Id FROM A WHERE x = 1"),
        ("SELECT Id FROM A a ORDER BY Id", "SELECT Id FROM A a WHERE x = 1 ORDER BY Id"),
        (
            "SELECT Id FROM A WHERE b = 2 OR c = 3",
            "SELECT Id FROM A WHERE (b = 2 OR c = 3) AND x = 1",
        ),
        (
            "SELECT Id FROM A WHERE b IN (SELECT B FROM C WHERE d = 'LIMIT') LIMIT 5",
            "SELECT Id FROM A WHERE (b IN (SELECT B FROM C WHERE d = 'LIMIT')) AND x = 1 LIMIT 5",
        ),
    ],
)
def test_one_more_condition_goes_where_it_binds_all_rows(given, wanted):
    assert _selection.read(given).where("x = 1") == wanted
