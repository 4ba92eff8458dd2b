"""The commands on one job, against a sandbox on loopback that the environment names."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

import bulknb
from bulknb.cli import main
from bulknb.sandbox import ManualClock, Sandbox

Run = Callable[..., Result]


@pytest.fixture(params=[False, True], ids=["sandbox", "production"])
def served(request, monkeypatch) -> Iterator[Sandbox]:
    with Sandbox(clock=ManualClock(), production=request.param) as sandbox:
        sandbox.start()
        monkeypatch.setenv("BULKNB_INSTANCE_URL", sandbox.url)
        monkeypatch.setenv("BULKNB_ACCESS_TOKEN", sandbox.token)
        yield sandbox


@pytest.fixture
def is_production(request) -> bool:
    return "production" in request.node.callspec.id


@pytest.fixture
def org(served) -> bulknb.Org:
    return served.connect()


def run(*words: str, typed: str = "") -> Result:
    return CliRunner().invoke(main, words, input=typed)


def test_a_job_is_shown(org):
    job = org.create_job("insert", "Account", api="1.0").upload("Name\nAcme\n").close().wait()

    shown = run("job", job.id, "--batches")

    assert shown.exit_code == 0
    assert {job.id, "Closed", "Completed", job.batches()[0].id} <= set(shown.output.split())


def test_a_job_is_closed(org):
    job = org.create_job("insert", "Account").upload("Name\nAcme\n")

    assert "UploadComplete" in run("close", job.id).output
    again = run("close", job.id)
    assert again.exit_code == 1
    assert "only Open jobs can be closed" in again.output


@pytest.mark.parametrize("verb", ["abort", "delete"])
def test_what_takes_away_is_done_after_a_deliberate_answer(org, is_production, verb):
    job = org.create_job("insert", "Account")
    if verb == "delete":
        job.upload("Name\nAcme\n").close().wait()

    refused = run(verb, job.id, typed="n\n")
    done = run(verb, job.id, typed="Acme\n" if is_production else "y\n")

    assert refused.exit_code == 1
    assert ("Acme is a production org" in refused.output) == is_production
    assert done.exit_code == 0, done.output
    assert ("Aborted" if verb == "abort" else f"Deleted {job.id}") in done.output


def test_yes_is_enough_outside_production_alone(org, is_production):
    job = org.create_job("insert", "Account")

    done = run("abort", job.id, "--yes")

    assert done.exit_code == (1 if is_production else 0)
    assert job.refresh().state == ("Open" if is_production else "Aborted")
    if is_production:
        assert "--confirm 'Acme: abort 1 job'" in done.output


def test_the_words_go_on_without_a_question(org):
    job = org.create_job("insert", "Account")

    done = run("abort", job.id, "--confirm", "Acme: abort 1 job")

    assert done.exit_code == 0, done.output
    assert job.refresh().state == "Aborted"


def test_wrong_words_are_refused_in_production(org, is_production):
    job = org.create_job("insert", "Account")

    run("abort", job.id, "--confirm", "Acme")

    assert job.refresh().state == ("Open" if is_production else "Aborted")


def test_an_error_is_told_in_one_line_without_a_traceback(served):
    told = run("job", "750xx0000000001")

    assert told.exit_code == 1
    assert told.output.startswith("Error: ")
    assert "Traceback" not in told.output


def test_without_an_org_a_command_says_how_to_name_one(monkeypatch):
    monkeypatch.delenv("BULKNB_INSTANCE_URL", raising=False)

    told = run("job", "750xx0000000001")

    assert told.exit_code == 1
    assert "BULKNB_INSTANCE_URL" in told.output
