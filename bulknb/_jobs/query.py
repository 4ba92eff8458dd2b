"""Bulk API 2.0 query: pages of results by locator.

Source: Bulk API 2.0 Developer Guide, "Create a Query Job", "Get Results for a Query Job",
"Abort a Query Job".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pyarrow as pa

from .. import _csv
from ..errors import (
    InputError,
    JobFailedError,
    ReconcileError,
    StillRunningError,
    UnexpectedAnswerError,
)
from .base import NO_BATCHES, Job
from .properties import DELIMITERS, LINE_ENDINGS, Known

_FIRST_WITH_PAGES = 58.0


class QueryJob(Job):
    """A Bulk API 2.0 query job. It starts in UploadComplete and cannot be closed."""

    job_type = "V2Query"
    path = "/services/data/v{version}/jobs/query"
    properties: ClassVar[Known] = {
        "operation": ("query", "queryAll"),
        "query": (),
        "contentType": ("CSV",),
        "columnDelimiter": DELIMITERS,
        "lineEnding": LINE_ENDINGS,
    }
    lacks = NO_BATCHES | {
        "upload": "A 2.0 query job takes no data: its SOQL is given when it is made, as query=",
        "close": "A query job cannot be closed: it starts closed. To stop it, call abort()",
    }

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

    def result_pages(self) -> list[str]:
        """Return the locators of the result's pages, "" for the first, to be read side by side.

        Each call for them names up to five. Needs API version 58.0 ("Get Results for a Query Job
        in Parallel").

        Raises
        ------
        StillRunningError
            The job is not done.
        JobFailedError
            It ended in Failed or Aborted.
        """
        version = self.info.api_version or self._wire.api_version
        if float(version) < _FIRST_WITH_PAGES:
            raise InputError(
                f"This job is of API version {version}, and only from {_FIRST_WITH_PAGES} on tells "
                "its pages: pages() reads one after the other"
            )
        self._demand_results()
        found: dict[str, None] = {}
        following: str | None = ""
        while following is not None:
            params = {"locator": following} if following else {}
            answer = self._request("GET", "/resultPages", params=params)
            known = len(found)
            locators, following = page_locators(answer.json())
            found |= dict.fromkeys(locators)
            if known == len(found):
                raise UnexpectedAnswerError(f"The pages of job {self.id} run in a circle")
        return list(found)

    def _demand_results(self) -> None:
        if not self.done:
            self.refresh()
        if not self.done:
            raise StillRunningError(f"Job {self.id} is {self.state}: wait() for it first")
        if self.state != "JobComplete":
            reason = self.info.error_message or "the server gives no reason"
            raise JobFailedError(f"Job {self.id} is {self.state}: {reason}")


def page_locators(answer: Mapping[str, Any]) -> tuple[list[str], str | None]:
    """Return the locators that one answer names, and where the next one starts, if there is one.

    The guide and its examples differ in the names of the keys.
    """
    urls = [link.get("resultUrl") or link.get("resultLink") for link in answer["resultPages"]]
    more = answer.get("nextRecordsUrl") or answer.get("nextRecordUrl")
    return [_locator(url) for url in urls], _locator(more) if more else None


def _locator(url: str | None) -> str:
    """Return the locator in a URL: nothing else of what the server hands out is used."""
    return parse_qs(urlsplit(url or "").query).get("locator", [""])[0]
