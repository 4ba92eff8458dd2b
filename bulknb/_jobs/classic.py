"""Bulk API 1.0: a job of batches, spoken in XML, results per batch in the order sent.

Source: Bulk API Developer Guide, "Working with Jobs", "Working with Batches".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

import pandas as pd
import pyarrow as pa

from .._jobinfo import BatchInfo, JobInfo
from .._wire import Answer, Wire
from .._xml import write_xml
from ..errors import InputError, JobFailedError, StillRunningError
from . import batch_results
from .base import Job

#: The elements of a request in the order of the schema, which the server asks for.
_ELEMENTS = (
    "operation",
    "object",
    "state",
    "externalIdFieldName",
    "concurrencyMode",
    "contentType",
    "assignmentRuleId",
)


class ClassicJob(Job):
    """A Bulk API 1.0 job.

    Closed means that no batch can be added; batches of a closed job still run. It is done when
    none waits or runs.
    """

    job_type = "Classic"
    path = "/services/async/{version}/job"
    update_method = "POST"
    close_state = "Closed"
    auth_header = "X-SFDC-Session"

    @classmethod
    def create(cls, wire: Wire, properties: Mapping[str, str]) -> Self:
        """Create a job with properties under the API's names; CSV unless said otherwise."""
        return super().create(wire, {"contentType": "CSV", **properties})

    def upload(self, data: bytes) -> ClassicJob:
        """Add a batch: CSV with one header line, at most 10,000 rows and 10 MB; or a query's SOQL.

        The batch may run at once, before the job is closed.
        """
        self.add_batch(data)
        return self

    def add_batch(self, data: bytes) -> BatchInfo:
        """Add a batch as `upload` does, and return it."""
        if self.info.content_type != "CSV":
            raise InputError(f"bulknb adds CSV batches; job {self.id} is {self.info.content_type}")
        answer = self._request("POST", "/batch", body=data, content_type="text/csv", expect=(201,))
        return BatchInfo.from_xml(answer.body)

    def batches(self) -> list[BatchInfo]:
        """Return the job's batches as the server lists them."""
        answer = self._request("GET", "/batch")
        # Batches answer in the job's own format, whatever the request's was.
        if answer.content_type == "application/json":
            return [BatchInfo.from_dict(raw) for raw in answer.json().get("batchInfo", [])]
        return BatchInfo.list_from_xml(answer.body)

    def delete(self) -> None:
        """Refuse: a 1.0 job has no delete.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            "Bulk API 1.0 has no delete: Salesforce deletes a job seven days after it ended"
        )

    def results(self) -> pd.DataFrame:
        """Return the results of all completed batches, batch by batch, as text.

        Returns
        -------
        DataFrame
            For a query its rows. Else one row per row sent, in the order sent within a batch:
            ``batch_id``, ``Id``, ``Success``, ``Created``, ``Error``.

        Raises
        ------
        StillRunningError
            A batch waits or runs.
        JobFailedError
            A batch failed as a whole; the message is the server's.
        """
        table = _together([self._batch_result(batch) for batch in self.batches()])
        return pd.DataFrame() if table is None else table.to_pandas()

    def _batch_result(self, batch: BatchInfo) -> pa.Table | None:
        if batch.state in ("Queued", "InProgress"):
            raise StillRunningError(f"Batch {batch.id} is {batch.state}: wait() for the job first")
        if batch.state == "Failed":
            raise JobFailedError(
                f"Batch {batch.id} is Failed: {batch.state_message or 'no reason'}"
            )
        if batch.state != "Completed":
            return None
        tail = f"/batch/{batch.id}/result"
        answer = self._request("GET", tail)
        if self.operation not in ("query", "queryAll"):
            table = batch_results.outcomes(answer)
            return table.add_column(0, "batch_id", pa.array([batch.id] * len(table)))
        pages = [
            batch_results.query_rows(self._request("GET", f"{tail}/{result_id}"))
            for result_id in batch_results.result_ids(answer)
        ]
        return _together(pages)

    @classmethod
    def _document_type(cls) -> str:
        return "application/xml; charset=UTF-8"

    @classmethod
    def _write(cls, properties: Mapping[str, str]) -> bytes:
        ordered = {name: properties[name] for name in _ELEMENTS if name in properties}
        return write_xml("jobInfo", ordered)

    @classmethod
    def _read(cls, answer: Answer) -> JobInfo:
        return JobInfo.from_xml(answer.body)


def _together(tables: Iterable[pa.Table | None]) -> pa.Table | None:
    there = [table for table in tables if table is not None]
    return pa.concat_tables(there, promote_options="default") if there else None
