"""The watcher: stepped by hand on a manual clock, and once on its thread."""

import threading

import pytest

from bulknb import _watch
from bulknb._watch import Watch, shared_watch
from bulknb.errors import NotFoundError
from bulknb.sandbox import ManualClock


@pytest.fixture
def clock():
    """The clock of the person who looks on; the org has its own."""
    return ManualClock()


@pytest.fixture
def watch(clock):
    return Watch(clock=clock, threaded=False)


@pytest.fixture
def job(org):
    return org.create_job("insert", "Account")


@pytest.fixture
def asked(sandbox, job):
    """How often the server was asked about the job since it was made."""
    before = len(sandbox.requests)
    return lambda: len(sandbox.requests) - before


def ignore(job, error):
    pass


def finish(job):
    job.upload(b"Name\nAcme\n").close().wait()


def test_a_job_is_looked_at_at_once(watch, job, asked):
    watch.add(job, ignore)
    watch.run_due()
    assert asked() == 1


def test_looks_become_rarer_while_nothing_happens_but_never_rarer_than_five_seconds(
    watch, clock, job
):
    watch.add(job, ignore)
    pauses = []
    while clock.monotonic() < 60:
        pauses.append(watch.run_due())
        clock.advance(pauses[-1])
    assert pauses[0] == 0.5
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5.0


def test_looks_become_rare_when_there_was_no_news_for_an_hour(watch, clock, job):
    watch.add(job, ignore)
    watch.run_due()
    clock.advance(3600)
    assert watch.run_due() == 60.0


def test_news_makes_looks_frequent_again(watch, clock, job):
    watch.add(job, ignore)
    watch.run_due()
    clock.advance(60)
    assert watch.run_due() == 5.0
    job.upload(b"Name\nAcme\n")
    type(job)(job._wire, job.info).close()  # by somebody else
    clock.advance(5)
    assert watch.run_due() == 0.5


def test_watching_only_asks(watch, clock, sandbox, job):
    before = len(sandbox.requests)
    watch.add(job, ignore)
    for _ in range(5):
        clock.advance(watch.run_due())
    methods = {method for method, _, _ in sandbox.requests[before:]}
    assert methods == {"GET"}


def test_two_listeners_share_one_look(watch, job, asked):
    told = []
    watch.add(job, lambda job, error: told.append("first"))
    watch.add(job, lambda job, error: told.append("second"))
    watch.run_due()
    assert told == ["first", "second"]
    assert asked() == 1


def test_a_removed_listener_hears_no_more_and_a_job_without_any_is_left_alone(watch, job, asked):
    watch.add(job, ignore)
    watch.remove(job, ignore)
    assert watch.run_due() is None
    assert asked() == 0


def test_a_job_that_is_done_is_told_of_and_never_asked_about(watch, sandbox, job):
    finish(job)
    before = len(sandbox.requests)
    told = []
    watch.add(job, lambda job, error: told.append(job.state))
    assert watch.run_due() is None
    assert told == ["JobComplete"]
    assert len(sandbox.requests) == before


def test_a_look_that_fails_is_told_of_and_looking_goes_on(watch, clock, org, job):
    org.job(job.id).abort().delete()
    errors = []
    watch.add(job, lambda job, error: errors.append(error))
    clock.advance(watch.run_due())
    assert watch.run_due() > 0
    assert [type(error) for error in errors] == [NotFoundError, NotFoundError]


def test_an_aborted_job_is_looked_at_until_its_numbers_have_settled(watch, clock, job, asked):
    watch.add(job, ignore)
    job.abort()
    before = asked()
    while (pause := watch.run_due()) is not None:
        clock.advance(pause)
    assert asked() - before == 2
    assert clock.monotonic() == 5.0


def test_acts_run_before_looks(watch, job):
    order = []
    watch.add(job, lambda job, error: order.append(job.state))
    watch.submit(job.abort)
    watch.run_due()
    assert order == ["Aborted"]


@pytest.mark.parametrize("who", ["listener", "act"])
def test_what_breaks_ends_nothing_but_itself(watch, job, caplog, who):
    told = []

    def breaks(*_):
        raise ZeroDivisionError

    if who == "act":
        watch.submit(breaks)
    else:
        watch.add(job, breaks)
    watch.add(job, lambda job, error: told.append(job.state))
    watch.run_due()
    assert told == ["Open"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_the_thread_looks_acts_and_ends_when_there_is_nothing_left_to_do(job, monkeypatch):
    monkeypatch.setattr(_watch, "_IDLE_SECONDS", 0.01)
    watch, done, threads = Watch(), threading.Event(), []

    def listener(job, error):
        threads.append(threading.current_thread())
        if job.done:
            done.set()
        elif len(threads) == 1:
            watch.submit(job.abort)

    watch.add(job, listener)
    assert done.wait(10)
    (thread,) = set(threads)
    thread.join(10)
    assert not thread.is_alive()
    assert thread.daemon


def test_all_views_share_one_watch():
    assert shared_watch() is shared_watch()
