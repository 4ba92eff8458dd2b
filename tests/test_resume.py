"""A load whose kernel is gone is brought to its end by another one, every row once in the org."""

from __future__ import annotations

import altered
import pandas as pd
import pytest
from mortal import ROWS, Crash, Mortal, connect, far, frame, in_org

import bulknb
from bulknb._ledger import LEASE_SECONDS, Ledger
from bulknb.errors import InputError, LeaseLostError, NotFoundError
from bulknb.sandbox import Fault, Sandbox


def crashed(sandbox: Sandbox, at: float, **options) -> bulknb.Org:
    """Return the org, seen from another kernel, some time after a load's kernel died."""
    with pytest.raises(Crash):
        Mortal(sandbox, at, **options).run()
    sandbox.clock.advance(LEASE_SECONDS + 1)
    return connect(sandbox)


def test_another_frame_is_refused_and_nothing_is_sent(sandbox, ledger):
    org = crashed(sandbox, 12, after=True)
    before = len(sandbox.requests)

    for other in (frame().head(3), frame().assign(Name="Other")):
        with pytest.raises(InputError, match="unfinished loads is of these rows"):
            org.resume(other)

    assert {method for method, _, _ in sandbox.requests[before:]} == {"GET"}
    assert org.resume(frame()).wait()[0].counts["success"] == ROWS


@pytest.mark.parametrize("at", [3, 4, 5])  # nothing of the rows is in the org
@pytest.mark.parametrize("api", ["2.0", "1.0"])
def test_a_frame_is_not_taken_for_another_of_as_many_rows_whose_load_broke_off(sandbox, at, api):
    others = frame().assign(Name=[f"Other {number}" for number in range(ROWS)])
    options = {"api": api, "chunk_bytes": 10_000}
    crashed(sandbox, at, **options)
    org = crashed(sandbox, at, data=others, **options)

    for data in (others, frame()):
        [load] = [load for load in org.resume(data).wait() if load.has_rows]
        assert load.frame["Name"].tolist() == data["Name"].tolist()
        assert load.counts["success"] == ROWS

    assert sorted(in_org(sandbox)) == sorted([*frame()["Name"], *others["Name"]])


@pytest.mark.parametrize("kind", ["file", "frames"])
def test_what_was_not_sent_of_a_file_or_of_frames_is_sent(sandbox, tmp_path, kind):
    file = tmp_path / "rows.csv"
    frame().to_csv(file, index=False)
    data = {"file": file, "frames": [frame()[:4], frame()[4:]]}[kind]
    org = crashed(sandbox, 12, data=data)

    with pytest.raises(InputError, match="a single time only"):
        org.resume(iter([frame()]))
    [followed] = org.resume()
    with pytest.raises(InputError, match=r"the first \d+ are accounted for.*org\.resume\(\)"):
        followed.wait()
    assert followed.counts["success"] == len(in_org(sandbox)) < ROWS
    [load] = org.resume(data).wait()

    assert load.counts["success"] == len(load.frame) == ROWS
    assert in_org(sandbox) == frame()["Name"].tolist()
    assert not org.resume()


def test_without_the_frame_rows_that_were_sent_in_another_order_stand_in_its_own(sandbox):
    data = frame().assign(Website=list("abababcbca"))
    options = {"keep_together": "Website", "rows_per_chunk": 5, "chunk_bytes": 1_000}
    org = crashed(sandbox, 20, data=data, **options)

    [load] = org.resume().wait()

    sent = load.committed
    names = {record["Id"]: record["Name"] for record in sandbox.records("Account")}
    assert [*names.values()] != data["Name"].tolist()
    assert sent["Id"].map(names).tolist() == data["Name"].iloc[sent.index].tolist()


def test_a_load_is_found_again_when_the_org_has_another_address(sandbox, ledger):
    def reach(environ, start_response):
        environ["HTTP_HOST"] = "127.0.0.1"
        return far(sandbox)(environ, start_response)

    before = connect(sandbox, reach, url="https://acme.my.salesforce.com")
    left = bulknb.Load(before._wire, frame(), "Account", "insert")
    left._work.begin(left._ledger)
    left._work.send_all()
    sandbox.clock.advance(LEASE_SECONDS + 1)

    after = connect(sandbox, reach, url="https://acme-merged.my.salesforce.com")
    [load] = after.resume().wait()

    assert load.counts["success"] == ROWS


def test_a_load_that_goes_on_elsewhere_is_left_alone_and_counted(sandbox, org):
    mortal = Mortal(sandbox, float("inf"))
    mortal.load._work.begin(mortal.load._ledger)

    loads = org.resume()

    assert (len(loads), loads.elsewhere) == (0, 1)
    assert "1 more go on in another kernel" in repr(loads)


def test_a_kernel_that_was_overtaken_stops_and_says_so(sandbox, org):
    mortal = Mortal(sandbox, float("inf"))
    follow = mortal.load._work.follow

    def sleep_long_then_follow():
        sandbox.clock.advance(LEASE_SECONDS + 1)
        assert org.resume(frame()).wait()[0].counts["success"] == ROWS
        follow()

    mortal.load._work.begin(mortal.load._ledger)
    mortal.load._work.follow = sleep_long_then_follow
    mortal.load._run()

    with pytest.raises(LeaseLostError, match="Another kernel"):
        mortal.load.wait()
    assert set(mortal.load.frame["unknown_reason"]) == {"taken_over"}
    assert in_org(sandbox) == frame()["Name"].tolist()


def test_an_open_job_that_no_load_made_is_shown_and_not_touched(sandbox, org):
    mine = org.create_job("insert", "Account")
    sandbox.add_user("other@example.com")
    sandbox.connect(in_process=True, username="other@example.com").create_job("insert", "Account")

    loads = org.resume()

    assert [job.id for job in loads.orphans] == [mine.id]
    assert mine.id in repr(loads)
    assert mine.refresh().state == "Open"


def test_a_load_that_never_took_a_step_is_forgotten(sandbox, org):
    mortal = Mortal(sandbox, float("inf"))
    mortal.load._work.begin(mortal.load._ledger)
    sandbox.clock.advance(LEASE_SECONDS + 1)

    assert len(org.resume()) == 0
    assert Ledger().unfinished(org.url) == []


def test_a_load_that_is_given_up_is_not_resumed_again(sandbox, ledger):
    org = crashed(sandbox, 3, after=False)
    [load] = org.resume().wait()
    assert load.counts["not_sent"] == ROWS

    load.abort()

    assert not org.resume()


def test_resuming_after_the_results_are_gone_says_expired(sandbox, org):
    left = Mortal(sandbox, float("inf")).load
    left._work.begin(left._ledger)
    left._work.send_all()
    sandbox.clock.advance(9 * 24 * 3600)

    [load] = org.resume()
    with pytest.raises(NotFoundError):
        load.wait()

    assert set(load.frame["outcome"]) == {"unknown"}
    assert set(load.frame["unknown_reason"]) == {"results_expired"}


def test_an_upload_that_came_twice_gives_its_rows_back_to_whoever_has_the_frame(sandbox, org):
    sandbox.faults.add(Fault("dup", method="PUT"))
    left = Mortal(sandbox, float("inf")).load
    left._work.begin(left._ledger)
    left._work.send_all()
    sandbox.clock.advance(LEASE_SECONDS + 1)

    [first] = org.resume().wait()
    [second] = org.resume(frame()).wait()

    assert first.counts["not_sent"] > 0
    assert second.counts["success"] == ROWS
    assert in_org(sandbox) == frame()["Name"].tolist()


def test_what_the_rows_are_told_by_is_in_the_ledger_before_their_job_is_closed(sandbox):
    kept: list[int] = []

    def application(environ, start_response):
        if environ["REQUEST_METHOD"] == "PATCH":
            [load] = Ledger().unfinished("http://127.0.0.1")
            kept.extend(len(part.marks) for part in Ledger().parts(load))
        return sandbox.app(environ, start_response)

    org = altered.connect(sandbox, application)
    org.load(pd.DataFrame({"Name": ["Acme", "Bolt", "Cord"]}), "Account", "insert").wait()

    assert kept == [8 * 3]
