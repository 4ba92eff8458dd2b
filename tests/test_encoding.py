"""The encoding table: what every kind of value becomes, and what is refused."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import os
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulknb import _csv
from bulknb._encode import Encoding
from bulknb.errors import InputError
from bulknb.sandbox import Field, ManualClock, ObjectType, Sandbox

LINE_SEPARATORS = ["\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
PARIS = ZoneInfo("Europe/Paris")
NOON = dt.datetime(2013, 7, 1, 12, tzinfo=PARIS)


def texts(values: object, **options: object) -> list[str]:
    """What Salesforce would read of a column of these values, beside another one."""
    frame = pd.DataFrame({"value": values})
    frame["key"] = range(len(frame))
    table = Encoding(**options).table(frame)
    return _csv.decode(_csv.write(table))["value"].to_pylist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Series(["007", None, "NA"], dtype=object), ["007", "", "NA"]),
        (pd.Series(["007", None, "NA"], dtype="str"), ["007", "", "NA"]),
        (pd.array(["007", None, "NA"], dtype="string[pyarrow]"), ["007", "", "NA"]),
        (pd.Series(["é", None], dtype=pd.ArrowDtype(pa.string_view())), ["é", ""]),
        (pd.Categorical([3, None]), ["3", ""]),
        (pd.Categorical(["x", 1, None]), ["x", "1", ""]),
        (pd.Series([2**70, None], dtype=object), [str(2**70), ""]),
        (pd.array([255], dtype="UInt8"), ["255"]),
        (np.array([0.1, 1e10], dtype="float32"), ["0.1", "10000000000"]),
        (np.array([0.5, np.nan], dtype="float16"), ["0.5", ""]),
        ([1.0, -0.0, 2.0**53, -1e-7], ["1", "0", str(2**53), "-0.0000001"]),
        (pd.array([1.5, None], dtype="Float64"), ["1.5", ""]),
        (pd.Series([1.5, float("nan")], dtype=pd.ArrowDtype(pa.float64())), ["1.5", ""]),
        ([Decimal("1.5"), Decimal("1E+3"), Decimal("NaN")], ["1.5", "1000", ""]),
        (pd.Series([Decimal("1.5E-7")], dtype=pd.ArrowDtype(pa.decimal128(9, 8))), ["0.00000015"]),
        (pd.Series([dt.date(2013, 1, 31)], dtype=pd.ArrowDtype(pa.date64())), ["2013-01-31"]),
        ([NOON, NOON.astimezone(dt.UTC), None], ["2013-07-01T10:00:00.000Z"] * 2 + [""]),
        ([dt.datetime(1, 1, 1, tzinfo=dt.UTC)], ["0001-01-01T00:00:00.000Z"]),
        ([dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, dt.UTC)], ["1969-12-31T23:59:59.999Z"]),
        ([NOON, NOON, None], ["2013-07-01T10:00:00.000Z"] * 2 + [""]),
        (["a", 1e10, np.float32(0.1)], ["a", "10000000000", "0.1"]),
        ([dt.time(17, 5, 0, 250_000)], ["17:05:00.250Z"]),
        (
            ["a", 1, 1.5, True, None, pd.NA, pd.NaT, dt.date(2013, 1, 31), Decimal("2.50"), NOON],
            ["a", "1", "1.5", "true", "", "", "", "2013-01-31", "2.50", "2013-07-01T10:00:00.000Z"],
        ),
        ([np.int8(1), np.float64(2), np.bool_(False), "x"], ["1", "2", "false", "x"]),
    ],
)
def test_a_value_becomes_what_the_table_says(values, expected):
    assert texts(values) == expected


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (pd.Series(["fine", "half \ud800"], dtype=object), "Row 1, .*surrogate"),
        (pd.Categorical(["fine", "#N/A"]), "Row 1, .*clears"),
        (["a", 1, "#N/A"], "Row 2, .*clears"),
        ([1.0, 2.0**54], r"Row 1, .*beyond 2\*\*53"),
        (["a", float("inf")], "Row 1, .*infinite"),
        (["a", -(2.0**54)], r"Row 1, .*beyond 2\*\*53"),
        ([Decimal(1), Decimal("Infinity")], "Row 1, .*infinite"),
        (["a", dt.datetime(2013, 1, 1)], "Row 1, .*tz="),
        ([dt.time(1, tzinfo=dt.UTC)], "Row 0, .*zone"),
        ([1, {2}], "Row 1, .*is a set"),
        ([pd.Interval(0, 1)], "Row 0, .*interval"),
        ([pd.Period("2013")], "Row 0, .*period"),
        ([1j], "Row 0, .*is a complex"),
        (np.array([1j]), "Row 0, .*complex"),
        (pd.Series([["x"]], dtype=pd.ArrowDtype(pa.list_(pa.string()))), "Row 0, .*list"),
        (pd.Series([b"x"], dtype=pd.ArrowDtype(pa.binary())), "Row 0, .*binary"),
        (pd.to_timedelta(["1s"]), "Row 0, .*duration"),
        (
            pd.Series(np.array(["2013-01-01", "12013-01-01"], "datetime64[s]")).dt.tz_localize(
                "UTC"
            ),
            "Row 1, .*year",
        ),
    ],
)
def test_what_no_field_takes_is_refused_by_row(values, problem):
    with pytest.raises(InputError, match=problem):
        texts(values)
    frame = pd.DataFrame({"value": values})
    with pytest.raises(InputError, match=problem):
        Encoding().check(frame, frame.index)


@pytest.mark.parametrize("wall", ["2013-03-31 02:30", "2013-10-27 02:30"])
def test_an_hour_that_a_clock_change_skips_or_doubles_is_refused(wall):
    naive = pd.to_datetime(pd.Series(["2013-01-01 00:00", wall]))

    with pytest.raises(InputError, match=r"Row 1, .*skipped or doubled"):
        texts(naive, tz="Europe/Paris")


def test_a_zone_that_there_is_not_is_refused():
    with pytest.raises(InputError, match="no time zone"):
        Encoding(tz="Mars/Olympus")


def test_a_missing_value_alone_in_its_line_is_still_a_row():
    table = Encoding().table(pd.DataFrame({"Size__c": pd.array([1, None, 2], dtype="Int64")}))

    assert _csv.write(table) == b'"Size__c"\n"1"\n""\n"2"\n'


def test_a_column_of_cells_clears_what_is_missing():
    assert texts(["a", 1, None], nulls="clear") == ["a", "1", "#N/A"]


def test_the_header_has_the_names_of_the_fields():
    table = Encoding(header={"name": "Name"}).table(pd.DataFrame({"name": ["x"], "Other": ["y"]}))

    assert table.column_names == ["Name", "Other"]


# What is sent arrives: every kind of value, read back from an org of the sandbox.

KINDS = {
    "Text__c": (
        Field("Text__c", "textarea"),
        st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters="\0")
            | st.sampled_from(LINE_SEPARATORS + list("\",'")),
            max_size=20,
        ).filter(lambda text: text != "#N/A"),
    ),
    "Whole__c": (Field("Whole__c", "int"), st.integers(-(2**31), 2**31 - 1)),
    "Number__c": (
        Field("Number__c", "double", scale=15, precision=33),
        st.floats(-1e12, 1e12, allow_subnormal=False).map(lambda number: round(number, 6)),
    ),
    "Exact__c": (
        Field("Exact__c", "double", scale=6, precision=18),
        st.decimals(-(10**6), 10**6, places=6, allow_nan=False),
    ),
    "Flag__c": (Field("Flag__c", "boolean"), st.booleans()),
    "Day__c": (Field("Day__c", "date"), st.dates()),
    "Moment__c": (
        Field("Moment__c", "datetime"),
        st.datetimes(
            min_value=dt.datetime(1700, 1, 1),
            max_value=dt.datetime(4000, 12, 30),
            timezones=st.sampled_from([dt.UTC, PARIS]),
        ).map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)),
    ),
}
RECORD = ObjectType("Value__c", (Field("Key__c"), *(described for described, _ in KINDS.values())))
TYPES = {described.name: described.type for described, _ in KINDS.values()}

#: How many frames in all; the long run is ENCODING_FRAMES=20000.
FRAMES = int(os.environ.get("ENCODING_FRAMES", "300"))
FRAMES_PER_JOB = 20


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """A frame of Python's own objects, or of the dtypes that pandas finds for them."""
    rows = draw(st.integers(1, 3))
    frame = pd.DataFrame(
        {
            name: pd.Series([draw(st.none() | values) for _ in range(rows)], dtype=object)
            for name, (_, values) in KINDS.items()
        }
    )
    return draw(st.sampled_from([frame, frame.convert_dtypes(), frame.infer_objects()]))


def stored(name: str, value: object) -> object:
    """What an org is to hold of a value, by Python's own means."""
    if value is None or pd.isna(value) or value == "":
        return False if name == "Flag__c" else None  # a checkbox is never without a value
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="milliseconds")[:23] + "Z"
    if isinstance(value, dt.date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


@settings(max_examples=max(1, FRAMES // FRAMES_PER_JOB), deadline=None)
@given(st.lists(frames(), min_size=FRAMES_PER_JOB, max_size=FRAMES_PER_JOB))
def test_every_value_of_every_frame_arrives(batch):
    with Sandbox(clock=ManualClock(), seed=7) as sandbox:
        sandbox.create_object(RECORD)
        body = io.BytesIO()
        for number, frame in enumerate(batch):
            table = Encoding(types=TYPES).table(
                frame.assign(Key__c=[f"{number}-{row}" for row in frame.index])
            )
            body.write(b"" if number else _csv.header(table))
            body.write(_csv.write(table).partition(b"\n")[2])
        org = sandbox.connect(in_process=True)

        job = org.create_job("insert", "Value__c").upload(body.getvalue()).close().wait()

        assert job.info.number_records_failed == 0
        records = {record["Key__c"]: record for record in sandbox.records("Value__c")}
    for number, frame in enumerate(batch):
        for row, name in itertools.product(frame.index, KINDS):
            expected = stored(name, frame.loc[row, name])
            assert records[f"{number}-{row}"][name] == expected


def test_every_line_separator_survives_there_and_back(sandbox, org):
    sandbox.create_object(RECORD)
    frame = pd.DataFrame(
        {"Text__c": [f"a{separator}b" for separator in LINE_SEPARATORS]},
        index=[f"U+{ord(separator):04X}" for separator in LINE_SEPARATORS],
    )

    load = org.load(frame, "Value__c", "insert").wait()

    arrived = {record["Id"]: record["Text__c"] for record in sandbox.records("Value__c")}
    assert load.counts["success"] == len(LINE_SEPARATORS)
    assert [arrived[key] for key in load.frame["Id"]] == frame["Text__c"].tolist()
