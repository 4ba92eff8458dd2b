"""A load in words: its text, and the card that stays in a saved notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ._card import Card, Fact, Reasons, stepper
from ._html import Bar, Cell, Tone
from ._job_card import progress_bar, speed
from ._jobs.facts import duration
from ._pace import Meter
from ._retry import REPEATABLE, choose
from ._work import HELD

if TYPE_CHECKING:
    from ._load import Load

#: So many reasons for failed rows stand on a card.
_REASONS = 5
_LONGEST_MESSAGE = 200
#: Counts that a card shows even if they are 0.
_ALWAYS = ("sent", "success", "failed", "rows", "processed")
_STAGES = ("sending", "processing", "collecting results", "ended")


def text(load: Load) -> str:
    """Return a line such as ``<Load upsert Contact: 5 sent, 4 success, 1 failed>``."""
    words = [f"{count:,} {name}" for name, count in _counted(load).items() if count]
    if load.held:
        words.append("waits for close()")
    return f"<Load {load.operation} {load.object}: {', '.join(words)}>"


def card(load: Load, *, meter: Meter | None = None, seen: str = "", note: str = "") -> Card:
    """Return the card: progress while the load goes on, then what became of the rows.

    Parameters
    ----------
    load : Load
        The load.
    meter : Meter, optional
        How its count of rows has grown.
    seen : str
        Since when it is known to be so.
    note : str
        What else is to be said.
    """
    jobs, now = len(load.jobs), load.progress
    stage = "ended" if load.done else load._background.stage
    paused = "" if load.done or now.stage == stage else f"Paused: {now.stage}"
    return Card(
        title=f"{load.operation} {load.object}",
        subtitle=(f"{jobs:,} {'job' if jobs == 1 else 'jobs'}", seen),
        steps=stepper(_stages(load), stage, {}, bad=bool(load.error), ended=load.done),
        bars=_bars(load),
        facts=_facts(load, meter),
        notes=[paused, str(load.error) if load.error else "", *_advice(load), note],
        reasons=_reasons(load),
        tone=_tone(load),
    )


def html(load: Load) -> str:
    """Return the card as HTML."""
    return card(load).html()


def retryable(load: Load) -> int:
    """Return how many rows ``retry()`` would send again; of unknown ones, those it need not ask."""
    if not load.accounted or not load.has_rows:
        return 0
    choice = choose(load.frame, "transient")
    perhaps = choice.perhaps if load.operation in REPEATABLE else np.arange(0)
    return len(choice.surely) + len(perhaps)


def goes_on(load: Load) -> str:
    """Return how far a load is that goes on, and what may be done with it."""
    if load.held:
        return (
            f"The load of {load.object} is held: {_uploaded(load)}. close() has them processed, "
            "abort() gives them up"
        )
    now = load.progress
    sent = now.sent + now.uploaded
    rows = f"{sent:,} rows" if now.total is None else f"{sent:,} of {now.total:,} rows"
    return (
        f"The load of {load.object} goes on ({now.stage}: {rows} sent, "
        f"{now.processed:,} processed). wait() waits again, abort() aborts it"
    )


def _counted(load: Load) -> dict[str, int]:
    if load.accounted:
        return {str(name): int(count) for name, count in load.counts.items()}
    now = load.progress
    return {
        **({} if now.total is None else {"rows": now.total}),
        **({"uploaded": now.uploaded} if now.uploaded else {}),
        "sent": now.sent,
        "processed": now.processed,
        "failed": now.failed,
    }


def _bars(load: Load) -> list[Bar]:
    if load.accounted:
        counts = load.counts
        done = int(counts["success"] + counts["failed"])
        rows = int(counts["sent"])
        return [progress_bar(done, int(counts["failed"]), rows)] if rows else []
    now = load.progress
    return [progress_bar(now.processed, now.failed, now.total)] if now.total else []


def _facts(load: Load, meter: Meter | None) -> list[Fact]:
    counts = {name: n for name, n in _counted(load).items() if n or name in _ALWAYS}
    return [
        *((name.replace("_", " ").capitalize(), Cell(f"{n:,}")) for name, n in counts.items()),
        *(speed(meter, load.progress.total) if meter and not load.done else []),
        ("Took" if load.done else "Age", Cell(duration(1000 * load.seconds))),
    ]


def _tone(load: Load) -> Tone:
    if not load.done:
        return "busy"
    if load.error or not load.accounted:
        return "bad"
    return "good" if load.counts["success"] == load.counts["sent"] else "warn"


def _stages(load: Load) -> Sequence[str]:
    first, *rest = _STAGES
    return _STAGES if load._order.close else (first, HELD, *rest)


def _uploaded(load: Load) -> str:
    jobs = len(load.jobs)
    return (
        f"{counted(load.progress.uploaded)} uploaded to {jobs:,} {'job' if jobs == 1 else 'jobs'}"
    )


def _advice(load: Load) -> list[str]:
    if load.held:
        return [f"{_uploaded(load)}: nothing is processed before close()"]
    rows = retryable(load) if load.done else 0
    return [f"{counted(rows)} may pass as they are: retry() sends them again"] if rows else []


def _reasons(load: Load) -> Reasons | None:
    """Return why most of the failed rows failed."""
    if not load.accounted:
        return None
    reasons = load.errors()
    if reasons.empty:
        return None
    shown = reasons.head(_REASONS)
    rest = int(reasons["rows"].iloc[_REASONS:].sum())
    title = f"Failed rows by reason{f'; {counted(rest)} more in load.errors()' if rest else ''}"
    columns = [("Rows", True), *((name, False) for name in ("Code", "Fields", "Example", "What"))]
    return Reasons(title, columns, [_reason(reason) for _, reason in shown.iterrows()])


def _reason(reason: pd.Series) -> list[Cell]:
    message = str(reason["example_message"])
    cut = f"{message[:_LONGEST_MESSAGE]}…" if len(message) > _LONGEST_MESSAGE else message
    kind = "May pass as it is" if reason["transient"] else "Needs a change"
    fields = reason["error_fields"]
    return [
        Cell(f"{reason['rows']:,}", tone="warn" if reason["transient"] else "bad"),
        Cell(str(reason["error_code"])),
        Cell("" if pd.isna(fields) else str(fields)),
        Cell(f"Row {reason['example_row']}: {cut}", message if cut != message else ""),
        Cell(f"{kind}. {reason['remedy']}"),
    ]


def counted(count: int) -> str:
    """Return a number of rows in words."""
    return "1 row" if count == 1 else f"{count:,} rows"
