"""A job in words: what its text, its card and its panel say of it."""

from __future__ import annotations

from .._html import Tone
from .._jobinfo import JobInfo

Facts = list[tuple[str, str]]


def facts(info: JobInfo, *, now: float | None = None) -> Facts:
    """Return (name, value) pairs; with `now` (seconds since the epoch) also a running job's age.

    A number that the server did not give is "pending" while it may still come, then "not
    reported". The three times are "pending" until the job is done: before, total is not yet final
    and can be less than the API active time within it.
    """
    return [
        ("State", info.state or "not reported"),
        *_batches(info),
        ("Processed", _count(info, info.number_records_processed)),
        ("Failed", _count(info, info.number_records_failed)),
        ("Apex", _time(info, info.apex_processing_time_ms)),
        ("API active", _time(info, info.api_active_processing_time_ms)),
        ("Total", _time(info, info.total_processing_time_ms)),
        *_age(info, now),
    ]


def title(info: JobInfo) -> str:
    """Return what the job does, such as "upsert Contact"."""
    return f"{info.operation or ''} {info.object or ''}".strip() or "job"


def tone(info: JobInfo) -> Tone:
    """Return the colour of a job's state: what went wrong shows from afar."""
    if not info.done:
        return "" if info.can_close else "busy"
    if info.state == "Failed":
        return "bad"
    return "warn" if info.state == "Aborted" or info.number_records_failed else "good"


def duration(milliseconds: float) -> str:
    """Return a time in the unit that suits it: 840 ms, 12.3 s, 4 min 05 s, 2 h 07 min, 3 d 4 h."""
    seconds = milliseconds / 1000
    if seconds < 1:
        return f"{milliseconds:.0f} ms"
    if seconds < 59.95:
        return f"{round(seconds, 1):g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def _batches(info: JobInfo) -> Facts:
    """Only a 1.0 job tells of its batches, and it is not done before they are."""
    total = info.number_batches_total
    if total is None:
        return []
    ended = (info.number_batches_completed or 0) + (info.number_batches_failed or 0)
    return [("Batches", f"{ended:,} of {total:,} done")]


def _age(info: JobInfo, now: float | None) -> Facts:
    """From its creation until now; of a job that is done, until its last change.

    A 1.0 job's last change is its close: when its batches were done, it does not say.
    """
    if info.created_date is None or (info.done and not info.states.stamps_end):
        return []
    created = info.created_date.timestamp()
    if info.done:
        changed = info.system_modstamp
        return [("Took", duration(1000 * (changed.timestamp() - created)))] if changed else []
    return [] if now is None else [("Age", duration(1000 * max(1, round(now - created))))]


def _count(info: JobInfo, value: int | None) -> str:
    return _absent(info) if value is None else f"{value:,}"


def _time(info: JobInfo, value: int | None) -> str:
    return _absent(info) if value is None or not info.done else duration(value)


def _absent(info: JobInfo) -> str:
    return "not reported" if info.done else "pending"
