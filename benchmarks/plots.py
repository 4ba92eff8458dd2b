"""How long pictures of many jobs take to draw, beside an empty figure and a bar at a time.

Each is built and drawn to PNG in CPU seconds, the median of some runs in turns; then as SVG, in kB.
All figures but the overview are of one size.

    python benchmarks/plots.py --jobs 5000 --runs 5
"""

from __future__ import annotations

import argparse
import io
import random
import statistics
import time
from collections.abc import Callable

import pandas as pd
from matplotlib.figure import Figure

import bulknb
from bulknb import plots

OBJECTS = ("Account", "Contact", "Case", "Flight__c", "Opportunity", "Asset", "Invoice_Line__c")
PARTS = ("apex_ms", "api_ms", "rest_ms")
SIZE = (9, 14)  # inches, as the largest of bulknb.plots.processing_times_figure

Draw = Callable[[pd.DataFrame], Figure]


def history(jobs: int) -> pd.DataFrame:
    """Finished jobs of several objects, one every three minutes."""
    chance = random.Random(4)
    start = pd.Timestamp("2026-06-01T06:00Z")
    found = []
    for number in range(jobs):
        created = start + pd.Timedelta(minutes=3 * number + chance.random())
        apex, api, rest = (int(chance.lognormvariate(10, 1)) for _ in PARTS)
        ended = created + pd.Timedelta(milliseconds=(apex + api + rest) / chance.uniform(0.5, 4))
        found.append(
            {
                "id": f"750xx{number:010}AAA",
                "operation": chance.choice(["insert", "update", "upsert"]),
                "object": chance.choice(OBJECTS),
                "state": chance.choice(["JobComplete"] * 9 + ["Failed"]),
                "jobType": "V2Ingest",
                "createdDate": created.isoformat(timespec="milliseconds"),
                "systemModstamp": ended.isoformat(timespec="milliseconds"),
                "numberRecordsProcessed": 10_000,
                "numberRecordsFailed": chance.choice([0, 0, 50]),
                "totalProcessingTime": apex + api + rest,
                "apiActiveProcessingTime": apex + api,
                "apexProcessingTime": apex,
            }
        )
    return bulknb.jobs_frame(found)


def empty(_: pd.DataFrame) -> Figure:
    figure = Figure(figsize=SIZE, layout="constrained")
    figure.add_subplot()
    return figure


def a_bar_at_a_time(frame: pd.DataFrame) -> Figure:
    figure = empty(frame)
    (ax,) = figure.axes
    left = pd.Series(0.0, frame.index)
    for part in PARTS:
        ax.barh(range(len(frame)), frame[part].astype(float), left=left, label=part)
        left += frame[part].astype(float)
    ax.legend(loc="lower right")
    return figure


def drawn_by(plot: Callable[..., object]) -> Draw:
    def draw(frame: pd.DataFrame) -> Figure:
        figure = Figure(figsize=SIZE, layout="constrained")
        plot(frame, ax=figure.add_subplot())
        return figure

    return draw


WAYS: dict[str, Draw] = {
    "empty figure": empty,
    "processing_times": plots.processing_times_figure,
    "timeline": drawn_by(plots.timeline),
    "outcomes": drawn_by(plots.outcomes),
    "throughput": drawn_by(plots.throughput),
    "overview": plots.overview,
}


def seconds(draw: Draw, frame: pd.DataFrame) -> float:
    started = time.process_time()
    draw(frame).savefig(io.BytesIO(), format="png")
    return time.process_time() - started


def kilobytes(draw: Draw, frame: pd.DataFrame) -> float:
    file = io.BytesIO()
    draw(frame).savefig(file, format="svg")
    return len(file.getvalue()) / 1_000


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    frame = history(options.jobs)
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for draw in WAYS.values():
        seconds(draw, frame.iloc[:100])  # what is loaded when first needed
    for _ in range(options.runs):
        for name, draw in WAYS.items():
            taken[name].append(seconds(draw, frame))
    floor = statistics.median(taken["empty figure"])
    naive = seconds(a_bar_at_a_time, frame)  # once: it takes long
    print(f"{'':<20}{'seconds':>8}{'times empty':>13}{'naive / this':>14}{'SVG, kB':>9}")
    for name, found in taken.items():
        took = statistics.median(found)
        size = kilobytes(WAYS[name], frame)
        print(f"{name:<20}{took:>8.3f}{took / floor:>13.1f}{naive / took:>14.1f}{size:>9,.0f}")
    print(f"{'a bar at a time':<20}{naive:>8.3f}{naive / floor:>13.1f}{1:>14.1f}")
    print(f"{len(frame):,} jobs")


if __name__ == "__main__":
    main()
