"""Bars: what they consist of, and many of them as one artist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.path import Path

from ._style import (
    MAX_VECTORS,
    PENDING_HATCH,
    BoolArray,
    FloatArray,
    are_done,
    group_label,
    ink,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_HATCHED = 200  # bars so thin show no pattern, and each takes long to draw


@dataclass(frozen=True)
class Bars:
    """What stacked bars are drawn from: one row, label and note per bar, the first on top."""

    parts: pd.DataFrame  # how long each is, 0 where not drawn
    pending: BoolArray  # whether a job of the bar is not done
    labels: list[str]
    notes: list[str]
    keys: list[str]  # the columns that bars are summed over

    @property
    def lengths(self) -> FloatArray:
        """How long each bar is."""
        return np.asarray(self.parts.sum(axis="columns"), dtype=np.float64)


def summed(parts: pd.DataFrame, history: pd.DataFrame, keys: list[str]) -> Bars:
    """Return a bar for each group of jobs, without notes."""
    # One frame for both sums, so that they are of the same groups.
    groups = parts.assign(pending=~are_done(history)).groupby(
        [history[key] for key in keys], sort=False, dropna=False, observed=True
    )
    sums = groups.sum()
    waiting = sums.pop("pending").astype(int)
    jobs = zip(sums.index, groups.size(), waiting, strict=True)
    labels = [group_label(*group) for group in jobs]
    return Bars(sums, waiting.to_numpy() > 0, labels, [""] * len(labels), keys)


def thickness_of(*, roomy: bool) -> float:
    """Return how much of its row a bar fills: all of a thin one, since gaps would shimmer."""
    return 0.8 if roomy else 1.0


def boxes(
    left: FloatArray, right: FloatArray, thickness: float, *, rows: FloatArray | None = None
) -> FloatArray:
    """Corners of one box per row, shape (rows, 4, 2)."""
    middle = np.arange(len(left), dtype=float) if rows is None else rows
    top, bottom = middle - thickness / 2, middle + thickness / 2
    xs = np.stack([left, right, right, left], axis=1)
    ys = np.stack([top, top, bottom, bottom], axis=1)
    return np.stack([xs, ys], axis=2)


def add_bars(
    ax: Axes, corners: FloatArray, *, properties: Mapping[str, Any] | None = None, **look: Any
) -> None:
    """Draw `boxes` as one artist that looks so; the caller's `properties` have the last word."""
    many = len(corners) > MAX_VECTORS
    as_array: Any = corners  # which is taken fast, but not said to be
    bars = PolyCollection([] if many else as_array, linewidths=0, rasterized=many)
    if many:
        # A path with a piece for each bar: a path for each would take ten times as long.
        whole: Any = Path.make_compound_path_from_polys(corners)
        bars.set_verts_and_codes([whole.vertices], [whole.codes])
        bars.set_snap(True)  # thinner than a pixel, they would be faint
    bars.set(**look)
    bars.set(**(properties or {}))
    ax.add_collection(bars)


def add_pending(ax: Axes, corners: FloatArray, label: str) -> None:
    """Draw boxes of what is not done: hatched, or faint where they are too many for a pattern."""
    if len(corners) > _MAX_HATCHED:
        add_bars(ax, corners, label=label, facecolors=ink(ax), alpha=0.4)
    elif len(corners):
        # Half of what is beneath, so that the pattern stands out from it.
        *background, opacity = to_rgba(ax.get_facecolor())
        frame: dict[str, Any] = {"facecolors": (*background, opacity / 2), "edgecolors": ink(ax)}
        add_bars(ax, corners, label=label, hatch=PENDING_HATCH, linewidths=1, **frame)
