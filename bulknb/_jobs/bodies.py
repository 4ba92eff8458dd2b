"""Rows, and files attached to them -> the body of a 1.0 batch, in the format of its job.

Sources: Bulk API Developer Guide, "Prepare Data Files", "Load Binary Attachments", "Bulk API
Limits".
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, get_args
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pandas as pd

from .. import _csv
from .._chunks import Chunks
from .._encode import Encoding, Nulls
from .._source import Source
from .._xml import NAMESPACE
from ..errors import InputError

__all__ = ["MEDIA_TYPES", "Data", "Files", "batch_bodies", "batch_body", "upload_body"]

Data = pd.DataFrame | str | bytes
#: The columns of a frame that hold files (their bytes, or where they are); or, for rows that are
#: written already, the files by the name that their cells say after the ``#``.
Files = str | Sequence[str] | Mapping[str, "bytes | str | os.PathLike[str]"]

#: contentType of a job -> Content-Type of its batches
MEDIA_TYPES = {
    "CSV": "text/csv",
    "JSON": "application/json",
    "XML": "application/xml",
    "ZIP_CSV": "zip/csv",
    "ZIP_JSON": "zip/json",
    "ZIP_XML": "zip/xml",
}
MAX_ROWS = 10_000
MAX_CHARACTERS = 10_000_000
MAX_BYTES = 10 * 1024 * 1024
MAX_UNZIPPED = 20 * 1024 * 1024
MAX_FILES = 1_000
MAX_NAME_BYTES = 512
#: Salesforce advises it: 150 MB is the most that is taken, after an encoding that grows the data.
MAX_UPLOAD = 100_000_000

_ZIP = "ZIP_"
#: A field, or a parent's field: what may name an XML element, and never anything else.
_XML_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?", re.ASCII)
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: A reader of XML takes a bare one for a line feed.
_CARRIAGE_RETURN = {"\r": "&#13;"}

Row = dict[str, Any]


def upload_body(data: Data, *, tz: str | None, nulls: Nulls, delimiter: str, line: str) -> bytes:
    """Return the CSV of a 2.0 upload; text and bytes are taken as they are.

    Raises
    ------
    InputError
        A value cannot be sent, the data are too large, or the job wants CSV of another kind than
        frames are written in.
    """
    if isinstance(data, pd.DataFrame):
        if (delimiter, line) != ("COMMA", "LF"):
            raise InputError(
                f"A frame is written with COMMA and LF, this job wants {delimiter} and {line}: "
                "create it without columnDelimiter and lineEnding, or upload bytes"
            )
        data = _csv.write(_csv.encode(data, tz=tz, nulls=nulls))
    body = data.encode() if isinstance(data, str) else data
    if len(body) > MAX_UPLOAD:
        raise InputError(
            f"{len(body):,} bytes are more than one 2.0 job takes ({MAX_UPLOAD:,}): "
            "spread them over several jobs, or use org.load()"
        )
    return body


def batch_bodies(
    data: Data, content_type: str, *, tz: str | None, nulls: Nulls, files: Files | None
) -> list[bytes]:
    """Return the bodies of as many batches as a frame needs; of text and bytes one.

    Raises
    ------
    InputError
        A value or a file cannot be sent, or the batch would be over a limit of the API.
    """
    if not isinstance(data, pd.DataFrame):
        return [batch_body(data, content_type, tz=tz, nulls=nulls, files=files)]
    if content_type == "CSV" and files is None:
        encoding = Encoding(tz=tz, nulls=nulls)
        chunks = Chunks(Source.of(data), encoding, limit=MAX_CHARACTERS, rows=MAX_ROWS)
        return [chunk.data for chunk in chunks]
    pieces = (data.iloc[at : at + MAX_ROWS] for at in range(0, max(len(data), 1), MAX_ROWS))
    return [batch_body(piece, content_type, tz=tz, nulls=nulls, files=files) for piece in pieces]


def batch_body(
    data: Data, content_type: str, *, tz: str | None, nulls: Nulls, files: Files | None
) -> bytes:
    """Return the body of one batch.

    Raises
    ------
    InputError
        A value or a file cannot be sent, or the batch would be over a limit of the API.
    """
    zipped = content_type.startswith(_ZIP)
    if files is not None and not zipped:
        raise InputError(
            f'A {content_type} job takes no files: create it with contentType="{_ZIP}CSV"'
        )
    if content_type not in MEDIA_TYPES:
        raise InputError(f"bulknb cannot write batches of content type {content_type}")
    if zipped and isinstance(data, bytes) and files is None:
        return _small_enough(data)  # a zip made elsewhere
    entries: Mapping[str, bytes] = {}
    if isinstance(files, Mapping):
        entries = _named(files)
    elif files is not None:
        if not isinstance(data, pd.DataFrame):
            raise InputError("For rows that are text, files= maps the names in the cells to files")
        data, entries = _attached(data, [files] if isinstance(files, str) else list(files))
    if isinstance(data, pd.DataFrame):
        _check_rows(len(data))
        data = _WRITERS[content_type.removeprefix(_ZIP)](data, tz, nulls)
    body = data.encode() if isinstance(data, str) else data
    return _small_enough(_zipped(body, entries)) if zipped else _short_enough(body)


def _check_rows(rows: int) -> None:
    if rows > MAX_ROWS:
        raise InputError(f"A batch has at most {MAX_ROWS:,} rows, not {rows:,}: add several")


def _short_enough(body: bytes) -> bytes:
    if len(body) > MAX_BYTES or (
        len(body) > MAX_CHARACTERS and len(body.decode(errors="replace")) > MAX_CHARACTERS
    ):
        raise InputError(
            f"A batch has at most 10 MB and {MAX_CHARACTERS:,} characters, this one has "
            f"{len(body):,} bytes: add several"
        )
    return body


def _small_enough(archive: bytes) -> bytes:
    if len(archive) > MAX_BYTES:
        raise InputError(
            f"A zipped batch has at most 10 MB, this one has {len(archive):,} bytes: add several"
        )
    return archive


def _zipped(request: bytes, files: Mapping[str, bytes]) -> bytes:
    if len(files) > MAX_FILES:
        raise InputError(f"A batch has at most {MAX_FILES:,} files, not {len(files):,}")
    size = len(request) + sum(map(len, files.values()))
    if size > MAX_UNZIPPED:
        raise InputError(
            f"A batch has at most 20 MB before it is zipped, this one has {size:,} bytes: "
            "add several"
        )
    sink = io.BytesIO()
    with ZipFile(sink, "w") as archive:
        for name, content in {"request.txt": request, **files}.items():
            # ZipInfo has a fixed date: the same rows and files are the same bytes.
            archive.writestr(ZipInfo(name), content, compress_type=ZIP_DEFLATED)
    return sink.getvalue()


def _attached(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, dict[str, bytes]]:
    """Return the frame with ``#name`` in the cells that held files, and the files by name."""
    entries: dict[str, bytes] = {}
    if missing := [name for name in columns if name not in frame]:
        raise InputError(f"files= names {missing[0]!r}, which is no column of the frame")
    cells = {}
    for column in columns:
        cells[column] = pd.Series(
            [
                _attach(entries, value, column, row, label)
                for row, (label, value) in enumerate(frame[column].items())
            ],
            index=frame.index,
            dtype="string",
        )
    return frame.assign(**cells), entries


def _attach(
    entries: dict[str, bytes], value: Any, column: str, row: int, label: object
) -> str | None:
    """Take in one file; its name says the place and the kind, not where it was on this machine."""
    if not isinstance(value, bytes | str | os.PathLike):
        if pd.isna(value):
            return None
        raise InputError(
            f"Row {label!r}, column {column!r}: a file is bytes or a path, "
            f"not {type(value).__name__}"
        )
    kind = "" if isinstance(value, bytes) else PurePath(value).suffix
    name = f"{column}/{row}{kind}"
    entries[name] = _content(value, f"Row {label!r}, column {column!r}")
    return f"#{name}"


def _named(files: Mapping[str, Any]) -> dict[str, bytes]:
    for name in files:
        plain = PurePath(name).parts
        if not plain or ".." in plain or name.startswith("/") or name == "request.txt":
            raise InputError(f"files=: {name!r} is no name for a file in a zip")
        if len(name.encode()) > MAX_NAME_BYTES:
            raise InputError(f"files=: a name has at most {MAX_NAME_BYTES} bytes")
    return {name: _content(value, f"files=, {name!r}") for name, value in files.items()}


def _content(value: bytes | str | os.PathLike[str], where: str) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return Path(value).read_bytes()
    except (OSError, ValueError) as error:
        trouble = type(error).__name__
    raise InputError(f"{where}: the file cannot be read ({trouble})")


def _csv_text(frame: pd.DataFrame, tz: str | None, nulls: Nulls) -> str | bytes:
    return _csv.write(_csv.encode(frame, tz=tz, nulls=nulls))


def _json_text(frame: pd.DataFrame, tz: str | None, nulls: Nulls) -> str | bytes:
    # Numbers and booleans are JSON's own; a date is its ISO text.
    return json.dumps([_nested(row) for row in _rows(frame, tz, nulls)], default=str)


def _xml_text(frame: pd.DataFrame, tz: str | None, nulls: Nulls) -> str | bytes:
    for column in frame.columns:
        if not _XML_NAME.fullmatch(column):
            raise InputError(f"Column {column!r} cannot be an XML element: use a CSV job")
    records = "".join(
        f"<sObject>{_elements(_nested(row))}</sObject>" for row in _rows(frame, tz, nulls)
    )
    if _NOT_IN_XML.search(records):
        raise InputError("A value holds a control character, which XML cannot carry: use a CSV job")
    xsi = "http://www.w3.org/2001/XMLSchema-instance"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<sObjects xmlns="{NAMESPACE}" xmlns:xsi="{xsi}">{records}</sObjects>'
    )


_WRITERS = {"CSV": _csv_text, "JSON": _json_text, "XML": _xml_text}


def _rows(frame: pd.DataFrame, tz: str | None, nulls: Nulls) -> Iterator[Row]:
    """Yield the rows as dicts; a missing value is left out, or None if it clears its field."""
    if nulls not in get_args(Nulls):
        raise InputError('nulls is "keep" (leave the field alone) or "clear" (empty it)')
    table = _csv.encode(frame, tz=tz)
    columns = [column.to_pylist() for column in table.columns]
    missing = frame.isna().to_numpy()
    for values, lacking in zip(zip(*columns, strict=True), missing, strict=True):
        pairs = zip(table.column_names, values, lacking, strict=True)
        yield {
            name: None if absent else value
            for name, value, absent in pairs
            if not absent or nulls == "clear"
        }


def _nested(row: Row) -> Row:
    """Return a row with parents as records inside: ``{"Owner": {"Email": …}}``."""
    nested: Row = {}
    for name, value in row.items():
        parent, _, field = name.rpartition(".")
        (nested.setdefault(parent, {}) if parent else nested)[field] = value
    return nested


def _elements(record: Row) -> str:
    return "".join(_element(name, value) for name, value in record.items())


def _element(name: str, value: Any) -> str:
    if value is None:
        return f'<{name} xsi:nil="true"/>'
    if isinstance(value, dict):
        return f"<{name}><sObject>{_elements(value)}</sObject></{name}>"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{escape(text, _CARRIAGE_RETURN)}</{name}>"
