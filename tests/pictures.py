"""Jobs to draw, and what a picture shows, read back from its artists."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb


def job(number=1, total=4103, active=3101, apex=1200, **fields):
    """A finished ingest job as the server describes it; times in milliseconds."""
    info = {
        "id": f"750xx{number:010}AAA",
        "operation": "upsert",
        "object": "Flight__c",
        "state": "JobComplete",
        "jobType": "V2Ingest",
        "totalProcessingTime": total,
        "apiActiveProcessingTime": active,
        "apexProcessingTime": apex,
    }
    return info | fields


def query_job(number, total):
    info = job(number, total, operation="query", jobType="V2Query", object="Account")
    del info["apiActiveProcessingTime"], info["apexProcessingTime"]
    return info


def boxes(ax, label):
    """Left, right and middle height of each box that the legend calls `label`, in data units."""
    (artist,) = [c for c in ax.collections if c.get_label() == label]
    corners = np.concatenate(
        [path.vertices.reshape(-1, 5, 2)[:, :4] for path in artist.get_paths()]
    )
    return [(xy[:, 0].min(), xy[:, 0].max(), round(xy[:, 1].mean(), 9)) for xy in corners]


def row_labels(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def legend_labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def notes(ax):
    return [text.get_text() for text in ax.texts]


def lightness(colour):
    """CIE L*, 0 to 100, of an sRGB colour."""
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16


def at(clock, day="2026-06-01"):
    """A time of a day, UTC, as the server writes it."""
    return f"{day}T{clock}.000+0000"


def ran(number, began, ended, *, state="JobComplete", day="2026-06-01", **fields):
    """A job that ran from one time of a day to another; unfinished, until it was last heard of."""
    times = {"createdDate": at(began, day), "systemModstamp": at(ended, day)}
    return job(number, state=state, numberRecordsProcessed=1_000, **times, **fields)


def hours(ax, label):
    """Begin, end and row of each box, in hours after midnight of its day."""
    return [(left % 1 * 24, right % 1 * 24, row) for left, right, row in boxes(ax, label)]


def labels(ax):
    """What artists are called, without their counts."""
    return [artist.get_label().partition(" (")[0] for artist in (*ax.collections, *ax.lines)]
