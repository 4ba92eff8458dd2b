"""Rows from wherever they are, cut into files: exact bytes, whole records, bounded memory."""

from __future__ import annotations

import gc
import gzip
import hashlib
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import dataset, parquet

from bulknb import _chunks, _csv, _source
from bulknb._chunks import Chunks
from bulknb._encode import Encoding
from bulknb._source import Source
from bulknb.errors import InputError

ROWS = 1_000
FRAME = pd.DataFrame(
    {
        "Key__c": [f"k{row}" for row in range(ROWS)],
        "Note__c": ["a", 'b "quoted"', "c\nd", None] * (ROWS // 4),
        "Count__c": pd.array([1, None] * (ROWS // 2), dtype="Int64"),
    }
)
SENT = _csv.decode(_csv.write(Encoding().table(FRAME)))


@pytest.fixture
def path(tmp_path) -> Callable[[str], str]:
    def write(suffix: str) -> str:
        file = tmp_path / f"rows{suffix}"
        if suffix == ".parquet":
            parquet.write_table(pa.table(FRAME), file, row_group_size=300)
        else:
            data = FRAME.to_csv(index=False).encode("utf-8-sig")
            file.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
        return str(file)

    return write


def in_frames(size: int = 300) -> list[pd.DataFrame]:
    return [FRAME[at : at + size] for at in range(0, ROWS, size)]


SOURCES = {
    "frame": lambda path: FRAME,
    "csv": lambda path: path(".csv"),
    "csv.gz": lambda path: path(".csv.gz"),
    "parquet": lambda path: path(".parquet"),
    "table": lambda path: pa.table(FRAME),
    "reader": lambda path: pa.table(FRAME).to_reader(max_chunksize=300),
    "dataset": lambda path: dataset.dataset(path(".parquet")),
    "polars": lambda path: polars.from_pandas(FRAME),
    "list": lambda path: in_frames(),
    "generator": lambda path: iter(in_frames()),
    "tables": lambda path: [
        pa.Table.from_pandas(frame, preserve_index=False) for frame in in_frames()
    ],
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_of_source_gives_the_same_rows_and_labels(kind, path):
    source = Source.of(SOURCES[kind](path))
    chunks = Chunks(source, Encoding(clear_text=source.text), limit=5_000)

    sent = list(chunks)

    rows = pa.concat_tables(_csv.decode(chunk.data) for chunk in sent)
    assert rows.equals(SENT)
    assert all(len(chunk.data) <= 5_000 for chunk in sent)
    assert [chunk.stop for chunk in sent][:-1] == [chunk.start for chunk in sent][1:]
    assert chunks.index.equals(FRAME.index)
    assert not source.empty
    for chunk in sent:
        assert chunks.read(chunk.start, chunk.stop) == chunk.data
        assert hashlib.sha256(chunk.data).hexdigest() == chunk.sha256
        texts = chunks.texts(chunk.start, chunk.stop, ["Key__c", "Count__c"])
        assert texts.equals(_csv.decode(chunk.data, columns=["Key__c", "Count__c"]))


@pytest.mark.parametrize("kind", ["frame", "csv", "parquet", "dataset", "list"])
def test_a_chunk_read_by_another_process_has_the_same_bytes(kind, path):
    def chunks() -> Chunks:
        source = Source.of(SOURCES[kind](path))
        return Chunks(source, Encoding(nulls="clear"), limit=7_000, together=["Key__c"])

    sent = list(chunks())

    assert [chunks().read(chunk.start, chunk.stop) for chunk in sent] == [c.data for c in sent]


@given(
    st.lists(st.text('ab\n"é', max_size=9), min_size=1),
    st.integers(0, 200),
    st.none() | st.integers(1, 5),
)
def test_files_are_as_full_as_they_can_be(texts, room, most):
    frame = pd.DataFrame({"Text": pd.Series(texts, dtype=str)})
    row_bytes = [len(_csv.write(Encoding().table(frame[at : at + 1]))) - 7 for at in frame.index]
    limit = 7 + max(row_bytes) + room

    chunks = list(Chunks(Source.of(frame), Encoding(), limit=limit, rows=most))

    rows = [row for chunk in chunks for row in _csv.decode(chunk.data)["Text"].to_pylist()]
    assert rows == texts
    for chunk in chunks:
        assert len(chunk.data) == 7 + sum(row_bytes[chunk.start : chunk.stop]) <= limit
        assert hashlib.sha256(chunk.data).hexdigest() == chunk.sha256
        assert most is None or chunk.stop - chunk.start <= most
        if chunk.stop < len(texts) and chunk.stop - chunk.start != most:
            assert len(chunk.data) + row_bytes[chunk.stop] > limit


def test_a_row_above_the_limit_is_refused_by_its_label():
    frame = pd.DataFrame({"Text": ["short", "x" * 100]}, index=["one", "two"])

    with pytest.raises(InputError, match="Row 'two' alone is larger than 60 bytes"):
        list(Chunks(Source.of(frame), Encoding(), limit=60))


groups = st.lists(st.tuples(st.sampled_from(["a", "A", "b", "c", None]), st.integers(0, 6)))


@given(groups.filter(len), st.integers(1, 4))
def test_equal_values_of_a_frame_come_into_one_file(rows, most):
    frame = pd.DataFrame(rows, columns=["Parent", "Key"]).astype({"Parent": "str"})
    frame["Row"] = range(len(frame))
    tied = frame["Parent"].str.lower()
    sizes = tied.value_counts()
    chunks = Chunks(
        Source.of(frame), Encoding(), limit=10**6, rows=max([most, *sizes]), together=["Parent"]
    )

    sent = [_csv.decode(chunk.data) for chunk in chunks]

    homes = pd.concat([table.to_pandas().assign(file=n) for n, table in enumerate(sent)])
    homes = homes[homes["Parent"] != ""]
    assert (homes.groupby(homes["Parent"].str.lower())["file"].nunique() == 1).all()
    order = pa.concat_tables(sent)["Row"].cast(pa.int64()).to_pylist()
    assert order == (list(range(len(frame))) if chunks.order is None else chunks.order.tolist())


def test_rows_tied_by_either_of_two_columns_come_into_one_file():
    frame = pd.DataFrame({"A": list("xyzx"), "B": list("pqqr")})

    chunks = Chunks(Source.of(frame), Encoding(), limit=10**6, rows=2, together=["A", "B"])

    assert [(c.start, c.stop) for c in chunks] == [(0, 2), (2, 4)]
    assert chunks.texts(0, 2, ["A"])["A"].to_pylist() == ["x", "x"]


def test_a_group_above_the_limit_is_refused_by_its_first_row():
    frame = pd.DataFrame({"Parent": list("abbb")}, index=list("wxyz"))

    with pytest.raises(InputError, match=r"Parent of row 'x' are more than .* or 2 rows"):
        list(Chunks(Source.of(frame), Encoding(), limit=10**6, rows=2, together=["Parent"]))


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.integers(1, 4))
def test_neighbours_of_a_stream_stay_together(values, size):
    values = sorted(values)
    most = max(values.count(value) for value in values)
    frames = [pd.DataFrame({"P": values[at : at + size]}) for at in range(0, len(values), size)]
    chunks = Chunks(Source.of(iter(frames)), Encoding(), limit=10**6, rows=most + 1, together=["P"])

    sent = [_csv.decode(chunk.data)["P"].to_pylist() for chunk in chunks]

    assert [value for part in sent for value in part] == values
    assert sum(len(set(part)) for part in sent) == len(set(values))


def test_all_rows_of_a_frame_are_checked_before_the_first_chunk():
    frame = pd.DataFrame({"Text": ["a", "b\0"]})

    with pytest.raises(InputError, match="Row 1, column 'Text'"):
        Chunks(Source.of(frame), Encoding(), limit=10)


def test_a_stream_is_refused_at_its_bad_row_and_gives_nothing_of_that_chunk():
    def frames() -> Iterator[pd.DataFrame]:
        yield pd.DataFrame({"Text": ["a", "b"]})
        yield pd.DataFrame({"Text": ["c", "d\0"]}, index=["third", "fourth"])

    chunks = iter(Chunks(Source.of(frames()), Encoding(), limit=10**6, rows=2))

    assert next(chunks).stop == 2
    with pytest.raises(InputError, match="Row 'fourth', column 'Text'"):
        next(chunks)


def test_cells_of_a_csv_file_are_its_text(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_bytes(b'Id,Size__c\r\n007,1e3\r\n"x\r\ny",\r\nNA,#N/A\r\n')
    source = Source.of(file)

    [chunk] = Chunks(source, Encoding(nulls="keep", clear_text=True), limit=10**6)

    assert _csv.decode(chunk.data).to_pylist() == [
        {"Id": "007", "Size__c": "1e3"},
        {"Id": "x\r\ny", "Size__c": ""},
        {"Id": "NA", "Size__c": "#N/A"},
    ]
    [cleared] = Chunks(source, Encoding(nulls="clear", clear_text=True), limit=10**6)
    assert _csv.decode(cleared.data)["Size__c"].to_pylist() == ["1e3", "#N/A", "#N/A"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a,b\n1,2\n3\n", r"row 1\b.*CSV"),
        (b"a\n\xff\n", "CSV"),
        (b"\xff\n1\n", "CSV"),
        (b"", "CSV"),
        (b'a,b\n1,"2"\n3,"4\n5,6\n', r"inside a quoted cell of row 1\b"),
        (b'a,b\n"1,2\n3,4\n', r"inside a quoted cell of row 0\b"),
        (b'a\n"x"" y\n', r"inside a quoted cell of row 0\b"),
    ],
)
def test_a_broken_csv_file_is_refused_without_its_content(tmp_path, data, problem):
    file = tmp_path / "rows.csv"
    file.write_bytes(data)

    with pytest.raises(InputError, match=problem):
        list(Chunks(Source.of(file), Encoding(), limit=100))


def test_a_packed_csv_file_that_was_cut_off_is_refused_before_its_first_row(tmp_path):
    file = tmp_path / "rows.csv.gz"
    file.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 10_000)[:-20])

    with pytest.raises(InputError, match="EOFError"):
        Source.of(file)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("rows.xlsx", "no file"),
        (__file__, "ends in none of"),
        (42, "int cannot be loaded"),
        (b"Name\nx\n", "bytes cannot be loaded"),
        ([], "no frames"),
        (["Name"], "Item 0 is a str"),
    ],
)
def test_what_is_no_source_is_refused(data, problem):
    with pytest.raises(InputError, match=problem):
        Source.of(data)


def test_frames_of_other_columns_are_refused():
    source = Source.of([FRAME, FRAME.rename(columns=str.upper)])

    with pytest.raises(InputError, match="Frame 1 has other columns"):
        list(source.pieces())


@pytest.mark.parametrize("column", ["Nobody__c", "key__c"])
def test_a_column_to_keep_together_by_has_to_be_there(column):
    with pytest.raises(InputError, match=column):
        Chunks(Source.of(FRAME), Encoding(), limit=10**6, together=[column])


@pytest.mark.parametrize("kind", ["generator", "csv", "parquet", "dataset"])
def test_memory_does_not_grow_with_the_rows(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(_source, "_BLOCK_BYTES", 100_000)
    frame = pd.DataFrame({"Key__c": [f"k{row}" for row in range(20_000)]})

    def source(repeats: int) -> Source:
        if kind == "generator":
            return Source.of(frame[:] for _ in range(repeats))
        rows, file = pd.concat([frame] * repeats), tmp_path / f"{repeats}.parquet"
        if kind == "csv":
            file = file.with_suffix(".csv")
            rows.to_csv(file, index=False)
        else:
            table = pa.Table.from_pandas(rows, preserve_index=False)
            parquet.write_table(table, file, row_group_size=20_000)
        return Source.of(dataset.dataset(file) if kind == "dataset" else file)

    def peak(repeats: int) -> int:
        chunks = Chunks(source(repeats), Encoding(), limit=100_000)
        gc.collect()
        before = pa.total_allocated_bytes()
        return max(pa.total_allocated_bytes() - before for _ in chunks)

    # All rows at once would take 16 MB; how far Arrow reads ahead differs by some 2 MB.
    assert peak(80) < peak(4) + 4_000_000


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_file_has_its_hash_whether_rows_are_taken_back_or_not(monkeypatch, rows):
    go_on = threading.Event()
    updated = _chunks._updated

    def slowly(*args):
        go_on.wait(10)
        return updated(*args)

    monkeypatch.setattr(_chunks, "_updated", slowly)
    table = Encoding().table(pd.DataFrame({"A": ["x"]}))
    file = _chunks._File(100, 100)
    for row in range(3):
        assert file.add(row, table)
    threading.Timer(0.1, go_on.set).start()

    if rows < 3:
        assert file.cut(rows) == rows
    data = file.data()

    assert data == b'"A"\n' + b'"x"\n' * rows
    assert file.hashed(data).result() == hashlib.sha256(data).hexdigest()


def test_slabs_of_a_frame_are_small_where_its_rows_are_large():
    frame = pd.DataFrame({"Text": ["x" * 100_000] * 300})

    chunks = Chunks(Source.of(frame), Encoding(), limit=100_000_000)

    assert np.isclose(chunks._step, 41, atol=1)


def test_rows_that_are_larger_than_a_sample_of_them_fit_all_the_same():
    texts = ["x"] * 20_000
    texts[1_030:1_090] = ["y" * 20_000] * 60  # none of them is in the sample
    frame = pd.DataFrame({"Text": texts})
    limit = 1_000_000

    files = [chunk.data for chunk in Chunks(Source.of(frame), Encoding(), limit=limit)]

    assert all(len(file) <= limit for file in files)
    assert [file[:7] for file in files] == [b'"Text"\n'] * len(files)
    assert b"".join(file[7:] for file in files).decode().split() == [f'"{text}"' for text in texts]
