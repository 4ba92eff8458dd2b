"""No artifact of a session holds the token, in any of the forms that it could slip in."""

from __future__ import annotations

import base64
import json
import pickle
import traceback
import urllib.parse
from pathlib import Path

import ipywidgets
import pandas as pd
import pytest
from cells import run_cells
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import bulknb
from bulknb.plots import processing_times_figure
from bulknb.sandbox import Credentials, ManualClock, Sandbox
from bulknb.widgets import JobPanel

HERE = "http://127.0.0.1"
PEM = (
    rsa.generate_private_key(public_exponent=65537, key_size=2048)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
#: What each way to sign in is given; the values under these names are secret.
SECRET = ("access_token", "client_secret", "refresh_token", "private_key")
FLOWS = {
    "token": {"instance_url": HERE, "access_token": "00Dxx0000000001!planted.access.token"},
    "jwt": {"client_id": "app", "username": "me@example.com", "private_key": PEM},
    "credentials": {"client_id": "app", "client_secret": "planted.client.secret.0123456789"},
    "refresh": {"client_id": "app", "refresh_token": "5Aep861planted.refresh.token.012345"},
}
GIVEN_BACK = "00Dxx0000000001!planted.new.token"


def planted(flow: str) -> list[str]:
    """The secrets of a way to sign in; of a key, its lines."""
    texts = [text for name, text in FLOWS[flow].items() if name in SECRET]
    lines = [line for text in texts for line in text.splitlines() if not line.startswith("--")]
    return [*lines, GIVEN_BACK]


def html(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"<html>Sign in</html>"]


def broken(environ, start_response):
    raise ConnectionResetError


def refusing(environ, start_response):
    start_response("400 Bad Request", [("Content-Type", "application/json")])
    return [b'{"error": "invalid_grant", "error_description": "x"}']


def hostile(environ, start_response):
    """Sign in, and send the user elsewhere."""
    start_response("200 OK", [("Content-Type", "application/json")])
    said = {"access_token": GIVEN_BACK, "instance_url": "https://evil.example"}
    return [json.dumps(said if "oauth2" in environ["PATH_INFO"] else []).encode()]


def incomplete(environ, start_response):
    """Sign in, but do not tell where."""
    start_response("200 OK", [("Content-Type", "application/json")])
    said = {"access_token": GIVEN_BACK}
    return [json.dumps(said if "oauth2" in environ["PATH_INFO"] else []).encode()]


def spaced(environ, start_response):
    """Sign in with a token that cannot be one."""
    start_response("200 OK", [("Content-Type", "application/json")])
    said = {"access_token": f"{GIVEN_BACK} x", "instance_url": HERE}
    return [json.dumps(said if "oauth2" in environ["PATH_INFO"] else []).encode()]


FAILURES = {it.__name__: it for it in (html, broken, refusing, hostile, incomplete, spaced)}


def forms(token: str) -> list[bytes]:
    """The token raw, URL-encoded, as JSON, in hex, in base64 at three offsets, in UTF-16."""
    raw = token.encode()
    offsets = [base64.b64encode(b"x" * n + raw)[4 * (n > 0) + 4 : -8] for n in range(3)]
    return [
        raw,
        urllib.parse.quote(token, safe="").encode(),
        json.dumps(token).encode(),
        raw.hex().encode(),
        token.encode("utf-16-le"),
        *offsets,
    ]


def leaks(artifact: bytes, token: str) -> list[bytes]:
    return [form for form in forms(token) if form in artifact]


@pytest.mark.parametrize("at", range(8))
def test_the_scan_finds_what_is_planted(at):
    token = "00Dxx0000000001!planted.secret.token.of.some.length"

    assert leaks(b"before " + forms(token)[at] + b" after", token)


def test_no_artifact_holds_the_token(sandbox, tmp_path: Path, caplog):
    caplog.set_level(1)
    caplog.set_level(1, logger="bulknb")
    ipywidgets.Widget.close_all()  # what other tests have left open
    org = sandbox.connect(in_process=True)
    load = org.load(pd.DataFrame({"LastName": ["Doe", None]}), "Contact", "insert").wait()
    job = load.jobs[0]
    panel = JobPanel(org.create_job("insert", "Account"))
    with pytest.raises(bulknb.BulkError) as refused:
        job.abort()

    processing_times_figure(load.history).savefig(tmp_path / "times.png")
    processing_times_figure(load.history).savefig(tmp_path / "times.svg")
    load.frame.to_csv(tmp_path / "frame.csv")
    load.history.to_csv(tmp_path / "history.csv")
    org.jobs().frame.to_pickle(tmp_path / "jobs.pickle")
    (tmp_path / "info.pickle").write_bytes(pickle.dumps(job.info))
    load.report(tmp_path / "load.html", rows=True)
    org.jobs().report(tmp_path / "jobs.html", rows=True)
    query = org.query("SELECT Id FROM Contact").wait()
    seen = (org, load, query, job)
    texts = [repr(it) for it in (*seen, panel, org.jobs(), refused.value, job.info)]
    texts += [it._repr_html_() for it in (*seen, org.jobs())]
    texts += [str(vars(it)) for it in (*seen, panel)]
    state = ipywidgets.Widget.get_manager_state(widgets=None)
    (tmp_path / "texts").write_text(
        "\n".join([*texts, json.dumps(state), caplog.text]), encoding="utf-8"
    )

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    found = {path.name: leaks(path.read_bytes(), sandbox.token) for path in files}
    assert "ledger.sqlite" in found
    assert {name for name, forms in found.items() if forms} == set()
    assert len(found) == 10


def with_locals(error: BaseException) -> str:
    """The traceback with all variables of bulknb's frames and of those below."""
    trace = error.__traceback__
    while trace and "bulknb" not in trace.tb_frame.f_globals["__name__"]:
        trace = trace.tb_next  # the test's own frames hold what it plants
    shown = traceback.TracebackException(type(error), error, trace, capture_locals=True)
    return "".join(shown.format())


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("flow", FLOWS)
def test_no_traceback_of_a_sign_in_that_fails_holds_a_secret(flow, failure, caplog):
    caplog.set_level(1)
    given = FLOWS[flow] if flow == "token" else FLOWS[flow] | {"login_url": HERE}

    with pytest.raises(bulknb.BulkError) as failed:
        bulknb.connect(**given, transport=FAILURES[failure], clock=ManualClock())

    shown = (with_locals(failed.value) + repr(failed.value) + caplog.text).encode()
    assert b"in connect" in shown
    assert [leaks(shown, secret) for secret in planted(flow) if leaks(shown, secret)] == []


@pytest.mark.parametrize("flow", ["credentials", "refresh"])
def test_an_org_that_renews_its_session_shows_no_secret(flow, caplog):
    caplog.set_level(1)
    with Sandbox(clock=ManualClock(), credentials=Credentials()) as sandbox:
        org = bulknb.connect(**FLOWS[flow], login_url=HERE, transport=sandbox.app)
        sandbox.expire_sessions()
        org.create_job("insert", "Account")
        secrets = [*planted(flow), sandbox.token]
        texts = [repr(org), org._repr_html_(), repr(org.about()), str(org.about()), caplog.text]
        texts += [str(vars(it)) for it in (org, org._wire, org._wire._session, org._wire._gate)]

    shown = "\n".join(texts).encode()
    assert [leaks(shown, secret) for secret in secrets if leaks(shown, secret)] == []


SETUP = """
%xmode Verbose
import json, os, bulknb
class Hidden(dict):
    def __repr__(self):
        return "Hidden()"
def planted(flow):
    return Hidden(json.loads(open(os.environ["PLANTED"]).read())[flow])
def refusing(environ, start_response):
    start_response("400 Bad Request", [("Content-Type", "application/json")])
    return [b'{"error": "invalid_grant", "error_description": "x"}']
def hanging(environ, start_response):
    raise KeyboardInterrupt
"""


def test_a_verbose_traceback_in_ipython_holds_no_secret(tmp_path):
    (tmp_path / "planted.json").write_text(
        json.dumps(
            {
                name: given | ({} if name == "token" else {"login_url": HERE})
                for name, given in FLOWS.items()
            }
        )
    )
    cells = [
        f"bulknb.connect(**planted({flow!r}), transport={transport})"
        for flow in FLOWS
        for transport in ("refusing", "hanging")
    ]

    printed = run_cells(tmp_path, [SETUP, *cells], PLANTED=str(tmp_path / "planted.json"))

    assert printed.count("invalid_grant: x") >= len(FLOWS)
    assert printed.count("KeyboardInterrupt") >= len(FLOWS)
    assert "held = {" in printed  # it does print variables
    for flow in FLOWS:
        for secret in planted(flow):
            assert leaks(printed.encode(), secret) == []
