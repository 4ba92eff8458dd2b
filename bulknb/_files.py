"""Pages of a result -> Parquet and CSV files that get their names when all is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet

from ._pages import Page
from .errors import InputError

__all__ = ["write_csv", "write_parquet", "write_parquet_folder"]

_GROUP_ROWS = 50_000


def write_parquet_folder(pages: Iterable[Page], folder: Path) -> list[Path]:
    """Write each page into a file of its own; return the files in order.

    Raises
    ------
    InputError
        The folder holds Parquet files already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("*.parquet")):
        raise InputError(f"{folder} holds Parquet files already: choose another folder")
    written: list[tuple[Path, Path]] = []
    try:
        for page in pages:
            name = f"part-{len(written):05}.parquet"
            # Readers of Parquet folders pass over names with a dot in front.
            written.append((folder / f".{name}", folder / name))
            _write([page], written[-1][0], _parquet_writer)
        for unfinished, file in written:
            unfinished.replace(file)
    finally:
        for unfinished, _ in written:
            unfinished.unlink(missing_ok=True)
    return [file for _, file in written]


def write_parquet(pages: Iterable[Page], file: Path) -> Path:
    """Write all pages into one Parquet file."""
    return _written(pages, file, _parquet_writer)


def write_csv(pages: Iterable[Page], file: Path) -> Path:
    """Write all pages into one CSV file with one header."""
    return _written(pages, file, csv.CSVWriter)


def _written(pages: Iterable[Page], file: Path, writer: Callable[..., Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.part")
    try:
        _write(pages, unfinished, writer)
        return unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _write(pages: Iterable[Page], path: Path, writer: Callable[..., Any]) -> None:
    rest = iter(pages)
    first = next(rest, None)
    with path.open("wb") as file:
        schema = first.schema if first else pa.schema([])
        with writer(file, schema) as out:
            for page in chain([first] if first else [], rest):
                for rows in _groups(page):
                    out.write_table(rows)
        file.flush()
        os.fsync(file.fileno())


def _groups(page: Page) -> Iterator[pa.Table]:
    """Yield the rows of a page, so many at once as a Parquet file has well in a group."""
    waiting: list[pa.RecordBatch] = []
    for batch in page.batches():
        waiting.append(batch)
        if sum(some.num_rows for some in waiting) >= _GROUP_ROWS:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _parquet_writer(file: Any, schema: pa.Schema) -> parquet.ParquetWriter:
    return parquet.ParquetWriter(file, schema, compression="zstd")
