"""Bulk API 1.0: a job of batches, spoken in XML, results per batch in the order sent.

Source: Bulk API Developer Guide, "Working with Jobs", "Working with Batches".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Self

import pandas as pd
import pyarrow as pa

from .._csv import Nulls
from .._jobinfo import QUERIES, BatchInfo, JobInfo
from .._wire import Answer, Wire
from .._xml import write_xml
from ..errors import InputError, JobFailedError, StillRunningError
from . import batch_results, ids
from .base import Job
from .batches import Batches
from .bodies import MEDIA_TYPES, Data, Files, batch_bodies, batch_body
from .properties import LINE_ENDINGS, PK_CHUNKING, Known


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

    # In the order of the schema, which the server asks for.
    properties: ClassVar[Known] = {
        "operation": ("insert", "update", "upsert", "delete", "hardDelete", *QUERIES),
        "object": (),
        "externalIdFieldName": (),
        "concurrencyMode": ("Parallel", "Serial"),
        "contentType": tuple(MEDIA_TYPES),
        "assignmentRuleId": (),
    }
    headers: ClassVar[Known] = {
        "Sforce-Call-Options": (),
        "Sforce-Disable-Batch-Retry": ("true", "false"),
        PK_CHUNKING: (),
        "Sforce-Line-Ending": LINE_ENDINGS,
    }
    lacks: ClassVar[Mapping[str, str]] = {
        "delete": "Bulk API 1.0 has no delete: Salesforce deletes a job seven days after it ended",
        "result_pages": "A 1.0 query has results per batch: batch_results(id), or results() for "
        "all of them",
    }

    @classmethod
    def create(
        cls,
        wire: Wire,
        given: Mapping[str, str],
        *,
        unchecked: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Create a job with properties under the API's names; CSV unless said otherwise."""
        if "query" in given:
            raise InputError(
                "A 1.0 job takes its SOQL as a batch: "
                'create_job("query", object, api="1.0").upload(soql)'
            )
        if PK_CHUNKING in (headers or {}) and given.get("operation") not in QUERIES:
            raise InputError("PK chunking is for query and queryAll")
        return super().create(
            wire, {"contentType": "CSV", **given}, unchecked=unchecked, headers=headers
        )

    def upload(
        self,
        data: Data,
        *,
        tz: str | None = None,
        nulls: Nulls = "keep",
        files: Files | None = None,
    ) -> ClassicJob:
        """Add a frame as the batches that it needs; text or bytes, such as a SOQL, as one.

        A batch may run at once, before the job is closed; after trouble on the way, `batches`
        tells which arrived. Parameters are those of `Job.upload`.

        Raises
        ------
        InputError
            Something cannot be sent, or is over a limit of batches; nothing was sent.
        """
        self._demand_soql(data)
        kind = self._content_type()
        for body in batch_bodies(data, kind, tz=tz, nulls=nulls, files=files):
            self._add(body)
        return self

    def add_batch(
        self,
        data: Data,
        *,
        tz: str | None = None,
        nulls: Nulls = "keep",
        files: Files | None = None,
    ) -> BatchInfo:
        """Add one batch, and return what the server says of it; see `Job.add_batch`."""
        self._demand_soql(data)
        return self._add(batch_body(data, self._content_type(), tz=tz, nulls=nulls, files=files))

    def _add(self, body: bytes) -> BatchInfo:
        media_type = MEDIA_TYPES[self._content_type()]
        answer = self._request("POST", "/batch", body=body, content_type=media_type, expect=(201,))
        return _read_batch(answer)

    def _demand_soql(self, data: Data) -> None:
        if self.operation in QUERIES and isinstance(data, pd.DataFrame):
            raise InputError("A query job takes no rows: upload its SOQL, as text")

    def _content_type(self) -> str:
        return self.info.content_type or "XML"

    def batches(self) -> Batches:
        """Return the job's batches as the server lists them: a sequence, with a typed ``frame``."""
        found = self._listed()
        if self.operation in QUERIES and any(batch.state == "NotProcessed" for batch in found):
            self.refresh()  # an abort leaves such batches, and so does PK chunking
        return Batches(self.info, found)

    def _listed(self) -> list[BatchInfo]:
        answer = self._request("GET", "/batch")
        # Batches answer in the job's own format, whatever the request's was.
        if answer.content_type == "application/json":
            return [BatchInfo.from_dict(raw) for raw in answer.json().get("batchInfo", [])]
        return BatchInfo.list_from_xml(answer.body)

    def batch(self, batch_id: str) -> BatchInfo:
        """Return one batch, as the server says it is now."""
        return _read_batch(self._request("GET", _batch_path(batch_id)))

    def batch_request(self, batch_id: str) -> bytes:
        """Return the data of a batch as they were sent: CSV, JSON, XML or a zip; or SOQL."""
        return self._request("GET", f"{_batch_path(batch_id)}/request").body

    def batch_results(self, batch_id: str) -> pd.DataFrame:
        """Return the results of one batch, as `results` does for all of them.

        Of a batch that failed after some rows, these rows.
        """
        batch = self.batch(batch_id)
        if batch.state == "Failed" and batch.number_records_processed:
            return _frame(self._read_results(batch))
        return _frame(self._batch_result(batch))

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
            A batch failed, and the message is the server's (`batch_results` has those of the
            others); or a query was aborted before it was done.
        ReconcileError
            The rows of a query are not as many as the server counts.
        """
        batches = self.batches()
        unasked = [batch for batch in batches if batch.state == "NotProcessed"]
        if unasked and self.operation in QUERIES and self.state == "Aborted":
            raise JobFailedError(f"Job {self.id} is Aborted: not all of its batches were processed")
        return _frame(_together([self._batch_result(batch) for batch in batches]))

    def _batch_result(self, batch: BatchInfo) -> pa.Table | None:
        if batch.state in ("Queued", "InProgress"):
            raise StillRunningError(f"Batch {batch.id} is {batch.state}: wait() for the job first")
        if batch.state == "Failed":
            raise JobFailedError(
                f"Batch {batch.id} is Failed: {batch.state_message or 'no reason'}"
            )
        return self._read_results(batch) if batch.state == "Completed" else None

    def _read_results(self, batch: BatchInfo) -> pa.Table | None:
        tail = f"{_batch_path(str(batch.id))}/result"
        answer = self._request("GET", tail)
        if self.operation not in QUERIES:
            table = batch_results.outcomes(answer)
            return table.add_column(0, "batch_id", pa.array([batch.id] * len(table)))
        pages = [
            batch_results.query_rows(self._request("GET", f"{tail}/{result_id}"))
            for result_id in batch_results.result_ids(answer)
        ]
        table = _together(pages)
        batch_results.demand_count(batch, 0 if table is None else len(table))
        return table

    @classmethod
    def _document_type(cls) -> str:
        return "application/xml; charset=UTF-8"

    @classmethod
    def _write(cls, properties: Mapping[str, str]) -> bytes:
        order = [*cls.properties, *properties]
        order.insert(2, "state")
        return write_xml(
            "jobInfo", {name: properties[name] for name in order if name in properties}
        )

    @classmethod
    def _read(cls, answer: Answer) -> JobInfo:
        return JobInfo.from_xml(answer.body)


def _read_batch(answer: Answer) -> BatchInfo:
    if answer.content_type == "application/json":
        return BatchInfo.from_dict(answer.json())
    return BatchInfo.from_xml(answer.body)


def _batch_path(batch_id: str) -> str:
    return f"/batch/{ids.checked(batch_id, '751', 'batch')}"


def _frame(table: pa.Table | None) -> pd.DataFrame:
    return pd.DataFrame() if table is None else table.to_pandas()


def _together(tables: Iterable[pa.Table | None]) -> pa.Table | None:
    there = [table for table in tables if table is not None]
    return pa.concat_tables(there, promote_options="default") if there else None
