from __future__ import annotations

import pandas as pd
import pytest

import bulknb
from bulknb._ledger import Ledger
from bulknb.errors import AuthenticationError, NotFoundError
from bulknb.sandbox import ManualClock, Sandbox


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


@pytest.fixture
def users_ledger(tmp_path, monkeypatch):
    """The ledger in the user's own data folder, which is not that of whoever runs the test."""
    monkeypatch.delenv("BULKNB_LEDGER")
    for name in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    path = Ledger().path
    assert path.is_relative_to(tmp_path)
    return path


def test_a_sandbox_that_is_gone_with_its_process_leaves_the_users_ledger_alone(users_ledger):
    with Sandbox(clock=ManualClock()) as sandbox:
        org = sandbox.connect(in_process=True)
        load = org.load(pd.DataFrame({"Name": ["Acme"]}), "Account", "insert").wait()
        [job] = load.jobs
        assert job.explain()
        assert list(sandbox.connect(in_process=True).history.frame()["id"]) == [job.id]
    assert not users_ledger.exists()


def test_a_sandbox_with_a_data_file_is_remembered_in_the_users_ledger(users_ledger, tmp_path):
    with Sandbox(clock=ManualClock(), path=str(tmp_path / "org.sqlite")) as sandbox:
        job = sandbox.connect(in_process=True).create_job("insert", "Account")
        assert list(bulknb.History().frame()["id"]) == [job.id]
    assert users_ledger.exists()


def test_the_ledger_that_is_named_at_sign_in_is_used(sandbox, ledger, tmp_path):
    file = tmp_path / "elsewhere.sqlite"
    org = bulknb.connect(
        instance_url="http://127.0.0.1",
        access_token=sandbox.token,
        transport=sandbox.app,
        clock=sandbox.clock,
        ledger=file,
    )
    job = org.create_job("insert", "Account")
    assert list(bulknb.History(path=file).frame()["id"]) == [job.id]
    assert not ledger.exists()
