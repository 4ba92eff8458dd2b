"""Results in any order -> the rows they are of, by key or by content."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulknb._marks import mark, sign
from bulknb._outcomes import OUTCOMES, told
from bulknb._reconcile import matched, matched_by_mark


def texts(**columns: list[str | None]) -> pa.Table:
    return pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})


def answered(rows: pa.Table, outcomes: list[str]) -> pa.Table:
    """What a server says of the rows: the Id of a row is its place."""
    places = [str(place) for place in range(len(rows))]
    facts = pa.table(
        {
            "sf__Id": pa.array(places, pa.large_string()),
            "sf__Error": pa.array([""] * len(rows), pa.large_string()).dictionary_encode(),
            "sf__Created": pa.array([True] * len(rows)),
        }
    )
    facts = facts.append_column("outcome", told([OUTCOMES.index(each) for each in outcomes]))
    for name in rows.column_names:
        facts = facts.append_column(name, rows[name])
    return facts


def signed(rows: pa.Table, key: str | None = None) -> list[str]:
    names = sorted(rows.column_names, key=lambda name: name != key)
    return sign(names, lambda name: mark(rows, [name]))[0]


def match(sent: pa.Table, results: pa.Table) -> pa.Table:
    return matched(sent, results, signed(sent), "750")


def match_by_mark(sent: pa.Table, results: pa.Table) -> pa.Table:
    names = signed(sent)
    results = results.append_column("mark", pa.array(mark(results, names)))
    return matched_by_mark(mark(sent, names), results, "750")


cells = st.sampled_from(["", "a", "A", "1", "1.0", "b,\n"])
rows = st.lists(st.tuples(cells, cells, st.sampled_from(OUTCOMES[:3])), min_size=1, max_size=30)


@pytest.mark.parametrize("match", [match, match_by_mark])
@given(rows=rows, shuffle=st.randoms(use_true_random=False))
def test_every_result_finds_its_row_whatever_the_order(match, rows, shuffle):
    sent = texts(A=[a for a, _, _ in rows], B=[b for _, b, _ in rows])
    results = answered(sent, [outcome for _, _, outcome in rows])
    order = list(range(len(rows)))
    shuffle.shuffle(order)

    found = match(sent, results.take(pa.array(order)))

    def of_content(outcomes: list[str]) -> Counter[tuple[str, str, str]]:
        return Counter((a, b, o) for (a, b, _), o in zip(rows, outcomes, strict=True))

    outcomes = found["outcome"].to_pylist()
    assert of_content(outcomes) == of_content([outcome for _, _, outcome in rows])
    seen: dict[tuple[str, str], set[str]] = {}
    for a, b, outcome in rows:
        seen.setdefault((a, b), set()).add(outcome)
    assert found["ambiguous"].to_pylist() == [len(seen[a, b]) > 1 for a, b, _ in rows]
    assert sorted(found["sf__Id"].to_pylist(), key=int) == [
        str(place) for place in range(len(rows))
    ]


def test_of_equal_rows_the_first_ones_take_the_failures():
    sent = texts(A=["x", "x", "x"])

    found = match(sent, answered(sent, ["success", "failed", "success"]))

    assert found["outcome"].to_pylist() == ["failed", "success", "success"]
    assert found["ambiguous"].to_pylist() == [True] * 3


def test_a_key_is_enough_where_it_tells_the_rows_apart():
    sent = texts(Name=["n", "n", "m"], Key=["a", "b", "c"])

    assert signed(sent, "Key") == ["Key"]
    assert signed(sent) == ["Name", "Key"]


@pytest.mark.parametrize("keys", [["a", "a", "c"], ["a", "", ""], ["a", None, None]])
def test_a_key_that_does_not_is_helped_by_the_content(keys):
    sent = texts(Name=["n", "m", "k"], Key=keys)

    assert signed(sent, "Key") == ["Key", "Name"]


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ("text ", "text"),
        ("a\r\nb", "a\nb"),
        ("1.50", "1.5"),
        ("1000000", "1E+6"),
        ("0.00", "-0"),
        ("#N/A", ""),
        ("true", "TRUE"),
        ("2013-01-31T17:05:00.000Z", "2013-01-31T17:05:00+00:00"),
    ],
)
def test_an_echo_in_another_form_is_recognised_at_the_second_try(mine, theirs):
    sent = texts(A=[mine, "other", "007"])
    results = answered(texts(A=["007", theirs, "other"]), ["success"] * 3)

    found = match(sent, results)

    assert found["sf__Id"].to_pylist() == ["1", "2", "0"]


def test_a_number_is_not_taken_for_an_id_with_zeros():
    found = match(texts(A=["7"]), answered(texts(A=["007"]), ["success"]))

    assert found["outcome"].to_pylist() == ["unknown"]


def test_a_row_without_result_is_unknown_and_a_result_without_row_is_no_rows():
    sent = texts(A=["x", "y"])

    found = match(sent, answered(texts(A=["z", "y"]), ["failed", "success"]))

    assert found["outcome"].to_pylist() == ["unknown", "success"]
    assert found["sf__Id"].to_pylist() == [None, "1"]
    assert match(sent, answered(sent.slice(0, 0), []))["outcome"].to_pylist() == ["unknown"] * 2


def test_many_rows_of_which_half_are_equal_need_no_more_memory():
    sent = texts(A=["same"] * 20_000 + [str(n) for n in range(20_000)])
    order = random.Random(7).sample(range(40_000), 40_000)

    found = match(sent, answered(sent, ["success"] * 40_000).take(pa.array(order)))

    assert found["sf__Id"][20_000:].to_pylist() == [str(20_000 + n) for n in range(20_000)]


_MILLION = """
import resource, sys, time
import numpy as np, pyarrow as pa
from bulknb._marks import mark, sign
from bulknb._outcomes import codes_of, told
from bulknb._reconcile import matched_by_mark

rows, key = 1_000_000, sys.argv[1] or None
numbers = np.arange(rows)
columns = {f"F{n}": pa.array(numbers * 7 // n % 5_003).cast(pa.string()) for n in range(1, 10)}
sent = pa.table({**columns, "Key": pa.array(numbers).cast(pa.string())})
if key is None:
    sent = sent.set_column(9, "Key", sent["F1"])
order = np.random.default_rng(7).permutation(rows)
results = sent.take(pa.array(order))
results = results.append_column("sf__Created", pa.array([True] * rows))
errors = pa.array([""] * rows, pa.large_string()).dictionary_encode()
results = results.append_column("sf__Error", errors)
results = results.append_column("outcome", told(np.zeros(rows, np.int8)))
results = results.append_column("sf__Id", pa.array(order).cast(pa.large_string()))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.process_time()
names = sorted(sent.column_names, key=lambda name: name != key)
names, marks = sign(names, lambda name: mark(sent, [name]))
results = results.append_column("mark", pa.array(mark(results, names)))
found = matched_by_mark(marks, results, "750")
seconds = time.process_time() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
lost = np.count_nonzero(codes_of(found["outcome"]))
right = found["sf__Id"].equals(pa.chunked_array([pa.array(numbers).cast(pa.large_string())]))
print(seconds, (peak - before) / 1024, lost, right)
"""


@pytest.mark.parametrize("key", ["Key", ""])
def test_a_million_shuffled_results_are_joined_in_seconds(key):
    done = subprocess.run(
        [sys.executable, "-c", _MILLION, key], capture_output=True, text=True, check=True
    )

    seconds, megabytes, lost, right = done.stdout.split()
    assert float(seconds) < 6
    assert float(megabytes) < 600
    assert lost == "0"
    assert right == "True" or not key
