"""How fast the ledger keeps and finds jobs, and how large its file becomes.

A year of jobs, each seen in five states: what it takes to keep them, the size of the file, and what
`History.frame`, `snapshots` and `states` of the last 30 days take, beside all jobs.

    python benchmarks/history.py --snapshots 1000000
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bulknb import History, JobInfo
from bulknb._ledger import Ledger
from bulknb._snapshots import Look, OrgKey, moment

ORG = OrgKey("https://acme.my.salesforce.com", "00D000000000001EAA")
STATES = ("Open", "UploadComplete", "InProgress", "InProgress", "JobComplete")
DAYS = 365
AT_A_TIME = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--snapshots", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        seconds = timed(lambda: fill(Ledger(path), given.snapshots // len(STATES)), 1)
        size = path.stat().st_size
        print(f"{given.snapshots:,} snapshots of {given.snapshots // len(STATES):,} jobs in a year")
        print(f"kept in {seconds:.1f} s CPU; {size / 1e6:.1f} MB")
        history = History(ORG.url, path=path)
        for name, read in (
            ('frame("30d")', lambda: history.frame("30d")),
            ('snapshots("30d")', lambda: history.snapshots("30d")),
            ('states("30d")', lambda: history.states("30d")),
            ('frame("30d", object="Contact")', lambda: history.frame("30d", object="Contact")),
            ("frame()", history.frame),
        ):
            print(f"{name:31} {len(read()):10,} rows {timed(read, given.runs):8.3f} s CPU")


def fill(ledger: Ledger, jobs: int) -> None:
    chance = random.Random(4)
    looks: list[Look] = []
    for number in range(jobs):
        looks += looks_at(number, jobs, chance)
        if len(looks) >= AT_A_TIME:
            ledger.keep(ORG, looks)
            looks = []
    ledger.keep(ORG, looks)


def looks_at(number: int, jobs: int, chance: random.Random) -> Iterator[Look]:
    now = datetime.now(UTC)
    created = now - timedelta(days=DAYS) * (1 - number / jobs)
    rows, total = chance.randrange(100_000), chance.randrange(1_000_000)
    before = None
    for minute, state in enumerate(STATES):
        at = created + timedelta(minutes=minute, seconds=chance.randrange(50))
        done = state == "JobComplete"
        info = JobInfo(
            id=f"750xx{number:010}AAA",
            operation=("insert", "update", "upsert")[number % 3],
            object=("Account", "Contact", "Flight__c")[number // 3 % 3],
            created_by_id=f"005xx{number % 20:010}AAA",
            created_date=created,
            system_modstamp=at,
            state=state,
            concurrency_mode="Parallel",
            content_type="CSV",
            api_version="62.0",
            job_type="V2Ingest",
            content_url=f"services/data/v62.0/jobs/ingest/750xx{number:010}AAA/batches",
            line_ending="LF",
            column_delimiter="COMMA",
            number_records_processed=rows * minute // 4,
            number_records_failed=rows // 100 * minute // 4,
            retries=0,
            total_processing_time_ms=total if done else 0,
            api_active_processing_time_ms=total // 2 * minute // 4,
            apex_processing_time_ms=total // 3 * minute // 4,
        )
        yield Look(info, moment(at), before)
        before = moment(at)


def timed(act: Callable[[], object], runs: int) -> float:
    """Return the median seconds of the processor's time."""
    took = []
    for _ in range(runs):
        started = time.process_time()
        act()
        took.append(time.process_time() - started)
    return statistics.median(took)


if __name__ == "__main__":
    main()
