"""What was found out, as sentences with their numbers; and numbers in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from ._html import card

__all__ = ["TIMES", "Finding", "cards", "day", "number", "pace", "plural", "sentences", "span"]

#: Part of the processing time -> in words.
TIMES = {
    "apex": "Apex",
    "api": "the API writing rows",
    "rest": "waiting of batches and reading",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was found out.

    Attributes
    ----------
    kind : str
        What it is about, such as "shares", "queue" or "step".
    sentence : str
        The finding in words.
    numbers : mapping
        Its numbers by name, unrounded; names that end in ``_ms`` are milliseconds.
    """

    kind: str
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.sentence


def sentences(findings: Iterable[Finding]) -> str:
    """Return what was found, a line each."""
    return "\n".join(finding.sentence for finding in findings)


def cards(title: str, findings: Iterable[Finding]) -> str:
    """Return what was found as HTML; everything is escaped."""
    return card(title, [(finding.kind, finding.sentence) for finding in findings])


def pace(part: str, *values: float) -> str:
    """Return rates per 1,000 rows in the unit that suits them: "2.3 to 9.1 ms a row"."""
    if part == "failed":
        return f"{span(*values)} of 1,000 rows"
    if max(values) < 100:
        return f"{span(*values)} ms per 1,000 rows"
    return f"{span(*(value / 1000 for value in values))} ms a row"


def plural(count: int, noun: str) -> str:
    """Return "1 job" or "2,000 jobs"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def span(*values: float) -> str:
    """Return "2.3 to 9.1", or "2.3" where both read alike."""
    return " to ".join(dict.fromkeys(map(number, values)))


def day(time: pd.Timestamp) -> str:
    """Return a time to the minute, in UTC."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def number(value: float) -> str:
    """Return two significant digits, and all those before the point."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    digits = max(0, 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
