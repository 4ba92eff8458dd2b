"""How fast JobInfo records become a frame, and how much memory that needs, beside other ways.

Three inputs: a million dicts, a million records in the JSON pages of "Get All Jobs", a hundred
thousand XML documents of Bulk API 1.0; jobs of three kinds, mixed. Each run has a process of its
own, contestants take turns. Seconds are medians; the peak is what a run needs above its input.

    python benchmarks/job_frames.py --jobs 1000000 --runs 3
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import re
import statistics
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import bulknb
from bulknb._xml import write_xml

TIMES = ("createdDate", "systemModstamp")
NUMBERS = re.compile("number|retries|.*Time$")
PAGE = 1_000


def records(jobs: int) -> list[dict[str, Any]]:
    """Jobs as the API gives them: 2.0 ingest, 2.0 query and 1.0."""
    chance = random.Random(4)
    made = [job(number, chance) for number in range(jobs)]
    return json.loads(json.dumps(made))  # no two records share a text


def job(number: int, chance: random.Random) -> dict[str, Any]:
    kind = chance.choice(["V2Ingest", "V2Ingest", "V2Query", "Classic"])
    query = kind == "V2Query"
    rows, total = chance.randrange(100_000), chance.randrange(1_000_000)
    common = {
        "id": f"750xx{number:010}AAA",
        "operation": "query" if query else chance.choice(["insert", "update", "upsert"]),
        "object": chance.choice(["Account", "Contact", "Flight__c"]),
        "createdById": f"005xx{chance.randrange(20):010}AAA",
        "createdDate": f"2026-11-{1 + number % 28:02}T08:{number % 60:02}:27.000+0000",
        "systemModstamp": f"2026-11-{1 + number % 28:02}T09:{number % 60:02}:43.000+0000",
        "state": "Closed" if kind == "Classic" else chance.choice(["JobComplete", "Failed"]),
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": 62.0,
        "jobType": kind,
    }
    counts = {"numberRecordsProcessed": rows, "retries": 0, "totalProcessingTime": total}
    times = {"apiActiveProcessingTime": total // 2, "apexProcessingTime": total // 3}
    if kind == "Classic":
        batches = ("Queued", "InProgress", "Completed", "Failed", "Total")
        return common | {f"numberBatches{name}": 0 for name in batches} | counts | times
    written = {"lineEnding": "LF", "columnDelimiter": "COMMA"}
    if query:
        return common | written | counts | {"isPkChunkingSupported": True}
    return common | written | {"numberRecordsFailed": rows // 50} | counts | times


def pages(jobs: int) -> list[bytes]:
    found = records(jobs)
    return [
        json.dumps(
            {"done": False, "nextRecordsUrl": "/x", "records": found[start : start + PAGE]},
            separators=(",", ":"),
        ).encode()
        for start in range(0, jobs, PAGE)
    ]


def documents(jobs: int) -> list[bytes]:
    return [
        write_xml("jobInfo", {name: str(value) for name, value in record.items()})
        for record in records(jobs)
    ]


def loaded(texts: list[bytes]) -> list[dict[str, Any]]:
    return [record for text in texts for record in json.loads(text)["records"]]


def parsed(texts: list[bytes]) -> list[dict[str, Any]]:
    return [
        {child.tag.rpartition("}")[2]: child.text for child in ET.fromstring(text)}
        for text in texts
    ]


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    for name in frame:
        if name in TIMES:
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
        elif NUMBERS.match(name):
            frame[name] = pd.to_numeric(frame[name]).astype("Int64")
        elif name.startswith("is"):
            frame[name] = frame[name].replace("True", True).astype("boolean")
        else:
            frame[name] = frame[name].astype("string")
    return frame


#: What is measured: input -> (how it is made, its share of the jobs, contestants; the last is ours)
INPUTS: dict[str, tuple[Callable[[int], Any], float, dict[str, Callable[[Any], pd.DataFrame]]]] = {
    "dicts": (
        records,
        1.0,
        {
            "json_normalize, untyped": pd.json_normalize,
            "DataFrame(list), untyped": pd.DataFrame,
            "DataFrame(list), typed": lambda found: typed(pd.DataFrame(found)),
            "bulknb.jobs_frame": bulknb.jobs_frame,
        },
    ),
    "JSON pages": (
        pages,
        1.0,
        {
            "json.loads, DataFrame, typed": lambda texts: typed(pd.DataFrame(loaded(texts))),
            "bulknb.jobs_frame": bulknb.jobs_frame,
        },
    ),
    "XML documents": (
        documents,
        0.1,
        {
            "ElementTree, DataFrame, typed": lambda texts: typed(pd.DataFrame(parsed(texts))),
            "bulknb.jobs_frame": bulknb.jobs_frame,
        },
    ),
}


def run(kind: str, contestant: str, jobs: int) -> tuple[float, float]:
    """Return seconds, and megabytes at the peak above the input; in a process of its own."""
    make, share, contestants = INPUTS[kind]
    given = make(round(jobs * share))
    contestants[contestant](given[:2])  # what is loaded when first needed
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory("VmRSS")
    started = time.perf_counter()
    frame = contestants[contestant](given)
    seconds = time.perf_counter() - started
    assert len(frame) == round(jobs * share)
    return seconds, memory("VmHWM") - before


def memory(name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(f"{'input':<15}{'way':<31}{'seconds':>8}{'times ours':>12}{'peak MB':>9}")
    for kind, (_, share, contestants) in INPUTS.items():
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
        for _ in range(options.runs):
            for name, found in figures.items():
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    found.append(pool.apply(run, (kind, name, options.jobs)))
        ours = statistics.median(seconds for seconds, _ in figures["bulknb.jobs_frame"])
        for name, found in figures.items():
            seconds = statistics.median(seconds for seconds, _ in found)
            peak = statistics.median(peak for _, peak in found)
            print(f"{kind:<15}{name:<31}{seconds:>8.2f}{seconds / ours:>12.2f}{peak:>9,.0f}")
        print(f"{'':<15}{round(options.jobs * share):,} jobs")


if __name__ == "__main__":
    main()
