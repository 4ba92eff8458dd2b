"""Bulk API 2.0 ingest: one upload, three result sets.

Source: Bulk API 2.0 Developer Guide, "Upload Job Data", "Get Job Successful Record Results",
"Get Job Failed Record Results", "Get Job Unprocessed Record Results".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import pandas as pd
import pyarrow as pa

from .. import _csv
from .._csv import Nulls
from ..errors import InputError
from .base import NO_BATCHES, Job
from .bodies import Data, Files, upload_body
from .properties import DELIMITERS, LINE_ENDINGS, Known

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
    properties: ClassVar[Known] = {
        "operation": (
            *("insert", "update", "upsert", "delete", "hardDelete"),
            *("refresh", "consentImport"),  # of marketing objects
        ),
        "object": (),
        "externalIdFieldName": (),
        "contentType": ("CSV",),
        "columnDelimiter": DELIMITERS,
        "lineEnding": LINE_ENDINGS,
        "assignmentRuleId": (),
    }
    headers: ClassVar[Known] = {"Sforce-Call-Options": ()}
    lacks = NO_BATCHES | {
        "result_pages": "An ingest job has three result sets and no pages: results() has them all"
    }
    _uploaded = False

    def upload(
        self,
        data: Data,
        *,
        tz: str | None = None,
        nulls: Nulls = "keep",
        files: Files | None = None,
    ) -> IngestJob:
        """Send the job's data, once: a frame, or CSV in UTF-8 with one header line; 100 MB at most.

        Parameters are those of `Job.upload`; there are no attachments in Bulk API 2.0.

        Raises
        ------
        InputError
            A value cannot be sent, or data were sent to this job before. The server would take
            them and could then never close the job: abort it and create another.
        """
        if self._uploaded:
            raise InputError(
                f"Job {self.id} has its data: a 2.0 job takes one upload. "
                "Abort it and create another job"
            )
        if files is not None:
            raise InputError(
                'Bulk API 2.0 takes no files: create_job(…, api="1.0", contentType="ZIP_CSV")'
            )
        body = upload_body(
            data,
            tz=tz,
            nulls=nulls,
            delimiter=self.info.column_delimiter or "COMMA",
            line=self.info.line_ending or "LF",
        )
        self._uploaded = True
        self._request("PUT", "/batches", body=body, content_type="text/csv", expect=(201,))
        return self

    def result_set(
        self,
        kind: ResultSet,
        columns: Sequence[str] | None = None,
        *,
        each: Callable[[pa.Table], pa.Table] | None = None,
    ) -> pa.Table:
        """Return one of the three result sets as text columns, rows in no fixed order.

        With ``columns`` only these; one that the set does not have is null throughout. With
        ``each``, what it makes of some rows at a time, as they come.
        """
        return self.fetched(kind, columns, each=each).table()

    def fetched(
        self,
        kind: ResultSet,
        columns: Sequence[str] | None = None,
        *,
        each: Callable[[pa.Table], pa.Table] | None = None,
    ) -> _csv.Reader:
        """Return the reader of a result set that is all here, and may still be worked on."""
        reader = _csv.Reader(self.info.column_delimiter or "COMMA", columns, each)
        path = self._path_of(f"/{kind}/")
        self._wire.download(path, reader.write, again=reader.restart, auth_header=self.auth_header)
        return reader

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
    """A Bulk API 2.0 ingest job of a big object, such as Reading__b."""

    job_type = "BigObjectIngest"
