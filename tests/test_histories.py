"""Whatever happens in whatever order: what a load says of a row is so; in the end all are in."""

from __future__ import annotations

import contextlib
import os

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mortal import ROWS, Crash, Mortal, close_if_held, connect, frame, in_org

import bulknb
from bulknb._ledger import LEASE_SECONDS
from bulknb.errors import BulkError, StillRunningError
from bulknb.sandbox import FaultPlan, ManualClock, Sandbox
from bulknb.sandbox.faults import REQUEST_KINDS

HISTORIES = int(os.environ.get("BULKNB_HISTORIES", "25"))

#: In 1.0 nobody can undo that a batch is sent twice, or its results come in another order.
KINDS = {
    "2.0": REQUEST_KINDS,
    "1.0": [kind for kind in REQUEST_KINDS if kind not in ("dup", "reorder_rows")],
}


def check(sandbox: Sandbox, load: bulknb.Load) -> None:
    """What the load says of each row is true of the org, once that has come to rest."""
    sandbox.faults.clear()
    sandbox.clock.advance(3_600)
    there = in_org(sandbox)
    assert len(there) == len(set(there))
    ids = {record["Name"]: record["Id"] for record in sandbox.records("Account")}
    said = load.frame.assign(Name=frame()["Name"].to_numpy()).set_index("Name")
    success = said[said["outcome"] == "success"]
    assert success["Id"].to_dict().items() <= ids.items()
    assert not set(there) & set(said.index[said["outcome"].isin(["failed", "not_sent"])])
    assert set(said["unknown_reason"].dropna()) <= {"unreachable"}


@settings(
    max_examples=HISTORIES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(
    how=st.sampled_from([{"api": "2.0"}, {"api": "2.0", "close": False}, {"api": "1.0"}]),
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([0.05, 0.15, 0.3, 0.5]),
    death=st.none() | st.integers(2, 60),
    after=st.booleans(),
)
# It ended between the abort of a job whose close was refused and the note that its rows are free.
@example(how={"api": "2.0"}, seed=6027089, rate=0.5, death=45, after=False)
def test_any_history_of_faults_and_a_crash_loses_and_doubles_no_row(
    tmp_path_factory, how, seed, rate, death, after
):
    path = tmp_path_factory.mktemp("history") / "ledger.sqlite"
    os.environ["BULKNB_LEDGER"] = str(path)  # given back by the fixture that set it
    plan = FaultPlan(seed=seed, kinds=KINDS[how["api"]])
    with Sandbox(clock=ManualClock(), seed=seed, faults=plan) as sandbox:
        mortal = Mortal(sandbox, death or float("inf"), after=after, **how)
        plan.rate = rate
        try:
            check(sandbox, mortal.run())
        except Crash:
            sandbox.clock.advance(LEASE_SECONDS + 1)
        plan.clear()

        org = connect(sandbox)
        loads = [load for load in _ended(org.resume()) if load.counts["not_sent"]]
        if loads:
            loads = _ended(org.resume(frame()))
        for load in loads:
            check(sandbox, load)
            assert load.counts["success"] == ROWS
        assert in_org(sandbox) in ([], sorted(frame()["Name"]))
        assert not org.resume()


def _ended(loads: bulknb.Loads) -> list[bulknb.Load]:
    for load in loads:
        try:
            with contextlib.suppress(StillRunningError):  # it is held
                load.wait()
            close_if_held(load)
            load.wait()
        except BulkError as error:
            raise AssertionError(f"No fault is planned any more, and yet: {error}") from error
    return list(loads)
