"""Bulk API 2.0 query: pages of results by locator.

Source: Bulk API 2.0 Developer Guide, "Create a Query Job", "Get Results for a Query Job",
"Abort a Query Job".
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from .. import _csv
from ..errors import JobFailedError, ReconcileError, StillRunningError, UnexpectedAnswerError
from .base import Job


class QueryJob(Job):
    """A Bulk API 2.0 query job. It starts in UploadComplete and cannot be closed."""

    job_type = "V2Query"
    path = "/services/data/v{version}/jobs/query"
    close_state = None

    def pages(self, rows: int | None = None) -> Iterator[pa.Table]:
        """Yield the results page by page, as text columns.

        Parameters
        ----------
        rows : int, optional
            The most rows of a page (``maxRecords``); without it the server chooses.

        Raises
        ------
        StillRunningError
            The job is not done.
        JobFailedError
            It ended in Failed or Aborted.
        ReconcileError
            A page holds another number of rows than the server says.
        """
        self._demand_results()
        size = {"maxRecords": str(rows)} if rows else {}
        seen = {""}
        locator = ""
        while True:
            params = {**size, **({"locator": locator} if locator else {})}
            answer = self._request("GET", "/results", params=params)
            page = _csv.decode(answer.csv(), self.info.column_delimiter or "COMMA")
            said = answer.headers.get("Sforce-NumberOfRecords", "")
            if said != str(len(page)):
                raise ReconcileError(
                    f"A page of job {self.id} holds {len(page):,} rows, "
                    f"the server says {said or 'nothing'}"
                )
            yield page
            # The last page has the literal text "null" for a locator.
            locator = answer.headers.get("Sforce-Locator", "null")
            if locator in ("null", ""):
                return
            if locator in seen:
                raise UnexpectedAnswerError(f"The pages of job {self.id} run in a circle")
            seen.add(locator)

    def results(self) -> pd.DataFrame:
        """Return all rows of the query, as the text that the server sent.

        Raises
        ------
        StillRunningError
            The job is not done.
        JobFailedError
            It ended in Failed or Aborted.
        ReconcileError
            The pages do not add up to the job's count of records.
        """
        table = pa.concat_tables(self.pages())
        expected = self.info.number_records_processed
        if expected is not None and expected != len(table):
            raise ReconcileError(
                f"Job {self.id} found {expected:,} records, its pages hold {len(table):,}"
            )
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def _demand_results(self) -> None:
        if not self.done:
            self.refresh()
        if not self.done:
            raise StillRunningError(f"Job {self.id} is {self.state}: wait() for it first")
        if self.state != "JobComplete":
            reason = self.info.error_message or "the server gives no reason"
            raise JobFailedError(f"Job {self.id} is {self.state}: {reason}")
