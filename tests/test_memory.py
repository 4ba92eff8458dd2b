"""What is heard of jobs is kept: the newest of each, and each change."""

from __future__ import annotations

import json
import logging
import multiprocessing
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import bulknb
from bulknb import History, JobInfo
from bulknb._heard import Heard
from bulknb._ledger import Ledger
from bulknb._memory import Memory
from bulknb._snapshots import OrgKey, Which
from bulknb.errors import LedgerError

ORG = OrgKey("https://acme.my.salesforce.com")
ID = "750000000000001AAA"
SPAWN = multiprocessing.get_context("spawn")
CSV = "Name\nAcme\n"


def info(id: str = ID, **said) -> JobInfo:
    return JobInfo.from_dict(
        {"id": id, "jobType": "V2Ingest", "createdDate": "2026-11-01T08:00:00Z", **said}
    )


def told(memory: Memory, *infos: JobInfo, at: float = 1_793_520_000.0) -> None:
    memory.take([Heard(one, at) for one in infos])


@pytest.fixture
def memory() -> Memory:
    return Memory(Ledger(), ORG)


def test_a_job_that_is_driven_by_hand_is_known_state_by_state(sandbox, org):
    job = org.create_job("insert", "Account").upload(CSV)
    sandbox.clock.advance(1)
    job.close()
    job.wait()

    found = org.history.snapshots()

    assert set(found["id"]) == {job.id}
    assert found["state"].tolist()[:2] == ["Open", "UploadComplete"]
    assert found["state"].iloc[-1] == "JobComplete"
    assert found["number_records_processed"].iloc[-1] == 1
    assert found["seen"].is_monotonic_increasing
    assert org.history.states()["state"].tolist()[0] == "Open"


def test_of_a_job_that_is_watched_the_wait_in_the_queue_is_measured(sandbox, org):
    job = org.create_job("insert", "Account").upload(CSV * 5)
    sandbox.clock.advance(30)
    job.close()
    truth = {}
    while not job.done:
        sandbox.clock.advance(0.25)
        before = job.state
        if job.refresh().state != before:
            truth[before] = sandbox.clock.time()

    states = org.history.states().set_index("state")

    waited = states.loc["UploadComplete"]
    assert waited["exact"]
    assert abs(waited["ended"].timestamp() - truth["UploadComplete"]) <= 1
    assert states.loc["Open", "duration"] == pd.Timedelta(seconds=30)
    assert states.index[states["ended"].isna()].tolist() == ["JobComplete"]


@pytest.mark.parametrize("api", ["1.0", "2.0"])
def test_the_newest_of_each_job_is_the_frame_that_the_org_gives(org, api):
    org.load(pd.DataFrame({"Name": ["Acme", "Bolt"]}), "Account", "insert", api=api).wait()
    org.create_job("query", query="SELECT Id FROM Account").wait()
    fresh = org.jobs()
    fresh.refresh()

    # Only the answer to a create has contentUrl; it is remembered.
    expected = fresh.frame.drop(columns=["user", "age", "content_url"])

    assert_frame_equal(org.history.frame().drop(columns="content_url"), expected)


def test_a_look_that_shows_nothing_new_adds_nothing_and_writes_nothing(memory, ledger):
    told(memory, info(state="Open"))
    size, changed = ledger.stat().st_size, ledger.stat().st_mtime_ns

    told(memory, info(state="Open"), at=1_793_520_060.0)
    told(Memory(Ledger(), ORG), info(state="Open"), at=1_793_520_120.0)

    assert len(Ledger().snapshots(Which())) == 1
    assert (ledger.stat().st_size, ledger.stat().st_mtime_ns) == (size, changed)


def test_a_list_takes_no_count_and_no_time_away(memory):
    full = info(
        state="JobComplete", numberRecordsProcessed=7, totalProcessingTime=900, apexProcessingTime=3
    )
    told(memory, full)
    told(memory, info(state="JobComplete"), at=1_793_520_060.0)

    [job] = Ledger().jobs(Which()).to_pylist()

    assert (job["number_records_processed"], job["total_processing_time_ms"]) == (7, 900)
    assert len(Ledger().snapshots(Which())) == 1


def test_what_a_list_leaves_out_of_a_change_is_not_known_of_it(memory):
    told(memory, info(state="InProgress", numberRecordsProcessed=7))
    told(memory, info(state="JobComplete"), at=1_793_520_060.0)

    counts = Ledger().snapshots(Which())["number_records_processed"].to_pylist()

    assert counts == [7, None]


def test_a_job_does_not_come_back_from_its_end(memory):
    told(memory, info(state="JobComplete"))
    told(memory, info(state="InProgress"), at=1_793_520_060.0)

    assert Ledger().jobs(Which())["state"].to_pylist() == ["JobComplete"]
    assert Ledger().snapshots(Which())["state"].to_pylist() == ["JobComplete"]


def test_what_was_seen_earlier_and_comes_later_stands_in_its_place(memory):
    told(memory, info(state="JobComplete", object="Account"), at=1_793_520_060.0)
    told(memory, info(state="InProgress", operation="insert"))

    found = Ledger().snapshots(Which())
    [job] = Ledger().jobs(Which()).to_pylist()

    assert found["state"].to_pylist() == ["InProgress", "JobComplete"]
    assert (job["state"], job["object"], job["operation"]) == ("JobComplete", "Account", "insert")


def test_changes_within_one_tick_of_the_clock_are_all_kept(memory):
    for state in ("Open", "UploadComplete", "InProgress", "JobComplete"):
        told(memory, info(state=state))

    states = Ledger().snapshots(Which())["state"].to_pylist()

    assert states == ["Open", "UploadComplete", "InProgress", "JobComplete"]


def test_ids_of_15_and_of_18_characters_are_one_job(memory):
    told(memory, info(id="750xx0000000001", state="Open"))
    told(memory, info(id="750xx0000000001AAA", state="Closed"), at=1_793_520_060.0)

    assert Ledger().jobs(Which())["id"].to_pylist() == ["750xx0000000001AAA"]


def test_fields_that_bulknb_does_not_know_are_kept_too(memory, ledger):
    told(memory, info(state="Open", shineyNewField={"a": 1}))

    with closing(sqlite3.connect(ledger)) as db:
        [(more,)] = db.execute("SELECT more FROM job").fetchall()
    assert json.loads(more) == {"shineyNewField": {"a": 1}}


@pytest.mark.parametrize("message", ["half \ud800 a pair", "\x00", "'; DROP TABLE job; --"])
def test_no_text_and_no_number_of_the_server_breaks_it(memory, message):
    told(memory, info(state="Failed", errorMessage=message, retries=10**30))

    [job] = Ledger().jobs(Which()).to_pylist()
    assert job["state"] == "Failed"


def test_jobs_that_are_listed_are_kept_with_one_write_for_each_page(sandbox, org, ledger):
    with sandbox._org.lock, sandbox._org.store.transaction():
        for _ in range(1_200):
            sandbox._org.new_job(
                "V2Ingest", "62.0", operation="insert", object="Account", state="Open"
            )
    writes = []
    whole = org._ledger._write
    org._ledger._write = lambda *args: (writes.append(args), whole(*args))[1]

    jobs = org.jobs()
    assert len(writes) == 2
    jobs.refresh()

    assert len(writes) <= 5
    assert len(org.history.frame()) == 1_200


def test_a_ledger_that_cannot_be_written_is_told_once_and_nothing_stops(
    sandbox, org, ledger, caplog
):
    ledger.parent.write_text("a file where the folder should be")

    with caplog.at_level(logging.WARNING, "bulknb"):
        job = org.create_job("insert", "Account").upload(CSV).close().wait()
        org.jobs()

    assert job.state == "JobComplete"
    assert [record.name for record in caplog.records] == ["bulknb.history"]
    with pytest.raises(LedgerError):
        org.history.record()

    ledger.parent.unlink()

    assert org.history.snapshots()["state"].iloc[-1] == "JobComplete"
    assert "Open" in set(org.history.snapshots()["state"])


def test_watching_sends_nothing_but_gets(sandbox, org):
    org.create_job("insert", "Account")
    before = len(sandbox.requests)

    org.jobs().refresh()
    org.history.record()
    org.history.frame()

    assert {method for method, _, _ in sandbox.requests[before:]} == {"GET"}


def test_an_org_is_known_by_its_id_when_its_address_changes(sandbox):
    def local(environ, start_response):
        return sandbox.app({**environ, "HTTP_HOST": "127.0.0.1"}, start_response)

    def connect(url: str) -> bulknb.Org:
        return bulknb.connect(
            instance_url=url, access_token=sandbox.token, transport=local, clock=sandbox.clock
        )

    old = connect("https://acme.my.salesforce.com")
    job = old.create_job("insert", "Account")

    new = connect("https://renamed.my.salesforce.com")

    assert new.history.frame()["id"].tolist() == [job.id]
    new.job(job.id).upload(CSV).close()
    assert History()._ledger.jobs(Which())["org"].to_pylist() == [new.url]


def test_an_org_whose_id_becomes_known_is_no_other_org():
    ledger = Ledger()
    id = "00D000000000001EAA"
    told(Memory(ledger, ORG), info(state="Open"))
    told(Memory(ledger, OrgKey(ORG.url, id)), info(state="UploadComplete"), at=1_793_520_060.0)
    told(Memory(ledger, ORG), info(state="InProgress"), at=1_793_520_120.0)

    assert len(ledger.jobs(Which())) == 1
    assert len(ledger.jobs(Which(org=OrgKey("https://new.salesforce.com", id)))) == 1
    assert len(ledger.jobs(Which(org=OrgKey(ORG.url, "00D000000000002EAA")))) == 0


def test_a_ledger_of_the_first_version_is_taken_over(ledger):
    ledger.parent.mkdir()
    with closing(sqlite3.connect(ledger)) as db:
        db.executescript(
            """
            CREATE TABLE load (
                id TEXT PRIMARY KEY, org TEXT NOT NULL, parent TEXT, began REAL NOT NULL,
                ended REAL, rows INTEGER, wanted TEXT NOT NULL, places BLOB,
                owner TEXT NOT NULL, held_until REAL NOT NULL, fence INTEGER NOT NULL
            );
            CREATE TABLE part (
                load TEXT NOT NULL, number INTEGER NOT NULL, start INTEGER NOT NULL,
                stop INTEGER NOT NULL, state TEXT NOT NULL, sha256 TEXT NOT NULL,
                names TEXT NOT NULL, marks BLOB NOT NULL, job TEXT, batch TEXT,
                PRIMARY KEY (load, number)
            );
            CREATE TABLE made (job TEXT PRIMARY KEY, load TEXT NOT NULL);
            CREATE TABLE snapshot (
                org TEXT NOT NULL, job TEXT NOT NULL, seen REAL NOT NULL, info TEXT NOT NULL,
                PRIMARY KEY (org, job, seen)
            );
            INSERT INTO load VALUES ('L', 'https://acme.my.salesforce.com', NULL, 1, NULL, 3, '{}',
                NULL, 'me:1', 0, 1);
            PRAGMA user_version = 1;
            """
        )
        for seen, state in ((1_793_520_000.5, "Open"), (1_793_520_060.25, "JobComplete")):
            raw = {"id": ID, "state": state, "jobType": "V2Ingest", "numberRecordsProcessed": 3}
            row = (ORG.url, ID, seen, json.dumps(raw))
            db.execute("INSERT INTO snapshot VALUES (?, ?, ?, ?)", row)
        db.commit()

    found = History(ORG.url).snapshots()

    assert found["state"].tolist() == ["Open", "JobComplete"]
    assert found["seen"].tolist()[1] == pd.Timestamp(1_793_520_060.25, unit="s", tz="UTC")
    assert History().frame()["number_records_processed"].tolist() == [3]
    assert Ledger().unfinished(str(ORG.url)) == []  # nobody could tell its rows by their marks
    with closing(sqlite3.connect(ledger)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (4,)


def keep_many(path: str, process: int) -> None:
    memory = Memory(Ledger(path), ORG)
    for number in range(25):
        for state in ("Open", "UploadComplete"):
            mine = info(id=f"750{process:05}{number:07}AAA", state=state)
            shared = info(state="InProgress", numberRecordsProcessed=100 * process + number)
            told(memory, mine, shared, at=1_793_520_000.0 + number)
    memory.flush()


def test_eight_processes_that_write_at_once_lose_nothing(ledger):
    with ProcessPoolExecutor(8, mp_context=SPAWN) as pool:
        for done in [pool.submit(keep_many, str(ledger), number) for number in range(1, 9)]:
            done.result(180)

    found = History().snapshots()

    own = found[found["id"] != ID].groupby("id")["state"].agg(list)
    assert len(own) == 8 * 25
    assert set(map(tuple, own)) == {("Open", "UploadComplete")}
    counts = {100 * process + number for process in range(1, 9) for number in range(25)}
    assert set(found.loc[found["id"] == ID, "number_records_processed"]) == counts
    with closing(sqlite3.connect(ledger)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
