"""One fault at each request of a load, of every kind: it ends well without anybody's doing.

Each case is a small load into an org that goes on with its own time. Counted are rows that are
lost, doubled, told wrongly, or called unknown without need; there must be none.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from mortal import close_if_held, connect

from bulknb import Load
from bulknb._ledger import Ledger
from bulknb.errors import BulkError, ReconcileError
from bulknb.sandbox import Fault, Field, ManualClock, ObjectType, Sandbox
from bulknb.sandbox.faults import REQUEST_KINDS

KEY = "Key__c"
ITEM = ObjectType("Item__c", (Field(KEY, external_id=True, unique=True), Field("Name")))
ROWS = 3
#: More than any load here has requests.
MOST = 40
#: Each kind of fault meets every fourth request, kinds in turn the others; all: BULKNB_SWEEP=all.
STEP = 1 if os.environ.get("BULKNB_SWEEP") == "all" else 4

#: The fault after which no load is begun: at its first request, which reads the describe.
FINAL = "limit403"

#: case -> (operation, options): what is swept
LOADS = {
    "insert": ("insert", {}),
    "insert by jobs": ("insert", {"chunk_bytes": 45, "concurrency": 1}),
    "insert, closed by the user": ("insert", {"close": False}),
    "update": ("update", {}),
    "upsert": ("upsert", {"external_id": KEY}),
    "delete": ("delete", {}),
    "hardDelete": ("hardDelete", {}),
    "1.0 insert by batches": ("insert", {"api": "1.0", "chunk_bytes": 45}),
    "1.0 serial update": ("update", {"api": "1.0", "mode": "serial"}),
}


class World:
    """An org that serves case after case, each with rows of its own."""

    def __init__(self, sandbox: Sandbox, ledger: Path, operation: str) -> None:
        self.sandbox = sandbox
        self.operation = operation
        self.org = connect(sandbox)
        self.ledger = Ledger(ledger)
        rows = pd.DataFrame({KEY: [f"r{row}" for row in range(MOST * ROWS)], "Name": "new"})
        if operation not in ("insert", "upsert"):
            made = self.load(rows.assign(Name="old"), "insert").wait().frame
            rows = (
                made[["Id", "Name"]].assign(Name="new") if operation == "update" else made[["Id"]]
            )
        self._rows = iter([rows[at : at + ROWS] for at in range(0, len(rows), ROWS)])

    def load(self, frame: pd.DataFrame, operation: str, **options) -> Load:
        wire = self.org._wire
        load = Load(wire, frame, "Item__c", operation, ledger=self.ledger, **options)
        load.listen(close_if_held)
        load._work.begin(self.ledger)
        load._run()
        return load

    def next_load(self, fault: Fault, **options) -> tuple[Load, bool]:
        """Load further rows with a fault at one of the requests; tell whether it was met."""
        plan = self.sandbox.faults
        plan.clear()
        plan.add(fault)
        met = len(plan.happened)
        load = self.load(next(self._rows), self.operation, **options)
        return load, len(plan.happened) > met

    def refuses(self, fault: Fault, **options) -> bool:
        """Whether a load that cannot read the describe is an error, and nothing is sent."""
        before = len(self.sandbox.requests)
        with pytest.raises(BulkError):
            self.next_load(fault, **options)
        self.sandbox.clock.advance(600)
        return {method for method, _, _ in self.sandbox.requests[before:]} <= {"GET"}

    def holds(self, load: Load) -> bool:
        """Whether the org, come to rest, holds just what the load says."""
        self.sandbox.clock.advance(3_600)
        said = load.frame
        there = {record["Id"]: record for record in self.sandbox.records("Item__c")}
        if self.operation in ("delete", "hardDelete"):
            return not set(said["Id"]) & set(there)
        if self.operation == "update":
            return all(there[id]["Name"] == "new" for id in said["Id"])
        keys = set(said[KEY])
        mine = {id: record[KEY] for id, record in there.items() if record[KEY] in keys}
        return mine == dict(zip(said["Id"], said[KEY], strict=True))


@contextmanager
def world(ledger: Path, operation: str) -> Iterator[World]:
    with Sandbox(clock=ManualClock(), seed=7, objects=[ITEM]) as sandbox:
        yield World(sandbox, ledger, operation)


def uploads(sandbox: Sandbox) -> Counter[str]:
    """How many uploads each 2.0 job got: with a second one it could never be closed."""
    return Counter(path for method, path, _ in sandbox.requests if method == "PUT")


def is_beyond_help(case: str, kind: str, load: Load) -> bool:
    """Tell whether a 1.0 batch was sent twice, or answered in another order: nobody can undo it."""
    return case.startswith("1.0") and (
        (kind == "dup" and isinstance(load.error, ReconcileError)) or kind == "reorder_rows"
    )


@pytest.mark.parametrize("case", LOADS)
def test_one_fault_anywhere_ends_well_with_every_row_once(tmp_path, case):
    operation, options = LOADS[case]
    swept = 0
    wrong = []
    for number, kind in enumerate(REQUEST_KINDS):
        with world(tmp_path / f"{kind}.sqlite", operation) as there:
            for at in range(1 + number % STEP, MOST, STEP):
                begun = there.sandbox.faults._requests
                if at == 1 and kind == FINAL:
                    swept += there.refuses(Fault(kind, at=begun + at), **options)
                    continue
                load, met = there.next_load(Fault(kind, at=begun + at), **options)
                if not met:
                    break  # the load had fewer requests than that
                swept += 1
                well = set(load.frame["outcome"]) == {"success"} and load.error is None
                if not (well and there.holds(load)) and not is_beyond_help(case, kind, load):
                    wrong.append((kind, at, load.counts.to_dict(), load.error))
            twice = [path for path, count in uploads(there.sandbox).items() if count > 1]
            assert kind == "dup" or not twice
    assert wrong == []
    assert swept >= 6 * len(REQUEST_KINDS) // STEP
