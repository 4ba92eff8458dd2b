"""How the commands show frames: tables, durations, moments."""

from __future__ import annotations

from numbers import Integral

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from .._jobs.facts import duration


def table(frame: pd.DataFrame, titles: dict[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, title in titles.items():
        number = pd.api.types.is_numeric_dtype(frame[name])
        table.add_column(title, justify="right" if number else "left", no_wrap=number)
    for row in frame[list(titles)].itertuples(index=False):
        table.add_row(*(Text(_cell(value)) for value in row))
    return table


def _cell(value: object) -> str:
    if value is pd.NA:
        return ""
    return f"{value:,}" if isinstance(value, Integral) else str(value)


def readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with its moments and durations as people write them."""
    frame = frame.copy()
    for name in frame.select_dtypes("datetimetz"):
        frame[name] = frame[name].dt.strftime("%Y-%m-%d %H:%M")
    for name in frame.select_dtypes("timedelta"):
        frame[name] = (1000 * frame[name].dt.total_seconds()).map(duration)
    return frame
