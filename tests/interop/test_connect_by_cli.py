"""`bulknb.connect` by a login of the real Salesforce CLI, and `bulknb doctor` with it."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner
from processes import BIN, SF_BIN, run

import bulknb
from bulknb.cli import main
from bulknb.errors import AuthenticationError, InputError
from bulknb.sandbox import clients

pytestmark = pytest.mark.interop_big


@pytest.fixture
def signed_in(sandbox, tmp_path, monkeypatch):
    """Have the CLI keep a login for the sandbox, in a home of its own."""
    if not SF_BIN.exists():
        pytest.fail("the Salesforce CLI is not installed: make interop-big")
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.pathsep.join([str(SF_BIN), str(BIN), os.environ["PATH"]]),
        "SF_AUTOUPDATE_DISABLE": "true",
        "SF_DISABLE_TELEMETRY": "true",
        "SF_USE_GENERIC_UNIX_KEYCHAIN": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    lines = clients.lines("sf", sandbox.url, sandbox.token)
    run("bash", "-c", lines, environment=environment, folder=tmp_path)


def test_an_alias_of_the_cli_connects(signed_in, sandbox):
    org = bulknb.connect("sandbox")

    assert org.url == sandbox.url
    assert org.about().username == "integration@example.com"
    assert org.create_job("insert", "Account").abort().state == "Aborted"


def test_an_alias_that_the_cli_does_not_know_is_told(signed_in):
    with pytest.raises(InputError, match="no login for 'nobody'"):
        bulknb.connect("nobody")


def test_a_session_that_the_cli_cannot_renew_says_how_to_sign_in(signed_in, sandbox):
    org = bulknb.connect("sandbox")
    sandbox.expire_sessions()

    with pytest.raises((AuthenticationError, InputError), match="sf org login web"):
        org.create_job("insert", "Account")


def test_the_doctor_finds_the_cli_and_the_org(signed_in, sandbox):
    result = CliRunner(env={"COLUMNS": "300"}).invoke(main, ["doctor", "sandbox"])

    assert result.exit_code == 0, result.output
    assert "@salesforce/cli/" in result.output
    assert "integration@example.com" in result.output
    assert sandbox.token not in result.output
