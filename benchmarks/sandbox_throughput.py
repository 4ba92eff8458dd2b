"""How many rows a second the sandbox takes and gives, and how much memory that needs.

Each run starts a sandbox in a process of its own, loads rows of ten columns with one 2.0 ingest
job on a clock so fast that only the work counts, and queries them all. Measured from outside:

- ingest: from the first byte of the upload until the job is JobComplete, all rows saved; once by
  the clock on the wall, once by the time that the sandbox's process had a core, which depends
  less on what else the machine does;
- peak memory: the most that the sandbox's process has held, from its start to its end;
- query, served: all pages of the result, as CSV over HTTP, once the job is JobComplete;
- query, end to end: the same from the creation of the job on.

    python benchmarks/sandbox_throughput.py --rows 1000000 --runs 3
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import re
import statistics
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import requests

from bulknb import sandbox
from bulknb.sandbox import Field, ObjectType

READING = ObjectType(
    "Reading__c",
    (
        Field("Key__c", length=80, external_id=True, unique=True),
        Field("Station__c", length=80),
        Field("City__c", length=80),
        Field("Note__c"),
        Field("Kind__c", "picklist"),
        Field("Count__c", "int"),
        Field("Value__c", "double", scale=3),
        Field("Price__c", "currency"),
        Field("Day__c", "date"),
        Field("Checked__c", "boolean"),
    ),
)
NAMES = [field.name for field in READING.fields]
# Faster, and the job would expire before it can be asked for: a week is ten minutes.
SPEED = 1_000
VERSION = "/services/data/v62.0"


@dataclass(frozen=True)
class Run:
    """What one sandbox did: rows a second, and megabytes."""

    ingest: float
    ingest_cpu: float
    peak: float
    served: float
    end_to_end: float


LINES = {
    "ingest": "rows/s",
    "ingest_cpu": "rows/s of its CPU time",
    "peak": "MB of memory at the peak",
    "served": "rows/s of a query served",
    "end_to_end": "rows/s of a query end to end",
}


class Api:
    """The requests of one client."""

    def __init__(self, url: str, token: str) -> None:
        self._base = url + VERSION
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def send(self, method: str, path: str, **options: object) -> requests.Response:
        answer = self._session.request(method, self._base + path, **options)
        answer.raise_for_status()
        return answer

    def wait(self, path: str) -> dict[str, object]:
        """Return a job when it has ended."""
        while (job := self.send("GET", path).json())["state"] != "JobComplete":
            if job["state"] in {"Failed", "Aborted"}:
                raise SystemExit(f"The job is {job['state']}: {job.get('errorMessage')}")
            time.sleep(0.02)
        return job


def serve(pipe: Connection) -> None:
    """Run a sandbox; whenever asked, tell its seconds of CPU time and the most memory so far."""
    with sandbox.start(speed=SPEED, objects=[READING]) as running:
        pipe.send((running.url, running.token))
        while pipe.recv():
            status = Path("/proc/self/status").read_text()
            peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
            pipe.send((time.process_time(), peak))


def csv(rows: int) -> bytes:
    lines = [
        f"K-{row:08},Station {row % 997},City {row % 4001},a note on {row},Kind {row % 7},"
        f"{row % 5000},{row % 977 / 8},{row % 10007 / 100},"
        f"2026-{1 + row % 12:02}-{1 + row % 28:02},{'true' if row % 3 else 'false'}\n"
        for row in range(rows)
    ]
    return "".join([",".join(NAMES) + "\n", *lines]).encode()


def ingest(api: Api, data: bytes, operation: str) -> float:
    """Load the data and return the seconds."""
    key = {"externalIdFieldName": "Key__c"} if operation == "upsert" else {}
    wanted = {"object": READING.name, "operation": operation, **key}
    path = f"/jobs/ingest/{api.send('POST', '/jobs/ingest', json=wanted).json()['id']}"
    begin = time.perf_counter()
    api.send("PUT", f"{path}/batches", data=data)
    api.send("PATCH", path, json={"state": "UploadComplete"})
    job = api.wait(path)
    seconds = time.perf_counter() - begin
    if job["numberRecordsFailed"] or job["numberRecordsProcessed"] != data.count(b"\n") - 1:
        raise SystemExit(f"Not all rows were saved: {job}")
    return seconds


def query(api: Api, rows: int) -> tuple[float, float]:
    """Fetch all rows and return the seconds until they are ready, and until they are here."""
    text = " ".join(["SELECT", ", ".join(["Id", *NAMES]), "FROM", READING.name])
    wanted = {"operation": "query", "query": text}
    begin = time.perf_counter()
    path = f"/jobs/query/{api.send('POST', '/jobs/query', json=wanted).json()['id']}"
    api.wait(path)
    ready = time.perf_counter()
    locator, count = "", 0
    while locator != "null":
        page = api.send("GET", f"{path}/results", params={"locator": locator} if locator else {})
        locator = page.headers["Sforce-Locator"]
        count += page.content.count(b"\n") - 1
    if count != rows:
        raise SystemExit(f"{count:,} of {rows:,} rows came back.")
    return ready - begin, time.perf_counter() - ready


def run(data: bytes, rows: int, operation: str) -> Run:
    """Measure one sandbox from its start to its end."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=serve, args=(other,), daemon=True)
    process.start()
    api = Api(*pipe.recv())

    def usage() -> tuple[float, float]:
        pipe.send(True)
        return pipe.recv()

    before, _ = usage()
    loading = ingest(api, data, operation)
    after, _ = usage()
    preparing, serving = query(api, rows)
    _, peak = usage()
    pipe.send(False)
    process.join()
    return Run(
        ingest=rows / loading,
        ingest_cpu=rows / (after - before),
        peak=peak,
        served=rows / serving,
        end_to_end=rows / (preparing + serving),
    )


def main() -> None:
    """Print the median of several runs, and the least and the most of them."""
    parser = argparse.ArgumentParser(description="Throughput and memory of the sandbox.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--operation", choices=("insert", "upsert"), default="insert")
    options = parser.parse_args()
    data = csv(options.rows)
    print(
        f"{options.operation} of {options.rows:,} rows x {len(NAMES)} columns"
        f" ({len(data) / 1e6:,.0f} MB), {options.runs} runs,"
        f" Python {platform.python_version()}, {multiprocessing.cpu_count()} cores"
    )
    runs = [run(data, options.rows, options.operation) for _ in range(options.runs)]
    for name, unit in LINES.items():
        found = [getattr(each, name) for each in runs]
        span = f"from {min(found):,.0f} to {max(found):,.0f}"
        print(f"{statistics.median(found):>9,.0f} {unit} ({span})")


if __name__ == "__main__":
    main()
