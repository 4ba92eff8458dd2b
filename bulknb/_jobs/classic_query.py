"""A query by Bulk API 1.0 as one result: its batches, their results, PK chunking.

Source: Bulk API Developer Guide, "Walk Through a Bulk Query Sample", "PK Chunking Header".
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from .._jobinfo import BatchInfo, JobInfo
from .._pages import Address, Page, PageStore, Room, side_by_side
from .._typed import Types
from .._wire import Wire
from ..errors import JobFailedError, ReconcileError
from . import batch_results
from .classic import ClassicJob
from .properties import PK_CHUNKING
from .query import too_slow

_TRIES = 5
_PAUSE_SECONDS = 1.0
_ENDED = ("Completed", "Failed", "NotProcessed")


class ClassicQueryJob(ClassicJob):
    """A 1.0 job that answers one SOQL; with PK chunking Salesforce makes a batch for each chunk.

    Parameters
    ----------
    soql : str
        What its first batch is to ask.
    chunking : str
        The value of the header Sforce-Enable-PKChunking, "" for none.
    """

    def __init__(self, wire: Wire, info: JobInfo, *, soql: str = "", chunking: str = "") -> None:
        super().__init__(wire, info)
        self._soql = soql
        self._chunking = chunking
        self._batches: Sequence[BatchInfo] = ()

    @classmethod
    def begin(
        cls, wire: Wire, *, object: str, operation: str, soql: str, chunking: str
    ) -> ClassicQueryJob:
        """Create the job; `settle` gives it its query."""
        headers = {PK_CHUNKING: chunking} if chunking else None
        job = cls.create(wire, {"operation": operation, "object": object}, headers=headers)
        return cls(wire, job.info, soql=soql, chunking=chunking)

    def settle(self) -> bool:
        """Take the job one step on, and return whether it has ended.

        The query is sent if the job has no batch: where an answer got lost, the list shows the
        batch. With PK chunking the job stays open until Salesforce has made all chunks.
        """
        self.refresh()
        self._batches = self._listed()
        states = {batch.state for batch in self._batches}
        if self.state != "Open":
            return bool(self._batches) and states <= {*_ENDED}
        if not self._batches:
            self.add_batch(self._soql.encode())
        elif not self._chunking or states & {"NotProcessed", "Failed"}:
            self.close()
        return False

    def fetch(
        self,
        folder: Path,
        *,
        types: Types,
        page_rows: int | None = None,
        room: Room | None = None,
    ) -> Iterator[Page]:
        """Yield the pages of all batches in order, in the room as far as it goes, else in a folder.

        The server chooses how large they are, whatever ``page_rows`` is.

        Raises
        ------
        JobFailedError
            A batch failed, or the job was aborted.
        ReconcileError
            The results of a batch hold another number of rows than the server says.
        """
        self._demand_whole()
        store = PageStore(
            self._wire,
            folder,
            job=self.id,
            types=types,
            auth_header=self.auth_header,
            counted=False,
            room=room,
        )
        asked: list[tuple[BatchInfo, Address]] = []
        came = enumerate(side_by_side(store.fetch, self._addresses(asked)))
        for _, numbered in itertools.groupby(came, lambda one: asked[one[0]][0].id):
            pages = dict(numbered)
            batch = asked[min(pages)][0]
            addresses = {number: asked[number][1] for number in pages}
            for page in self._complete(store, batch, addresses, pages):
                if page.schema:  # a chunk without rows has no columns either
                    yield page

    def _complete(
        self,
        store: PageStore,
        batch: BatchInfo,
        addresses: Mapping[int, Address],
        pages: Mapping[int, Page],
    ) -> Iterable[Page]:
        """Return the pages of a batch; fetched again if one was cut off between two rows.

        Only their sum is known: no answer of 1.0 says how many rows it has.
        """
        for _ in range(_TRIES - 1):
            if _rows(pages) == batch.number_records_processed:
                break
            self._wire.clock.sleep(_PAUSE_SECONDS)
            pages = {at: store.fetch(at, addresses[at], anew=True) for at in addresses}
        batch_results.demand_count(batch, _rows(pages))
        return pages.values()

    def _with_rows(self) -> list[BatchInfo]:
        return [batch for batch in self._batches if batch.state == "Completed"]

    def _addresses(self, asked: list[tuple[BatchInfo, Address]]) -> Iterator[Address]:
        """Yield where the results of each batch are, and note both."""
        for batch in self._with_rows():
            tail = f"/batch/{batch.id}/result"
            found = batch_results.result_ids(self._request("GET", tail))
            if not found:
                batch_results.demand_count(batch, 0)
            for id in found:
                address = Address(self._path_of(f"{tail}/{id}"))
                asked.append((batch, address))
                yield address

    def _demand_whole(self) -> None:
        if self.state == "Aborted":
            raise JobFailedError(f"Job {self.id} is Aborted")
        for batch in self._batches:
            if batch.state == "Failed":
                reason = batch.state_message or "the server gives no reason"
                raise JobFailedError(
                    f"Batch {batch.id} of job {self.id} is Failed: {reason}{too_slow(reason)}"
                )
        cut = [batch for batch in self._batches if batch.state == "NotProcessed"]
        whole = 0 if self._chunking else len(self._with_rows())
        if len(cut) + whole != 1:
            raise ReconcileError(
                f"Job {self.id} was asked its query more than once or not at all. Query again"
            )


def _rows(pages: Mapping[int, Page]) -> int:
    return sum(page.rows for page in pages.values())
