"""Users with and without permissions, and sessions that end."""

import pytest
from werkzeug.test import Client

from bulknb.errors import AuthenticationError, BulkError
from bulknb.sandbox import ManualClock, Sandbox

INGEST = "v62.0/jobs/ingest"
QUERY = "v62.0/jobs/query"
CLASSIC = "async/62.0/job"
INSERT = {"object": "Account", "operation": "insert"}


@pytest.fixture
def as_user(api, sandbox):
    """Send a request as another user."""

    def send(username, method, path, **options):
        token = sandbox.token_for(username)
        headers = {"Authorization": f"Bearer {token}", "X-SFDC-Session": token}
        return api(method, path, headers=headers, **options)

    return send


@pytest.fixture
def kim(sandbox):
    """A user who may only load."""
    sandbox.add_user("kim.olsen@example.com")
    return "kim.olsen@example.com"


@pytest.fixture
def dana(sandbox):
    """A user who may manage the jobs of others."""
    sandbox.add_user("dana@example.com", manage_data_integrations=True)
    return "dana@example.com"


def error(answer):
    if isinstance(answer.json, list):
        return answer.status_code, answer.json[0]["errorCode"]
    return answer.status_code, answer.json["exceptionCode"]


def test_a_job_belongs_to_the_user_who_made_it(as_user, kim, sandbox):
    job = as_user(kim, "POST", INGEST, json=INSERT).json
    (record,) = (user for user in sandbox.records("User") if user["Username"] == kim)
    assert job["createdById"] == record["Id"] == sandbox.add_user(kim)
    assert record["Name"] == "Kim Olsen"
    assert as_user(kim, "GET", "oauth2/userinfo").json["preferred_username"] == kim


def test_records_belong_to_the_user_who_loaded_them(as_user, kim, sandbox):
    job = as_user(kim, "POST", INGEST, json=INSERT).json
    as_user(kim, "PUT", f"{INGEST}/{job['id']}/batches", data="Name\nA\n")
    as_user(kim, "PATCH", f"{INGEST}/{job['id']}", json={"state": "UploadComplete"})
    sandbox.clock.advance(60)
    assert [record["OwnerId"] for record in sandbox.records("Account")] == [job["createdById"]]


def test_only_its_creator_uploads_to_a_job_and_closes_it(api, as_user, kim, dana):
    job = api("POST", INGEST, json=INSERT).json["id"]
    for user in (kim, dana):
        upload = as_user(user, "PUT", f"{INGEST}/{job}/batches", data="Name\nA\n")
        close = as_user(user, "PATCH", f"{INGEST}/{job}", json={"state": "UploadComplete"})
        assert error(upload) == error(close) == (400, "INVALIDUSER")
    assert api("GET", f"{INGEST}/{job}").json["state"] == "Open"


def test_only_its_creator_adds_to_a_1_0_job_and_closes_it(api, as_user, kim, dana):
    job = api("POST", CLASSIC, json=INSERT | {"contentType": "CSV"}).json["id"]
    for user in (kim, dana):
        close = as_user(user, "POST", f"{CLASSIC}/{job}", json={"state": "Closed"})
        assert error(close) == (400, "InvalidUser")
        batch = as_user(
            user, "POST", f"{CLASSIC}/{job}/batch", data="Name\nA\n", content_type="text/csv"
        )
        assert batch.status_code == 400
        assert "<exceptionCode>InvalidUser</exceptionCode>" in batch.text


def test_a_job_is_aborted_by_its_creator_or_with_the_permission(api, as_user, kim, dana):
    wanted = {"operation": "query", "query": "SELECT Id FROM Account"}
    for create, path in ((INSERT, INGEST), (wanted, QUERY)):
        job = api("POST", path, json=create).json["id"]
        refused = as_user(kim, "PATCH", f"{path}/{job}", json={"state": "Aborted"})
        assert error(refused) == (400, "INVALIDUSER")
        aborted = as_user(dana, "PATCH", f"{path}/{job}", json={"state": "Aborted"})
        assert aborted.json["state"] == "Aborted"
    job = as_user(kim, "POST", INGEST, json=INSERT).json["id"]
    assert as_user(kim, "PATCH", f"{INGEST}/{job}", json={"state": "Aborted"}).status_code == 200


def test_a_1_0_job_is_aborted_by_its_creator_or_with_the_permission(api, as_user, kim, dana):
    job = api("POST", CLASSIC, json=INSERT).json["id"]
    refused = as_user(kim, "POST", f"{CLASSIC}/{job}", json={"state": "Aborted"})
    assert error(refused) == (400, "InvalidUser")
    aborted = as_user(dana, "POST", f"{CLASSIC}/{job}", json={"state": "Aborted"})
    assert aborted.json["state"] == "Aborted"


def test_hard_delete_needs_its_permission(api, as_user, kim, sandbox):
    wanted = {"object": "Account", "operation": "hardDelete"}
    assert error(as_user(kim, "POST", INGEST, json=wanted)) == (400, "FEATURENOTENABLED")
    refused = as_user(kim, "POST", CLASSIC, json=wanted)
    assert error(refused) == (400, "FeatureNotEnabled")
    assert "requires special user profile permission" in refused.json["exceptionMessage"]
    assert api("POST", INGEST, json=wanted).status_code == 200
    sandbox.add_user(kim, hard_delete=True)
    assert as_user(kim, "POST", INGEST, json=wanted).status_code == 200


def test_each_user_sees_their_own_permissions(as_user, kim, dana):
    soql = "SELECT PermissionsManageDataIntegrations FROM UserPermissionAccess"
    for user, may in ((kim, False), (dana, True), (kim, False)):
        (found,) = as_user(user, "GET", "v62.0/query", query_string={"q": soql}).json["records"]
        assert found["PermissionsManageDataIntegrations"] is may


def test_a_permission_counts_at_once(api, as_user, kim, sandbox):
    job = api("POST", INGEST, json=INSERT).json["id"]
    token = sandbox.token_for(kim)
    sandbox.add_user(kim, manage_data_integrations=True)
    assert sandbox.token_for(kim) == token
    aborted = as_user(kim, "PATCH", f"{INGEST}/{job}", json={"state": "Aborted"})
    assert aborted.json["state"] == "Aborted"


def test_a_stranger_has_no_token(sandbox):
    with pytest.raises(KeyError, match="no user nobody@example"):
        sandbox.token_for("nobody@example.com")


def test_a_client_signs_in_as_another_user(sandbox, kim):
    theirs = sandbox.connect(in_process=True).create_job("insert", "Account")
    org = sandbox.connect(in_process=True, username=kim)
    with pytest.raises(BulkError, match="another user"):
        org.job(theirs.id).abort()


def test_an_expired_session_is_refused_in_each_dialects_own_way(api, sandbox):
    token = sandbox.token
    sandbox.expire_sessions()
    headers = {"Authorization": f"Bearer {token}", "X-SFDC-Session": token}
    assert error(api("GET", INGEST, headers=headers)) == (401, "INVALID_SESSION_ID")
    answer = api("POST", CLASSIC, json=INSERT, headers=headers)
    assert error(answer) == (400, "InvalidSessionId")


def test_after_the_sessions_expired_there_are_new_ones(api, sandbox):
    before = sandbox.token
    sandbox.expire_sessions()
    assert sandbox.token != before
    assert api("GET", INGEST).status_code == 200
    basic = {"Authorization": "Basic eDp5"}  # x:y
    form = {"grant_type": "client_credentials"}
    answer = api("POST", "oauth2/token", data=form, headers=basic).json
    assert answer["access_token"] == sandbox.token


def test_a_session_lives_as_long_as_it_is_used():
    with Sandbox(clock=ManualClock(), session_seconds=7200) as sandbox:
        client = Client(sandbox.app)
        headers = {"Host": "127.0.0.1", "Authorization": f"Bearer {sandbox.token}"}

        def status():
            return client.get("/services/data/v62.0/limits", headers=headers).status_code

        for _ in range(3):
            sandbox.clock.advance(7000)
            assert status() == 200
        sandbox.clock.advance(7200)
        assert status() == 401


def test_a_client_meets_the_end_of_its_session(sandbox, org):
    sandbox.expire_sessions()
    with pytest.raises(AuthenticationError):
        org.jobs()


def test_a_token_may_be_given():
    with Sandbox(token="00D!chosen") as sandbox:
        assert sandbox.token == "00D!chosen"
        assert "chosen" not in repr(sandbox)
