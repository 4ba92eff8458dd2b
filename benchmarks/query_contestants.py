"""One way to get the stub's result into a typed frame, in a process of its own.

    python benchmarks/query_contestants.py NAME URL

It runs once to warm up, once for its memory, then up to five times, as long as that takes seconds.
Prints a line of JSON: wall and CPU seconds of the median run, peak memory above what was held
before, and a sum by which all results can be compared; or which module is not installed. Pauses
between polls are set to nothing where a client lets one.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pyarrow as pa
from query_stub import JOB, OBJECT, SOQL, VERSION

Make = Callable[[str], Callable[[], pd.DataFrame]]
TOKEN = "00Dxx!token"
RUNS = 5
RUN_SECONDS = 5
DTYPES = {
    "Key__c": "string",
    "Name": "string",
    "Mail__c": "string",
    "Phone__c": "string",
    "Money__c": "Float64",
    "Count__c": "Int64",
    "Day__c": "string",
    "Moment__c": "string",
    "Flag__c": "boolean",
    "Text__c": "string",
}


def bulknb(url: str) -> Callable[[], pd.DataFrame]:
    import bulknb

    org = bulknb.connect(instance_url=url, access_token=TOKEN, api_version=VERSION)
    return lambda: org.query(SOQL).frame()


def bulknb_in_turn(url: str) -> Callable[[], pd.DataFrame]:
    import bulknb

    org = bulknb.connect(instance_url=url, access_token=TOKEN, api_version=VERSION)
    return lambda: org.query(SOQL, page_rows=50_000).frame()


def bulknb_to_parquet(url: str) -> Callable[[], pd.DataFrame]:
    """Give an empty frame: what counts is the memory."""
    import bulknb

    org = bulknb.connect(instance_url=url, access_token=TOKEN, api_version=VERSION)

    def run() -> pd.DataFrame:
        with tempfile.TemporaryDirectory() as folder:
            org.query(SOQL).to_parquet(folder)
        return pd.DataFrame()

    return run


def arrow_alone(url: str) -> Callable[[], pd.DataFrame]:
    """Read the same bytes out of memory: what no client can be faster than by much."""
    import pyarrow as pa
    import requests
    from pyarrow import csv

    path = f"{url}/services/data/v{VERSION}/jobs/query/{JOB}"
    rows = requests.get(path, timeout=60).json()["numberRecordsProcessed"]
    page = requests.get(f"{path}/results", timeout=60).content
    body = page + page[page.index(b"\n") + 1 :] * (rows // 50_000 - 1)
    types = {"string": pa.string(), "Float64": pa.float64(), "Int64": pa.int64()}
    columns = {name: types.get(kind, pa.bool_()) for name, kind in DTYPES.items()}
    columns |= {"Day__c": pa.date32(), "Moment__c": pa.timestamp("us", tz="UTC")}
    mapper = {pa.string(): pd.StringDtype("pyarrow"), pa.int64(): pd.Int64Dtype()}

    def run() -> pd.DataFrame:
        table = csv.read_csv(
            pa.BufferReader(body),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=columns, strings_can_be_null=True, quoted_strings_can_be_null=True
            ),
        )
        return table.to_pandas(types_mapper=mapper.get, date_as_object=False)

    return run


def simple_salesforce_query(url: str) -> Callable[[], pd.DataFrame]:
    api = _simple_salesforce(url)
    return lambda: _typed(map(io.StringIO, api.query(SOQL, max_records=50_000, wait=0.001)))


def simple_salesforce_download(url: str) -> Callable[[], pd.DataFrame]:
    api = _simple_salesforce(url)

    def run() -> pd.DataFrame:
        with tempfile.TemporaryDirectory() as folder:
            files = api.download(SOQL, path=folder, max_records=50_000, wait=0.001)
            return _typed(file["file"] for file in files)

    return run


def requests_and_read_csv(url: str) -> Callable[[], pd.DataFrame]:
    """Do as a competent analyst does."""
    import requests

    def run() -> pd.DataFrame:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        path = f"{url}/services/data/v{VERSION}/jobs/query"
        wanted = {"operation": "query", "query": SOQL}
        path = f"{path}/{session.post(path, json=wanted).json()['id']}"
        while session.get(path).json()["state"] != "JobComplete":
            time.sleep(0.01)
        pages, locator = [], ""
        while locator != "null":
            answer = session.get(f"{path}/results", params={"locator": locator} if locator else {})
            pages.append(io.BytesIO(answer.content))
            locator = answer.headers["Sforce-Locator"]
        return _typed(pages)

    return run


def salesforce_bulk(url: str) -> Callable[[], pd.DataFrame]:
    from salesforce_bulk import SalesforceBulk

    client = SalesforceBulk(sessionId=TOKEN, host=urlsplit(url).netloc)
    client.endpoint = f"{url}/services/async/{VERSION}"

    def run() -> pd.DataFrame:
        job = client.create_query_job(OBJECT, contentType="CSV")
        batch = client.query(job, SOQL)
        client.close_job(job)
        pages = [io.BytesIO(b"".join(p)) for p in client.get_all_results_for_query_batch(batch)]
        return _typed(pages)

    return run


def aio_sf(url: str) -> Callable[[], pd.DataFrame]:
    from aio_sf import SalesforceClient
    from aio_sf.api.auth import StaticTokenAuth
    from aio_sf.exporter import bulk_query

    async def collect() -> list[dict[str, str]]:
        auth = StaticTokenAuth(instance_url=url, access_token=TOKEN)
        async with SalesforceClient(auth_strategy=auth, version=f"v{VERSION}") as client:
            return [row async for row in await bulk_query(client, SOQL, batch_size=50_000)]

    def run() -> pd.DataFrame:
        frame = pd.DataFrame(asyncio.run(collect()))
        frame.columns = list(DTYPES)
        frame = frame.replace({"": None, "true": True, "false": False})
        return _dates(frame.astype(DTYPES))

    return run


def _simple_salesforce(url: str):
    from simple_salesforce import Salesforce

    client = Salesforce(session_id=TOKEN, instance=urlsplit(url).netloc, version=VERSION)
    api = getattr(client.bulk2, OBJECT)
    api.bulk2_url = f"{url}/services/data/v{VERSION}/jobs/"
    api._client.bulk2_url = api.bulk2_url
    return api


def _typed(pages: Iterable[object]) -> pd.DataFrame:
    options = {
        "dtype": DTYPES,
        "keep_default_na": False,
        "na_values": [""],
        "true_values": ["true"],
        "false_values": ["false"],
    }
    return _dates(pd.concat([pd.read_csv(page, **options) for page in pages], ignore_index=True))


def _dates(frame: pd.DataFrame) -> pd.DataFrame:
    frame["Day__c"] = pd.to_datetime(frame["Day__c"], format="%Y-%m-%d")
    frame["Moment__c"] = pd.to_datetime(frame["Moment__c"], format="ISO8601", utc=True)
    return frame


CONTESTANTS: dict[str, Make] = {
    make.__name__.replace("_", "-"): make
    for make in (
        bulknb,
        bulknb_in_turn,
        bulknb_to_parquet,
        arrow_alone,
        simple_salesforce_query,
        simple_salesforce_download,
        requests_and_read_csv,
        aio_sf,
        salesforce_bulk,
    )
}


def _kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def _sum(frame: pd.DataFrame) -> list[float]:
    """Return what all right results have in common."""
    if frame.empty:
        return []
    return [
        len(frame),
        int(frame["Count__c"].sum()),
        round(float(frame["Money__c"].sum())),
        int(frame["Flag__c"].sum()),
        int(frame["Text__c"].str.len().sum()),
        *(int(count) for count in frame.isna().sum()),
        int(frame["Moment__c"].max().timestamp()),
        int(frame["Day__c"].max().timestamp()),
    ]


def main() -> None:
    """Run one contestant."""
    name, url = sys.argv[1:]
    try:
        run = CONTESTANTS[name](url)
    except ModuleNotFoundError as missing:
        print(json.dumps({"missing": missing.name}))
        return
    run()  # to warm up
    # What a run leaves hides what the next one takes; to give it back first costs that one time.
    gc.collect()
    pa.default_memory_pool().release_unused()
    ctypes.CDLL(None).malloc_trim(0)
    first = measured(run)
    runs: list[dict[str, Any]] = []
    while not runs or (len(runs) < RUNS and sum(one["wall"] for one in runs) < RUN_SECONDS):
        runs.append(measured(run))
    middle = sorted(runs, key=lambda one: one["wall"])[len(runs) // 2]
    print(json.dumps(middle | {"peak": first["peak"]}))


def measured(run: Callable[[], pd.DataFrame]) -> dict[str, Any]:
    """Run a contestant once."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    base = _kilobytes("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    frame = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = (_kilobytes("VmHWM") - base) / 1024
    size = frame.memory_usage(deep=True).sum() / 2**20
    return {"wall": wall, "cpu": cpu, "peak": peak, "size": size, "sum": _sum(frame)}


if __name__ == "__main__":
    main()
