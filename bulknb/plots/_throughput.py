"""How fast jobs were, and when: dots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.collections import PathCollection
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from matplotlib.transforms import Transform

from .._findings import plural
from ._clock import days, time_axis, time_range
from ._style import (
    BLUE,
    GREEN,
    GREY,
    MAX_VECTORS,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    BoolArray,
    FloatArray,
    are_done,
    clip,
    current_axes,
    draw_nothing,
    ink,
    keys_of,
    legend_above,
    numbers,
    require_history,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

# Shapes, too: not everybody sees colours, and not every printer.
_LOOKS = (
    (BLUE, "o"),
    (ORANGE, "s"),
    (GREEN, "^"),
    (VERMILION, "D"),
    (SKY, "v"),
    (PURPLE, "P"),
)
_REST = (GREY, "X")
_PENDING_LABEL = "Not done: no rate yet"
_NO_RATE_LABEL = "Done, no rows or no time reported"
_SMALLEST, _LARGEST = 12.0, 160.0  # square points
_MOST_INK = 300 * _LARGEST  # if all dots together had more, they are smaller
_LOG_FROM = 30  # from this ratio of rates on, slow jobs would lie on the axis


class _ToPixels(Transform):
    """Moves points to the middles of their pixels: dots of one look are so many equal pixels.

    That makes the image within an SVG a third smaller.
    """

    input_dims = output_dims = 2

    def transform_non_affine(self, values: ArrayLike) -> FloatArray:
        """Return the middles of the pixels."""
        return np.floor(values) + 0.5


def throughput(
    history: pd.DataFrame, by: str = "object", *, ax: Axes | None = None, **kwargs: Any
) -> Axes:
    """Show how many rows a second each job processed, over the time when it was created.

    Parameters
    ----------
    history : DataFrame
        One row per job, as `bulknb.jobs_frame` builds it.
    by : str
        The column whose values differ in colour and shape; the six most frequent do, the others
        are one.
    ax : matplotlib Axes, optional
        Where to draw; the current Axes by default.
    **kwargs
        Properties of the dots, a `matplotlib.collections.PathCollection` per colour.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    KeyError
        If `history` lacks a column that `bulknb.jobs_frame` makes, or `by`.

    Notes
    -----
    The rate is that of the clock, from creation to the last change, with waiting in the queue
    (``rows_per_second`` of `bulknb.jobs_frame`); the area of a dot goes by the rows of its job.
    Where rates are far apart, the axis is logarithmic. A job without a rate is a mark on the lower
    edge: hollow if it is not done.
    """
    require_history(history, "created_date", "rows_per_second", "number_records_processed")
    keys_of(history, by, name="history")
    ax = current_axes(ax)
    created = days(history["created_date"])
    dated = ~np.isnan(created)
    if history.empty:
        return draw_nothing(ax, "No jobs")
    if not dated.any():
        return draw_nothing(ax, "No job says when it was created")
    rates: FloatArray = np.asarray(numbers(history["rows_per_second"]), dtype=np.float64)
    done = are_done(history).to_numpy()
    rated = done & (rates > 0)
    sizes = _sizes(numbers(history["number_records_processed"]))
    many = len(history) > MAX_VECTORS
    for label, (color, marker), chosen in _by_name(history[by], rated & dated):
        look: dict[str, Any] = {"color": color, "marker": marker, "label": label, "alpha": 0.7}
        look |= {"edgecolors": ink(ax), "linewidths": 0 if many else 0.3}
        dots = ax.scatter(created[chosen], rates[chosen], sizes[chosen], **look)
        dots.set(**({"rasterized": many} | kwargs))
        if dots.get_rasterized():
            dots.set_offset_transform(ax.transData + _ToPixels())
    _draw_unrated(ax, created[~done & dated], _PENDING_LABEL, "^", filled=False)
    _draw_unrated(ax, created[done & ~rated & dated], _NO_RATE_LABEL, "D", filled=True)

    time_axis(ax, *time_range(created[dated]))
    _rate_axis(ax, rates[rated & dated])
    largest = history["number_records_processed"].max()
    title = "" if pd.isna(largest) else f"Area: rows, up to {largest:,} in a job"
    for handle in legend_above(ax, title=title).legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([30])
    return ax


def _by_name(
    column: pd.Series[Any], rated: BoolArray
) -> Iterator[tuple[str, tuple[str, str], BoolArray]]:
    """Yield each name that is worth a colour, then all others: label, look, and which rows."""
    codes, names = pd.factorize(column, use_na_sentinel=False)
    counts = np.bincount(codes[rated], minlength=len(names))
    frequent = [code for code in np.argsort(-counts, kind="stable") if counts[code]]
    for code, look in zip(frequent, _LOOKS, strict=False):
        # A label that begins with an underscore would be left out of the legend.
        label = f"\N{ZERO WIDTH SPACE}{clip(names[code])} ({plural(int(counts[code]), 'job')})"
        yield label, look, rated & (codes == code)
    if others := frequent[len(_LOOKS) :]:
        name = clip(names[others[0]]) if len(others) == 1 else f"{len(others):,} others"
        label = f"\N{ZERO WIDTH SPACE}{name} ({plural(int(counts[others].sum()), 'job')})"
        yield label, _REST, rated & np.isin(codes, others)


def _sizes(rows: pd.Series[float]) -> FloatArray:
    """Return areas in square points that go by the rows; the more dots, the smaller."""
    known = rows.fillna(0)
    areas = (_LARGEST * known / max(known.max(), 1)).clip(_SMALLEST)
    return np.asarray(areas * min(1, _MOST_INK / areas.sum()), dtype=np.float64)


def _draw_unrated(ax: Axes, at: FloatArray, label: str, marker: str, *, filled: bool) -> None:
    if len(at):
        look: dict[str, Any] = {"ms": 5, "transform": ax.get_xaxis_transform(), "clip_on": False}
        look |= {"color": ink(ax), "mfc": ink(ax) if filled else "none", "ls": "none"}
        ax.plot(at, np.zeros(len(at)), marker=marker, label=f"{label} ({len(at):,})", **look)


def _rate_axis(ax: Axes, rates: FloatArray) -> None:
    ax.set_ylabel("Rows a second")
    if len(rates) and rates.max() > _LOG_FROM * rates.min():
        ax.set_yscale("log")
        ax.set_ylim(rates.min() / 2, 2 * rates.max())
        ax.yaxis.set_minor_formatter(NullFormatter())
    else:
        ax.set_ylim(0, 1.1 * rates.max(initial=0) or 1)
    if not len(rates):
        ax.set_yticks([0])
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
