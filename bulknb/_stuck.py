"""History frame -> the jobs that do not get on, each with its reason and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pandas as pd

from ._jobinfo import WAITING
from ._jobs.facts import duration
from .errors import InputError

__all__ = ["span", "stuck"]

Row = Mapping[str, Any]

_UNITS: dict[str, Literal["ms", "s", "min", "h", "D", "W"]] = {
    "ms": "ms",
    "s": "s",
    "min": "min",
    "h": "h",
    "d": "D",
    "w": "W",
}
_LOCK_ERRORS = ("UNABLE_TO_LOCK_ROW", "TooManyLockFailure")
_COLUMNS = {
    "id": "string",
    "operation": "string",
    "object": "string",
    "job_type": "string",
    "state": "string",
    "user": "string",
    "reason": "string",
    "since": "datetime64[us, UTC]",
    "for": "timedelta64[us]",
    "evidence": "string",
    "what_to_do": "string",
}


@dataclass(frozen=True)
class _Limits:
    """From when on something deserves a look."""

    open: pd.Timedelta
    queued: pd.Timedelta
    running: pd.Timedelta
    still: pd.Timedelta
    active_share: float
    apex_share: float


class _Finding(NamedTuple):
    since: pd.Timestamp
    evidence: str
    what_to_do: str


def stuck(
    history: pd.DataFrame,
    now: pd.Timestamp,
    *,
    open_for: str = "1h",
    queued_for: str = "15min",
    running_for: str = "1h",
    still_for: str = "10min",
    active_share: float = 0.5,
    apex_share: float = 0.7,
) -> pd.DataFrame:
    """Return the unfinished jobs that deserve a look, one row each, the oldest first.

    Parameters
    ----------
    history : DataFrame
        One row per job, as `bulknb.jobs_frame` builds it. A column ``unchanged_for`` (timedelta)
        tells how long a job has looked the same between two looks; ``user`` is passed on.
    now : Timestamp
        The time of the look, UTC.
    open_for, queued_for, running_for, still_for : str
        How long is too long, such as "1h".
    active_share : float
        Below this share of its age at work, a job that retries is held up by locks.
    apex_share : float
        From this share of the active time on, a job is bound by Apex.

    Returns
    -------
    DataFrame
        ``id``, ``operation``, ``object``, ``job_type``, ``state``, ``user``, ``reason``,
        ``since``, ``for``, ``evidence`` (a sentence with numbers), ``what_to_do``. The reason is
        the first that holds of:

        ``never_closed``
            Open for `open_for` since its creation.
        ``waiting_in_queue``
            Closed for `queued_for`, and nothing of it has run.
        ``stalled``
            Between looks `still_for` apart no number of it moved.
        ``lock_bound``
            It retries, and names locks in its error, or was active for less than `active_share`
            of its age.
        ``retrying``
            It retries otherwise.
        ``apex_bound``
            It runs for `running_for`, and Apex took `apex_share` of the active time.
        ``grinding``
            It runs for `running_for`, and gets on.
    """
    limits = _Limits(
        span(open_for, "open_for"),
        span(queued_for, "queued_for"),
        span(running_for, "running_for"),
        span(still_for, "still_for"),
        active_share,
        apex_share,
    )
    rows = []
    for row in history[~history["done"].astype(bool)].to_dict("records"):
        known = {str(name): value for name, value in row.items() if not pd.isna(value)}
        for reason, rule in _RULES.items():
            finding = rule(known, now, limits) if "created_date" in known else None
            if finding:
                lasted = now - finding.since
                rows.append({**known, "reason": reason, **finding._asdict(), "for": lasted})
                break
    found = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)
    return found.sort_values("since", ignore_index=True)


def span(text: str, argument: str) -> pd.Timedelta:
    """Return a time such as "7d", "12h" or "30min", given as an argument of that name."""
    read = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|h|d|w)\s*", text)
    if read is None:
        example = '"7d", "12h" or "30min"'
        raise InputError(f"{argument}= is a number and a unit, such as {example}")
    return float(read[1]) * pd.Timedelta(1, _UNITS[read[2]])


def _never_closed(row: Row, now: pd.Timestamp, limits: _Limits) -> _Finding | None:
    since = row["created_date"]
    if row.get("state") != "Open" or now - since < limits.open:
        return None
    batches = row.get("number_batches_total", 0)
    held = f", with {_count(batches, 'batch', 'batches')}" if batches else ""
    return _Finding(
        since,
        f"Open for {_text(now - since)}{held}: nobody closed it",
        "close() if all its data was sent, else abort(): an open job keeps nothing running",
    )


def _waiting_in_queue(row: Row, now: pd.Timestamp, limits: _Limits) -> _Finding | None:
    since = row.get("system_modstamp", row["created_date"])
    queued = row.get("number_batches_queued", 0)
    waits = row.get("state") == "UploadComplete" or (
        queued and not row.get("number_batches_in_progress") and not _processed(row)
    )
    if not waits or now - since < limits.queued:
        return None
    held = f", {_count(queued, 'batch', 'batches')} queued" if queued else ""
    return _Finding(
        since,
        f"In the queue for {_text(now - since)}{held}, nothing of it has run",
        "Wait: Salesforce starts it when there is room. Look for other jobs that keep the org busy",
    )


def _stalled(row: Row, now: pd.Timestamp, limits: _Limits) -> _Finding | None:
    still = row.get("unchanged_for")
    if still is None or not _runs(row) or still < limits.still:
        return None
    return _Finding(
        now - still,
        f"No number moved for {_text(still)}: {_processed(row):,} rows processed",
        "Look again later; if it stays so, abort() and load the rest anew, or ask Salesforce",
    )


def _lock_bound(row: Row, now: pd.Timestamp, limits: _Limits) -> _Finding | None:
    age = now - row["created_date"]
    active = row.get("api_active_processing_time_ms", 0)
    named = any(error in row.get("error_message", "") for error in _LOCK_ERRORS)
    waits = active < limits.active_share * age.total_seconds() * 1000
    if not row.get("retries") or not (named or waits):
        return None
    return _Finding(
        row["created_date"],
        f"{_retries(row)}; active for {duration(active)} of {_text(age)}: it waits for records "
        "that others hold",
        "Sort the rows by their parent, or load in Serial mode; let other loads of it end first",
    )


def _retrying(row: Row, now: pd.Timestamp, limits: _Limits) -> _Finding | None:
    if not row.get("retries"):
        return None
    return _Finding(
        row["created_date"],
        f"{_retries(row)}, {_processed(row):,} rows processed",
        "Wait; if the retries grow, look at the failed rows for the reason",
    )


def _apex_bound(row: Row, now: pd.Timestamp, limits: _Limits) -> _Finding | None:
    active = row.get("api_active_processing_time_ms", 0)
    apex = row.get("apex_processing_time_ms", 0)
    long = _runs(row) and now - row["created_date"] >= limits.running
    if not long or not active or apex < limits.apex_share * active:
        return None
    return _Finding(
        row["created_date"],
        f"Apex took {apex / active:.0%} of {duration(active)} active, "
        f"{_processed(row):,} rows processed",
        "Look at the triggers and flows of the object; switch off what this load does not need",
    )


def _grinding(row: Row, now: pd.Timestamp, limits: _Limits) -> _Finding | None:
    age = now - row["created_date"]
    if not _runs(row) or age < limits.running:
        return None
    pace = _processed(row) / age.total_seconds()
    return _Finding(
        row["created_date"],
        f"Runs for {_text(age)}: {_processed(row):,} rows processed, {pace:,.1f} a second",
        "Wait, or abort(): rows already written stay written",
    )


_RULES: dict[str, Callable[[Row, pd.Timestamp, _Limits], _Finding | None]] = {
    "never_closed": _never_closed,
    "waiting_in_queue": _waiting_in_queue,
    "stalled": _stalled,
    "lock_bound": _lock_bound,
    "retrying": _retrying,
    "apex_bound": _apex_bound,
    "grinding": _grinding,
}


def _runs(row: Row) -> bool:
    return row.get("state") not in WAITING


def _processed(row: Row) -> int:
    return int(row.get("number_records_processed", 0))


def _retries(row: Row) -> str:
    return f"Tried again {_count(row['retries'], 'time', 'times')}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _text(time: pd.Timedelta) -> str:
    return duration(1000 * time.total_seconds())
