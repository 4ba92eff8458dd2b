"""`bulknb board`: the board as a page of its own, served by Voila."""

import contextlib

import pytest
from lab import board_app
from playwright.sync_api import expect

import bulknb

pytestmark = pytest.mark.browser


@pytest.fixture
def org():
    """A sandbox org, on the network and on its own clock."""
    with bulknb.sandbox.start() as sandbox:
        org = sandbox.connect()
        for name in ["Account", "Contact", "Lead"] * 2:
            org.create_job("insert", name)
        yield org, sandbox


def rows(page, text=""):
    return page.locator(".body .row:visible").filter(has_text=text)


@pytest.fixture
def page_of(new_page):
    """Run the command with these options, and open its page."""
    with contextlib.ExitStack() as running:

        def page_of(*options, **environment):
            new_page.goto(running.enter_context(board_app(*options, **environment)))
            return new_page

        yield page_of


def test_the_app_filters_selects_and_aborts_what_was_confirmed(org, page_of):
    org, sandbox = org
    page = page_of(BULKNB_INSTANCE_URL=sandbox.url, BULKNB_ACCESS_TOKEN=sandbox.token)
    expect(page.get_by_role("button", name="Open", exact=True)).to_be_enabled()
    page.get_by_label("Object").select_option("Contact")
    expect(rows(page)).to_have_count(2)

    rows(page).nth(0).click()
    rows(page).nth(1).click()
    page.get_by_role("button", name="Abort", exact=True).click()
    page.get_by_role("button", name="Abort 2 jobs").click()

    expect(page.get_by_text("2 of 2 aborted")).to_be_visible()
    expect(rows(page, "Aborted")).to_have_count(2)
    aborted = {job.id for job in org.jobs(state="Aborted", times=False)}
    patched = [path for method, path, _ in sandbox.requests if method == "PATCH"]
    assert {path.rpartition("/")[2] for path in patched} == aborted
    assert len(patched) == 2

    page.get_by_label("Object").select_option("Lead")
    rows(page).nth(0).click()
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.locator(".widget-html").filter(has_text="Lead")).to_be_visible()
    assert sandbox.token not in page.content()


def test_the_demonstration_says_that_it_is_one(page_of):
    page = page_of("--demo", BULKNB_ORG="nobody")
    expect(page.get_by_text("This is a demonstration, not your org.")).to_be_visible()
    expect(rows(page, "InProgress").first).to_be_visible()
    expect(page.get_by_text("There was an error")).to_have_count(0)


def test_the_page_needs_its_token(new_page):
    with board_app("--demo") as url:
        new_page.goto(url.partition("?")[0])
        assert "/login" in new_page.url
