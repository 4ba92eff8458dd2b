"""Pages of a result -> Parquet and CSV files that get their names when all is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet

from ._pages import Page
from .errors import InputError

__all__ = ["write_csv", "write_parquet", "write_parquet_folder"]


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
                for batch in page.batches():
                    out.write_batch(batch)
        file.flush()
        os.fsync(file.fileno())


def _parquet_writer(file: Any, schema: pa.Schema) -> parquet.ParquetWriter:
    return parquet.ParquetWriter(file, schema, compression="zstd")
