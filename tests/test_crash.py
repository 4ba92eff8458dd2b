"""A kernel dies before or after any request or journal write: another one ends its load.

Each case is a load that dies at one step, is resumed without its rows, which must tell truly what
became of them, and then with them, which must leave every row in the org, once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pandas as pd
import pytest
from mortal import ROWS, Crash, Mortal, connect

import bulknb
from bulknb._ledger import LEASE_SECONDS
from bulknb.errors import InputError, StillRunningError
from bulknb.sandbox import Field, ManualClock, ObjectType, Sandbox

KEY = "Key__c"
ITEM = ObjectType("Item__c", (Field(KEY, external_id=True, unique=True), Field("Name")))
#: Each load dies at every fifth of its steps, the loads in turn at others; all: BULKNB_CRASHES=all.
STEP = 1 if os.environ.get("BULKNB_CRASHES") == "all" else 5

SMALL = {"chunk_bytes": 66}
BY_ID = {"chunk_bytes": 110}
CLASSIC = {"api": "1.0"}
#: case -> (operation, options, whether it is loaded from a file)
LOADS = {
    "insert": ("insert", SMALL, False),
    "insert of a file": ("insert", SMALL, True),
    "insert one job at a time": ("insert", {**SMALL, "concurrency": 1}, False),
    "insert, some rows together": (
        "insert",
        {"keep_together": "Name", "rows_per_chunk": 5, "chunk_bytes": 999},
        False,
    ),
    "insert, closed by the user": ("insert", {**SMALL, "close": False}, False),
    "insert of a file, closed by the user": ("insert", {**SMALL, "close": False}, True),
    "update": ("update", BY_ID, False),
    "upsert": ("upsert", {"external_id": KEY, **SMALL}, False),
    "delete": ("delete", BY_ID, False),
    "hardDelete": ("hardDelete", BY_ID, False),
    "1.0 insert": ("insert", CLASSIC | SMALL, False),
    "1.0 insert of a file": ("insert", CLASSIC | SMALL, True),
    "1.0 serial update": ("update", {"mode": "serial", **CLASSIC, **BY_ID}, False),
    "1.0 upsert": ("upsert", {"external_id": KEY, **CLASSIC, **SMALL}, False),
    "1.0 delete": ("delete", CLASSIC | BY_ID, False),
}


class World:
    """An org with the rows that a load is about, and the ledger of its kernels."""

    def __init__(self, sandbox: Sandbox, operation: str) -> None:
        self.sandbox = sandbox
        self.operation = operation
        self.rows = pd.DataFrame({KEY: [f"r{row}" for row in range(ROWS)], "Name": list("ab") * 5})
        if operation not in ("insert", "upsert"):
            made = connect(sandbox).load(self.rows.assign(Name="old"), ITEM.name, "insert").wait()
            ids = made.frame[["Id"]]
            self.rows = ids.assign(Name=self.rows["Name"]) if operation == "update" else ids
        self._before = len(sandbox.requests)

    def mortal(self, data: object, at: float, **options) -> Mortal:
        return Mortal(
            self.sandbox, at, data=data, object=ITEM.name, operation=self.operation, **options
        )

    def holds(self) -> list[object]:
        """What of the rows has been done in the org, each as often as it was done."""
        there = {record["Id"]: record for record in self.sandbox.records(ITEM.name)}
        if self.operation in ("insert", "upsert"):
            return sorted(record[KEY] for record in there.values())
        if self.operation == "update":
            return sorted(id for id in self.rows["Id"] if there[id]["Name"] != "old")
        return sorted(set(self.rows["Id"]) - set(there))

    def done(self, load: bulknb.Load) -> list[object]:
        """What of the rows a load without its frame calls done; it calls them by number."""
        return self.rows[KEY if KEY in self.rows else "Id"].iloc[load.committed.index].tolist()

    def uploads(self) -> Iterator[str]:
        """Which 2.0 jobs got a file, each as often as it got one."""
        requests = self.sandbox.requests[self._before :]
        return (path for method, path, _ in requests if method == "PUT")


def data_of(world: World, from_file: bool, folder) -> object:
    if not from_file:
        return world.rows
    file = folder / "rows.csv"
    world.rows.to_csv(file, index=False)
    return file


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("case", LOADS)
def test_a_crash_at_any_step_is_resumed_with_every_row_once(tmp_path, monkeypatch, case, after):
    operation, options, from_file = LOADS[case]
    with Sandbox(clock=ManualClock(), seed=7, objects=[ITEM]) as sandbox:
        world = World(sandbox, operation)
        whole = world.mortal(data_of(world, from_file, tmp_path), float("inf"), **options)
        whole.run()
        everything = world.holds()
    assert len(everything) == ROWS
    crashes = range(1 + [*LOADS].index(case) % STEP, whole.steps + 1, STEP)
    followed = 0
    for at in crashes:
        monkeypatch.setenv("BULKNB_LEDGER", str(tmp_path / f"{at}.sqlite"))
        with Sandbox(clock=ManualClock(), seed=7, objects=[ITEM]) as sandbox:
            world = World(sandbox, operation)
            data = data_of(world, from_file, tmp_path)
            with pytest.raises(Crash):
                world.mortal(data, at, after=after, **options).run()
            sandbox.clock.advance(LEASE_SECONDS + 1)
            followed += _resumed(connect(sandbox), world, data, at)
            uploads = [*world.uploads()]
            assert len(uploads) == len(set(uploads)), at
    assert followed > len(crashes) / 2


def _resumed(org: bulknb.Org, world: World, data: object, at: int) -> bool:
    """Resume what is unfinished, and tell whether there was anything."""
    loads = org.resume()
    if not loads:
        assert len(world.holds()) in (0, ROWS), at
        return False
    [load] = loads
    whole = True
    try:
        _ended(load, world)
    except InputError:  # how many rows the file has beyond those that were sent, nobody knows
        whole = False
    said = load.frame["outcome"]
    assert set(said) <= {"success", "not_sent"}, at
    assert world.holds() == sorted(world.done(load)), at
    if not whole or "not_sent" in set(said):
        [load] = org.resume(data)
        _ended(load, world)
        assert load.counts["success"] == len(load.frame) == ROWS, at
    assert len(world.holds()) == ROWS, at
    assert not org.resume(), at
    return True


def _ended(load: bulknb.Load, world: World) -> None:
    """Wait for a load; one that is held again has its jobs uploaded, and closes none by itself."""
    try:
        load.wait()
    except StillRunningError:
        assert world.holds() == []
        load.close().wait()
