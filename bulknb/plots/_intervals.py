"""Intervals of time: which share a row, and where they overlap."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np

from ._style import FloatArray, IntArray


class Pieces(NamedTuple):
    """Parts of intervals."""

    of: IntArray  # the interval that each is a part of
    began: FloatArray
    ended: FloatArray


def packed(began: FloatArray, ended: FloatArray) -> IntArray:
    """Return a row for each interval: as few rows as can be, and none with two at a time."""
    rows = np.zeros(len(began), np.intp)
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    for interval in np.argsort(began, kind="stable"):
        while busy and busy[0][0] <= began[interval]:
            heapq.heappush(free, heapq.heappop(busy)[1])
        rows[interval] = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (float(ended[interval]), int(rows[interval])))
    return rows


def overlaps(began: FloatArray, ended: FloatArray, groups: IntArray) -> Pieces:
    """Return the parts of intervals during which there is another one of the same group."""
    if not len(began):
        return Pieces(np.zeros(0, np.intp), began, ended)
    # Side by side on one line, groups never meet.
    shift = groups * (ended.max() - began.min() + 1) - began.min()
    left, right = began + shift, ended + shift
    first, last = _crowded(left, right)
    start = np.searchsorted(last, left, side="right")
    count = np.maximum(np.searchsorted(first, right, side="left") - start, 0)
    of = np.repeat(np.arange(len(began)), count)
    crowd = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count) + start[of]
    return Pieces(
        of,
        np.maximum(first[crowd], left[of]) - shift[of],
        np.minimum(last[crowd], right[of]) - shift[of],
    )


def _crowded(left: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return where there are two or more intervals, from and to, in order."""
    at = np.concatenate([right, left])  # an end comes before a beginning at the same time
    change = np.repeat([-1, 1], len(left))
    order = np.argsort(at, kind="stable")
    many = np.cumsum(change[order]) >= 2
    edges = np.diff(many.astype(int), prepend=0)
    return at[order][edges == 1], at[order][edges == -1]
