"""History frame -> the pace of each job, and since when it is another one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ._findings import TIMES, Finding, cards, day, number, pace, sentences
from ._history import JobInfos, jobs_frame
from .errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RATES", "Step", "Trend", "rates", "steps", "trend", "weight"]

#: Part -> the column of `rates` that has it.
RATES = {
    "apex": "apex_ms_per_1000",
    "api": "api_ms_per_1000",
    "rest": "rest_ms_per_1000",
    "failed": "failed_per_1000",
}
_NAMES = TIMES | {"failed": "failures"}
#: Jobs that each side of a step has at least: fewer are no level.
_FEWEST = 5
#: Jobs of a stretch that may tell a step on its own.
_SHORTEST = 24
#: How often chance alone may pass for a step, in one part of one kind of job.
_CHANCE = 0.01
#: From this ratio of their rows on, jobs before and after a step are not alike.
_OTHER_SIZE = 2.0
_STEP_NUMBERS = (
    "before",
    "after",
    "ratio",
    "jobs_before",
    "jobs_after",
    "rows_before",
    "rows_after",
)

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """From one job to the next, a kind of job took to another pace.

    Attributes
    ----------
    object, operation : str
        The kind of job.
    part : {"apex", "api", "rest", "failed"}
        What changed: Apex, API active without Apex, the rest of the total, or failed rows.
    at : Timestamp
        Creation of the first job after it, UTC.
    before, after : float
        Medians of the jobs between this step and the next ones, per 1,000 rows: milliseconds, or
        failed rows.
    jobs_before, jobs_after : int
        How many jobs these are.
    rows_before, rows_after : float
        Medians of their rows: a row costs more in a small job.
    """

    object: str
    operation: str
    part: str
    at: pd.Timestamp
    before: float
    after: float
    jobs_before: int
    jobs_after: int
    rows_before: float
    rows_after: float

    @property
    def ratio(self) -> float:
        """After over before; infinite if there was nothing before."""
        return self.after / self.before if self.before else math.inf

    @property
    def sentence(self) -> str:
        """The step in words."""
        times = f"{number(self.ratio)} times; " if math.isfinite(self.ratio) else ""
        smaller, larger = sorted((self.rows_before, self.rows_after))
        sizes = f" Jobs went from {self.rows_before:,.0f} to {self.rows_after:,.0f} rows, too."
        name = _NAMES[self.part]
        return (
            f"{name[0].upper()}{name[1:]} of {self.operation} {self.object} went from "
            f"{pace(self.part, self.before, self.after)} on {day(self.at)} "
            f"({times}medians of {self.jobs_before:,} jobs before and {self.jobs_after:,} after)."
            f"{sizes if larger >= _OTHER_SIZE * smaller else ''}"
        )

    @property
    def finding(self) -> Finding:
        """The step with its numbers."""
        numbers = {name: float(getattr(self, name)) for name in _STEP_NUMBERS}
        return Finding("step", self.sentence, numbers)


@dataclass(frozen=True, eq=False)
class Trend:
    """How the pace of one kind of job went, made by `trend`.

    Attributes
    ----------
    object, operation : str
        The kind of job.
    frame : DataFrame
        One row per finished job: see `rates`.
    steps : tuple of Step
        Since when it is another pace, oldest first.
    history : DataFrame
        The jobs, as `bulknb.jobs_frame` gives them.
    """

    object: str
    operation: str
    frame: pd.DataFrame
    steps: tuple[Step, ...]
    history: pd.DataFrame

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What there is to say, the biggest step first."""
        kind, jobs = f"{self.operation} {self.object}", len(self.frame)
        if not jobs:
            return (Finding("unknown", f"No finished job of {kind} is known."),)
        if not self.steps:
            same = f"No step in the pace of {jobs:,} jobs of {kind} stands out from their spread."
            return (Finding("steady", same, {"jobs": jobs}),)
        return tuple(step.finding for step in sorted(self.steps, key=weight, reverse=True))

    def plot(self, **kwargs: Any) -> Axes:
        """Show it: `bulknb.plots.trend`."""
        from .plots import trend

        return trend(self.history, **kwargs)

    def __str__(self) -> str:
        return sentences(self.findings)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return cards(f"Trend of {self.operation} {self.object}", self.findings)


def trend(history: JobInfos, *, object: str, operation: str) -> Trend:
    """Return how the pace of one kind of job went, and where it changed.

    Parameters
    ----------
    history : DataFrame
        A history frame, or what `bulknb.jobs_frame` takes.
    object, operation : str
        The kind of job, such as "Contact" and "upsert".

    Raises
    ------
    InputError
        The history has no such jobs; the message says which it has.
    """
    frame = jobs_frame(history)
    chosen = (frame["object"].str.lower() == object.lower()) & (frame["operation"] == operation)
    if not chosen.any():
        kinds = (frame["operation"] + " " + frame["object"]).dropna().value_counts().index[:8]
        raise InputError(f"No job of {operation} {object} is known; known: {', '.join(kinds)}")
    jobs = frame[chosen]
    return Trend(object, operation, rates(jobs), tuple(steps(jobs)), jobs)


def rates(history: JobInfos) -> pd.DataFrame:
    """Return the pace of finished jobs, one row each, oldest first.

    Parameters
    ----------
    history : DataFrame
        A history frame, or what `bulknb.jobs_frame` takes.

    Returns
    -------
    DataFrame
        ``id``, ``created_date``, ``object``, ``operation``, ``rows`` (processed), and per 1,000 of
        these: ``apex_ms_per_1000``, ``api_ms_per_1000`` (API active without Apex),
        ``rest_ms_per_1000`` and ``total_ms_per_1000``, in milliseconds summed over batches, and
        ``failed_per_1000`` rows. ``Float64``; NA where the job processed no rows or does not say.
    """
    frame = jobs_frame(history)
    frame = frame[frame["done"]].sort_values("created_date", kind="stable", ignore_index=True)
    rows = frame["number_records_processed"]
    thousands = rows.astype("Float64").where(rows > 0) / 1000
    parts = {
        "apex_ms_per_1000": "apex_ms",
        "api_ms_per_1000": "api_ms",
        "rest_ms_per_1000": "rest_ms",
        "total_ms_per_1000": "total_processing_time_ms",
        "failed_per_1000": "number_records_failed",
    }
    known = frame[["id", "created_date", "object", "operation"]].assign(rows=rows)
    return known.assign(**{name: frame[part] / thousands for name, part in parts.items()})


def steps(history: JobInfos, *, least: float = 1.2) -> list[Step]:
    """Return since when kinds of jobs run at another pace, oldest step first.

    A step is told where the jobs on both sides differ by more than chance would have them: by
    the largest of the standardised rank statistics over all places, at odds of 1 in 100 for each
    part of each kind of job. At least 5 jobs stand on each side.

    Parameters
    ----------
    history : DataFrame
        A history frame, or what `bulknb.jobs_frame` takes.
    least : float
        The smallest ratio of the two medians that is worth telling, either way.
    """
    kinds = rates(history).groupby(["object", "operation"], sort=False)
    found = [step for _, jobs in kinds for part in RATES for step in _steps_of(jobs, part, least)]
    return sorted(found, key=lambda step: step.at)


def _steps_of(jobs: pd.DataFrame, part: str, least: float) -> Iterator[Step]:
    """Yield the steps in one part of one kind of job."""
    known = jobs.dropna(subset=[RATES[part]])
    values, rows = (known[column].to_numpy(np.float64) for column in (RATES[part], "rows"))
    for before, after in _levels(values, least):
        first = known.iloc[after.start]
        yield Step(
            object=first["object"],
            operation=first["operation"],
            part=part,
            at=first["created_date"],
            before=float(np.median(values[before])),
            after=float(np.median(values[after])),
            jobs_before=len(values[before]),
            jobs_after=len(values[after]),
            rows_before=float(np.median(rows[before])),
            rows_after=float(np.median(rows[after])),
        )


def weight(step: Step) -> float:
    """Return how much a step weighs beside others: by its milliseconds, failures last."""
    return 0.0 if step.part == "failed" else abs(step.after - step.before)


def _levels(values: Values, least: float) -> Iterator[tuple[slice, slice]]:
    """Yield where the levels on both sides of each step are."""
    cuts: list[int] = []
    for at, stop in pairwise([*_cuts(values), len(values)]):
        start = cuts[-1] if cuts else 0
        if _differ(values[start:at], values[at:stop], least):
            cuts.append(at)
    bounds = [0, *cuts, len(values)]
    for start, at, stop in zip(bounds, bounds[1:], bounds[2:], strict=False):
        yield slice(start, at), slice(at, stop)


def _differ(before: Values, after: Values, least: float) -> bool:
    low, high = sorted((float(np.median(before)), float(np.median(after))))
    return high > 0 and high >= least * low


def _cuts(values: Values) -> list[int]:
    """Return the places from which on the level is another one, by halving again and again."""
    at = _cut(values)
    if at is None:
        return []
    return [*_cuts(values[:at]), at, *(at + later for later in _cuts(values[at:]))]


def _cut(values: Values) -> int | None:
    """Return the place that parts the values best, if chance would not do as well."""
    chance, at = _best(values)
    if chance <= _CHANCE:
        return _sharpened(values, at)
    # What comes and goes again parts a stretch of the values, but hardly all of them.
    windows = _windows(len(values))
    tried = [(*_best(values[window]), window) for window in windows]
    chance, at, window = min(tried, key=itemgetter(0), default=(1.0, 0, slice(0)))
    if not windows or chance > _CHANCE / len(windows):
        return None
    return int(window.start) + _sharpened(values[window], at)


def _windows(count: int) -> list[slice]:
    """Return stretches of a half, a quarter and so on, each of which overlaps the next by half."""
    found, size = [], count // 2
    while size >= _SHORTEST:
        found += [slice(at, at + size) for at in range(0, count - size + 1, size // 2)]
        size //= 2
    return found


def _best(values: Values) -> tuple[float, int]:
    """Return the place that parts the values best, after how often chance does as well."""
    count = len(values)
    _, kind, alike = np.unique(values, return_inverse=True, return_counts=True)
    if count < 2 * _FEWEST or len(alike) == 1:
        return 1.0, 0
    ranks = (np.cumsum(alike) - (alike - 1) / 2)[kind]
    spread = ranks.std(ddof=1)
    places = np.arange(_FEWEST, count - _FEWEST + 1)
    excess = np.cumsum(ranks)[places - 1] - places * (count + 1) / 2
    height = np.abs(excess) / (spread * np.sqrt(places * (count - places) / count))
    best = int(height.argmax())
    return _chance(float(height[best]), count), int(places[best])


def _sharpened(values: Values, at: int) -> int:
    """Return the place nearby where the values change sides of the middle of both medians."""
    before, after = np.median(values[:at]), np.median(values[at:])
    if before == after:
        return at
    reach = abs(after - before) / 2
    sides = np.clip((values - (before + after) / 2) * np.sign(before - after), -reach, reach)
    return int(np.cumsum(sides)[_FEWEST - 1 : len(values) - _FEWEST].argmax()) + _FEWEST


def _chance(height: float, count: int) -> float:
    """Return how often the best of all places is as high by chance alone.

    Source: Miller and Siegmund, "Maximally Selected Chi Square Statistics", Biometrics 38 (1982);
    for ranks: Lausen and Schumacher, Biometrics 48 (1992).
    """
    density = math.exp(-(height**2) / 2) / math.sqrt(2 * math.pi)
    span = 2 * math.log((count - _FEWEST) / _FEWEST)
    return float(4 * density / height + density * (height - 1 / height) * span)
