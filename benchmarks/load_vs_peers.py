"""From a frame to its joined results: bulknb beside other clients, on one server, in one run.

Each client runs in a process of its own against `fast_server.py`: once to warm up, after which the
server has its answers ready, once for its memory, then up to five times, as long as that takes
seconds; the medians count. What is measured begins with the frame in memory and ends with an Id or
an error for each row of it. CPU is that of the client's process; peak is its memory above what it
held with the frame. No client waits between two looks at a job.

    python benchmarks/load_vs_peers.py            # 100,000 rows
    python benchmarks/load_vs_peers.py --big      # also 1,000,000

Clients from the registries live in .venv-interop (`make interop`); what is missing is left out.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import functools
import gc
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import requests

HERE = Path(__file__).parent
INTEROP = HERE.parent / ".venv-interop"
API = "/services/data/v62.0"
RUNS = 5
RUN_SECONDS = 5
MOST_BYTES = 95_000_000
OURS = "bulknb by key"
Join = Callable[[pd.DataFrame, str], pd.DataFrame]


class Hurried:
    """A clock whose sleeps are short."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.001))


def frame(rows: int) -> pd.DataFrame:
    """Ten columns as analysts have them, a tenth of four of them missing."""
    random, number = np.random.default_rng(1), np.arange(rows)
    notes = [
        "plain words that go on for a while",
        'say "hi", then go\nand more lines of text',
        "a, b and c, with commas, for a while longer",
    ]
    days = random.integers(0, 4_000, rows).astype("timedelta64[D]")
    moments = random.integers(0, 10**11, rows).astype("timedelta64[ms]")
    made = pd.DataFrame(
        {
            "Key__c": [f"K-{n:08}" for n in number.tolist()],
            "Name": np.array(["Zoë Müller", "Ana Ruiz", "李雷", "Jo Smith"])[number % 4],
            "Email__c": [f"{n}@example.com" for n in number.tolist()],
            "Phone__c": [f"+41 79 {n:07}" for n in number.tolist()],
            "Money__c": np.round(random.random(rows) * 1e6, 2),
            "Count__c": pd.array(random.integers(0, 10**6, rows), dtype="Int64"),
            "Day__c": (np.datetime64("2015-01-01", "s") + days),
            "When__c": pd.Series(np.datetime64("2015-01-01", "ms") + moments).dt.tz_localize("UTC"),
            "Done__c": random.random(rows) < 0.5,
            "Note__c": np.array(notes)[random.integers(0, 3, rows)],
        }
    )
    for name in ("Phone__c", "Money__c", "Count__c", "Note__c"):
        made.loc[random.random(rows) < 0.1, name] = None
    return made


def bulknb_load(rows: pd.DataFrame, url: str, *, operation: str) -> pd.DataFrame:
    import bulknb

    org = bulknb.connect(instance_url=url, access_token="token")
    org._wire.clock = Hurried()
    key = "Key__c" if operation == "upsert" else None
    return org.load(rows, "Row__c", operation, external_id=key).wait().frame


def formatted(rows: pd.DataFrame) -> pd.DataFrame:
    """What a competent analyst does before to_csv."""
    return rows.assign(
        Day__c=rows["Day__c"].dt.strftime("%Y-%m-%d"),
        When__c=rows["When__c"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str[:-3] + "Z",
        Done__c=rows["Done__c"].map({True: "true", False: "false"}),
    )


def by_key(rows: pd.DataFrame, texts: list[str]) -> pd.DataFrame:
    results = pd.concat(
        [pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False) for text in texts]
    )
    facts = [name for name in ("sf__Id", "sf__Error") if name in results]
    return rows.merge(results[["Key__c", *facts]], on="Key__c", how="left")


def by_hand(rows: pd.DataFrame, url: str) -> pd.DataFrame:
    session, texts = requests.Session(), []
    ready = formatted(rows)
    row_bytes = len(ready.head(1_000).to_csv(index=False).encode()) / len(ready.head(1_000))
    per_job = int(MOST_BYTES / (1.1 * row_bytes))
    for at in range(0, len(ready), per_job):
        wanted = {"object": "Row__c", "operation": "insert", "contentType": "CSV"}
        job = session.post(f"{url}{API}/jobs/ingest", json=wanted).json()["id"]
        path = f"{url}{API}/jobs/ingest/{job}"
        text = ready[at : at + per_job].to_csv(index=False, lineterminator="\n")
        session.put(f"{path}/batches", data=text.encode(), headers={"Content-Type": "text/csv"})
        session.patch(path, json={"state": "UploadComplete"})
        while session.get(path).json()["state"] != "JobComplete":
            pass
        for kind in ("successfulResults", "failedResults"):
            answer = session.get(f"{path}/{kind}")
            answer.encoding = "utf-8"
            texts.append(answer.text)
    return by_key(rows, texts)


def simple_salesforce(url: str) -> object:
    from simple_salesforce import Salesforce

    class Http(requests.adapters.HTTPAdapter):  # simple-salesforce always says https
        def send(self, request: requests.PreparedRequest, **options: object) -> requests.Response:
            request.url = request.url.replace("https:", "http:", 1)
            return super().send(request, **options)

    session = requests.Session()
    session.mount("https://127.0.0.1", Http())
    return Salesforce(instance_url=url, session_id="token", session=session, version="62.0")


def simple_salesforce_2(rows: pd.DataFrame, url: str) -> pd.DataFrame:
    client = simple_salesforce(url).bulk2.Row__c
    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="") as file:
        formatted(rows).to_csv(file, index=False, lineterminator="\n")
        file.flush()
        # By default it counts a quoted file too small, and exceeds its own limit.
        size = 400_000 if len(rows) > 400_000 else None
        done = client.insert(csv_file=file.name, batch_size=size, wait=0)
    texts = []
    for job in done:
        texts.append(client.get_successful_records(job["job_id"]))
        texts.append(client.get_failed_records(job["job_id"]))
    return by_key(rows, texts)


def simple_salesforce_1(rows: pd.DataFrame, url: str) -> pd.DataFrame:
    ready = formatted(rows).astype(object)
    records = ready.where(ready.notna(), None).to_dict("records")
    results = simple_salesforce(url).bulk.Row__c.insert(records, batch_size=10_000)
    return rows.assign(
        sf__Id=[each["id"] or "" for each in results],
        sf__Error=[str(each["errors"] or "") for each in results],
    )


def salesforce_bulk(rows: pd.DataFrame, url: str) -> pd.DataFrame:
    from salesforce_bulk import CsvDictsAdapter, SalesforceBulk

    bulk = SalesforceBulk(sessionId="token", host=url)
    ready = formatted(rows).astype(object)
    records = ready.where(ready.notna(), "").to_dict("records")
    job = bulk.create_insert_job("Row__c", contentType="CSV")
    batches = [
        bulk.post_batch(job, CsvDictsAdapter(iter(records[at : at + 10_000])))
        for at in range(0, len(records), 10_000)
    ]
    bulk.close_job(job)
    results = []
    for batch in batches:
        bulk.wait_for_batch(job, batch, sleep_interval=0)
        results += bulk.get_batch_results(batch, job)
    return rows.assign(
        sf__Id=[each.id for each in results], sf__Error=[each.error for each in results]
    )


CLIENTS: dict[str, Callable[[pd.DataFrame, str], pd.DataFrame]] = {
    OURS: functools.partial(bulknb_load, operation="upsert"),
    "bulknb by content": functools.partial(bulknb_load, operation="insert"),
    "to_csv + requests": by_hand,
    "simple-salesforce 2.0": simple_salesforce_2,
    "simple-salesforce 1.0": simple_salesforce_1,
    "salesforce-bulk": salesforce_bulk,
}
NEEDS = {
    "simple-salesforce 2.0": "simple_salesforce",
    "simple-salesforce 1.0": "simple_salesforce",
    "salesforce-bulk": "salesforce_bulk",
    "jsforce bulk2": "jsforce",
}
#: It reads results byte by byte: minutes for a million.
SLOW = ("salesforce-bulk",)


def measure(client: str, rows: int, url: str) -> dict[str, float]:
    """Run a client in this process, once to warm up, once for its memory, then for its times."""
    source = frame(rows)
    CLIENTS[client](source, url)
    give_back()
    peak = measured(CLIENTS[client], source, url)["peak"]
    runs = []
    while not runs or (len(runs) < RUNS and sum(run["clock"] for run in runs) < RUN_SECONDS):
        runs.append(measured(CLIENTS[client], source, url))
    return {
        "cpu": statistics.median(run["cpu"] for run in runs),
        "clock": statistics.median(run["clock"] for run in runs),
        "peak": peak,
        "right": all(run["right"] for run in runs),
    }


def measured(load: Join, source: pd.DataFrame, url: str) -> dict[str, float]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = memory("VmRSS")
    cpu, clock = time.process_time(), time.perf_counter()
    joined = load(source, url)
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    peak = memory("VmHWM") - before
    ids = joined["Id" if "Id" in joined else "sf__Id"]
    saved = (ids.fillna("") != "").sum()
    # Each hundredth row of a job or batch fails, the first one too.
    rows = len(source)
    right = len(joined) == rows and rows * 0.99 - 20 <= saved <= rows * 0.99
    return {"cpu": cpu, "clock": clock, "peak": peak, "right": bool(right)}


def give_back() -> None:
    """Give back what is not in use: else what a run leaves hides what the next one takes."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    ctypes.CDLL(None).malloc_trim(0)


def memory(name: str) -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith(name))


def run_jsforce(rows: int, url: str) -> dict[str, float]:
    """Run jsforce, which begins with records in memory, and joins by a Map."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        ready = formatted(frame(rows)).astype(object)
        records = ready.where(ready.notna(), None).to_dict("records")
        file.write_text(json.dumps(records))
        node = [str(INTEROP / "bin/node"), "--max-old-space-size=8000", str(HERE / "jsforce.mjs")]
        return json.loads(output([*node, url, str(file), str(INTEROP / "node/node_modules")]))


def output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.splitlines()[-1]


def installed(client: str) -> bool:
    package = NEEDS.get(client)
    if package == "jsforce":
        return (INTEROP / "node/node_modules/jsforce").is_dir() and (INTEROP / "bin/node").exists()
    return package is None or any(INTEROP.glob(f"lib/python*/site-packages/{package}"))


def compare(rows: int, url: str, clients: list[str]) -> None:
    print(f"\n{rows:,} rows x 10 columns, frame to joined results")
    print(f"{'':24}{'CPU s':>8}{'x':>7}{'clock s':>10}{'x':>7}{'peak MB':>9}")
    ours: dict[str, float] = {}
    for client in clients:
        if not installed(client):
            print(f"{client:24}is not installed: make interop")
            continue
        if client in SLOW and rows > 100_000:
            print(f"{client:24}is left out: it would take minutes")
            continue
        if client == "jsforce bulk2":
            found = run_jsforce(rows, url)
        else:
            script = [sys.executable, __file__, "--client", client, "--url", url, "--rows"]
            found = json.loads(output([*script, str(rows)]))
        ours = ours or found
        ratios = [found[name] / ours[name] for name in ("cpu", "clock")]
        print(
            f"{client:24}{found['cpu']:8.2f}{ratios[0]:7.1f}{found['clock']:10.2f}{ratios[1]:7.1f}"
            f"{found['peak']:9.0f}{'' if found['right'] else '   NOT ALL ROWS ARE RIGHT'}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="bulknb beside other clients.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--big", action="store_true", help="also 1,000,000 rows")
    parser.add_argument("--client", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        sys.path += map(str, INTEROP.glob("lib/python*/site-packages"))
        csv.field_size_limit(sys.maxsize)
        print(json.dumps(measure(options.client, options.rows, options.url)))
        return
    server = [sys.executable, str(HERE / "fast_server.py")]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as process,
    ):
        os.environ["BULKNB_LEDGER"] = str(Path(folder) / "ledger.sqlite")
        try:
            url = process.stdout.readline().strip()
            for rows in [options.rows] + [1_000_000] * options.big:
                compare(rows, url, [*CLIENTS, "jsforce bulk2"])
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
