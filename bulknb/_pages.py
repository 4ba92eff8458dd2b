"""Pages of results -> typed rows in memory or on disk, each page whole or not there at all.

A page counts when its body came to its end (length, chunks or gzip), ends with a closed row, and
holds as many rows as the server says; else the same page is asked for again. Half a body can be
framed as well as a whole one: a proxy that cut it tells its new length. Only its content shows it.
"""

from __future__ import annotations

import functools
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

import pandas as pd
import pyarrow as pa

from ._csv import DELIMITERS
from ._cuts import Cutter, Run
from ._gate import TROUBLE, is_spent
from ._typed import Types, UnreadableError, read_rows, to_column
from ._wire import Answer, Wire
from .errors import ReconcileError, UnexpectedAnswerError

__all__ = ["Address", "Page", "PageStore", "Room", "frame_of", "in_turn", "side_by_side"]

#: So many pages come at the same time.
STREAMS = 4

_TRIES = 5
#: The pages of a query that live no longer than it take so much memory; the others are files.
ROOM_BYTES = 192 << 20
#: A page of which there is more becomes a file as it comes.
_SMALL_BYTES = 32 << 20
#: Doubled each time. If the server asks for more, the wire waits for it.
_FIRST_PAUSE_SECONDS = 0.5
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
    def of(cls, schema: pa.Schema, facts: Mapping[str, str], content: pa.Table | Path) -> Self:
        """Return the page of which these are the facts."""
        return cls(
            schema=schema,
            rows=int(facts["rows"]),
            nuls=int(facts["nuls"]),
            following=facts["following"],
            address=facts["address"],
            content=content,
        )

    @classmethod
    def read(cls, file: Path) -> Self:
        """Return the page that a file holds: its last batch has no rows, but the facts."""
        with pa.memory_map(str(file)) as source:
            reader = pa.ipc.open_file(source)
            _, said = reader.get_batch_with_custom_metadata(reader.num_record_batches - 1)
            facts = {name.decode(): value.decode() for name, value in (said or {}).items()}
            return cls.of(reader.schema, facts, file)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, in memory of their own: they outlive the file."""
        if isinstance(self.content, pa.Table):
            yield from (batch for batch in self.content.to_batches() if batch.num_rows)
            return
        with pa.OSFile(str(self.content)) as source:
            reader = pa.ipc.open_file(source)
            for at in range(reader.num_record_batches):
                if (batch := reader.get_batch(at)).num_rows:
                    yield batch

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
    """Return pages as one frame; a column after the other, to hold little of it twice."""
    names = pages[0].schema.names if pages else []
    columns = {name: to_column(_column(pages, at)) for at, name in enumerate(names)}
    return pd.DataFrame(columns, copy=False)


def _column(pages: Sequence[Page], at: int) -> pa.ChunkedArray:
    return pa.concat_tables(page.table([at]) for page in pages).column(0)


class _Unfinished:
    """The file of a page, which has another name until all of it is there."""

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        self._file = file
        self._part = file.with_suffix(".part")
        self._schema = schema
        self._sink = self._part.open("wb")
        self._writer = pa.ipc.new_file(self._sink, schema)

    def write(self, rows: pa.Table) -> None:
        self._writer.write_table(rows)

    def finish(self, facts: Mapping[str, str], *, lasting: bool) -> Path:
        """Write the facts, and give the file its name; if it is to last, for a power cut too."""
        none = pa.RecordBatch.from_pylist([], schema=self._schema)
        self._writer.write_batch(none, facts)
        self._writer.close()
        if lasting:
            self._sink.flush()
            os.fsync(self._sink.fileno())
        self._sink.close()
        return self._part.replace(self._file)

    def discard(self) -> None:
        self._sink.close()
        self._part.unlink(missing_ok=True)


class _Body:
    """A page as it comes: its rows are read at once, and kept in memory while they are few.

    One after the other uses the same memory: to get fresh one takes as long as to read the rows.
    """

    def __init__(self, read: Callable[[Run], pa.Table], sign: str) -> None:
        self._cutter = Cutter(read, sign)
        self._unfinished: _Unfinished | None = None

    def begin(self, file: Path, *, most: int) -> None:
        """Forget what came before: a page comes. More than so many bytes of it go to the file."""
        self._cutter.restart()
        self._file, self._most = file, most
        self._start = b""
        self._tables: list[pa.Table] = []
        self._size = self.rows = 0

    def write(self, piece: bytes) -> None:
        """Take the next bytes of the page."""
        self._start += piece[: len(_NO_ROWS) + 1 - len(self._start)]
        self._cutter.write(piece)
        for rows in self._cutter.ready():
            self._keep(rows)

    @property
    def whole(self) -> bool:
        """Whether the last row has its end: no cell is open, and there is the line's end."""
        return self._cutter.whole or self._has_no_rows

    def finish(self) -> None:
        """Keep all rows, now that the page has come."""
        if self._has_no_rows:
            self._keep(pa.table({}))
            return
        for rows in self._cutter.rest():
            self._keep(rows)

    def content(self, room: Room | None, facts: Mapping[str, str]) -> pa.Table | Path:
        """Return the rows, as a table if they are in memory and may stay there, else as a file."""
        if not self._unfinished:
            table = pa.concat_tables(self._tables)
            if room and room.take(table.nbytes):
                return table
        whole, self._unfinished = self._written(), None
        return whole.finish(facts, lasting=room is None)

    def end(self) -> None:
        """Let go of what is there of a page, whole or not."""
        self._tables = []
        if self._unfinished:
            self._unfinished.discard()
        self._unfinished = None

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    @property
    def nuls(self) -> int:
        return self._cutter.nuls

    @property
    def _has_no_rows(self) -> bool:
        return not self._start or self._start.lstrip(b'"').startswith(_NO_ROWS)

    def _keep(self, rows: pa.Table) -> None:
        self._schema = rows.schema
        self.rows += len(rows)
        self._tables.append(rows)
        self._size += rows.nbytes
        if self._unfinished or self._size > self._most:
            self._written()

    def _written(self) -> _Unfinished:
        """Return the file, with all rows that are here."""
        if not self._unfinished:
            self._unfinished = _Unfinished(self._file, self._schema)
        for table in self._tables:
            self._unfinished.write(table)
        self._tables = []
        return self._unfinished


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
        self._auth_header = auth_header
        self._counted = counted
        self._room = room
        self._bodies = SimpleQueue[_Body]()
        read = functools.partial(read_rows, types=types, delimiter=delimiter)
        for _ in range(STREAMS):
            self._bodies.put(_Body(read, DELIMITERS[delimiter]))

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
        except (FileNotFoundError, KeyError, ValueError):
            return None  # what is no page any more is fetched again
        return page if page.address == address.key else None

    def _file(self, number: int) -> Path:
        return self._folder / f"page-{number:06}.arrow"

    def _fetched(self, number: int, address: Address, heard: Callable[[str], None]) -> Page:
        body = self._bodies.get()
        try:
            for attempt in itertools.count(1):
                try:
                    return self._try(number, address, body, heard)
                except (*TROUBLE, ReconcileError) as error:
                    if attempt == _TRIES or is_spent(error, read=True):
                        raise
                finally:
                    body.end()
                self._wire.clock.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        finally:
            self._bodies.put(body)
        raise AssertionError("the loop above returns or raises")

    def _try(
        self, number: int, address: Address, body: _Body, heard: Callable[[str], None]
    ) -> Page:
        name = f"Page {number + 1:,} of job {self._job}"
        body.begin(self._file(number), most=_SMALL_BYTES if self._room else 0)
        problem = ""
        try:
            answer = self._wire.download(
                address.path,
                body.write,
                head=lambda answer: heard(_locator(answer)),
                params=address.params,
                auth_header=self._auth_header,
            )
            if not body.whole:
                raise ReconcileError(f"{name} was cut off on its way. Ask again later")
            body.finish()
        except UnreadableError as error:
            problem = str(error)
        if problem:
            raise UnexpectedAnswerError(f"{name} {problem}")
        said = answer.headers.get("Sforce-NumberOfRecords")
        if self._counted and said != str(body.rows):
            raise ReconcileError(
                f"{name} holds {body.rows:,} rows, the server says {said or 'nothing'}. "
                "Ask again later"
            )
        facts = {
            "rows": str(body.rows),
            "nuls": str(body.nuls),
            "following": _locator(answer),
            "address": address.key,
        }
        return Page.of(body.schema, facts, body.content(self._room, facts))


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
