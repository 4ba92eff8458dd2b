from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sqlite3
import stat
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

import bulknb
from bulknb._ledger import LEASE_SECONDS, Ledger, PartRecord
from bulknb.errors import LeaseLostError, LedgerError
from bulknb.sandbox import ManualClock

ORG = "https://acme.my.salesforce.com"
SPAWN = multiprocessing.get_context("spawn")


def begun(ledger: Ledger, clock=time):
    return ledger.begin(ORG, {"object": "Account"}, rows=3, parent=None, clock=clock)


def part(number: int = 0, state: str = "planned", job: str | None = None) -> PartRecord:
    return PartRecord(number, 0, 3, state, "00", "[]", job, None, b"marks")


def test_what_is_written_down_is_there_for_the_next_process(ledger):
    journal = begun(Ledger())
    journal.write(part())
    journal.write(part(state="uploading", job="750000000000001AAA"))

    other = Ledger()
    [record] = other.unfinished(ORG)
    assert other.parts(record) == [part(state="uploading", job="750000000000001AAA")]
    assert other.made(record) == ["750000000000001AAA"]
    assert other.knows("750000000000001AAA")
    assert other.unfinished("https://other.my.salesforce.com") == []

    journal.end()
    assert other.unfinished(ORG) == []


def test_asking_an_empty_ledger_makes_no_file(ledger):
    assert Ledger().unfinished(ORG) == []
    assert not ledger.exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_file_is_for_its_owner_alone(ledger, umask):
    before = os.umask(umask)
    try:
        begun(Ledger())
    finally:
        os.umask(before)

    assert stat.S_IMODE(ledger.stat().st_mode) == 0o600
    assert stat.S_IMODE(ledger.parent.stat().st_mode) == 0o700


def test_a_symbolic_link_is_refused(ledger, tmp_path: Path):
    ledger.parent.mkdir()
    ledger.symlink_to(tmp_path / "elsewhere.sqlite")

    with pytest.raises(LedgerError, match="symbolic link"):
        begun(Ledger())
    assert not (tmp_path / "elsewhere.sqlite").exists()


def test_a_ledger_of_a_newer_bulknb_is_left_alone(ledger):
    begun(Ledger())
    with contextlib.closing(sqlite3.connect(ledger)) as db:
        db.execute("PRAGMA user_version = 99")

    with pytest.raises(LedgerError, match="update bulknb"):
        Ledger().unfinished(ORG)


def test_a_file_that_is_no_ledger_is_told(ledger):
    ledger.parent.mkdir()
    ledger.write_text("not a database, but long enough to be taken for one" * 50)

    with pytest.raises(LedgerError, match=r"cannot be written \(file is not a database\)"):
        begun(Ledger())


def test_a_ledger_that_cannot_be_written_keeps_the_load_from_sending(sandbox, org, ledger):
    ledger.parent.write_text("a file where the folder should be")
    before = len(sandbox.requests)

    with pytest.raises(LedgerError, match="BULKNB_LEDGER"):
        org.load(pd.DataFrame({"Name": ["Acme"]}), "Account", "insert")

    assert {method for method, _, _ in sandbox.requests[before:]} == {"GET"}


@pytest.mark.parametrize("writable", range(1, 7))
def test_a_ledger_that_breaks_midway_stops_before_the_next_commit(sandbox, org, ledger, writable):
    load = bulknb.Load(
        org._wire, pd.DataFrame({"Name": ["Acme", "Bolt"]}), "Account", "insert", chunk_bytes=14
    )
    whole, written = load._ledger._write, []

    def write(work):
        written.append(work)
        if len(written) > writable and ledger.is_file():
            ledger.rename(ledger.with_suffix(".gone"))
            ledger.mkdir()
        return whole(work)

    load._ledger._write = write
    with contextlib.suppress(LedgerError):
        load.start().wait()

    there = {record["Name"] for record in sandbox.records("Account")}
    assert there == set(load.committed["Name"])
    assert set(load.frame["outcome"]) <= {"success", "not_sent"}
    assert isinstance(load.error, LedgerError) == (load.counts["not_sent"] > 0)
    closes = [path for method, path, _ in sandbox.requests if method == "PATCH"]
    assert len(closes) >= len(there)


def test_the_ledger_holds_no_token_and_no_value(sandbox, org, ledger):
    frame = pd.DataFrame({"LastName": ["Confidential", None]})
    org.load(frame, "Contact", "insert").wait()

    written = ledger.read_bytes()
    assert sandbox.token.encode() not in written
    assert b"Confidential" not in written


def test_a_load_that_is_held_is_not_claimed_until_its_lease_ends(ledger):
    clock = ManualClock()
    first = begun(Ledger(), clock)
    clock.advance(LEASE_SECONDS - 1)
    assert Ledger().claim(first.record, clock) is None
    first.hold()
    clock.advance(LEASE_SECONDS - 1)
    assert Ledger().claim(first.record, clock) is None
    clock.advance(2)

    second = Ledger().claim(first.record, clock)

    with pytest.raises(LeaseLostError):
        first.write(part())
    second.write(part())
    assert Ledger().claim(first.record, clock) is None


def test_a_load_that_was_let_go_is_free_at_once(ledger):
    first = begun(Ledger())
    first.let_go()
    assert Ledger().claim(first.record, time) is not None


def hold_until_killed(path: str, ready) -> None:
    begun(Ledger(path))
    ready.set()
    signal.pause()


def test_a_load_of_a_killed_process_is_free_at_once_and_of_a_living_one_is_not(ledger):
    ready = SPAWN.Event()
    holder = SPAWN.Process(target=hold_until_killed, args=(str(ledger), ready))
    holder.start()
    assert ready.wait(60)
    [record] = Ledger().unfinished(ORG)
    assert Ledger().claim(record, time) is None

    holder.kill()
    holder.join(30)

    assert Ledger().claim(record, time) is not None


def claim(path: str) -> bool:
    book = Ledger(path)
    return any(book.claim(record, time) for record in book.unfinished(ORG))


def write_many(path: str) -> int:
    journal = begun(Ledger(path))
    for number in range(40):
        journal.write(part(number))
    return len(journal.ledger.parts(journal.record))


def test_processes_that_write_at_once_neither_fail_nor_lose_a_write_nor_share_a_load(ledger):
    begun(Ledger()).let_go()
    with ProcessPoolExecutor(3, mp_context=SPAWN) as pool:
        claims = [pool.submit(claim, str(ledger)) for _ in range(3)]
        assert sum(done.result(120) for done in claims) == 1
        writes = [pool.submit(write_many, str(ledger)) for _ in range(3)]
        assert [done.result(120) for done in writes] == [40, 40, 40]


def test_marks_are_written_once_and_go_when_nothing_is_left_to_resume(ledger):
    journal = begun(Ledger())
    journal.write(part())
    with contextlib.closing(sqlite3.connect(ledger)) as db:
        db.execute("UPDATE mark SET marks = x'77'")  # to see that they are not written again
        db.commit()
    journal.write(part(state="uploading"))
    [kept] = Ledger().parts(journal.record)

    journal.end()

    assert (kept.state, kept.marks) == ("uploading", b"w")
    assert [each.marks for each in Ledger().parts(journal.record)] == [b""]
