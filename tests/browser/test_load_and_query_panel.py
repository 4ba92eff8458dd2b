"""The panels of a load and of a query in JupyterLab, to their end and after it."""

import re

import pytest
from lab import wait_until
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SETUP = """
import bulknb, pandas as pd
from bulknb.sandbox import Fault
sandbox = bulknb.sandbox.start()
org = sandbox.connect()
"""
LOAD = """
sandbox.faults.add(Fault("lock_rows", rows=2))
load = org.load(pd.DataFrame({"LastName": ["Ann", "Bob", "Cy", None]}), "Contact", "insert")
load
"""
QUERY = """
query = org.query("SELECT Id, LastName FROM Contact")
query
"""
# Its job is not looked at before it is aborted: no click has to be fast.
HELD = """
from bulknb._query_plan import plan
what = {"api": "2.0", "all_rows": False, "types": True, "page_rows": None}
query = bulknb.Query(org._wire, plan(org._wire, "SELECT Id FROM Contact", **what))
follow = query._follow
query._follow = lambda: (query._aborted.wait(), follow())
query.start()
"""
UPLOADED = """
uploaded = org.load(pd.DataFrame({"LastName": ["Di", "Ed"]}), "Contact", "insert", close=False)
uploaded
"""


@pytest.fixture(scope="module")
def notebook(open_notebook):
    notebook = open_notebook(SETUP, LOAD, QUERY, HELD, UPLOADED)
    notebook.run(0)
    return notebook


def test_rows_that_failed_for_a_lock_are_sent_again_by_a_click(notebook):
    notebook.run(1)
    panel = notebook.output(1)
    expect(panel.get_by_role("cell", name="UNABLE_TO_LOCK_ROW")).to_be_visible()

    panel.get_by_role("button", name="Retry 2 rows: load of Contact").click()
    expect(panel.get_by_text("Send 2 rows again?").first).to_be_visible()
    expect(panel.get_by_role("button", name="Not now")).to_be_focused()
    panel.get_by_role("button", name="Retry 2 rows: load of Contact").click()

    expect(panel.get_by_role("cell", name="UNABLE_TO_LOCK_ROW")).to_have_count(0)
    expect(panel.get_by_role("button")).to_have_count(0)
    assert notebook.evaluate("load.counts[['success', 'failed']].tolist()") == "[3, 1]"
    output, nothing = notebook.saved_outputs(1)
    assert re.search("Success +3", output["data"]["text/plain"])
    assert nothing["data"] == {}


def test_a_query_that_is_aborted_by_a_click_says_so(notebook):
    notebook.run(3)
    panel = notebook.output(3)
    panel.get_by_role("button", name="Abort query of Contact").click()
    panel.get_by_role("button", name="Abort query: query of Contact").click()
    # Which of the two is said depends on who comes first, the server or the query itself.
    said = panel.get_by_text(
        re.compile("is Aborted: the server gives no reason|was aborted before")
    )
    expect(said.first).to_be_visible()
    assert notebook.evaluate("[job.refresh().state for job in query.jobs]") == "['Aborted']"


def test_a_query_that_ends_leaves_its_types_and_no_button(notebook):
    notebook.run(2)
    panel = notebook.output(2)
    expect(panel.get_by_text("Columns: Id string, LastName string")).to_be_visible()
    expect(panel.get_by_role("button")).to_have_count(0)
    assert set(notebook.saved_outputs(2)[0]["data"]) == {"text/html", "text/plain"}


def test_a_load_that_is_uploaded_goes_on_by_a_click(notebook):
    notebook.run(4)
    panel = notebook.output(4)
    said = panel.get_by_text("2 rows uploaded to 1 job: nothing is processed before close()")
    expect(said.first).to_be_visible()
    assert notebook.evaluate("[job.refresh().state for job in uploaded.jobs]") == "['Open']"

    panel.get_by_role("button", name="Close load of Contact").click()

    expect(panel.get_by_role("button")).to_have_count(0)
    assert notebook.evaluate("int(uploaded.counts['success'])") == "2"


def test_without_its_kernel_what_became_of_the_rows_stays_and_no_offer(notebook):
    notebook.run(1)
    panel = notebook.output(1)
    expect(panel.get_by_role("button", name="Retry 2 rows")).to_be_visible()
    wait_until(lambda: "UNABLE_TO_LOCK_ROW" in str(notebook.saved_outputs(1)))
    notebook.reopen_without_kernel()
    expect(panel.get_by_role("cell", name="UNABLE_TO_LOCK_ROW")).to_be_visible()
    expect(panel.get_by_text("Error displaying widget")).to_be_hidden()
    expect(panel.get_by_role("button")).to_have_count(0)
