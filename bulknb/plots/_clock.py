"""Moments as places on a time axis, in UTC."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import matplotlib.dates
import numpy as np
import pandas as pd

from ._style import FloatArray, points_wide

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SECOND = 1 / 86_400  # matplotlib counts days
_EPOCH = pd.Timestamp(0, tz="UTC")
_TICK_POINTS = 55  # what a tick and its label take of the width


def days(moments: pd.Series[Any]) -> FloatArray:
    """Return moments as matplotlib counts them: days since 1970; NaN where there is none."""
    passed = pd.to_datetime(moments, utc=True) - _EPOCH
    return np.asarray(passed / pd.Timedelta(days=1), dtype=np.float64)


def time_range(moments: FloatArray) -> tuple[float, float]:
    """Return from when to when these moments are, and a little more on both sides."""
    first, last = float(moments.min()), float(moments.max())
    spare = max(0.03 * (last - first), 30 * SECOND)
    return first - spare, last + spare


def time_axis(ax: Axes, first: float, last: float) -> None:
    """Let the x axis go from day to day, with as many dates as have room."""
    dates: Any = matplotlib.dates  # has no types
    ticks = int(np.clip(points_wide(ax) / _TICK_POINTS, 3, 9))
    locator = dates.AutoDateLocator(tz=UTC, minticks=2, maxticks=ticks)
    ax.set_xlim(first, last)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=UTC))
    ax.set_xlabel("Time (UTC)", loc="left")  # the date stands at the right
