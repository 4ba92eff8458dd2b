"""Pages of results -> typed rows in memory or on disk, each page whole or not there at all.

A page counts when its body came to its end (length, chunks or gzip), ends with a closed row, and
holds as many rows as the server says; else the same page is asked for again. Half a body can be
framed as well as a whole one: a proxy that cut it tells its new length. Only its content shows it.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa

from ._gate import TROUBLE, is_spent
from ._typed import Types, read_page, to_frame
from ._wire import Answer, Wire
from .errors import ReconcileError, UnexpectedAnswerError

__all__ = ["Address", "Page", "PageStore", "Room", "frame_of", "in_turn", "side_by_side"]

#: So many pages come at the same time.
STREAMS = 4

_TRIES = 5
#: The pages of a query that live no longer than it take so much memory; the others are files.
ROOM_BYTES = 128 << 20
#: A larger page goes through files, a block at a time.
_SMALL_BYTES = 32 << 20
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


class Room:
    """Memory for pages, taken for good: what finds no more of it goes to disk."""

    def __init__(self, size: int | None = None) -> None:
        self._free = ROOM_BYTES if size is None else size
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take so many bytes, if there are as many."""
        with self._lock:
            fits = size <= self._free
            self._free -= size if fits else 0
        return fits


@dataclass(frozen=True)
class Page:
    """A page: how many rows and NUL characters it holds, what follows it, and where it is."""

    schema: pa.Schema
    rows: int
    nuls: int
    #: The locator of the next page, "" after the last one.
    following: str
    address: str
    #: Its rows, or the file that has them.
    content: pa.Table | Path

    @classmethod
    def of(cls, schema: pa.Schema, rows: int, content: pa.Table | Path) -> Self:
        """Return a page whose schema bears the rest of what is to be known of it."""
        return cls(
            schema=schema.remove_metadata(),
            rows=rows,
            nuls=int(schema.metadata[b"nuls"]),
            following=schema.metadata[b"following"].decode(),
            address=schema.metadata[b"address"].decode(),
            content=content,
        )

    @classmethod
    def read(cls, file: Path) -> Self:
        """Return the page that a file holds."""
        with pa.memory_map(str(file)) as source:
            reader = pa.ipc.open_file(source)
            rows = sum(reader.get_batch(at).num_rows for at in range(reader.num_record_batches))
            return cls.of(reader.schema, rows, file)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, in memory of their own: they outlive the file."""
        if isinstance(self.content, pa.Table):
            yield from (batch for batch in self.content.to_batches() if batch.num_rows)
            return
        with pa.OSFile(str(self.content)) as source:
            reader = pa.ipc.open_file(source)
            for at in range(reader.num_record_batches):
                if (batch := reader.get_batch(at)).num_rows:
                    yield batch.replace_schema_metadata()

    def table(self, columns: Sequence[int] | None = None) -> pa.Table:
        """Return all rows, or some columns of them, each column in memory that outlives a file."""
        chosen = list(range(len(self.schema)) if columns is None else columns)
        if isinstance(self.content, pa.Table):
            return self.content.select(chosen)
        schema = pa.schema([self.schema.field(at) for at in chosen])
        with pa.memory_map(str(self.content)) as source:
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
    """A body as it comes, in memory if it is small, and what tells whether it is whole.

    One after the other uses the same memory: to get fresh one takes as long as to read the rows.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._memory = np.empty(_SMALL_BYTES, np.uint8)  # none of it is there until it is used
        self.begin()

    def begin(self) -> None:
        """Forget what came before."""
        self._file.unlink(missing_ok=True)
        self._size = self._quotes = self.nuls = 0
        self._start = self._end = b""

    def write(self, piece: bytes) -> None:
        data = np.frombuffer(piece, np.uint8)
        before, self._size = self._size, self._size + len(data)
        if self.small:
            self._memory[before : self._size] = data
        else:
            with self._file.open("ab") as file:
                if before <= len(self._memory):
                    file.write(self._memory[:before].data)
                file.write(piece)
        self._quotes += int(np.count_nonzero(data == _QUOTE))
        if b"\0" in piece:  # to look is several times as fast as to count
            self.nuls += piece.count(b"\0")
        self._start = self._start or piece[: len(_NO_ROWS) + 1]
        self._end = piece[-1:]

    @property
    def small(self) -> bool:
        """Whether it is in memory."""
        return self._size <= len(self._memory)

    @property
    def whole(self) -> bool:
        """Whether the last row has its end: no cell is open, and there is the line's end."""
        return self._quotes % 2 == 0 and self._end == b"\n"

    @property
    def empty(self) -> bool:
        return not self._size or self._start.lstrip(b'"').startswith(_NO_ROWS)

    def opened(self) -> pa.NativeFile:
        """Return it to be read."""
        if self.small:
            return pa.BufferReader(pa.py_buffer(self._memory[: self._size]))
        return pa.OSFile(str(self._file))


class PageStore:
    """The pages of one job, in memory as long as there is room, else in files of one folder.

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
    room : Room, optional
        Memory for pages. Without it all of them become files that outlive a power cut.
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
        room: Room | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._wire = wire
        self._folder = folder
        self._job = job
        self._types = types
        self._delimiter = delimiter
        self._auth_header = auth_header
        self._counted = counted
        self._room = room
        self._bodies = SimpleQueue[_Body]()
        for number in range(STREAMS):
            self._bodies.put(_Body(folder / f"body-{number}.csv"))

    def fetch(
        self,
        number: int,
        address: Address,
        heard: Callable[[str], None] | None = None,
        *,
        anew: bool = False,
    ) -> Page:
        """Return a page, from the folder if it is there.

        Parameters
        ----------
        number : int
            Which page it is, from 0.
        heard : callable, optional
            Told the next page's locator, before this page is read.
        anew : bool
            Whether to ask for it even if it is in the folder.

        Raises
        ------
        ReconcileError
            It came five times, and never whole.
        UnexpectedAnswerError
            It cannot be read as what it should be.
        UnreachableError, ApiError
            It did not come.
        """
        kept = None if anew else self._kept(number, address)
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
        body = self._bodies.get()
        try:
            for attempt in itertools.count(1):
                body.begin()
                try:
                    return self._try(number, address, body, heard)
                except (*TROUBLE, ReconcileError) as error:
                    if attempt == _TRIES or is_spent(error, read=True):
                        raise
                self._wire.clock.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        finally:
            body.begin()
            self._bodies.put(body)
        raise AssertionError("the loop above returns or raises")

    def _try(
        self, number: int, address: Address, body: _Body, heard: Callable[[str], None]
    ) -> Page:
        name = f"Page {number + 1:,} of job {self._job}"
        answer = self._wire.download(
            address.path, body.write, params=address.params, auth_header=self._auth_header
        )
        following = _locator(answer)
        if not body.whole and not body.empty:
            raise ReconcileError(f"{name} was cut off on its way. Ask again later")
        heard(following)
        batches = self._batches(name, body)
        first = next(batches)
        metadata = {"address": address.key, "following": following, "nuls": str(body.nuls)}
        schema = first.schema.with_metadata(metadata)
        batches = itertools.chain([first], batches)
        if self._room and body.small:
            table = pa.Table.from_batches(batches)
            self._demand_count(name, table.num_rows, answer)
            if self._room.take(table.nbytes):
                return Page.of(schema, table.num_rows, table)
            batches = iter(table.to_batches())
        unfinished = self._file(number).with_suffix(".part")
        rows = self._write(unfinished, schema, batches)
        self._demand_count(name, rows, answer)
        return Page.of(schema, rows, unfinished.replace(self._file(number)))

    def _demand_count(self, name: str, rows: int, answer: Answer) -> None:
        said = answer.headers.get("Sforce-NumberOfRecords")
        if self._counted and said != str(rows):
            raise ReconcileError(
                f"{name} holds {rows:,} rows, the server says {said or 'nothing'}. Ask again later"
            )

    def _batches(self, name: str, body: _Body) -> Iterator[pa.RecordBatch]:
        if body.empty:
            yield pa.RecordBatch.from_pylist([], schema=pa.schema([]))
            return
        problem = ""
        try:
            with body.opened() as file:
                yield from read_page(file, types=self._types, delimiter=self._delimiter)
        except UnexpectedAnswerError as error:
            problem = str(error)
        if problem:
            raise UnexpectedAnswerError(f"{name} {problem}")

    def _write(self, path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
        """Write batches as an Arrow file, and return their number of rows."""
        rows = 0
        with path.open("wb") as file:
            with pa.ipc.new_file(file, schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
                    rows += batch.num_rows
            if self._room is None:
                os.fsync(file.fileno())
        return rows


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
