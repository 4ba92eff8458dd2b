"""The command `bulknb doctor`: what it finds, its advice, its exit code, and no token in it."""

from __future__ import annotations

from importlib import metadata

import pytest
from click.testing import CliRunner

import bulknb
from bulknb import _doctor
from bulknb._about import About, Allowance
from bulknb.cli import main


@pytest.fixture(autouse=True)
def _plain(monkeypatch, tmp_path):
    """A machine without proxy, certificates, Salesforce CLI or org of its own."""
    for name in ("INSTANCE_URL", "ACCESS_TOKEN", "API_VERSION"):
        monkeypatch.delenv(f"BULKNB_{name}", raising=False)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["doctor", *arguments])
    return result.exit_code, result.output


def found(checks) -> dict[str, _doctor.Check]:
    return {check.name: check for check in checks}


def test_without_an_org_it_looks_at_the_machine():
    code, printed = run()

    assert code == 0
    assert "bulknb doctor ALIAS" in printed
    assert metadata.version("pandas") in printed


def test_it_shows_an_org_and_no_token(monkeypatch):
    with bulknb.sandbox.start() as sandbox:
        monkeypatch.setenv("BULKNB_ACCESS_TOKEN", sandbox.token)
        code, printed = run("--instance-url", sandbox.url)

        assert code == 0, printed
        for said in ("Sandbox, sandbox", "integration@example.com", "62.0", "API calls left"):
            assert said in printed
        assert sandbox.token not in printed
        assert sandbox.token[-20:] not in printed
        assert found(_doctor.org(None, sandbox.url))["Clock"].verdict == "ok"


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("dev",), "Salesforce CLI is not installed"),
        (("--instance-url", "http://127.0.0.1:9"), "Check instance_url"),
        (("--instance-url", "https://evil.example"), "any_host=True"),
    ],
)
def test_an_org_that_cannot_be_reached_is_exit_code_1(monkeypatch, arguments, advice):
    monkeypatch.setenv("BULKNB_ACCESS_TOKEN", "00Dxx!hidden")
    code, printed = run(*arguments)

    assert code == 1
    assert advice in printed
    assert "hidden" not in printed


@pytest.mark.parametrize(
    ("script", "name"),
    [("echo '@salesforce/cli/2.146.3'", "@salesforce/cli/2.146.3"), ("exit 3", "does not run")],
)
def test_the_salesforce_cli_is_found_if_it_runs(tmp_path, script, name):
    program = tmp_path / "sf"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)

    assert found(_doctor.machine())["Salesforce CLI"].found == name


def test_a_proxy_is_shown_without_its_password_and_missing_certificates_fail(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://me:hidden@proxy.example:3128")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such.pem")

    code, printed = run()

    assert code == 1
    assert "proxy.example" in printed
    assert "hidden" not in printed
    assert "unset REQUESTS_CA_BUNDLE" in printed


@pytest.mark.parametrize(
    ("version", "verdict"),
    [(None, "warn"), ("6.29.5", "warn"), ("7.0.1", "warn"), ("7.1.0", "ok"), ("10.0", "ok")],
)
def test_an_old_kernel_is_warned_of(version, verdict):
    assert _doctor._kernel(version).verdict == verdict


def test_a_package_that_is_missing_is_told_with_how_to_get_it():
    check = _doctor._package("pandas", None)

    assert (check.verdict, check.advice) == ("fail", "pip install pandas")


def test_production_few_calls_and_a_wrong_clock_are_warned_of():
    about = About(
        "https://acme.my.salesforce.com",
        "62.0",
        name="Acme",
        kind="production",
        allowances={"DailyApiRequests": Allowance(100, 3)},
        clock_ahead=-3600.0,
        unread=("Permissions: no",),
    )

    checks = found(_doctor._facts(about))

    assert checks["Org"].verdict == "live"
    assert {name for name, check in checks.items() if check.verdict == "warn"} == {
        "DailyApiRequests",
        "Clock",
        "Not readable",
    }
