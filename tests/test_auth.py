"""Logins of the Salesforce CLI, by a stand-in that prints what the CLI prints."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

import pytest

import bulknb
from bulknb._auth import login_of_cli
from bulknb.errors import AuthenticationError, InputError

SAMPLES = Path(__file__).parent / "data" / "samples" / "other"
DISPLAY = json.loads((SAMPLES / "sf-org-display-redacted.json").read_text())
TOKEN = json.loads((SAMPLES / "sf-org-auth-show-access-token.json").read_text())
REFUSED = {"status": 1, "name": "NamedOrgNotFoundError", "message": "No authorization found"}

PROGRAM = """#!{python}
import json, pathlib, signal, sys

here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    print(*sys.argv[1:], file=calls)
answer = json.loads((here / (" ".join(sys.argv[1:3]) + ".json")).read_text())
if answer == "hang":
    signal.pause()
if answer == "no such command":
    sys.exit("org auth show-access-token is not a sf command")
print(answer if isinstance(answer, str) else json.dumps(answer))
sys.exit(answer["status"] if isinstance(answer, dict) else 0)
"""


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """Install an `sf` that answers as told, and return how to tell it."""
    program = tmp_path / "sf"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    def answers(display: object = DISPLAY, token: object = TOKEN) -> Path:
        (tmp_path / "org display.json").write_text(json.dumps(display))
        (tmp_path / "org auth.json").write_text(json.dumps(token))
        return tmp_path / "calls"

    answers()
    return answers


def with_result(answer: dict, **result: object) -> dict:
    return {**answer, "result": {**answer["result"], **result}}


def test_the_token_is_asked_for_by_its_own_command(cli):
    calls = cli()

    login = login_of_cli("dev")

    assert login.instance_url == "https://example.my.salesforce.com"
    assert login.token() == TOKEN["result"]["accessToken"]
    assert TOKEN["result"]["accessToken"] not in repr(login)
    assert calls.read_text().splitlines() == [
        "org display --target-org=dev --json",
        "org auth show-access-token --target-org=dev --json",
    ]


@pytest.mark.parametrize("lacking", ["no such command", {"status": 1, "message": "x"}])
def test_an_older_cli_shows_the_token_with_the_org(cli, lacking):
    cli(with_result(DISPLAY, accessToken="00Dxx!old"), lacking)

    assert login_of_cli("dev").token() == "00Dxx!old"


def test_the_redacted_text_is_no_token(cli):
    cli(token="no such command")

    with pytest.raises(InputError, match="sf update"):
        login_of_cli("dev")


@pytest.mark.parametrize(
    ("display", "message"),
    [
        (REFUSED, "no login for 'dev'"),
        ({"status": 1, "name": "RefreshTokenAuthError", "message": "x"}, "does not tell where"),
        ({"status": 0, "result": {"accessToken": "00Dxx!leak"}}, "does not tell where"),
        ([], "did not answer in JSON"),
        ("Updating the CLI... 00Dxx!leak", "did not answer in JSON"),
    ],
)
def test_a_cli_that_cannot_tell_is_a_clear_sentence(cli, display, message):
    cli(display)

    with pytest.raises(InputError, match=message) as refused:
        login_of_cli("dev")
    error = refused.value
    below = error.__traceback__.tb_next  # not this frame, which has the answer as its argument
    trace = traceback.TracebackException(type(error), error, below, capture_locals=True)
    assert "leak" not in "".join(trace.format())
    assert error.__context__ is None


@pytest.mark.parametrize("hanging", ["display", "token"])
def test_a_cli_that_hangs_is_given_up(cli, monkeypatch, hanging):
    monkeypatch.setattr("bulknb._auth._CLI_SECONDS", 0.5)
    cli(**{hanging: "hang"})

    with pytest.raises(InputError, match=r"did not answer within 0\.5 s"):
        login_of_cli("dev")


def test_a_missing_cli_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(InputError, match="not installed"):
        bulknb.connect("dev")


@pytest.fixture
def signed_in(cli, sandbox):
    """An org connected by alias; the CLI hands out the sandbox's token."""
    here = with_result(DISPLAY, instanceUrl=sandbox.url)
    calls = cli(here, with_result(TOKEN, accessToken=sandbox.token))
    org = bulknb.connect("dev", transport=sandbox.app, clock=sandbox.clock)
    return org, calls, lambda token: cli(here, with_result(TOKEN, accessToken=token))


def test_connect_by_alias(signed_in):
    org, _, _ = signed_in

    assert org.create_job("insert", "Account").state == "Open"


def test_an_expired_session_is_renewed_once_and_the_request_sent_anew(signed_in, sandbox):
    org, calls, _ = signed_in
    asked = len(calls.read_text().splitlines())
    org._wire._token = bulknb._auth.Secret("00Dxx!expired")

    job = org.create_job("insert", "Account")
    job.refresh()

    assert len(calls.read_text().splitlines()) == asked + 2
    statuses = [status for _, _, status in sandbox.requests]
    assert statuses[-3:] == [401, 200, 200]


def test_an_upload_is_not_sent_anew(signed_in, sandbox):
    org, _, _ = signed_in
    job = org.create_job("insert", "Account")
    org._wire._token = bulknb._auth.Secret("00Dxx!expired")

    with pytest.raises(AuthenticationError):
        job.upload(b"Name\nAcme\n")
    assert sum(method == "PUT" for method, _, _ in sandbox.requests) == 1


def test_a_renewed_session_that_is_refused_too_says_to_sign_in(signed_in, sandbox):
    org, _, hand_out = signed_in
    hand_out("00Dxx!also.expired")
    org._wire._token = bulknb._auth.Secret("00Dxx!expired")
    before = len(sandbox.requests)

    with pytest.raises(AuthenticationError, match="`sf org login web --alias dev`"):
        org.create_job("insert", "Account")
    assert len(sandbox.requests) == before + 2
