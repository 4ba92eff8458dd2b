"""In a production org abort, delete and hardDelete need words that name it; elsewhere none."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pandas as pd
import pytest

import bulknb
from bulknb import Job
from bulknb._jobs import confirmed, is_production
from bulknb._watch import Watch
from bulknb.errors import AuthenticationError, ConfirmationNeededError, InputError
from bulknb.sandbox import Fault, ManualClock, Sandbox
from bulknb.widgets import JobPanel

ACTS = pytest.mark.parametrize("act", ["abort", "delete"])


@pytest.fixture
def production() -> Iterator[Sandbox]:
    with Sandbox(clock=ManualClock(), seed=7, production=True) as production:
        yield production


@pytest.fixture
def acme(production) -> bulknb.Org:
    return production.connect(in_process=True)


def job_for(act: str, org: bulknb.Org) -> Job:
    job = org.create_job("insert", "Account")
    return job if act == "abort" else job.upload("Name\nAcme\n").close().wait()


def changes(sandbox: Sandbox) -> list[tuple[str, str, int]]:
    return [request for request in sandbox.requests if request[0] != "GET"]


@ACTS
def test_outside_production_no_words_are_needed(org, act):
    getattr(job_for(act, org), act)()

    assert not is_production(org._wire)


@ACTS
@pytest.mark.parametrize("confirm", [None, "", "yes", "Acme", "Acme: abort 2 jobs"])
def test_in_production_other_words_change_nothing(acme, production, act, confirm):
    job = job_for(act, acme)
    before = changes(production)

    with pytest.raises(ConfirmationNeededError) as needed:
        getattr(job, act)(confirm=confirm)

    assert isinstance(needed.value, InputError)
    assert f"pass confirm='Acme: {act} 1 job'" in str(needed.value)
    assert changes(production) == before


@ACTS
def test_in_production_the_words_of_the_error_are_what_it_takes(acme, act):
    job = job_for(act, acme)
    with pytest.raises(ConfirmationNeededError) as needed:
        getattr(job, act)()

    getattr(job, act)(confirm=needed.value.words)

    assert needed.value.org == "Acme"
    again = pickle.loads(pickle.dumps(needed.value))
    assert (again.words, str(again)) == (needed.value.words, str(needed.value))


def test_case_and_spaces_do_not_matter(acme):
    assert job_for("abort", acme).abort(confirm=" acme:  Abort 1 job ").state == "Aborted"


def test_words_name_the_number(acme):
    with pytest.raises(ConfirmationNeededError, match="Acme: abort 12 jobs"):
        confirmed(acme._wire, "abort", 12, "Acme: abort 1 job")
    confirmed(acme._wire, "abort", 12, "Acme: abort 12 jobs")


@pytest.mark.parametrize("api", ["1.0", "2.0"])
def test_a_hard_delete_job_needs_words(acme, production, api):
    with pytest.raises(ConfirmationNeededError):
        acme.create_job("hardDelete", "Account", api=api)
    assert changes(production) == []

    job = acme.create_job("hardDelete", "Account", api=api, confirm="Acme: hardDelete 1 job")
    assert job.operation == "hardDelete"


def test_there_is_no_way_around_by_a_property_that_is_not_checked(acme, production):
    with pytest.raises(ConfirmationNeededError):
        acme.create_job("insert", "Account", properties={"operation": "hardDelete"})
    assert changes(production) == []


def test_a_hard_delete_load_needs_words_with_the_number_of_rows(acme, production):
    acme.load(pd.DataFrame({"Name": ["A", "B"]}), "Account", "insert").wait()
    frame = pd.DataFrame({"Id": [record["Id"] for record in production.records("Account")]})
    before = changes(production)

    with pytest.raises(ConfirmationNeededError, match="Acme: hardDelete 2 rows"):
        acme.load(frame, "Account", "hardDelete")
    assert changes(production) == before

    load = acme.load(frame, "Account", "hardDelete", confirm="Acme: hardDelete 2 rows").wait()
    assert load.counts["success"] == 2


@pytest.mark.parametrize("confirm", [None, "Acme: abort 1 job", "Acme: abort 2 loads"])
def test_a_load_in_production_is_aborted_by_its_own_words(acme, production, confirm):
    load = acme.load(pd.DataFrame({"Name": ["A"]}), "Account", "insert").wait()
    before = changes(production)

    with pytest.raises(ConfirmationNeededError, match="confirm='Acme: abort 1 load'"):
        load.abort(confirm=confirm)

    assert changes(production) == before
    assert load.abort(confirm="Acme: abort 1 load") is load


def test_what_takes_nothing_away_needs_no_words(acme):
    frame = pd.DataFrame({"Name": ["A"]})

    assert acme.load(frame, "Account", "insert").wait().counts["success"] == 1
    assert acme.create_job("insert", "Account").upload(frame).close().wait().done


def test_an_org_is_asked_once_what_it_is(acme, production):
    for _ in range(3):
        job_for("abort", acme).abort(confirm="Acme: abort 1 job")

    asked = [path for _, path, _ in production.requests if path.endswith("/query")]
    assert len(asked) == 1


def test_an_org_that_does_not_tell_is_taken_for_production():
    faults = [Fault("html200", path="/query$")]
    with Sandbox(clock=ManualClock(), faults=faults) as sandbox:
        job = sandbox.connect(in_process=True).create_job("insert", "Account")
        with pytest.raises(ConfirmationNeededError, match=r"'127\.0\.0\.1: abort 1 job'"):
            job.abort()


def test_an_expired_session_is_told_as_what_it_is(acme, production):
    job = job_for("abort", acme)
    production.expire_sessions()

    with pytest.raises(AuthenticationError):
        job.abort()


def test_rows_are_hard_deleted_again_by_words_of_their_own(acme, production):
    made = acme.load(pd.DataFrame({"Name": ["A", "B"]}), "Account", "insert").wait().committed
    production.faults.add(Fault("lock_rows", rows=1))
    load = acme.load(made[["Id"]], "Account", "hardDelete", confirm="Acme: hardDelete 2 rows")

    with pytest.raises(ConfirmationNeededError, match="confirm='Acme: hardDelete 1 row'"):
        load.wait().retry()

    load.retry(confirm="Acme: hardDelete 1 row").wait()
    assert load.counts["success"] == 2


def test_the_button_of_a_panel_asks_by_itself(acme):
    watch = Watch(clock=ManualClock(), threaded=False)
    panel = JobPanel(job_for("abort", acme), watch=watch)

    panel.abort_button.click()
    panel.confirm_button.click()
    watch.run_due()

    assert panel.job.state == "Aborted"
