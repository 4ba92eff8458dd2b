"""What to load, and its rows as the API takes them: the one place that knows the encoder."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from . import _check
from ._chunks import Chunk, Chunks
from ._encode import Nulls
from ._machine import give_back
from ._marks import Marks, sign
from ._source import Source
from ._wire import Wire
from .errors import InputError

__all__ = ["Api", "Mode", "Order", "Rows", "digest", "in_source_order"]

Api = Literal["1.0", "2.0"]
Mode = Literal["parallel", "serial"]

#: 100 MB is the most that Salesforce advises for a 2.0 job: it grows by half in its base64.
CHUNK_BYTES = 95_000_000
#: API -> the most rows and bytes of one upload: a batch of 1.0 ("Bulk API Limits"), a job of 2.0.
UPLOAD_LIMITS: dict[Api, tuple[float, float]] = {
    "1.0": (10_000, 10_000_000),
    "2.0": (math.inf, math.inf),  # of bytes, what is asked for
}


@dataclass(frozen=True)
class Order:
    """What to load and how, as given to ``org.load``; the ledger keeps it as JSON."""

    object: str
    operation: str
    external_id: str | None = None
    tz: str | None = None
    nulls: Nulls = "keep"
    chunk_bytes: int = CHUNK_BYTES
    rows_per_chunk: int | None = None
    keep_together: str | None = None
    api: Api = "2.0"
    mode: Mode = "parallel"
    concurrency: int | None = None
    close: bool = True

    def __post_init__(self) -> None:
        if self.api not in ("1.0", "2.0"):
            raise InputError('api is "2.0" or "1.0"')
        if self.mode not in ("parallel", "serial"):
            raise InputError('mode is "parallel" or "serial"')
        if self.mode == "serial" and self.api == "2.0":
            raise InputError('Bulk API 2.0 has no serial mode: give api="1.0" with it')
        if self.concurrency is not None and self.concurrency < 1:
            raise InputError("concurrency is the number of jobs or batches in flight, 1 or more")
        if self.api == "1.0" and not self.close:
            raise InputError(
                "Bulk API 1.0 works on a batch as soon as it is added, before any close: "
                'close=False needs api="2.0"'
            )


class Rows:
    """The rows of a source that passed the check against the org's describe.

    Attributes
    ----------
    source : Source
        Where they are.
    key_column, key : str or None
        The column that names a record, and its name in the CSV.
    total : int or None
        How many rows there are; None of a stream until it has been read.
    """

    def __init__(self, wire: Wire, source: Source, order: Order) -> None:
        plan = _check.plan(wire, source, order.object, order.operation, order.external_id)
        self.source = source
        self.key_column = plan.key_column
        self.key = plan.key
        self.total = None if source.held is None else len(source.held)
        most_rows, most_bytes = UPLOAD_LIMITS[order.api]
        rows = min(math.inf if order.rows_per_chunk is None else order.rows_per_chunk, most_rows)
        self._chunks = Chunks(
            source,
            plan.encoding(source, tz=order.tz, nulls=order.nulls),
            limit=int(min(order.chunk_bytes, most_bytes)),
            rows=None if rows == math.inf else int(rows),
            together=[name for name in (order.keep_together, plan.key_column) if name],
        )

    def __len__(self) -> int:
        """How many rows there are; of a stream, how many were read so far."""
        return len(self._chunks)

    @property
    def frame(self) -> pd.DataFrame:
        """What outcomes are joined to: the rows in memory, or nothing but what they are called."""
        return self._chunks.frame

    @property
    def places(self) -> bytes | None:
        """Where in the source each row of the chunks stands, for the ledger; None if just there."""
        order = self._chunks.order
        return None if order is None else order.astype(np.uint32).tobytes()

    def chunks(self, start: int = 0) -> Iterator[Chunk]:
        """Yield the rows from `start` on, as CSV files for one job or batch each."""
        yield from self._chunks.after(start)
        self.total = len(self._chunks)

    def finish(self) -> None:
        """Read what is left of a stream, if it can be read again: those rows count too."""
        if self.total is None and not self.source.once:
            self._chunks.finish()
            self.total = len(self._chunks)

    def data(self, start: int, stop: int) -> bytes:
        """Return the CSV file of a chunk again, the same bytes each time."""
        return self._chunks.read(start, stop)

    def sent(self, start: int, stop: int, columns: list[str]) -> pa.Table:
        """Return some columns of a chunk as the texts that were sent."""
        return self._chunks.texts(start, stop, columns)

    def signs(self, start: int, stop: int, data: bytes) -> tuple[list[str], Marks]:
        """Return the columns that tell the rows of a chunk apart, and each row's mark over them."""
        give_back(stop - start)
        names = sorted(self._chunks.header, key=lambda name: name != self.key)
        return sign(names, functools.partial(self._chunks.marks, start, stop, data))


def in_source_order(outcomes: pa.Table, places: bytes | None) -> pa.Table:
    """Return what is in the order of the chunks in the order of the source."""
    if places is None:
        return outcomes
    return outcomes.take(pa.array(np.argsort(np.frombuffer(places, np.uint32))))


def digest(data: bytes) -> str:
    """Return the hash by which a CSV file is known again."""
    return sha256(data).hexdigest()
