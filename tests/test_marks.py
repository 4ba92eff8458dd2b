"""Texts -> marks: equal where the texts are, in every process, however they lie in memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulknb._marks import are_distinct, column_marks, mark, sign

BLOCK = 1 << 16
LENGTHS = (0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK)


def marks_of(texts: list[str | None], kind: pa.DataType | None = None) -> list[int]:
    return column_marks(pa.chunked_array([pa.array(texts, kind or pa.string())])).tolist()


@given(st.lists(st.text(), max_size=50))
def test_marks_are_equal_just_where_the_texts_are(texts):
    marks = marks_of(texts)

    assert len(set(marks)) == len(set(texts))
    assert dict(zip(texts, marks, strict=True)) == {text: marks_of([text])[0] for text in texts}


@pytest.mark.parametrize("length", LENGTHS)
def test_a_mark_does_not_depend_on_what_lies_around_the_text(length):
    text = "ä".join("xyz"[at % 3] for at in range(length))
    around = ["a" * 1_000, "", None, text, "b" * BLOCK, text, ""]

    alone = marks_of([text])
    among = marks_of(around)

    assert [among[3], among[5]] == alone * 2
    assert marks_of(around, pa.large_string()) == among
    cut = pa.chunked_array([pa.array(around).slice(2, 4), pa.array(around).slice(6)])
    assert column_marks(cut).tolist() == [*among[2:6], among[6]]


def test_a_mark_is_the_same_in_every_process():
    assert marks_of(["", "Acme", "李雷"]) == [
        0,
        9_970_200_207_385_373_492,
        6_712_044_383_109_407_824,
    ]


def test_nul_characters_and_lengths_count():
    assert are_distinct(np.array(marks_of(["", "\0", "\0\0", "a", "a\0"]), np.uint64))


def test_the_place_of_a_column_counts():
    rows = pa.table({"A": ["x", "y"], "B": ["y", "x"]})

    assert are_distinct(mark(rows, ["A", "B"]))


def test_a_column_that_tells_nothing_more_is_not_used():
    rows = pa.table({"A": ["x", "x", "y"], "B": ["1", "1", "2"], "C": ["1", "2", "1"]})

    names, marks = sign(rows.column_names, lambda name: mark(rows, [name]))

    assert names == ["A", "C"]
    assert marks.tolist() == mark(rows, names).tolist()


def test_keys_that_are_numbered_are_all_told_apart():
    keys = pa.chunked_array([pa.array([f"K-{number:08}" for number in range(200_000)])])

    assert are_distinct(column_marks(keys))
