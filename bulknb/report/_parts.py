"""What a page is made of: sections of sentences, pictures and tables, and how numbers read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .._jobs.facts import duration

#: What stands in a table where a number is not known.
_ABSENT = "—"
_MOST_NAMES = 3


@dataclass(frozen=True)
class Table:
    """Texts in rows, the first of each being its name.

    ``columns`` are names, and whether they are set to the right; ``total`` is a last row that sums
    up the others; ``kind`` is how it is styled.
    """

    caption: str
    columns: Mapping[str, bool]
    rows: Sequence[Sequence[str]]
    total: Sequence[str] = ()
    kind: str = ""


@dataclass(frozen=True)
class Picture:
    """An SVG element of our own making, described within, and its caption."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    sentences: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


def number(value: Any) -> str:
    """Return a count as people write it."""
    return _ABSENT if pd.isna(value) else f"{value:,}"


def took(milliseconds: Any) -> str:
    """Return a time in the unit that suits it."""
    return _ABSENT if pd.isna(milliseconds) else duration(milliseconds)


def text(value: Any) -> str:
    """Return what the server said, or that it said nothing."""
    return _ABSENT if pd.isna(value) else str(value)


def some(names: Iterable[object]) -> str:
    """Return the first names, and how many more there are."""
    texts = [str(name) for name in names]
    more = len(texts) - _MOST_NAMES
    return ", ".join(texts[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def listed(words: Iterable[str]) -> str:
    """Return a list as people write it: a, b and c."""
    *first, last = [*words] or [""]
    return f"{', '.join(first)} and {last}" if first else last
