"""A month of jobs in a sandbox, run by its engine; in it a trigger is deployed on day 20."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pandas as pd

import bulknb
from bulknb.sandbox import Field, ManualClock, ObjectType, Sandbox

FIRST_DAY = pd.Timestamp("2026-06-01T00:00Z")
DAYS = 30
TRIGGER_DAY = 20
#: Apex of a visit before and after, in milliseconds a row.
BEFORE, AFTER = 1.1, 3.7
#: Hour of the day -> what runs then.
_TIMETABLE = {5: "Account", 7: "Visit__c", 13: "Visit__c", 19: "Visit__c"}
_HOUR = 3_600.0

VISIT = ObjectType(
    "Visit__c",
    (Field("Key__c", external_id=True, unique=True), Field("Note__c")),
    apex_ms_per_row=BEFORE,
)


@dataclass(frozen=True, eq=False)
class Month:
    """The history frame, and what is true of it: Apex in milliseconds per 1,000 rows."""

    history: pd.DataFrame
    trigger_at: pd.Timestamp = FIRST_DAY + pd.Timedelta(days=TRIGGER_DAY - 1)
    object: str = VISIT.name
    operation: str = "upsert"
    part: str = "apex"
    before: float = 1_000 * BEFORE
    after: float = 1_000 * AFTER


@functools.cache
def month(seed: int = 20) -> Month:
    """Return the month; the same seed gives the same one."""
    sizes = np.random.default_rng(seed)
    jobs = []
    clock = ManualClock(FIRST_DAY.timestamp())
    with Sandbox(clock=clock, seed=seed, objects=[VISIT]) as sandbox:
        org = sandbox.connect(in_process=True)
        for day in range(1, DAYS + 1):
            if day == TRIGGER_DAY:
                sandbox.set_trigger(VISIT.name, apex_ms_per_row=AFTER)
            for hour in range(24):
                if name := _TIMETABLE.get(hour):
                    jobs.append(_started(org, name, int(sizes.integers(150, 600))))
                clock.advance(_HOUR)
                if hour in _TIMETABLE:
                    jobs[-1].refresh()
        return Month(bulknb.jobs_frame(jobs))


def _started(org: bulknb.Org, name: str, rows: int) -> bulknb.Job:
    keys = [f"K{row}" for row in range(rows)]
    if name == "Account":
        job = org.create_job("upsert", name, external_id="ExternalId__c")
        job.upload(pd.DataFrame({"ExternalId__c": keys, "Name": keys}))
    else:
        job = org.create_job("upsert", name, external_id="Key__c")
        job.upload(pd.DataFrame({"Key__c": keys, "Note__c": "was here"}))
    return job.close()
