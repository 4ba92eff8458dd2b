from __future__ import annotations

import pandas as pd
import pytest

import bulknb
from bulknb.errors import AuthenticationError, NotFoundError
from bulknb.sandbox import Sandbox


def test_connect_by_the_environment_keeps_the_token_out_of_the_notebook(monkeypatch):
    with bulknb.sandbox.start(speed=100) as sandbox:
        monkeypatch.setenv("BULKNB_INSTANCE_URL", sandbox.url)
        monkeypatch.setenv("BULKNB_ACCESS_TOKEN", sandbox.token)

        org = bulknb.connect(api_version="60.0")

    assert (org.url, org.api_version) == (sandbox.url, "60.0")


def test_a_wrong_token_says_to_sign_in_again():
    with (
        bulknb.sandbox.start() as sandbox,
        pytest.raises(AuthenticationError, match="Sign in again"),
    ):
        bulknb.connect(instance_url=sandbox.url, access_token="00Dxx!wrong")


def test_a_dead_session_is_told_alike_by_both_apis(org):
    job = org.create_job("insert", "Account")
    classic = org.create_job("insert", "Account", api="1.0")
    for each in (job, classic):
        each._wire = bulknb._wire.Wire(
            org.url,
            bulknb._auth.Secret("00Dxx!expired"),
            api_version="62.0",
            transport=job._wire._session.get_adapter(org.url)._application,
        )
        with pytest.raises(AuthenticationError):
            each.refresh()


def test_a_whole_load_over_real_http():
    with bulknb.sandbox.start(speed=100) as sandbox:
        org = sandbox.connect()
        frame = pd.DataFrame({"Name": [f"Acme {n}" for n in range(250)]})

        load = org.load(frame, "Account", "insert").wait(timeout=60)

        assert load.counts["success"] == 250
        assert len(sandbox.records("Account")) == 250


def test_the_org_goes_on_working_when_nobody_asks():
    with bulknb.sandbox.start(speed=1000) as sandbox:
        job = sandbox.connect().create_job("insert", "Account").upload(b"Name\nAcme\n").close()
        asked = len(sandbox.requests)
        for _ in range(1000):
            if sandbox.records("Account"):
                break
            sandbox.clock.sleep(10)

        assert len(sandbox.requests) == asked
        assert job.refresh().state == "JobComplete"


def test_an_unknown_job_is_not_found(org):
    with pytest.raises(NotFoundError, match="seven days"):
        org.job("750xx0000000999AAA")


def test_a_page_of_a_thousand_is_followed_by_the_next():
    with Sandbox(clock=bulknb.sandbox.ManualClock()) as sandbox:
        org = sandbox.connect(in_process=True)
        made = {org.create_job("insert", "Account").id for _ in range(1_005)}
        before = len(sandbox.requests)

        jobs = org.jobs(times=False)

    assert {job.id for job in jobs} == made
    assert len(jobs) == 1_005
    assert len(sandbox.requests) - before == 3


def test_an_org_and_its_jobs_read_well(org):
    org.create_job("insert", "Account")

    jobs = org.jobs()

    assert repr(org) == f"<Org {org.url}, API 62.0>"
    assert repr(jobs).startswith("<1 job>")
    assert "Account" in jobs._repr_html_()
    assert repr(jobs[:0]) == "<no jobs>"
    assert org.describe("Account")["name"] == "Account"
