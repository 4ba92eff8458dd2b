from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
import threading
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulknb import _csv, _cuts
from bulknb.errors import InputError, UnexpectedAnswerError


def sent(values: object, **options: object) -> list[str]:
    """What Salesforce would read of a column of these values."""
    table = _csv.encode(pd.DataFrame({"key": range(len(values)), "value": values}), **options)
    return _csv.decode(_csv.write(table))["value"].to_pylist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", None, "NA", "None", "null", "nan"], ["a", "", "NA", "None", "null", "nan"]),
        (['say "hi"', "a,b", "a\r\nb\u2028c\x85", " pad "], None),
        (["007", "0041791234567"], None),
        (pd.array([2**60, None], dtype="Int64"), [str(2**60), ""]),
        ([1.5, np.nan, 1e10, 1.5e-7], ["1.5", "", "10000000000", "0.00000015"]),
        ([Decimal("1.50E-7"), None], ["0.000000150", ""]),
        ([True, False], ["true", "false"]),
        (pd.array([True, None], dtype="boolean"), ["true", ""]),
        ([dt.date(2013, 1, 31), None], ["2013-01-31", ""]),
        ([dt.time(17, 5), None], ["17:05:00.000Z", ""]),
        (pd.Categorical(["b", None, "a"]), ["b", "", "a"]),
        ([None, None], ["", ""]),
    ],
)
def test_a_value_becomes_what_salesforce_reads(values, expected):
    assert sent(values) == (list(values) if expected is None else expected)


def test_a_datetime_with_a_zone_becomes_utc():
    paris = pd.Series(pd.to_datetime(["2013-07-01 12:00:00.250", None])).dt.tz_localize(
        "Europe/Paris"
    )

    assert sent(paris) == ["2013-07-01T10:00:00.250Z", ""]


def test_a_datetime_without_a_zone_needs_one():
    naive = pd.Series(pd.to_datetime([None, "2013-07-01 12:00"]))

    with pytest.raises(InputError, match=r"Row 1, column 'value'.*tz="):
        sent(naive)
    assert sent(naive, tz="Europe/Paris") == ["", "2013-07-01T10:00:00.000Z"]


def test_an_hour_that_the_clock_change_skips_is_refused():
    naive = pd.Series(pd.to_datetime(["2013-03-30 02:30", "2013-03-31 02:30"]))

    with pytest.raises(InputError, match=r"Row 1, .*clock change"):
        sent(naive, tz="Europe/Paris")


def test_midnights_fill_a_date_field_and_times_of_day_do_not():
    days = pd.Series(pd.to_datetime(["2013-01-31", None]))

    assert sent(days, types={"value": "date"}) == ["2013-01-31", ""]
    with pytest.raises(InputError, match=r"Row 0, .*time of day"):
        sent(days + pd.Timedelta(hours=1), types={"value": "date"})


def test_clearing_nulls_writes_the_word_that_clears():
    assert sent(["a", None], nulls="clear") == ["a", "#N/A"]
    assert sent(pd.array([1, None], dtype="Int64"), nulls="clear") == ["1", "#N/A"]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (["a", "b\0"], "Row 1, .*NUL"),
        (["a", "#N/A"], "Row 1, .*clears"),
        ([1.0, np.inf], "Row 1, .*infinite"),
        ([b"x"], "Row 0, .*is a bytes"),
        ([None, ["x"]], "Row 1, .*is a list"),
        (["a", {"a": 1}], "Row 1, .*is a dict"),
        ([pd.Timedelta(1)], "Row 0, .*duration"),
        ([object()], "Row 0, .*is a object"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_row_and_column(values, problem):
    with pytest.raises(InputError, match=problem):
        sent(values)


def test_a_refusal_names_the_frames_own_label_and_never_the_value():
    frame = pd.DataFrame({"Secret__c": ["x", "hush\0"]}, index=["first", "second"])

    with pytest.raises(InputError) as refused:
        _csv.encode(frame)

    assert "'second'" in str(refused.value)
    assert "hush" not in str(refused.value)


def test_an_integer_field_takes_whole_floats_only():
    assert sent([1.0, np.nan], types={"value": "int"}) == ["1", ""]
    with pytest.raises(InputError, match=r"Row 1, .*fraction"):
        sent([1.0, 1.5], types={"value": "int"})
    with pytest.raises(InputError, match=r"Row 0, .*2\*\*53"):
        sent([2.0**60, np.nan], types={"value": "int"})


def test_a_half_quoted_header_and_quoted_values_are_read_as_text():
    data = b'"sf__Id","sf__Error",Name,Code\n"","BAD:x:Name --","NA","007"\n'

    assert _csv.decode(data).to_pylist() == [
        {"sf__Id": "", "sf__Error": "BAD:x:Name --", "Name": "NA", "Code": "007"}
    ]


@pytest.mark.parametrize("name", _csv.DELIMITERS)
def test_every_delimiter_is_read(name):
    sign = _csv.DELIMITERS[name]

    table = _csv.decode(f'a{sign}b\n"1"{sign}"x{sign}\ny"\n'.encode(), name)

    assert table.to_pylist() == [{"a": "1", "b": f"x{sign}\ny"}]


@pytest.mark.parametrize("data", [b"", b"Name\n", b'"sf__Id","sf__Created",Name\n'])
def test_no_rows_is_an_empty_table(data):
    assert len(_csv.decode(data)) == 0


@pytest.mark.parametrize("data", [b'a,b\n"1"\n', b'a\n"\xff\xfe"\n', b"\xff\n"])
def test_a_broken_file_is_an_error_without_its_content(data):
    with pytest.raises(UnexpectedAnswerError, match="CSV cannot be read"):
        _csv.decode(data)


def test_an_empty_value_in_a_file_of_one_column_is_a_row():
    assert _csv.decode(b'Name\n""\n\n"x"\n')["Name"].to_pylist() == ["", "", "x"]


CELLS = st.text(alphabet='ab",\n\r \0ä', max_size=6)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS), max_size=20),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
)
def test_a_file_that_comes_in_pieces_is_read_as_the_whole_is(rows, sizes):
    sink = io.StringIO(newline="")
    csv.writer(sink, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("A", "B"), *rows])
    data = sink.getvalue().encode()
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_cuts, "_RUN_BYTES", 16)
        reader = _csv.Reader(columns=["B", "C"], each=lambda some: seen.append(len(some)) or some)
        size = itertools.cycle(sizes)
        while data:
            cut = next(size)
            reader.write(data[:cut])
            data = data[cut:]
        table = reader.table()

    assert table["B"].to_pylist() == [b for _, b in rows]
    assert table["C"].null_count == sum(seen) == len(rows)


def quoted(rows: list[tuple[str, ...]]) -> bytes:
    sink = io.StringIO(newline="")
    csv.writer(sink, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return sink.getvalue().encode()


def test_rows_that_were_read_stay_as_they_are_when_their_memory_is_used_again(monkeypatch):
    monkeypatch.setattr(_cuts, "_RUN_BYTES", 64)
    cells = [[("A",), *((f"{sign}{number:03}" * 3,) for number in range(200))] for sign in "xyz"]

    tables = [_csv.decode(quoted(rows)) for rows in cells]

    assert [table["A"].to_pylist() for table in tables] == [
        [cell for (cell,) in rows[1:]] for rows in cells
    ]


@pytest.mark.parametrize("size", [1, 63, 64, 65, 1_000, 10_000])
def test_a_row_may_be_larger_than_what_is_read_at_once(monkeypatch, size):
    monkeypatch.setattr(_cuts, "_RUN_BYTES", 64)
    rows = [("A", "B"), ("1", "x" * size), ("2", ""), ("3", "\n" * size), ("4", "y")]

    table = _csv.decode(quoted(rows))

    assert list(zip(*(table[name].to_pylist() for name in "AB"), strict=True)) == rows[1:]


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"", True),
        (b'"A"\n"x\0\0y"\n', True),
        (b'"A"\n"x\0\0', False),
        (b'"A"\n"x\0\0"', False),
        (b'"A"\n"x\0\0\n', False),
    ],
)
def test_a_file_is_whole_when_its_last_row_has_its_end(size, data, whole):
    cutter = _cuts.Cutter(lambda run: run.names, ",")
    for at in range(0, len(data), size):
        cutter.write(data[at : at + size])

    assert cutter.whole == whole
    assert cutter.nuls == data.count(0)


def test_what_goes_wrong_with_a_run_is_raised_where_its_rows_are_asked_for(monkeypatch):
    monkeypatch.setattr(_cuts, "_RUN_BYTES", 64)

    def work(run):
        if run.at:
            raise UnexpectedAnswerError("no")
        return len(run.data)

    cutter = _cuts.Cutter(work, ",")
    cutter.write(b'"A"\n' + b'"1"\n' * 100)
    rest = cutter.rest()

    assert next(rest) == 64
    with pytest.raises(UnexpectedAnswerError):
        list(rest)


def test_a_large_file_is_handed_on_as_it_comes_and_read_anew_from_its_start():
    data = b'"A"\n' + b'"x\ny"\n' * 2_000_000
    came = threading.Event()

    def count(some):
        came.set()
        return pa.table({"rows": [len(some)]})

    reader = _csv.Reader(each=count)

    reader.write(data[: len(data) // 2])
    assert came.wait(10)
    reader.restart()
    reader.write(data)

    kept = reader.table()["rows"].to_pylist()
    assert sum(kept) == 2_000_000
    assert max(kept) < 1_000_000
