"""A query in words: its text, and the card that stays in a saved notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._card import Card, Fact, stepper
from ._html import Bar, Cell, Part, Tone
from ._job_card import speed
from ._jobs.facts import duration
from ._pace import Meter

if TYPE_CHECKING:
    from ._query import Query

_STAGES = ("waiting", "processing", "fetching", "ended")
#: Of so many columns a card names the types.
_COLUMNS = 12


def text(query: Query) -> str:
    """Return a line such as ``<Query Account: fetching, 50,000 of 120,000 rows>``."""
    stage = "failed" if query.error else query.progress.stage
    return f"<Query {query.object}: {stage}, {_rows(query)} rows>"


def card(query: Query, *, meter: Meter | None = None, seen: str = "", note: str = "") -> Card:
    """Return the card: how far the query is, then what it gave and where it lies.

    Parameters
    ----------
    query : Query
        The query.
    meter : Meter, optional
        How its count of rows has grown.
    seen : str
        Since when it is known to be so.
    note : str
        What else is to be said.
    """
    stage, now = query._work.stage, query.progress
    paused = "" if query.done or now.stage == stage else f"Paused: {now.stage}"
    jobs = ", ".join(job.id for job in query.jobs[:1])
    more = f"{jobs} and {len(query.jobs) - 1:,} more" if len(query.jobs) > 1 else jobs
    return Card(
        title=f"query {query.object}",
        subtitle=(more, seen),
        steps=stepper(_STAGES, stage, {}, bad=bool(query.error), ended=query.done),
        bars=_bars(query),
        facts=_facts(query, meter),
        notes=[query.soql, paused, str(query.error) if query.error else "", *_given(query), note],
        tone=_tone(query),
    )


def html(query: Query) -> str:
    """Return the card as HTML."""
    return card(query).html()


def _rows(query: Query) -> str:
    now = query.progress
    if query.done and not query.error:
        return f"{now.fetched:,}"
    return f"{now.fetched:,} of {'?' if now.total is None else f'{now.total:,}'}"


def _bars(query: Query) -> list[Bar]:
    """Return how much is here, once the server has said how much there is."""
    now = query.progress
    if query.done or now.total is None:
        return [] if query.done else [Bar("How many rows there are is not known yet")]
    share = min(1.0, now.fetched / now.total) if now.total else 1.0
    return [
        Bar(
            f"{now.fetched:,} of {now.total:,} rows, {int(100 * share)}%",
            [Part(share, "good", f"{now.fetched:,} rows are here")],
        )
    ]


def _facts(query: Query, meter: Meter | None) -> list[Fact]:
    now = query.progress
    return [
        ("Rows", Cell(_rows(query))),
        ("Pages", Cell(f"{now.pages:,}")),
        *(speed(meter, now.total) if meter and not query.done else []),
        ("Took" if query.done else "Age", Cell(duration(1000 * query.seconds))),
    ]


def _tone(query: Query) -> Tone:
    if not query.done:
        return "busy"
    return "bad" if query.error else "good"


def _given(query: Query) -> list[str]:
    """Return what a query has given: its types, never its data, and where the pages are."""
    notes = []
    if query.nuls:
        notes.append(f"{query.nuls:,} NUL characters stand in the values, as in the org")
    if query.done and not query.error and query._pages:
        schema = query._pages[0].schema
        types = [
            f"{field.name} {str(field.type).removeprefix('large_')}"
            for field in list(schema)[:_COLUMNS]
        ]
        more = len(schema) - len(types)
        notes.append("Columns: " + ", ".join([*types, *([f"{more} more"] if more else [])]))
        pages = len(query._pages)
        word = "page" if pages == 1 else "pages"
        kept = query._room is None
        where = (
            f"in {query.folder}"
            if kept
            else "kept while this query is in memory; with folder= for good"
        )
        notes.append(f"{pages:,} {word} {where}")
    return notes
