"""Counts seen at times -> rows a second, and between which times the rest will take."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Meter", "Pace", "Sample", "pace"]

#: Seconds of a clock that only goes forward, and the rows processed by then.
Sample = tuple[float, int]

#: So many looks tell the pace.
_MOST_SAMPLES = 600

_RATE_SECONDS = 60.0
_LEAST_RATE_SECONDS = 1.0
#: What was seen so far back tells how even the pace is: cut into equal pieces, of which the rest
#: will have many more.
_BASE_SECONDS = 600.0
_PIECES = 6
#: Before so many seconds were seen, and rows in so many pieces, any time left is a guess.
_LEAST_SECONDS = 10.0
_LEAST_PIECES = 4
#: Student's t of five degrees of freedom: four of five rests end within the spread.
_T = 1.476
#: However even the pace was, it need not stay so; and however uneven, it does not stop.
_LEAST_SPREAD = 0.1
_MOST_SPREAD = 0.9

# Up to so many seconds, a time is said in this unit of so many seconds, in steps of so many.
_UNITS = ((100, 1, 5, "s"), (5_400, 60, 1, "min"), (172_800, 3_600, 0.5, "h"))
_DAYS = (math.inf, 86_400, 0.5, "d")


@dataclass(frozen=True)
class Pace:
    """Rows a second over the last minute, and the bounds of the seconds left, if known."""

    rate: float
    left_low: float | None = None
    left_high: float | None = None

    @property
    def left(self) -> str:
        """The time left in words, such as "4 to 6 min"; "" while nothing tells it."""
        if self.left_low is None or self.left_high is None:
            return ""
        _, seconds, step, name = next(
            unit for unit in (*_UNITS, _DAYS) if self.left_high <= unit[0]
        )
        low = math.floor(self.left_low / seconds / step) * step
        high = math.ceil(self.left_high / seconds / step) * step
        if not low:
            return f"less than {high:g} {name}"
        return f"{low:g} to {high:g} {name}"


def pace(samples: Sequence[Sample], total: int | None = None) -> Pace | None:
    """Return how fast a count grows, and how long it will take to `total`.

    Parameters
    ----------
    samples : sequence of (float, int)
        Seconds and rows, the oldest first; a look without news counts too.
    total : int, optional
        The rows there will be. Without it the time left is not known.

    Returns
    -------
    Pace or None
        None while there are no two looks a second apart.
    """
    if not samples or samples[-1][0] - samples[0][0] < _LEAST_RATE_SECONDS:
        return None
    times, counts = np.array(samples, dtype=float).T
    start = max(times[0], times[-1] - _RATE_SECONDS)
    rate = (counts[-1] - np.interp(start, times, counts)) / (times[-1] - start)
    low, high = _left(times, counts, total)
    return Pace(max(0.0, float(rate)), low, high)


def _left(
    times: np.ndarray, counts: np.ndarray, total: int | None
) -> tuple[float | None, float | None]:
    """Return the bounds of the seconds left, by how uneven the pace was from piece to piece."""
    base = min(times[-1] - times[0], _BASE_SECONDS)
    rest = (total or 0) - counts[-1]
    if rest <= 0 or base < _LEAST_SECONDS:
        return None, None
    edges = np.linspace(times[-1] - base, times[-1], _PIECES + 1)
    rates = np.diff(np.interp(edges, times, counts)) * _PIECES / base
    mean = rates.mean()
    if np.count_nonzero(rates > 0) < _LEAST_PIECES or mean <= 0:
        return None, None
    pieces_left = rest / mean * _PIECES / base
    # What is not known: the mean itself, and how the pieces to come will differ from it.
    error = _T * rates.std(ddof=1) * math.sqrt(1 / _PIECES + 1 / pieces_left)
    spread = min(max(error, _LEAST_SPREAD * mean), _MOST_SPREAD * mean)
    return float(rest / (mean + spread)), float(rest / (mean - spread))


class Meter:
    """Counts as they are seen: of those before the first row only the last one, it counts for 0."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=_MOST_SAMPLES)

    def add(self, seconds: float, count: int) -> None:
        """Note a count."""
        if not count:
            self._samples.clear()
        self._samples.append((seconds, count))

    def pace(self, total: int | None = None) -> Pace | None:
        """Return the pace so far."""
        return pace(self._samples, total)
