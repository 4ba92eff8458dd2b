"""How many rows a second the sandbox takes and gives, and how much memory that needs.

Each run starts a sandbox in a process of its own, loads rows of ten columns with one 2.0 ingest
job on a clock so fast that only the work counts, and queries them all. Measured from outside:

- ingest: from the first byte of the upload until the job is JobComplete, all rows saved;
- prepare: from the creation of the query job until it is JobComplete;
- serve: all pages of its result, as CSV over HTTP.

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
SPEED = 1_000_000
VERSION = "/services/data/v62.0"


@dataclass(frozen=True)
class Run:
    """Rows a second, and megabytes at the peak after the load and in the end."""

    ingest: float
    prepare: float
    serve: float
    ingest_mb: float
    query_mb: float


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
    """Run a sandbox; whenever asked, tell the most memory it has needed so far."""
    with sandbox.start(speed=SPEED, objects=[READING]) as running:
        pipe.send((running.url, running.token))
        while pipe.recv():
            status = Path("/proc/self/status").read_text()
            pipe.send(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024)


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
    wanted = {"object": READING.name, "operation": operation, "externalIdFieldName": "Key__c"}
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

    def peak() -> float:
        pipe.send(True)
        return float(pipe.recv())

    loading = ingest(api, data, operation)
    ingest_mb = peak()
    preparing, serving = query(api, rows)
    query_mb = peak()
    pipe.send(False)
    process.join()
    return Run(rows / loading, rows / preparing, rows / serving, ingest_mb, query_mb)


def main() -> None:
    """Print the median, least and most of several runs."""
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
    for name in ("ingest", "prepare", "serve"):
        rates = [getattr(each, name) for each in runs]
        print(
            f"{name:8} {statistics.median(rates):>9,.0f} rows/s"
            f"  (from {min(rates):,.0f} to {max(rates):,.0f})"
        )
    print(
        f"peak memory {max(each.ingest_mb for each in runs):,.0f} MB after the load,"
        f" {max(each.query_mb for each in runs):,.0f} MB after the query"
    )


if __name__ == "__main__":
    main()
