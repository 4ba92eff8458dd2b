"""What sending rows costs beside the least that it could, and what bytes alone cost the client.

The least: the same encoder, slab by slab, Arrow's CSV writer, and a bare PUT of each file; no
check, no hash, no journal. Ours is a load with ``close=False`` until it is held. The median of some
runs in turns, against `fast_server.py`, which hashes what it gets.

    python benchmarks/upload.py --rows 1000000
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pyarrow as pa
from fast_server import TYPES
from load_vs_peers import API, Hurried, frame
from pyarrow import csv as pacsv

import bulknb
from bulknb._encode import Encoding

SERVER = [sys.executable, str(Path(__file__).with_name("fast_server.py"))]
SLAB_ROWS = 26_000
MOST_BYTES = 95_000_000


def least(rows: pd.DataFrame, url: str) -> None:
    """Encode, write and put, one after the other."""
    encoding, made = Encoding(types=TYPES), pa.BufferOutputStream()
    for at in range(0, len(rows), SLAB_ROWS):
        if made.tell() > 0.96 * MOST_BYTES:
            put(made.getvalue(), url)
            made = pa.BufferOutputStream()
        slab = rows.iloc[at : at + SLAB_ROWS]
        options = pacsv.WriteOptions(include_header=not made.tell())
        pacsv.write_csv(encoding.table(slab), made, options)
    put(made.getvalue(), url)


def put(body: pa.Buffer, url: str) -> None:
    wire = http.client.HTTPConnection(urlsplit(url).netloc)
    with contextlib.closing(wire):
        wire.request("POST", f"{API}/jobs/ingest", b"{}")
        job = wire.getresponse().read().decode().split('"')[3]
        wire.request("PUT", f"{API}/jobs/ingest/{job}/batches", memoryview(body))
        wire.getresponse().read()


def ours(rows: pd.DataFrame, url: str) -> None:
    load = connect(url).load(rows, "Row__c", "insert", close=False)
    with contextlib.suppress(bulknb.errors.StillRunningError):
        load.wait()
    if not load.held:
        raise SystemExit(f"It is not held: {load}")


def connect(url: str) -> bulknb.Org:
    org = bulknb.connect(instance_url=url, access_token="token")
    org._wire.clock = Hurried()
    return org


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def cpu_a_gigabyte(call: Callable[[], object], size: int) -> float:
    """Return the seconds of this thread: others give memory back that was free before."""
    started = time.thread_time()
    call()
    return 1e9 * (time.thread_time() - started) / size


def calls(rows: pd.DataFrame, url: str) -> list[str]:
    """Return what a load of one job asks the server for."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage().partition(" -> ")[0])
    log = logging.getLogger("bulknb")
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        org = connect(url)
        said.clear()
        org.load(rows, "Row__c", "insert").wait()
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
    return [each for each in said if "services" in each]


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    rows = frame(options.rows)
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(SERVER, stdout=subprocess.PIPE, text=True) as server,
    ):
        os.environ["BULKNB_LEDGER"] = str(Path(folder) / "ledger.sqlite")
        try:
            report(rows, server.stdout.readline().strip(), options.runs)
        finally:
            server.terminate()


def report(rows: pd.DataFrame, url: str, runs: int) -> None:
    ways = {"the least": least, "bulknb": ours}
    taken = {name: [] for name in ways}
    for number in range(runs + 1):  # the first ones to warm up
        for name, send in ways.items():
            took = seconds(lambda send=send: send(rows, url))
            if number:
                taken[name].append(took)
    floor, found = (statistics.median(taken[name]) for name in ways)
    print(f"{len(rows):,} rows to the server: {found:.2f} s, the least {floor:.2f} s")
    print(f"bulknb's rate is {floor / found:.2f} of that")

    body = pacsv_bytes(rows.iloc[:600_000])
    job = connect(url).create_job("insert", "Row__c")
    sending = cpu_a_gigabyte(lambda: job.upload(body), len(body))
    got: list[int] = []
    path = f"{API}/jobs/ingest/{job.id}/successfulResults"
    fetch = functools.partial(job._wire.download, path, lambda piece: got.append(len(piece)))
    fetch()
    size = sum(got)
    print(f"client CPU a GB: PUT {sending:.2f} s, GET {cpu_a_gigabyte(fetch, size):.2f} s")
    asked = calls(rows.iloc[:1_000], url)
    print(f"{len(asked)} calls for a load of one job:", *asked, sep="\n  ")


def pacsv_bytes(rows: pd.DataFrame) -> bytes:
    made = pa.BufferOutputStream()
    pacsv.write_csv(Encoding(types=TYPES).table(rows), made)
    return made.getvalue().to_pybytes()


if __name__ == "__main__":
    main()
