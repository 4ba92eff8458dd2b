"""Bulk API 2.0 query: pages of results, by locator or side by side.

Source: Bulk API 2.0 Developer Guide, "Create a Query Job", "Get Results for a Query Job", "Get
Parallel Results for a Query Job", "Abort a Query Job".
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pandas as pd
import pyarrow as pa

from .._jobinfo import QUERIES, JobInfo
from .._pages import Address, Page, PageStore, Room, in_turn, side_by_side
from .._typed import Types
from .._wire import Wire
from ..errors import (
    InputError,
    JobFailedError,
    NotAllowedError,
    NotFoundError,
    ReconcileError,
    StillRunningError,
    UnexpectedAnswerError,
)
from .base import NO_BATCHES, Job
from .properties import DELIMITERS, LINE_ENDINGS, Known

#: The first version that says where several pages are.
_PARALLEL_SINCE = 58.0
#: Rows of a page. Salesforce does not say how many it gives without being asked.
PAGE_ROWS = 50_000

_LOOKS = 5
_LOOK_SECONDS = 1.0


class QueryJob(Job):
    """A Bulk API 2.0 query job. It starts in UploadComplete and cannot be closed."""

    job_type = "V2Query"
    path = "/services/data/v{version}/jobs/query"
    properties: ClassVar[Known] = {
        "operation": QUERIES,
        "query": (),
        "contentType": ("CSV",),
        "columnDelimiter": DELIMITERS,
        "lineEnding": LINE_ENDINGS,
    }
    lacks = NO_BATCHES | {
        "upload": "A 2.0 query job takes no data: its SOQL is given when it is made, as query=",
        "close": "A query job cannot be closed: it starts closed. To stop it, call abort()",
    }

    def __init__(self, wire: Wire, info: JobInfo, *, soql: str = "", chunking: str = "") -> None:
        super().__init__(wire, info)

    @classmethod
    def begin(
        cls, wire: Wire, *, object: str, operation: str, soql: str, chunking: str
    ) -> QueryJob:
        """Create the job; it starts at once."""
        return cls.create(wire, {"operation": operation, "query": soql})

    def settle(self) -> bool:
        """Ask how the job is, and return whether it has ended."""
        return self.done or self.refresh().done

    def fetch(
        self,
        folder: Path,
        *,
        types: Types,
        page_rows: int | None = None,
        room: Room | None = None,
    ) -> Iterator[Page]:
        """Yield the pages of the result in order, in the room as far as it goes, else in a folder.

        With ``page_rows`` one comes after the other, none larger; else several at a time.

        Raises
        ------
        StillRunningError
            The job is not done.
        JobFailedError
            It ended in Failed or Aborted.
        ReconcileError
            A page, or all of them, hold another number of rows than the server says.
        """
        self._demand_results()
        store = PageStore(
            self._wire,
            folder,
            job=self.id,
            types=types,
            delimiter=self.info.column_delimiter or "COMMA",
            room=room,
        )
        rows = 0
        for page in self._pages(store, page_rows):
            rows += page.rows
            yield page
        self._demand_count(rows)

    def pages(self, rows: int | None = None) -> Iterator[pa.Table]:
        """Yield the results page by page, as text columns: what `results` joins.

        Parameters
        ----------
        rows : int, optional
            The most rows of a page; without it the server chooses.
        """
        with tempfile.TemporaryDirectory(prefix="bulknb-") as folder:
            for page in self.fetch(Path(folder), types=None, page_rows=rows, room=Room()):
                yield page.table()

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
        frame: pd.DataFrame = pa.concat_tables(self.pages()).to_pandas()
        return frame

    def result_pages(self) -> list[str]:
        """Return the locators of the result's pages, to be read side by side.

        Each call for them names up to five. Needs API version 58.0.

        Raises
        ------
        StillRunningError
            The job is not done.
        JobFailedError
            It ended in Failed or Aborted.
        ReconcileError
            The pages run in a circle.
        """
        if not self._tells_pages:
            raise InputError(
                f"This job is of API version {self._version}, and only from {_PARALLEL_SINCE} on "
                "tells its pages: pages() reads one after the other"
            )
        self._demand_results()
        addresses = self._all_addresses(*self._addresses())
        return [address.params.get("locator", "") for address in addresses]

    def _pages(self, store: PageStore, page_rows: int | None) -> Iterator[Page]:
        # Asking where the pages are is a call more. Two come side by side without it, as the first
        # tells where the second is before its rows come.
        many = (self.info.number_records_processed or 0) > 2 * PAGE_ROWS
        if page_rows is None and many and self._tells_pages:
            try:
                first, more = self._addresses()
            except (NotFoundError, NotAllowedError, UnexpectedAnswerError):
                pass  # an org may not have it
            else:
                return side_by_side(store.fetch, self._all_addresses(first, more))
        size = page_rows or PAGE_ROWS
        return in_turn(store.fetch, lambda locator: self._address(locator, size))

    @property
    def _tells_pages(self) -> bool:
        return float(self._version) >= _PARALLEL_SINCE

    def _address(self, locator: str, page_rows: int) -> Address:
        params = {"maxRecords": str(page_rows)}
        return self._page(params | ({"locator": locator} if locator else {}))

    def _page(self, params: Mapping[str, str]) -> Address:
        return Address(self._path_of("/results"), params)

    def _all_addresses(self, first: list[Address], more: str) -> Iterator[Address]:
        seen = set()
        addresses, locator = first, more
        while True:
            for address in addresses:
                if address.key in seen:
                    raise ReconcileError(f"The pages of job {self.id} run in a circle")
                seen.add(address.key)
                yield address
            if not locator:
                return
            addresses, locator = self._addresses(locator)
            if not addresses:
                raise ReconcileError(f"Job {self.id} promises more pages and names none")

    def _addresses(self, locator: str = "") -> tuple[list[Address], str]:
        """Return where some pages are, and the locator of the rest."""
        params = {"locator": locator} if locator else None
        answer = self._request("GET", "/resultPages", params=params).fields("resultPages")
        links, more = page_links(answer)
        if not links and not locator:
            raise UnexpectedAnswerError(f"Job {self.id} does not say where its pages are")
        return [self._page(link) for link in links], more

    def _demand_results(self) -> None:
        if not self.done:
            self.refresh()
        if not self.done:
            raise StillRunningError(f"Job {self.id} is {self.state}: wait() for it first")
        if self.state != "JobComplete":
            reason = self.info.error_message or "the server gives no reason"
            raise JobFailedError(f"Job {self.id} is {self.state}: {reason}{too_slow(reason)}")
        if self.info.number_records_processed is None:
            self.refresh()  # the answer to another request, or a list, which have no counts

    def _demand_count(self, rows: int) -> None:
        """Compare with the job's own count, which may lag behind its end."""
        for _ in range(_LOOKS):
            if self.info.number_records_processed == rows:
                return
            self._wire.clock.sleep(_LOOK_SECONDS)
            self.refresh()
        expected = self.info.number_records_processed
        said = "an unknown number of" if expected is None else f"{expected:,}"
        raise ReconcileError(f"Job {self.id} found {said} records, its pages hold {rows:,}")


def too_slow(reason: str) -> str:
    """Return what to do about a query that took too long; nothing if the reason is another."""
    if not any(word in reason for word in ("TIMEOUT", "Retried more")):
        return ""
    return (
        '. The query is too slow as one: slices="CreatedDate" makes several jobs of it, '
        'or api="1.0", pk_chunking=True has Salesforce cut it by Id'
    )


def page_links(answer: Mapping[str, Any]) -> tuple[list[dict[str, str]], str]:
    """Return what to ask for each page that one answer names, and the locator of the rest, or "".

    The guide's tables, its text and its examples spell the keys in different ways, and its links
    may lack the front of the path: what they ask for is the page.

    Raises
    ------
    UnexpectedAnswerError
        A page has no link.
    """
    links = [page.get("resultUrl") or page.get("resultLink") for page in answer["resultPages"]]
    if not all(links):
        raise UnexpectedAnswerError("The answer names a page of the result and not where it is")
    more = answer.get("nextRecordsUrl") or answer.get("nextRecordUrl")
    following = "" if answer.get("done") else _asks(more).get("locator", "")
    return [_asks(link) for link in links], following


def _asks(url: str | None) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url or "").query))
