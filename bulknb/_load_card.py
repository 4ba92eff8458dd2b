"""A load in words: its text, and the card that stays in a saved notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._html import Tone, strip
from ._jobs.facts import duration

if TYPE_CHECKING:
    from ._load import Load

#: So many reasons for failed rows stand on a card.
_REASONS = 3
#: Counts that a card shows even if they are 0.
_ALWAYS = ("sent", "success", "failed", "rows", "processed")


def text(load: Load) -> str:
    """Return a line such as ``<Load upsert Contact: 5 sent, 4 success, 1 failed>``."""
    words = [f"{count:,} {name}" for name, count in _counted(load).items() if count]
    return f"<Load {load.operation} {load.object}: {', '.join(words)}>"


def html(load: Load) -> str:
    """Return the card: progress while the load goes on, then what became of the rows."""
    jobs = len(load.jobs)
    return strip(
        f"{load.operation} {load.object}",
        f"{jobs:,} {'job' if jobs == 1 else 'jobs'}",
        _facts(load),
        tone=_tone(load),
        notes=_notes(load),
    )


def _counted(load: Load) -> dict[str, int]:
    if load.accounted:
        return {str(name): int(count) for name, count in load.counts.items()}
    now = load.progress
    return {
        **({} if now.total is None else {"rows": now.total}),
        "sent": now.sent,
        "processed": now.processed,
        "failed": now.failed,
    }


def _facts(load: Load) -> list[tuple[str, str]]:
    counts = {name: n for name, n in _counted(load).items() if n or name in _ALWAYS}
    return [
        ("Stage", load.progress.stage),
        *((name.replace("_", " ").capitalize(), f"{n:,}") for name, n in counts.items()),
        ("Took" if load.done else "Age", duration(1000 * load.seconds)),
    ]


def _tone(load: Load) -> Tone:
    if not load.done:
        return "busy"
    if load.error or not load.accounted:
        return "bad"
    return "good" if load.counts["success"] == load.counts["sent"] else "warn"


def _notes(load: Load) -> list[str]:
    """Return the error that ended the load, and why most of the failed rows failed."""
    notes = [str(load.error)] if load.error else []
    if load.accounted:
        notes += [
            f"{reason.rows:,} rows: {reason.error_code}: {reason.example_message}"
            for reason in load.errors().head(_REASONS).itertuples()
        ]
    return notes
