"""The batches of a 1.0 job as one sequence, and as a typed frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import overload

import pandas as pd

from .._html import strip
from .._jobinfo import BATCH_FIELDS, QUERIES, BatchInfo, JobInfo
from .facts import title

__all__ = ["Batches"]

_PROCESSED = ("Completed", "Failed")
_ENDED = (*_PROCESSED, "NotProcessed")

#: What a list of batches shows of each: column -> short title
_VIEW: Mapping[str, str] = {
    "id": "id",
    "state": "state",
    "created_date": "created (UTC)",
    "number_records_processed": "processed",
    "number_records_failed": "failed",
    "apex_ms": "apex ms",
    "api_ms": "api ms",
    "rest_ms": "rest ms",
    "duration_ms": "took ms",
    "state_message": "message",
}


class Batches(Sequence[BatchInfo]):
    """The batches of a job, in the order of the server's list; ``frame`` has them as a frame."""

    def __init__(self, job: JobInfo, batches: Sequence[BatchInfo]) -> None:
        self._job = job
        self._batches = tuple(batches)

    @overload
    def __getitem__(self, at: int) -> BatchInfo: ...
    @overload
    def __getitem__(self, at: slice) -> Batches: ...
    def __getitem__(self, at: int | slice) -> BatchInfo | Batches:
        found = self._batches[at]
        return found if isinstance(found, BatchInfo) else Batches(self._job, found)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[BatchInfo]:
        return iter(self._batches)

    @property
    def frame(self) -> pd.DataFrame:
        """The batches, one row each, in this order.

        Returns
        -------
        DataFrame
            The fields of `BatchInfo`, typed (``string``, ``Int64``, ``datetime64[us, UTC]``); what
            the server left out is NA. Times are milliseconds. Derived:

            ``apex_ms``, ``api_ms``, ``rest_ms``
                The parts of the total: Apex, API active without Apex, and the rest (waiting and
                serialization). NA until the batch has been processed.
            ``duration_ms``
                From its creation to its last change, of a batch that has ended.
            ``chunked_parent``
                Whether it is the batch that PK chunking has cut into the others ("PK Chunking
                Header"): it ends in NotProcessed, as batches of an aborted job do. NA where the
                two cannot be told apart.
        """
        columns: dict[str, pd.Series] = {
            name: pd.Series([getattr(batch, name) for batch in self], dtype=dtype)
            for name, dtype in BATCH_FIELDS.items()
        }
        frame = pd.DataFrame(columns)
        parents = [self._is_chunked_parent(batch) for batch in self]
        return frame.assign(**_breakdown(frame), chunked_parent=pd.Series(parents, dtype="boolean"))

    def __repr__(self) -> str:
        states = ", ".join(f"{count:,} {state}" for state, count in self._counts())
        head = f"<{_amount(self)} of job {self._job.id}{': ' if states else ''}{states}>"
        return f"{head}\n{self._view().to_string(max_rows=20)}" if self else head

    def _repr_html_(self) -> str:
        head = strip(
            f"{_amount(self)} of {title(self._job)}",
            (str(self._job.id),),
            [(state, f"{count:,}") for state, count in self._counts()],
            tone="warn" if any(batch.state == "Failed" for batch in self) else "",
        )
        return head + (str(self._view().to_html(notebook=True, max_rows=20)) if self else "")

    def _counts(self) -> list[tuple[str, int]]:
        return Counter(batch.state or "not reported" for batch in self).most_common()

    def _view(self) -> pd.DataFrame:
        frame = self.frame
        parents = frame["chunked_parent"].fillna(value=False)
        view = frame[list(_VIEW)].assign(
            state=frame["state"].mask(parents, "NotProcessed (cut into chunks)"),
            created_date=frame["created_date"].dt.strftime("%Y-%m-%d %H:%M:%S"),
            state_message=frame["state_message"].fillna(""),
        )
        if not any(view["state_message"]):
            view = view.drop(columns="state_message")
        return view.rename(columns=_VIEW)

    def _is_chunked_parent(self, batch: BatchInfo) -> bool | None:
        if batch.state != "NotProcessed" or self._job.operation not in QUERIES:
            return False
        return None if self._job.state == "Aborted" else True


def _breakdown(frame: pd.DataFrame) -> dict[str, pd.Series]:
    def among(states: Sequence[str]) -> Callable[[pd.Series], pd.Series]:
        return lambda column: column.where(frame["state"].isin(states))

    processed, ended = among(_PROCESSED), among(_ENDED)
    total, active, apex = (
        processed(frame[f"{name}_processing_time_ms"]) for name in ("total", "api_active", "apex")
    )
    took = (frame["system_modstamp"] - frame["created_date"]).dt.total_seconds() * 1000
    return {
        "apex_ms": apex,
        "api_ms": active - apex,
        "rest_ms": total - active,
        "duration_ms": ended(took.round().astype("Int64")),
    }


def _amount(batches: Batches) -> str:
    return "1 batch" if len(batches) == 1 else f"{len(batches):,} batches"
