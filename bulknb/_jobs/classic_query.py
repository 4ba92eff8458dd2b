"""A query by Bulk API 1.0 as one result: its batches, their results, PK chunking.

Source: Bulk API Developer Guide, "Walk Through a Bulk Query Sample", "PK Chunking Header".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
        origin: list[BatchInfo] = []
        rows = {batch.id: 0 for batch in self._with_rows()}
        pages = side_by_side(store.fetch, self._addresses(origin))
        for number, page in enumerate(pages):
            rows[origin[number].id] += page.rows
            if page.schema:  # a chunk without rows has no columns either
                yield page
        for batch in self._with_rows():
            if rows[batch.id] != batch.number_records_processed:
                raise ReconcileError(
                    f"Batch {batch.id} found {batch.number_records_processed} records, "
                    f"its results hold {rows[batch.id]:,}"
                )

    def _with_rows(self) -> list[BatchInfo]:
        return [batch for batch in self._batches if batch.state == "Completed"]

    def _addresses(self, origin: list[BatchInfo]) -> Iterator[Address]:
        """Yield where the results of each batch are, and note the batch."""
        for batch in self._with_rows():
            tail = f"/batch/{batch.id}/result"
            for id in batch_results.result_ids(self._request("GET", tail)):
                origin.append(batch)
                yield Address(self._path_of(f"{tail}/{id}"))

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
