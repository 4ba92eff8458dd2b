"""The card of an org: what it says, what it costs, and that it never fails."""

from __future__ import annotations

import json

import pytest

import bulknb
from bulknb._about import About, Allowance, read_about
from bulknb._auth import Secret
from bulknb._wire import Wire
from bulknb.sandbox import Fault, ManualClock, Sandbox

TOKEN = "00Dxx!token"
ID = "https://login.salesforce.com/id/00Dxx0000000001AAA/005xx0000000001AAA"


def answering(documents: dict[str, object]):
    """An org that answers each query or path with a document, or with (status, document)."""

    def application(environ, start_response):
        asked = environ["PATH_INFO"] + environ["QUERY_STRING"]
        said = next((it for part, it in documents.items() if part in asked), {})
        status, document = said if isinstance(said, tuple) else ("200 OK", said)
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(document).encode()]

    return application


def about(**documents: object) -> About:
    app = answering({**documents, "v62.0": documents.get("home", {"identity": ID})})
    return read_about(Wire("http://127.0.0.1", Secret(TOKEN), api_version="62.0", transport=app))


def one(**record: object) -> dict[str, object]:
    return {"totalSize": 1, "done": True, "records": [record]}


def test_an_org_says_what_it_is_who_asks_and_what_is_left(sandbox):
    sandbox.add_user("limited@example.com", manage_data_integrations=True)
    org = sandbox.connect(in_process=True, username="limited@example.com")

    about = org.about()

    assert (about.name, about.kind, about.username) == ("Sandbox", "sandbox", "limited@example.com")
    assert about.org_id.startswith("00D")
    assert about.allowances["DailyApiRequests"].most == 100_000
    assert 0 < about.allowances["DailyApiRequests"].left < 100_000
    assert about.allowances["DailyBulkApiBatches"] == Allowance(15_000, 15_000)
    assert about.permissions == {"Bulk API Hard Delete": False, "Manage Data Integrations": True}
    assert about.unread == ()


def test_it_is_asked_once_a_minute_and_by_a_plain_repr_never(sandbox, org):
    asked = len(sandbox.requests)
    assert repr(org) == "<Org http://127.0.0.1, API 62.0>"
    assert len(sandbox.requests) == asked

    for _ in range(3):
        org._repr_html_()
        org.about()
    assert len(sandbox.requests) == asked + 5
    assert repr(org) == "<Org Sandbox, sandbox, http://127.0.0.1, API 62.0>"

    sandbox.clock.advance(61)
    org.about()
    assert len(sandbox.requests) == asked + 10


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({"IsSandbox": False, "OrganizationType": "Enterprise Edition"}, "production"),
        ({"IsSandbox": False, "OrganizationType": "Developer Edition"}, "developer"),
        ({"IsSandbox": False, "TrialExpirationDate": "2026-01-01"}, "trial"),
        ({"IsSandbox": True, "TrialExpirationDate": None}, "sandbox"),
        ({"IsSandbox": True, "TrialExpirationDate": "2026-01-01"}, "scratch"),
        ({"Name": "Acme"}, None),
    ],
)
def test_the_kind_of_an_org_follows_from_what_it_says_of_itself(record, kind):
    assert about(Organization=one(**record)).kind == kind


def test_production_stands_out_in_colour_and_in_words():
    production = about(Organization=one(Name="Acme", IsSandbox=False))
    sandbox = about(Organization=one(Name="Acme", IsSandbox=True))

    assert "--jp-error-color1" in production._repr_html_()
    assert "PRODUCTION" in production._repr_html_()
    assert "Kind: PRODUCTION" in str(production)
    assert "--jp-error-color1" not in sandbox._repr_html_()


def test_foreign_text_is_escaped():
    name = "<script>alert(1)</script>"
    card = about(Organization=one(Name=name, IsSandbox=True))._repr_html_()

    assert "<script" not in card
    assert "&lt;script&gt;" in card


def test_a_permission_that_is_not_readable_is_told_and_the_rest_is_there():
    refused = ("403 Forbidden", [{"errorCode": "INSUFFICIENT_ACCESS", "message": "no"}])
    unknown = ("400 Bad Request", [{"errorCode": "INVALID_TYPE", "message": "not supported"}])
    found = about(
        Organization=one(Name="Acme", IsSandbox=True), limits=refused, UserPermissionAccess=unknown
    )

    assert found.name == "Acme"
    assert found.permissions == {}
    assert [text.partition(":")[0] for text in found.unread] == ["Limits", "Permissions"]
    assert "INVALID_TYPE" in str(found)


@pytest.mark.parametrize(
    "fault", ["drop_before", "stall", "503", "401", "429", "limit403", "html200", "500", "trunc"]
)
def test_a_card_of_an_org_that_does_not_answer_shows_what_is_known(fault):
    with Sandbox(clock=ManualClock()) as sandbox:
        org = sandbox.connect(in_process=True)
        for number in range(5):
            sandbox.faults.add(Fault(fault, at=2 + number))

        card = org._repr_html_()

    assert org.url in card
    assert "Not readable" in card


@pytest.mark.parametrize("nonsense", [[], 7, None, "x", {"records": 7}, {"records": [7]}])
def test_nonsense_is_no_fact(nonsense):
    found = about(query=nonsense, limits={"DailyApiRequests": {"Max": "x"}}, home={"identity": 7})

    assert (found.name, found.kind, found.username, found.allowances) == (None, None, None, {})
    assert found._repr_html_()
    assert str(found).startswith("Salesforce org\n")


def test_a_wait_outlives_spent_api_calls_with_one_look_a_minute():
    with Sandbox(clock=ManualClock(), daily_requests=4) as sandbox:
        org = sandbox.connect(in_process=True)
        job = org.create_job("insert", "Account").upload(b"Name\nAcme\n").close()
        sandbox.clock.advance(23.5 * 3600)
        started = sandbox.clock.monotonic()

        job.wait()

        minutes = (sandbox.clock.monotonic() - started) / 60
        refused = [status for _, _, status in sandbox.requests if status == 403]
    assert job.state == "JobComplete"
    assert 30 <= minutes <= 35
    assert 15 <= len(refused) <= minutes + 1
    assert org._wire.paused == ""


def test_a_direct_call_says_that_the_api_calls_are_used_up():
    with Sandbox(clock=ManualClock(), daily_requests=1) as sandbox:
        org = sandbox.connect(in_process=True)
        for _ in range(2):
            with pytest.raises(bulknb.errors.LimitError, match="daily API calls are renewed"):
                org.jobs()
        assert org._wire.paused == "paused: API limit"
