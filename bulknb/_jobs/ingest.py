"""Bulk API 2.0 ingest: one upload, three result sets.

Source: Bulk API 2.0 Developer Guide, "Upload Job Data", "Get Job Successful Record Results",
"Get Job Failed Record Results", "Get Job Unprocessed Record Results".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd
import pyarrow as pa

from .. import _csv
from ..errors import InputError
from .base import Job

ResultSet = Literal["successfulResults", "failedResults", "unprocessedrecords"]

#: result set -> what became of its rows
OUTCOMES: dict[ResultSet, str] = {
    "successfulResults": "success",
    "failedResults": "failed",
    "unprocessedrecords": "unprocessed",
}


class IngestJob(Job):
    """A Bulk API 2.0 ingest job."""

    job_type = "V2Ingest"
    _uploaded = False

    def upload(self, data: bytes) -> IngestJob:
        """Send the job's data, once: CSV, UTF-8, one header line, at most 100 MB.

        Raises
        ------
        InputError
            Data was sent to this job before. The server would take it and could then never close
            the job: abort it and create another.
        """
        if self._uploaded:
            raise InputError(
                f"Job {self.id} has its data: a 2.0 job takes one upload. "
                "Abort it and create another job"
            )
        self._uploaded = True
        self._request("PUT", "/batches", body=data, content_type="text/csv", expect=(201,))
        return self

    def result_set(self, kind: ResultSet, columns: Sequence[str] | None = None) -> pa.Table:
        """Return one of the three result sets as text columns, rows in no fixed order.

        With ``columns`` only these; one that the set does not have is null throughout.
        """
        answer = self._request("GET", f"/{kind}/")
        return _csv.decode(answer.csv(), self.info.column_delimiter or "COMMA", columns)

    def results(self) -> pd.DataFrame:
        """Return every row of the job with what became of it.

        Returns
        -------
        DataFrame
            One row per row uploaded, in no fixed order, text as the server sent it: ``outcome``
            (success, failed, unprocessed), ``sf__Id``, ``sf__Created``, ``sf__Error``, then the
            columns that were uploaded.
        """
        sets = []
        for kind, outcome in OUTCOMES.items():
            table = self.result_set(kind)
            sets.append(table.append_column("outcome", pa.array([outcome] * len(table))))
        frame: pd.DataFrame = pa.concat_tables(sets, promote_options="default").to_pandas()
        first = ["outcome", "sf__Id", "sf__Created", "sf__Error"]
        return frame.reindex(columns=[*first, *frame.columns.difference(first, sort=False)])


class BigObjectJob(IngestJob):
    """A Bulk API 2.0 ingest job of a big object."""

    job_type = "BigObjectIngest"
