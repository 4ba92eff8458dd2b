"""What the store gives back is what it was given."""

import pytest

from bulknb.sandbox import csvtext
from bulknb.sandbox.store import Outcome, Store

LINES = [f'"{row}","two\nlines"' for row in range(4_500)]


@pytest.fixture
def store():
    store = Store(":memory:")
    yield store
    store.close()


@pytest.mark.parametrize(
    ("first", "limit"),
    [
        (0, -1),
        (0, 10),
        (1_990, 20),
        (2_000, 2_000),
        (3_999, 1),
        (4_499, 50),
        (4_500, 1),
        (7, 0),
        (2**63 - 1, 50_000),
    ],
)
def test_a_result_is_cut_at_any_row(store, first, limit):
    store.save_results("owner", iter(LINES))
    store.save_results("other", iter(LINES[:3]))
    assert store.count_results("owner") == len(LINES)
    end = len(LINES) if limit < 0 else first + limit
    assert store.results("owner", first, limit) == LINES[first:end]


def test_outcomes_come_back_by_row(store):
    outcomes = [Outcome("001", True, ""), Outcome("", False, "CODE:text:Name --")]
    store.save_outcomes("batch", 200, outcomes)
    store.save_outcomes("batch", 0, outcomes[:1])
    assert store.outcomes("batch") == {0: outcomes[0], 200: outcomes[0], 201: outcomes[1]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_an_upload_is_cut_into_pieces_of_whole_rows(quote, end):
    rows = [["Name", "Note"], *([f"{quote}é {row}{quote}", "x"] for row in range(25)), ["last"]]
    text = (end + end).join(",".join(row) for row in rows)
    header, *pieces = csvtext.split([text], ",", 10)
    plain = [[cell.strip('"') for cell in row] for row in rows]
    assert list(csvtext.rows(header)) == plain[:1]
    assert [list(csvtext.rows(piece)) for piece in pieces] == [
        plain[1:11],
        plain[11:21],
        plain[21:],
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_upload_is_cut_alike_whatever_the_parts_it_comes_in(end):
    lines = ['"A",B', "1,2", '"two', '""lines""",x', "", "5' 6\" tall,y", "é,\u2028", "last,z"]
    text = end.join(lines)
    pieces = list(csvtext.split([text], ",", 2))
    assert len(pieces) == 4
    for first in range(1, len(text)):
        for size in (1, 7):
            parts = [text[:first], text[first : first + size], text[first + size :]]
            assert list(csvtext.split(parts, ",", 2)) == pieces


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_without_quotes_are_read_like_those_with_quotes(end):
    plain = end.join(["A;B", "1; 2", "", ";", "é\u2028\x0b;\x1c", "one", "a,b;c;d", ""])
    quoted = plain.replace("1; 2", '"1"; 2')
    assert list(csvtext.rows(plain, ";")) == list(csvtext.rows(quoted, ";"))


def test_rows_by_columns_are_quoted_like_single_ones():
    rows = [("a", 1, 2.5), ('say "x"', -3, 1e16), ("two\nlines", 0, 0.1 + 0.2), (None, None, None)]
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    assert csvtext.all_quoted(zip(*rows, strict=True), ";") == [
        csvtext.quoted(row, ";") for row in texts
    ]
