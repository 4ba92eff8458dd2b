"""Whatever holds rows (a frame, a file, a stream of frames) -> its rows, piece by piece.

A frame or an Arrow table in memory is read where it is; everything else is streamed and never held
as a whole. The cells of a CSV file are its text, whatever they look like.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv as pacsv

from .errors import InputError

__all__ = ["Piece", "Rows", "Source"]

#: Rows in memory.
Rows: TypeAlias = "pd.DataFrame | pa.Table"

_BLOCK_BYTES = 8 << 20
_BROKEN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)
#: Rows of a Parquet file or Dataset that are read at once.
_BATCH_ROWS = 16_384


@dataclass(frozen=True)
class Piece:
    """Some rows, and what they are called."""

    rows: Rows
    labels: pd.Index

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a frame; of a table, each column in its own Arrow type."""
        if isinstance(self.rows, pd.DataFrame):
            return self.rows
        frame: pd.DataFrame = self.rows.to_pandas(types_mapper=pd.ArrowDtype)
        return frame.set_axis(self.labels)

    def slice(self, start: int, stop: int) -> Piece:
        """Return the rows from ``start`` up to ``stop``."""
        labels = self.labels[start:stop]
        if isinstance(self.rows, pd.DataFrame):
            return Piece(self.rows.iloc[start:stop], labels)
        return Piece(self.rows.slice(start, stop - start), labels)

    def select(self, columns: list[str]) -> Piece:
        """Return some columns of the rows."""
        if isinstance(self.rows, pd.DataFrame):
            return Piece(self.rows[columns], self.labels)
        return Piece(self.rows.select(columns), self.labels)

    def take(self, places: Any) -> Piece:
        """Return the rows at some places, in their order."""
        labels = self.labels[places]
        if isinstance(self.rows, pd.DataFrame):
            return Piece(self.rows.iloc[places], labels)
        return Piece(self.rows.take(pa.array(places)), labels)


@dataclass(frozen=True)
class Source:
    """Rows to load, wherever they are.

    Attributes
    ----------
    columns : Index
        Names of the columns.
    held : Piece, optional
        All rows, if they are in memory.
    pieces : callable
        Reads the rows from the first one on. A row is called by the index of its frame, else by
        its number, counted from 0: as pandas would call it that reads the same file.
    text : bool
        Whether the cells are text as it is to be sent, ``#N/A`` included.
    once : bool
        Whether the rows can be read a single time only.
    """

    columns: pd.Index
    pieces: Callable[[], Iterator[Piece]]
    held: Piece | None = None
    text: bool = False
    once: bool = False

    @classmethod
    def of(cls, data: Any) -> Source:
        """Return the source that some data are.

        Parameters
        ----------
        data : DataFrame, path, Arrow Table, RecordBatchReader or Dataset, or iterable of frames
            Paths end in .csv, .csv.gz or .parquet. A frame may be of any library that speaks
            Arrow's C stream (``__arrow_c_stream__``), such as polars.

        Raises
        ------
        InputError
            It is something else, or a file that is not there.
        """
        if isinstance(data, Source):
            return data
        if isinstance(data, str | Path):
            return _file(Path(data))
        if isinstance(data, pa.RecordBatchReader):
            return _stream(lambda: _tables(data), pd.Index(data.schema.names), once=True)
        if callable(getattr(data, "scanner", None)):
            return _dataset(data)
        held = _in_memory(data)
        if held is not None:
            return cls(_columns(held.rows), lambda: iter([held] if held else []), held=held)
        if isinstance(data, Iterable) and not isinstance(data, bytes | dict):
            return _frames(data)
        raise InputError(
            f"A {type(data).__name__} cannot be loaded: give a frame, the path of a .csv, .csv.gz "
            "or .parquet file, an Arrow table, or an iterable of frames"
        )

    @property
    def empty(self) -> bool:
        """Whether there are no rows or no columns; of a stream, the columns alone are known."""
        if self.once:
            return not len(self.columns)
        return not len(self.columns) or next(self.pieces(), None) is None

    def count(self) -> int:
        """Return how many rows there are, if need be by reading them.

        Raises
        ------
        InputError
            They can be read a single time only.
        """
        if self.held is not None:
            return len(self.held)
        self._demand_again("Its rows are counted before they are read to be sent")
        return sum(map(len, self.pieces()))

    def at(self, places: Any) -> Source:
        """Return the rows at some places; of a stream, which is read again, in its own order.

        Raises
        ------
        InputError
            They can be read a single time only.
        """
        if self.held is not None:
            held = self.held.take(places)
            return replace(self, pieces=lambda: iter([held]), held=held)
        self._demand_again("Its rows are read again to be sent again")
        return replace(self, pieces=lambda: _picked(self.pieces(), np.sort(places)))

    def order_by(self, columns: str | list[str]) -> Any:
        """Return the places of the rows in the order of some columns.

        Raises
        ------
        InputError
            The rows are not in memory, or have no such columns.
        """
        if self.held is None:
            raise InputError("order_by= sorts rows in memory: give a frame of them")
        names = [columns] if isinstance(columns, str) else columns
        if missing := [name for name in names if name not in self.columns]:
            raise InputError(f"There is no column {missing[0]!r} to sort by")
        frame = self.held.select(names).frame.reset_index(drop=True)
        return frame.sort_values(names, kind="stable").index.to_numpy()

    def texts(self, column: str) -> pd.Series:
        """Return a column as text, missing values as NA."""
        pieces = (piece.select([column]).frame for piece in self.pieces())
        return pd.concat([frame[column].astype("string") for frame in pieces])

    def _demand_again(self, why: str) -> None:
        if self.once:
            raise InputError(
                f"{why}, and this stream can be read a single time only: give the file, the table "
                "or a list of the frames that it comes from"
            )


def _picked(pieces: Iterator[Piece], places: Any) -> Iterator[Piece]:
    """Yield the rows at some places, which ascend."""
    start = 0
    for piece in pieces:
        first, last = np.searchsorted(places, [start, start + len(piece)])
        if first < last:
            yield piece.take(places[first:last] - start)
        start += len(piece)


def _columns(rows: Rows) -> pd.Index:
    return rows.columns if isinstance(rows, pd.DataFrame) else pd.Index(rows.column_names)


def _in_memory(data: Any) -> Piece | None:
    """Return the rows of a frame or table of any library, None if it is neither."""
    if isinstance(data, pd.DataFrame):
        return Piece(data.copy(deep=False), data.index)
    if isinstance(data, pa.RecordBatch) or hasattr(data, "__arrow_c_stream__"):
        table = _without_views(pa.table(data))
        return Piece(table, pd.RangeIndex(len(table)))
    return None


def _without_views(table: pa.Table) -> pa.Table:
    """Return the table with plain text for text views, of which Arrow can take no single rows."""
    schema = pa.schema(
        field.with_type(pa.large_string()) if pa.types.is_string_view(field.type) else field
        for field in table.schema
    )
    return table.cast(schema)


def _stream(tables: Callable[[], Iterator[pa.Table]], columns: pd.Index, **facts: Any) -> Source:
    """Return the source of tables whose rows are called by their number."""

    def pieces() -> Iterator[Piece]:
        at = 0
        for table in tables():
            if len(table):
                yield Piece(table, pd.RangeIndex(at, at + len(table)))
                at += len(table)

    return Source(columns, pieces, **facts)


def _tables(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    return (pa.Table.from_batches([batch]) for batch in batches)


def _dataset(data: Any) -> Source:
    from pyarrow import dataset

    # Else Arrow reads on while nobody asks for rows, and holds what it has read.
    options: dict[str, Any] = {"batch_readahead": 0, "fragment_readahead": 0, "use_threads": False}
    if isinstance(getattr(data, "format", None), dataset.ParquetFileFormat):
        options["fragment_scan_options"] = dataset.ParquetFragmentScanOptions(pre_buffer=False)

    def tables() -> Iterator[pa.Table]:
        return _tables(data.scanner(batch_size=_BATCH_ROWS, **options).to_batches())

    return _stream(tables, pd.Index(data.schema.names))


def _frames(data: Iterable[Any]) -> Source:
    """Return the source of frames one after the other, all with the same columns."""
    frames = iter(data)
    once = frames is data
    first = next(frames, None)
    if first is None:
        raise InputError("There are no frames to load")
    columns = _columns(_frame(first, 0).rows)

    def pieces() -> Iterator[Piece]:
        at = 0
        for number, frame in enumerate(chain([first], frames) if once else data):
            piece = _frame(frame, number)
            if not isinstance(piece.rows, pd.DataFrame):
                piece = Piece(piece.rows, pd.RangeIndex(at, at + len(piece)))
            at += len(piece)
            if not _columns(piece.rows).equals(columns):
                raise InputError(f"Frame {number} has other columns than the first one")
            if len(piece):
                yield piece

    return Source(columns, pieces, once=once)


def _frame(frame: Any, number: int) -> Piece:
    piece = _in_memory(frame)
    if piece is None:
        raise InputError(f"Item {number} is a {type(frame).__name__}, not a frame")
    return piece


def _file(path: Path) -> Source:
    if not path.is_file():
        raise InputError(f"There is no file {str(path)!r}")
    name = path.name.lower()
    if name.endswith(".parquet"):
        return _parquet(path)
    if name.endswith((".csv", ".csv.gz")):
        return _csv_file(path)
    raise InputError(f"{path.name!r} ends in none of .csv, .csv.gz and .parquet")


def _parquet(path: Path) -> Source:
    from pyarrow import parquet  # takes a moment, and most loads are of frames

    def tables() -> Iterator[pa.Table]:
        # Else it holds all that was read so far.
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BLOCK_BYTES) as file:
            yield from _tables(file.iter_batches(_BATCH_ROWS))

    with parquet.ParquetFile(path) as file:
        return _stream(tables, pd.Index(file.schema_arrow.names))


def _csv_file(path: Path) -> Source:
    """Return the source of a CSV file: its cells as they are, an empty one missing."""
    try:
        with io.TextIOWrapper(_binary(path), "utf-8-sig", newline="") as text:
            names = next(csv.reader(text), [])
        quotes = _count(path, b'"')
    except (UnicodeDecodeError, csv.Error, *_BROKEN_GZIP) as error:
        trouble = type(error).__name__  # its text may quote a row
    else:
        if quotes % 2:  # Arrow would take the rest of the file for the text of a cell
            raise InputError(
                f"{path.name!r} ends inside a quoted cell of row {_broken_row(path)}: the file was "
                "cut off, or a quote is missing or not doubled"
            )
        return _stream(lambda: _csv_tables(path, names), pd.Index(names), text=True)
    raise InputError(f"{path.name!r} cannot be read as CSV in UTF-8 ({trouble})")


def _count(path: Path, byte: bytes) -> int:
    with _binary(path) as file:
        return sum(block.count(byte) for block in iter(lambda: file.read(_BLOCK_BYTES), b""))


def _broken_row(path: Path) -> int:
    """Return the number of the row that follows the last one in good order."""
    rows = 0
    with io.TextIOWrapper(_binary(path), "utf-8-sig", newline="") as text, suppress(csv.Error):
        for _ in csv.reader(text, strict=True):
            rows += 1
    return rows - 1  # the header is no row


def _binary(path: Path) -> Any:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _csv_tables(path: Path, names: list[str]) -> Iterator[pa.Table]:
    row = None
    try:
        with _binary(path) as file:
            yield from _tables(_csv_batches(file, names))
            return
    except (pa.ArrowException, *_BROKEN_GZIP) as error:
        row = re.search(r"Row #(\d+)", str(error))  # the rest of the text may quote the row
    where = f"row {int(row[1]) - 2} of it" if row else "it to its end"
    raise InputError(f"{path.name!r}: {where} cannot be read as CSV in UTF-8")


def _csv_batches(file: Any, names: list[str]) -> Any:
    return pacsv.open_csv(
        file,
        read_options=pacsv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
        parse_options=pacsv.ParseOptions(
            newlines_in_values=True, ignore_empty_lines=len(names) > 1
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
