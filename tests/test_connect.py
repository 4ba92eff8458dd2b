"""Every way to sign in, against the sandbox; what each one does when a session has expired."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from cells import run_cells
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import bulknb
from bulknb._auth import Secret
from bulknb._wire import Wire
from bulknb.errors import (
    ApiError,
    AuthenticationError,
    InputError,
    NotFoundError,
    UnexpectedAnswerError,
)
from bulknb.sandbox import Credentials, ManualClock, Sandbox

HERE = "http://127.0.0.1"
ORG = "https://example.my.salesforce.com"
TOKEN = "00Dxx0000000001!a.token"


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> str:
    hidden = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden
    ).decode()


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_KEY = (
    KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
KNOWN = Credentials(
    client_id="app",
    client_secret="the.secret",
    username="me@example.com",
    refresh_token="the.refresh",
    public_key=PUBLIC_KEY,
)
FLOWS = {
    "jwt": {"client_id": "app", "username": "me@example.com", "private_key": pem(KEY)},
    "client credentials": {"client_id": "app", "client_secret": "the.secret"},
    "refresh token": {"client_id": "app", "refresh_token": "the.refresh"},
    "refresh token and secret": {
        "client_id": "app",
        "refresh_token": "the.refresh",
        "client_secret": "the.secret",
    },
}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("BULKNB_INSTANCE_URL", "BULKNB_ACCESS_TOKEN", "BULKNB_API_VERSION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def guarded():
    """An org that knows who may sign in."""
    with Sandbox(clock=ManualClock(), credentials=KNOWN) as sandbox:
        yield sandbox


def answering(**answers: object) -> Callable[..., list[bytes]]:
    """An application that answers each path, its last word, with a document or a status."""

    def application(environ, start_response):
        answer = answers.get(environ["PATH_INFO"].rpartition("/")[2], {})
        status, document = answer if isinstance(answer, tuple) else ("200 OK", answer)
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(document).encode()]

    return application


@pytest.mark.parametrize("flow", FLOWS)
def test_a_flow_signs_in_and_renews_the_session_once_it_has_expired(guarded, flow):
    org = bulknb.connect(**FLOWS[flow], login_url=HERE, transport=guarded.app)
    guarded.expire_sessions()

    job = org.create_job("insert", "Account")
    job.refresh()

    asked = [path for _, path, _ in guarded.requests]
    assert asked.count("/services/oauth2/token") == 2
    assert [status for _, _, status in guarded.requests][-4:] == [401, 200, 200, 200]


@pytest.mark.parametrize(
    ("flow", "wrong", "advice"),
    [
        ("jwt", {"username": "other@example.com"}, "an admin allows it"),
        ("client credentials", {"client_secret": "other"}, "consumer key and secret"),
        ("refresh token", {"refresh_token": "other"}, "sign in with the app anew"),
        ("refresh token", {"client_id": "other"}, "consumer key"),
    ],
)
def test_refused_credentials_say_what_to_check(guarded, flow, wrong, advice):
    with pytest.raises(AuthenticationError, match=advice):
        bulknb.connect(**FLOWS[flow] | wrong, login_url=HERE, transport=guarded.app)


def test_a_refresh_token_that_is_revoked_later_says_how_to_go_on(guarded):
    refused = iter([False, True])

    def revoking(environ, start_response):
        if environ["PATH_INFO"] == "/services/oauth2/token" and next(refused):
            error = {"error": "invalid_grant", "error_description": "expired token"}
            return answering(token=("400 Bad Request", error))(environ, start_response)
        return guarded.app(environ, start_response)

    org = bulknb.connect(**FLOWS["refresh token"], login_url=HERE, transport=revoking)
    guarded.expire_sessions()

    with pytest.raises(AuthenticationError, match="sign in with the app anew"):
        org.create_job("insert", "Account")


def test_one_renewal_serves_all_threads(guarded):
    org = bulknb.connect(**FLOWS["client credentials"], login_url=HERE, transport=guarded.app)
    ready = threading.Barrier(8)
    guarded.expire_sessions()

    def ask(_: int) -> int:
        ready.wait(10)
        return org._wire.request("GET", "/services/data/v62.0/limits").status

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == [200] * 8

    asked = [path for _, path, _ in guarded.requests]
    assert asked.count("/services/oauth2/token") == 2


def test_a_private_key_may_be_a_file(guarded, tmp_path):
    path = tmp_path / "server.key"
    path.write_text(pem(KEY))
    for given in (path, str(path)):
        flow = FLOWS["jwt"] | {"private_key": given}
        assert bulknb.connect(**flow, login_url=HERE, transport=guarded.app).url == HERE


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("/no/such.key", "neither the text of a PEM file"),
        ("", "neither the text of a PEM file"),
        ("-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----", "cannot sign"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "cannot sign"),
        (pem(KEY, password=b"secret"), "cannot sign"),
    ],
)
def test_a_key_that_cannot_sign_is_told_before_anything_is_sent(guarded, key, message):
    with pytest.raises(InputError, match=message):
        bulknb.connect(**FLOWS["jwt"] | {"private_key": key}, login_url=HERE, transport=guarded.app)
    assert guarded.requests == ()


def test_without_pyjwt_the_jwt_flow_says_how_to_get_it(guarded, monkeypatch):
    monkeypatch.setitem(sys.modules, "jwt", None)

    with pytest.raises(InputError, match=r"pip install 'bulknb\[jwt\]'"):
        bulknb.connect(**FLOWS["jwt"], login_url=HERE, transport=guarded.app)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "An address and a token are needed"),
        ({"instance_url": ORG}, "An address and a token are needed"),
        ({"access_token": TOKEN}, "An address and a token are needed"),
        ({"client_id": "app"}, "client_id= does not go with nothing"),
        ({"client_id": "app", "private_key": "k"}, "private_key= also needs username="),
        ({"private_key": "k"}, "also needs client_id=; private_key= also needs username="),
        ({"client_id": "app", "client_secret": "s"}, "client_secret= also needs login_url="),
        (
            {"login": "dev", "access_token": TOKEN},
            "access_token= does not go with the first argument",
        ),
        (
            {"access_token": TOKEN, "instance_url": ORG, "username": "me"},
            "username= does not go with access_token=",
        ),
        (
            {"client_id": "app", "refresh_token": "r", "instance_url": ORG},
            "instance_url= does not go with refresh_token=",
        ),
    ],
)
def test_arguments_that_do_not_go_together_are_told(given, message):
    with pytest.raises(InputError, match=f'{message}(.|\n)*connect\\("alias"\\)'):
        bulknb.connect(**given)


def test_the_environment_holds_address_token_and_version(sandbox, monkeypatch):
    monkeypatch.setenv("BULKNB_INSTANCE_URL", HERE)
    monkeypatch.setenv("BULKNB_ACCESS_TOKEN", sandbox.token)
    monkeypatch.setenv("BULKNB_API_VERSION", "60.0")

    org = bulknb.connect(transport=sandbox.app)

    assert (org.url, org.api_version) == (HERE, "60.0")


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "tokén"])
def test_a_token_that_cannot_be_one_is_told(token):
    with pytest.raises(InputError, match="access_token"):
        bulknb.connect(instance_url=HERE, access_token=token, transport=answering())


def client(sandbox: Sandbox, **changes: str) -> SimpleNamespace:
    """What a simple_salesforce.Salesforce has."""
    has = {"session_id": sandbox.token, "sf_instance": "127.0.0.1", "sf_version": "59.0"}
    return SimpleNamespace(**has | changes)


def test_another_clients_session_is_used_in_its_version(sandbox):
    org = bulknb.connect(client(sandbox), transport=sandbox.app)

    assert org.create_job("insert", "Account").state == "Open"
    assert org.api_version == "59.0"


def test_a_session_that_another_client_has_renewed_is_taken_over(sandbox):
    sf = client(sandbox)
    org = bulknb.connect(sf, transport=sandbox.app)
    sandbox.expire_sessions()
    with pytest.raises(AuthenticationError, match="Sign in again with the client"):
        org.create_job("insert", "Account")

    sf.session_id = sandbox.token

    assert org.create_job("insert", "Account").state == "Open"


@pytest.mark.parametrize("login", [42, SimpleNamespace(session_id="x")])
def test_what_is_no_client_is_told(login):
    with pytest.raises(InputError, match="signed in"):
        bulknb.connect(login)


@pytest.mark.parametrize("version", ["62", "v62.0", "62.0/../..", "latest"])
def test_a_version_that_is_none_is_told(monkeypatch, version):
    monkeypatch.setenv("BULKNB_API_VERSION", version)

    with pytest.raises(InputError, match=r'"62\.0"'):
        bulknb.connect(instance_url=HERE, access_token=TOKEN, transport=answering())


def test_an_org_that_is_older_says_which_versions_it_knows():
    unknown = ("404 Not Found", [{"errorCode": "NOT_FOUND", "message": "x"}])
    older = answering(**{"v62.0": unknown, "data": [{"version": "31.0"}, {"version": "58.0"}]})

    with pytest.raises(InputError, match=r"31\.0 to 58\.0, not 62\.0.*api_version=\"58\.0\""):
        bulknb.connect(instance_url=HERE, access_token=TOKEN, transport=older)


@pytest.mark.parametrize("listed", [[], {}, 7, [{"version": "62.0"}], ["x"]])
def test_a_server_that_lists_no_other_version_is_not_explained_by_versions(listed):
    unknown = ("404 Not Found", [{"errorCode": "NOT_FOUND", "message": "x"}])
    strange = answering(**{"v62.0": unknown, "data": listed})

    with pytest.raises(NotFoundError):
        bulknb.connect(instance_url=HERE, access_token=TOKEN, transport=strange)


@pytest.mark.parametrize("document", [[], "text", 7, None])
def test_json_that_is_no_document_of_the_api_is_no_sign_in(document):
    with pytest.raises(UnexpectedAnswerError, match="instance_url"):
        bulknb.connect(
            instance_url=HERE, access_token=TOKEN, transport=answering(**{"v62.0": document})
        )


@pytest.mark.parametrize(
    "url",
    [
        "https://yourcompany.my.salesforce.com",
        "https://YourCompany.my.Salesforce.com/",
        "yourcompany--dev.sandbox.my.salesforce.com",
        "https://yourcompany.my.salesforce.mil:443",
        "https://yourcompany.cloudforce.com",
        "https://yourcompany.lightning.force.com/lightning/page/home",
    ],
)
def test_a_token_goes_to_salesforce(url):
    org = bulknb.connect(instance_url=url, access_token=TOKEN, transport=answering())

    assert org.url.startswith("https://yourcompany")
    assert org.url == org.url.lower()
    assert org.url.count("/") == 2


@pytest.mark.parametrize(
    "url",
    [
        "https://crm.example.com",
        "https://salesforce.com.evil.example",
        "https://evilsalesforce.com",
        "https://login.salesforce.com@evil.example",
    ],
)
def test_a_token_goes_nowhere_else_unless_that_is_allowed(url):
    with pytest.raises(InputError):
        bulknb.connect(instance_url=url, access_token=TOKEN, transport=answering())


def test_a_proxy_of_ones_own_may_be_allowed():
    org = bulknb.connect(
        instance_url="https://crm.example.com",
        access_token=TOKEN,
        any_host=True,
        transport=answering(),
    )

    assert org.url == "https://crm.example.com"


@pytest.mark.parametrize("wanted", ["https://evil.example", "http://127.0.0.2", "//x", "", 7])
def test_a_sign_in_that_points_elsewhere_is_refused(wanted):
    said = {"access_token": TOKEN, "instance_url": wanted, "id": "https://evil.example/id/1/2"}

    with pytest.raises(InputError, match="instance_url of the sign-in"):
        bulknb.connect(**FLOWS["refresh token"], login_url=HERE, transport=answering(token=said))


@pytest.mark.parametrize("said", [{}, [], {"access_token": TOKEN}, {"instance_url": HERE}])
def test_a_sign_in_without_token_or_address_is_refused(said):
    with pytest.raises(UnexpectedAnswerError):
        bulknb.connect(**FLOWS["refresh token"], login_url=HERE, transport=answering(token=said))


def test_credentials_go_to_salesforce_only():
    for url in ("https://login.evil.example", "http://login.salesforce.com"):
        with pytest.raises(InputError, match="login_url"):
            bulknb.connect(**FLOWS["refresh token"], login_url=url, transport=answering())


def test_the_netrc_takes_no_part(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine example.my.salesforce.com login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    seen = []

    def noting(environ, start_response):
        seen.append(environ.get("HTTP_AUTHORIZATION"))
        said = {"access_token": TOKEN, "instance_url": ORG}
        return answering(token=said)(environ, start_response)

    bulknb.connect(**FLOWS["refresh token"], login_url=ORG, transport=noting)
    wire = Wire(ORG, Secret(TOKEN), api_version="62.0", transport=noting)
    wire.request("GET", "/x", auth_header="X-SFDC-Session")

    assert seen == [None, f"Bearer {TOKEN}", None]


SETUP = """
import os, bulknb
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b"{}"]
def connect(url="https://example.my.salesforce.com", **given):
    return bulknb.connect(instance_url=url, transport=application, **given)
"""


def test_a_token_that_is_typed_into_a_cell_is_warned_of_and_not_repeated(tmp_path):
    printed = run_cells(tmp_path, [SETUP, "connect(access_token='00Dxx!typed'); print('done')"])

    assert "UserWarning: access_token= is typed into a cell" in printed
    assert "done" in printed
    assert "00Dxx!typed" not in printed


def test_a_token_that_comes_from_elsewhere_or_stays_here_is_not_warned_of(tmp_path):
    cells = [
        SETUP,
        "connect(access_token=os.environ['HIDDEN'])",
        "connect('http://127.0.0.1', access_token='00Dxx!of.a.sandbox')",
        "print('done')",
    ]
    printed = run_cells(tmp_path, cells, HIDDEN="00Dxx!hidden")

    assert "done" in printed
    assert "Warning" not in printed


def test_an_error_of_the_sign_in_that_is_not_about_the_session_stays_what_it_is():
    error = {"error": "unsupported_grant_type", "error_description": "grant type not supported"}
    refusing = answering(token=("400 Bad Request", error))

    with pytest.raises(ApiError, match="unsupported_grant_type") as refused:
        bulknb.connect(**FLOWS["refresh token"], login_url=HERE, transport=refusing)
    assert not isinstance(refused.value, AuthenticationError)
