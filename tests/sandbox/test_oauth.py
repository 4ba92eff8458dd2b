"""Sign-in by each flow, with any credentials or those given, and who is signed in."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.test import Client

from bulknb.sandbox import Credentials, ManualClock, Sandbox

BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
APP = {"client_id": "app", "client_secret": "s"}
USER = {"username": "me@example.com", "password": "p"}
KNOWN = Credentials(**APP, **USER, refresh_token="r")


def sign_in(credentials, grant_type, auth=None, **form):
    """Return status, and the error or the token's type."""
    with Sandbox(clock=ManualClock(), credentials=credentials) as sandbox:
        answer = Client(sandbox.app).post(
            "/services/oauth2/token",
            data={"grant_type": grant_type, **form},
            headers={"Host": "127.0.0.1"},
            auth=auth,
        )
        found = answer.json
        if answer.status_code == 200:
            assert found["access_token"] == sandbox.token
            return 200, found["token_type"]
        return answer.status_code, found["error"]


FLOWS = {
    "client_credentials": APP,
    "password": APP | USER,
    "refresh_token": {"client_id": "app", "refresh_token": "r"},
}


@pytest.mark.parametrize("credentials", [Credentials(), KNOWN], ids=["any", "known"])
@pytest.mark.parametrize("flow", FLOWS)
def test_each_flow_signs_in_and_refuses_what_is_missing(credentials, flow):
    form = FLOWS[flow]
    assert sign_in(credentials, flow, **form) == (200, "Bearer")
    for name in form:
        assert sign_in(credentials, flow, **form | {name: ""})[0] == 400


@pytest.mark.parametrize("flow", FLOWS)
def test_credentials_that_were_given_are_the_only_ones(flow):
    form = FLOWS[flow]
    for name in form:
        assert sign_in(KNOWN, flow, **form | {name: "other"})[0] == 400


def test_client_credentials_may_come_as_http_basic():
    assert sign_in(KNOWN, "client_credentials", auth=("app", "s")) == (200, "Bearer")
    assert sign_in(KNOWN, "client_credentials", auth=("app", "x")) == (400, "invalid_client")


def pem(key):
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def certificate(key):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "app")])
    begin = datetime.now(UTC)
    unsigned = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + AN_HOUR)
    signed = unsigned.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


AN_HOUR = timedelta(hours=1)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def assertion(key=KEY, algorithm="RS256", lasts=AN_HOUR, **changes):
    claims = {
        "iss": "app",
        "sub": "me@example.com",
        "aud": "https://login.salesforce.com",
        "exp": datetime.now(UTC) + lasts,
    }
    return jwt.encode(claims | changes, key, algorithm=algorithm)


@pytest.mark.parametrize("public", [pem(KEY.public_key()), certificate(KEY)], ids=["key", "cert"])
def test_a_jwt_signs_in_if_it_was_signed_by_the_key(public):
    known = Credentials(client_id="app", username="me@example.com", public_key=public)
    for audience in ("https://login.salesforce.com", "http://127.0.0.1"):
        assert sign_in(known, BEARER, assertion=assertion(aud=audience)) == (200, "Bearer")


def test_a_jwt_is_refused_for_anything_that_is_wrong():
    known = Credentials(
        client_id="app", username="me@example.com", public_key=pem(KEY.public_key())
    )
    for token in (
        "",
        "a.b.c",
        assertion(key=OTHER_KEY),
        assertion(key="a secret of more than thirty-two bytes", algorithm="HS256"),
        assertion(key=None, algorithm="none"),
        assertion(lasts=-AN_HOUR),
        assertion(aud="https://evil.example"),
        assertion(iss="other"),
        assertion(sub="other@example.com"),
        assertion() + "x",
    ):
        assert sign_in(known, BEARER, assertion=token) == (400, "invalid_grant")
    assert sign_in(Credentials(), BEARER, assertion=assertion()) == (400, "invalid_grant")


def test_credentials_show_no_secret():
    assert "me@example.com" in repr(KNOWN)
    assert not {"'s'", "'p'", "'r'"} & set(repr(KNOWN).replace("=", " ").split())
    assert "password" not in repr(KNOWN)


def test_a_token_is_introspected_by_its_client_only(api, sandbox):
    def ask(**form):
        return api("POST", "oauth2/introspect", data=form, headers={"Authorization": ""})

    found = ask(**APP, token=sandbox.token).json
    assert (found["active"], found["client_id"]) == (True, "app")
    assert found["exp"] == found["iat"] + 7200 == 1767603600 + 7200
    assert ask(**APP, token="other").json == {"active": False}
    assert (ask(token=sandbox.token).status_code, ask(**APP).json) == (401, {"active": False})


def test_the_identity_url_tells_who_is_signed_in(api, sandbox):
    (user,) = sandbox.records("User")
    url = api("GET", "v62.0").json["identity"]
    assert url == f"http://127.0.0.1/id/00Dxx0000000001EAA/{user['Id']}"
    path = url.removeprefix("http://127.0.0.1")
    with_token = {"Host": "127.0.0.1", "Authorization": f"Bearer {sandbox.token}"}
    client = Client(sandbox.app)
    found = client.get(path, headers=with_token)
    assert (found.json["username"], found.json["id"]) == (user["Username"], url)
    assert client.get(path, headers={"Host": "127.0.0.1"}).status_code == 401
    assert client.get(path[:-1] + "B", headers=with_token).status_code == 404


def test_an_expired_session_is_refused_and_a_sign_in_gives_another(api, sandbox):
    old = sandbox.token
    sandbox.expire_sessions()
    headers = {"Authorization": f"Bearer {old}"}
    assert api("GET", "v62.0/limits", headers=headers).json[0]["errorCode"] == "INVALID_SESSION_ID"
    form = {"grant_type": "client_credentials", **APP}
    new = api("POST", "oauth2/token", data=form).json["access_token"]
    assert new == sandbox.token != old
    headers = {"Authorization": f"Bearer {new}"}
    assert api("GET", "v62.0/limits", headers=headers).status_code == 200


def test_a_token_can_be_given():
    with Sandbox(token="00Dxx0000000001!chosen") as sandbox:
        assert sandbox.token == "00Dxx0000000001!chosen"
