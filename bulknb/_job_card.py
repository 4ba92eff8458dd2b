"""A job and what was seen of it -> its card: steps, numbers, where the time goes, warnings."""

from __future__ import annotations

import pandas as pd

from ._card import Card, Fact, as_of, moment, stepper
from ._gate import Clock
from ._history import jobs_frame
from ._html import Bar, Cell, Colour, Part
from ._jobinfo import JobInfo
from ._jobs.facts import duration, facts, title, tone
from ._jobs.steps import path_of, step_of
from ._pace import Meter
from ._seen import Seen, Span
from ._stuck import stuck

__all__ = ["card", "progress_bar", "speed"]

_TIMES = {
    "Apex": "apex_processing_time_ms",
    "API active": "api_active_processing_time_ms",
    "Total": "total_processing_time_ms",
}
#: A job that runs long and gets on deserves no warning.
_GETS_ON = "grinding"
#: Of a younger job that does not retry there is nothing to warn of: `stuck` need not be asked.
_SETTLED_SECONDS = 600


def card(
    info: JobInfo,
    seen: Seen,
    clock: Clock,
    *,
    rows: int | None = None,
    user: str | None = None,
    notes: tuple[str, ...] = (),
) -> Card:
    """Return the card of a job.

    Parameters
    ----------
    info : JobInfo
        What the server said last.
    seen : Seen
        What was seen of the job before.
    clock : Clock
        The clock by which it was created.
    rows : int, optional
        Rows that were uploaded, if known.
    user : str, optional
        The name of its creator, if known.
    notes : tuple of str
        What else is to be said of it.
    """
    step = step_of(info)
    spans = seen.spans
    return Card(
        title=title(info),
        subtitle=(info.id or "", as_of(seen.at)),
        steps=stepper(
            path_of(info, set(spans)),
            step,
            {name: _lasted(span) for name, span in spans.items()},
            bad=step in ("Aborted", "Failed"),
            ended=info.done,
        ),
        bars=[*_progress(info, rows), *_times(info)],
        facts=_facts(info, seen, clock.time(), rows, user),
        notes=[info.error_message or "", *_warnings(info, seen, clock), *notes],
        tone=tone(info),
    )


def speed(meter: Meter, rows: int | None) -> list[Fact]:
    """Return rows a second, and the time left once something tells it."""
    found = meter.pace(rows)
    if found is None:
        return [("Rows a second", Cell("pending"))]
    # Three digits tell enough, and change less often.
    rate = f"{found.rate:,.0f}" if found.rate >= 10 else f"{found.rate:.1f}"
    left = [("Time left", Cell(found.left, "If it goes on as so far"))] if found.left else []
    return [("Rows a second", Cell(rate, "Over the last minute")), *left]


def progress_bar(processed: int, failed: int, rows: int) -> Bar:
    """Return how far a number of rows is."""
    share = min(1.0, processed / rows)
    failed_share = share * failed / processed if processed else 0.0
    return Bar(
        # Rows are not all there before the last one: 99.9% is not 100%.
        f"{processed:,} of {rows:,} rows, {int(100 * share)}%",
        (
            Part(share - failed_share, "good", f"{processed - failed:,} rows without an error"),
            Part(failed_share, "bad", f"{failed:,} rows failed"),
        ),
    )


def _progress(info: JobInfo, rows: int | None) -> list[Bar]:
    processed, failed = info.number_records_processed or 0, info.number_records_failed or 0
    return [progress_bar(processed, failed, rows)] if rows else []


def _times(info: JobInfo) -> list[Bar]:
    """Return the parts of the time; pending until the job is done, none if not all are reported."""
    if not info.done:
        return [Bar("Times are pending until the job is done")]
    apex, active, total = (getattr(info, name) for name in _TIMES.values())
    if apex is None or active is None or not total or not apex <= active <= total:
        return []

    def part(colour: Colour, milliseconds: int, name: str, legend: str) -> Part:
        share = milliseconds / total
        return Part(share, colour, _exactly(name, milliseconds), f"{legend} {share:.0%}")

    parts = [
        part("apex", apex, "Apex (triggers, flows)", "Apex"),
        part("api", active - apex, "API active, without Apex", "API without Apex"),
        part("rest", total - active, "Waiting and reading", "waiting and reading"),
    ]
    return [Bar(" · ".join(each.legend for each in parts), parts)]


def _facts(info: JobInfo, seen: Seen, now: float, rows: int | None, user: str | None) -> list[Fact]:
    """Return what `facts` says, with the exact values on hover, and what only looks can tell."""
    created = info.created_date
    times = {name: getattr(info, field) if info.done else None for name, field in _TIMES.items()}
    hover = {name: _milliseconds(value) for name, value in times.items()}
    hover |= dict.fromkeys(("Age", "Took"), f"Created {moment(created)}" if created else "")
    said = {name: Cell(text, hover.get(name, "")) for name, text in facts(info, now=now)}
    del said["State"]
    after = [name for name in said if name in (*_TIMES, "Age", "Took")]
    counts = [(name, cell) for name, cell in said.items() if name not in after]
    if rows is not None and info.number_records_processed is not None:
        counts.append(("Unprocessed", Cell(f"{max(0, rows - info.number_records_processed):,}")))
    if not info.done:
        counts += speed(seen.meter, rows)
    if info.retries is not None:
        counts.append(("Retries", Cell(f"{info.retries:,}")))
    creator = info.created_by_id or ""
    who = [("Created by", Cell(user or creator, creator))] if creator else []
    when = [("Created", Cell(f"{created:%Y-%m-%d %H:%M}", moment(created)))] if created else []
    return [*counts, *((name, said[name]) for name in after), *when, *who]


def _warnings(info: JobInfo, seen: Seen, clock: Clock) -> list[str]:
    """Return why the job deserves a look, in words; judged by what was seen alone."""
    if info.done or info.created_date is None:
        return []
    age = clock.time() - info.created_date.timestamp()
    if age < _SETTLED_SECONDS and not info.retries:
        return []
    history = jobs_frame([info]).assign(unchanged_for=[pd.Timedelta(seconds=seen.still)])
    found = stuck(history, pd.Timestamp(clock.time(), unit="s", tz="UTC"))
    return [
        f"{row.evidence}. {row.what_to_do}" for row in found.itertuples() if row.reason != _GETS_ON
    ]


def _lasted(span: Span) -> str:
    words = duration(1000 * max(1, round(span.seconds)))
    return words if span.whole else f"at least {words}"


def _exactly(name: str, milliseconds: int) -> str:
    return f"{name}: {duration(milliseconds)} ({_milliseconds(milliseconds)})"


def _milliseconds(value: int | None) -> str:
    return "" if value is None else f"{value:,} ms"
