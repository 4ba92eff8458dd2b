"""A query in words: its text, and the card that stays in a saved notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._html import Tone, strip
from ._jobs.facts import duration

if TYPE_CHECKING:
    from ._query import Query


def text(query: Query) -> str:
    """Return a line such as ``<Query Account: fetching, 50,000 of 120,000 rows>``."""
    stage = "failed" if query.error else query.progress.stage
    return f"<Query {query.object}: {stage}, {_rows(query)} rows>"


def html(query: Query) -> str:
    """Return the card: how far the query is, then what it gave."""
    now = query.progress
    jobs = ", ".join(job.id for job in query.jobs[:1])
    return strip(
        f"query {query.object}",
        f"{jobs} and {len(query.jobs) - 1:,} more" if len(query.jobs) > 1 else jobs,
        [
            ("Stage", now.stage),
            ("Rows", _rows(query)),
            ("Pages", f"{now.pages:,}"),
            ("Took" if query.done else "Age", duration(1000 * query.seconds)),
        ],
        tone=_tone(query),
        notes=_notes(query),
    )


def _rows(query: Query) -> str:
    now = query.progress
    if query.done and not query.error:
        return f"{now.fetched:,}"
    return f"{now.fetched:,} of {'?' if now.total is None else f'{now.total:,}'}"


def _tone(query: Query) -> Tone:
    if not query.done:
        return "busy"
    return "bad" if query.error else "good"


def _notes(query: Query) -> list[str]:
    notes = [query.soql]
    if query.error:
        notes.append(str(query.error))
    if query.nuls:
        notes.append(f"{query.nuls:,} NUL characters stand in the values, as in the org")
    return notes
