"""Pages of results -> typed Arrow files on disk, each of them whole or not there at all.

A page counts when its body came to its end (length, chunks or gzip), ends with a closed row, and
holds as many rows as the server says; else the same page is asked for again. Half a body can be
framed as well as a whole one: a proxy that cut it tells its new length. Only its content shows it.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from ._gate import TROUBLE, is_spent
from ._typed import Types, read_page, to_frame
from ._wire import Answer, Wire
from .errors import ReconcileError, UnexpectedAnswerError

__all__ = ["Address", "Page", "PageStore", "frame_of", "in_turn", "side_by_side"]

#: So many pages come at the same time.
STREAMS = 4

_TRIES = 5
#: A frame is read in so many passes over the pages.
_PASSES = 8
#: Doubled each time. If the server asks for more, the wire waits for it.
_FIRST_PAUSE_SECONDS = 0.5
_QUOTE = ord('"')
#: A 1.0 query without rows is answered by this sentence in place of a header.
_NO_ROWS = b"Records not found"


@dataclass(frozen=True)
class Address:
    """Where a page is; the same page as long as its job lives."""

    path: str
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The address as one text."""
        return f"{self.path}?{'&'.join(f'{name}={self.params[name]}' for name in self.params)}"


@dataclass(frozen=True)
class Page:
    """A page on disk: how many rows and NUL characters it holds, and what follows it."""

    file: Path
    schema: pa.Schema
    rows: int
    nuls: int
    #: The locator of the next page, "" after the last one.
    following: str
    address: str

    @classmethod
    def read(cls, file: Path) -> Self:
        """Return the page that a file holds."""
        with pa.memory_map(str(file)) as source:
            reader = pa.ipc.open_file(source)
            rows = sum(reader.get_batch(at).num_rows for at in range(reader.num_record_batches))
            said = reader.schema.metadata
            schema = reader.schema.remove_metadata()
        return cls(
            file=file,
            schema=schema,
            rows=rows,
            nuls=int(said[b"nuls"]),
            following=said[b"following"].decode(),
            address=said[b"address"].decode(),
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, in memory of their own: they outlive the file."""
        with pa.OSFile(str(self.file)) as source:
            reader = pa.ipc.open_file(source)
            for at in range(reader.num_record_batches):
                if (batch := reader.get_batch(at)).num_rows:
                    yield batch.replace_schema_metadata()

    def table(self, columns: Sequence[int] | None = None) -> pa.Table:
        """Return all rows, or some columns of them, each column in memory of its own."""
        chosen = range(len(self.schema)) if columns is None else columns
        schema = pa.schema([self.schema.field(at) for at in chosen])
        with pa.memory_map(str(self.file)) as source:
            reader = pa.ipc.open_file(source)
            batches = [reader.get_batch(at) for at in range(reader.num_record_batches)]
            arrays = [pa.concat_arrays([batch.column(at) for batch in batches]) for at in chosen]
        return pa.Table.from_arrays(arrays, schema=schema)


def frame_of(pages: Sequence[Page]) -> pd.DataFrame:
    """Return pages as one frame; a part of the columns at a time, to hold little of it twice."""
    width = len(pages[0].schema) if pages else 0
    size = -(-width // _PASSES) or 1
    passes = [range(at, min(at + size, width)) for at in range(0, width, size)]
    frames = [to_frame(pa.concat_tables(page.table(some) for page in pages)) for some in passes]
    columns = {name: frame[name] for frame in frames for name in frame}
    return pd.DataFrame(columns, copy=False)


class _Body:
    """A body on its way into a file, and what tells whether it is whole."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._quotes = 0
        self._end = b""
        self.start = b""
        self.nuls = 0

    def write(self, piece: bytes) -> None:
        self._file.write(piece)
        self._quotes += int(np.count_nonzero(np.frombuffer(piece, np.uint8) == _QUOTE))
        if b"\0" in piece:  # to look is several times as fast as to count
            self.nuls += piece.count(b"\0")
        self._end = piece[-1:] or self._end
        self.start = self.start or piece[: len(_NO_ROWS) + 1]

    @property
    def whole(self) -> bool:
        """Whether the last row has its end: no cell is open, and there is the line's end."""
        return self._quotes % 2 == 0 and self._end == b"\n"

    @property
    def empty(self) -> bool:
        return not self.start or self.start.lstrip(b'"').startswith(_NO_ROWS)


class PageStore:
    """The pages of one job, each in a file of one folder.

    Parameters
    ----------
    wire : Wire
        The way to the org.
    folder : Path
        Made if need be. Pages that are there already are not fetched again.
    job : str
        The job's id, for messages.
    types : mapping or None
        See `bulknb._typed`.
    delimiter : str
        The job's columnDelimiter.
    counted : bool
        Whether each answer says how many rows it has: 2.0 does.
    durable : bool
        Whether the files are to outlive the power.
    """

    def __init__(
        self,
        wire: Wire,
        folder: Path,
        *,
        job: str,
        types: Types,
        delimiter: str = "COMMA",
        auth_header: str = "Authorization",
        counted: bool = True,
        durable: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._wire = wire
        self._folder = folder
        self._job = job
        self._types = types
        self._delimiter = delimiter
        self._auth_header = auth_header
        self._counted = counted
        self._durable = durable

    def fetch(
        self, number: int, address: Address, heard: Callable[[str], None] | None = None
    ) -> Page:
        """Return a page, from the folder if it is there.

        Parameters
        ----------
        number : int
            Which page it is, from 0.
        heard : callable, optional
            Told the next page's locator, before this page is read.

        Raises
        ------
        ReconcileError
            It came five times, and never whole.
        UnexpectedAnswerError
            It cannot be read as what it should be.
        UnreachableError, ApiError
            It did not come.
        """
        kept = self._kept(number, address)
        if kept is None:
            return self._fetched(number, address, heard or (lambda _: None))
        if heard:
            heard(kept.following)
        return kept

    def _kept(self, number: int, address: Address) -> Page | None:
        try:
            page = Page.read(self._file(number))
        except (FileNotFoundError, pa.ArrowInvalid):
            return None  # what is no page any more is fetched again
        return page if page.address == address.key else None

    def _file(self, number: int) -> Path:
        return self._folder / f"page-{number:06}.arrow"

    def _fetched(self, number: int, address: Address, heard: Callable[[str], None]) -> Page:
        body = self._folder / f"page-{number:06}.csv"
        try:
            for attempt in itertools.count(1):
                try:
                    return self._try(number, address, body, heard)
                except (*TROUBLE, ReconcileError) as error:
                    if attempt == _TRIES or is_spent(error, read=True):
                        raise
                self._wire.clock.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        finally:
            body.unlink(missing_ok=True)
        raise AssertionError("the loop above returns or raises")

    def _try(self, number: int, address: Address, path: Path, heard: Callable[[str], None]) -> Page:
        name = f"Page {number + 1:,} of job {self._job}"
        with path.open("wb") as file:
            body = _Body(file)
            answer = self._wire.download(
                address.path, body.write, params=address.params, auth_header=self._auth_header
            )
        following = _locator(answer)
        if not body.whole and not body.empty:
            raise ReconcileError(f"{name} was cut off on its way. Ask again later")
        heard(following)
        metadata = {
            "address": address.key,
            "following": following,
            "nuls": str(body.nuls),
        }
        unfinished = path.with_suffix(".part")
        rows = self._convert(name, path, unfinished, metadata, empty=body.empty)
        said = answer.headers.get("Sforce-NumberOfRecords")
        if self._counted and said != str(rows):
            raise ReconcileError(
                f"{name} holds {rows:,} rows, the server says {said or 'nothing'}. Ask again later"
            )
        return Page.read(unfinished.replace(self._file(number)))

    def _convert(
        self, name: str, source: Path, target: Path, metadata: dict[str, str], *, empty: bool
    ) -> int:
        """Write a CSV file as an Arrow file, and return its number of rows."""
        rows, problem = 0, ""
        try:
            batches = iter([_no_rows()]) if empty else self._batches(source)
            first = next(batches)
            schema = first.schema.with_metadata(metadata)
            with target.open("wb") as file:
                with pa.ipc.new_file(file, schema) as writer:
                    for batch in itertools.chain([first], batches):
                        writer.write_batch(batch)
                        rows += batch.num_rows
                if self._durable:
                    os.fsync(file.fileno())
        except UnexpectedAnswerError as error:
            problem = str(error)
        if problem:
            raise UnexpectedAnswerError(f"{name} {problem}")
        return rows

    def _batches(self, path: Path) -> Iterator[pa.RecordBatch]:
        return read_page(path, types=self._types, delimiter=self._delimiter)


def in_turn(
    fetch: Callable[[int, Address, Callable[[str], None]], Page],
    address: Callable[[str], Address],
) -> Iterator[Page]:
    """Yield pages each of which names the next: that one comes while this one is read.

    Raises
    ------
    ReconcileError
        The locators run in a circle.
    """
    pool = ThreadPoolExecutor(2, "bulknb-page")
    pending: deque[Future[Page]] = deque()
    locator, seen = "", {""}
    try:
        while True:
            heard: Future[str] = Future()
            pending.append(pool.submit(_telling, fetch, len(seen) - 1, address(locator), heard))
            locator = heard.result()
            if not locator:
                break
            if locator in seen:
                raise ReconcileError("The pages run in a circle: a locator came twice")
            seen.add(locator)
            if len(pending) > 1:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def side_by_side(
    fetch: Callable[[int, Address], Page], addresses: Iterable[Address]
) -> Iterator[Page]:
    """Yield pages in their order, some fetched at the same time."""
    pool = ThreadPoolExecutor(STREAMS, "bulknb-page")
    pending: deque[Future[Page]] = deque()
    try:
        for number, address in enumerate(addresses):
            if len(pending) > STREAMS:
                yield pending.popleft().result()
            pending.append(pool.submit(fetch, number, address))
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _telling(
    fetch: Callable[[int, Address, Callable[[str], None]], Page],
    number: int,
    address: Address,
    heard: Future[str],
) -> Page:
    """Fetch a page, telling at once which locator follows, or that none will come."""

    def tell(locator: str) -> None:
        if not heard.done():
            heard.set_result(locator)
        elif heard.result() != locator:
            raise ReconcileError(f"Page {number + 1:,} came twice, with two locators")

    try:
        return fetch(number, address, tell)
    except BaseException as error:
        if not heard.done():
            heard.set_exception(error)
        raise


def _locator(answer: Answer) -> str:
    """Return the next page's locator; the last page has the text "null", or none."""
    locator = answer.headers.get("Sforce-Locator", "")
    return "" if locator == "null" else locator


def _no_rows() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=pa.schema([]))
