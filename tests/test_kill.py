"""A process that loads is killed at any moment; another one resumes, every row once in the org."""

from __future__ import annotations

import multiprocessing
import os
import random
from collections import Counter

import pandas as pd
import pytest

import bulknb
from bulknb.sandbox import AcceleratedClock

#: So many kills; the long run has a hundred.
KILLS = int(os.environ.get("BULKNB_KILLS", "12"))
ROWS = 40
SPEED = 50
#: About as many requests as a load has.
REQUESTS = 35

PROCESSES = multiprocessing.get_context("forkserver")


def frame(case: int) -> pd.DataFrame:
    return pd.DataFrame({"Name": [f"{case:03} {row:03}" for row in range(ROWS)]})


def connect(url: str, token: str) -> bulknb.Org:
    clock = AcceleratedClock(SPEED)
    return bulknb.connect(instance_url=url, access_token=token, clock=clock)


def load(url: str, token: str, case: int, api: str, begins) -> None:
    org = connect(url, token)
    begins.set()
    org.load(frame(case), "Account", "insert", chunk_bytes=120, api=api).wait()


def resume(url: str, token: str, case: int, told) -> None:
    org = connect(url, token)
    followed = org.resume().wait()  # without the frame: what was sent is followed to its end
    left = [load for load in followed if load.counts["not_sent"]]
    loads = org.resume(frame(case)).wait() if left else []
    told.send([load.counts.to_dict() for load in loads])


@pytest.mark.parametrize("api", ["2.0", "1.0"])
def test_a_killed_load_is_resumed_by_another_process_with_every_row_once(ledger, api):
    PROCESSES.set_forkserver_preload(["bulknb", "bulknb.sandbox.clock"])
    chance = random.Random(7)
    after = Counter()
    with bulknb.sandbox.start(speed=SPEED) as sandbox:
        for case in range(KILLS):
            begins = PROCESSES.Event()
            victim = PROCESSES.Process(
                target=load, args=(sandbox.url, sandbox.token, case, api, begins)
            )
            victim.start()
            assert begins.wait(60)
            last = len(sandbox.requests) + chance.randrange(REQUESTS)
            while victim.is_alive() and len(sandbox.requests) < last:
                victim.join(0.001)
            victim.join(chance.uniform(0, 0.005))
            victim.kill()
            victim.join(30)

            hears, told = PROCESSES.Pipe(duplex=False)
            heir = PROCESSES.Process(target=resume, args=(sandbox.url, sandbox.token, case, told))
            heir.start()
            assert hears.poll(60), f"{case=}"
            counts = hears.recv()
            heir.join(30)

            names = [record["Name"] for record in sandbox.records("Account")]
            mine = sorted(name for name in names if name.startswith(f"{case:03} "))
            # A kill before the first step leaves nothing, one after the last step nothing to do.
            assert mine in ([], frame(case)["Name"].tolist()), f"{case=}"
            assert all(count["success"] == ROWS for count in counts), f"{case=}"
            after["sent by the heir" if counts else "sent before" if mine else "nothing"] += 1
    assert after["sent by the heir"] + after["sent before"] >= KILLS / 2
