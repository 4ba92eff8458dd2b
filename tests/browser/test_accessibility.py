"""The panels and the board by axe-core's rules, in Jupyter's light and dark theme."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SETUP = """
import bulknb, pandas as pd
from bulknb.widgets import JobBoard
sandbox = bulknb.sandbox.start()
org = sandbox.connect()
jobs = [org.create_job("insert", "Account") for _ in range(30)]
for job in jobs[:3]:
    job.upload(b"Name\\nAcme\\n").close().wait()
jobs[3].abort()
sandbox.faults.add(bulknb.sandbox.Fault("lock_rows", rows=2))
load = org.load(pd.DataFrame({"LastName": ["Ann", "Bob", None]}), "Contact", "insert").wait()
query = org.query("SELECT Id FROM Account").wait()
"""
# A query that has ended has no buttons: one that is drawn before it begins has.
QUERY = """
from bulknb._query_plan import plan
what = {"api": "2.0", "all_rows": False, "types": True, "page_rows": 10}
bulknb.widgets.QueryPanel(bulknb.Query(org._wire, plan(org._wire, query.soql, **what))).show()
query
"""
THEME = """(theme) => window.jupyterapp.commands.execute("apputils:change-theme", {theme})"""


@pytest.fixture(scope="module")
def opened(open_notebook):
    notebook = open_notebook(SETUP, "jobs[5]", "JobBoard(org)", "load", QUERY)
    notebook.run(0)
    return notebook


@pytest.fixture(params=["JupyterLab Light", "JupyterLab Dark"])
def notebook(opened, page, request):
    """The notebook with a new panel and a new board, in a theme."""
    page.evaluate(THEME, request.param)
    opened.run(1)
    opened.run(2)
    expect(opened.output(1).get_by_text("as of").first).to_be_visible()
    expect(opened.output(2).get_by_role("button", name="Open", exact=True)).to_be_enabled()
    yield opened
    page.evaluate(THEME, "JupyterLab Light")


def violations(page, selector):
    """The serious and critical violations of what a selector finds, each in a line."""
    found = Axe().run(page, context=selector).response
    assert found["passes"], "axe looked at nothing"
    return [
        f"{rule['id']}: {node['html']}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def test_the_panel_breaks_no_serious_rule(notebook, page):
    notebook.output(1).get_by_role("button", name="Abort job 750").click()
    expect(notebook.output(1).get_by_role("button", name="Keep running")).to_be_visible()
    notebook.output(1).evaluate("(e) => e.setAttribute('id', 'looked-at')")
    assert violations(page, "#looked-at .jp-OutputArea-output") == []


def test_the_panel_of_a_load_breaks_no_serious_rule(notebook, page):
    notebook.run(3)
    panel = notebook.output(3)
    panel.get_by_role("button", name="Retry 2 rows").click()
    expect(panel.get_by_role("button", name="Not now")).to_be_visible()
    panel.evaluate("(e) => e.setAttribute('id', 'load')")
    assert violations(page, "#load .jp-OutputArea-output") == []


def test_the_panel_of_a_query_breaks_no_serious_rule(notebook, page):
    notebook.run(4)
    panel = notebook.output(4)
    panel.get_by_role("button", name="Abort query of Account").click()
    expect(panel.get_by_role("button", name="Keep running")).to_be_visible()
    panel.evaluate("(e) => e.setAttribute('id', 'query')")
    assert violations(page, "#query .jp-OutputArea-output") == []


def test_the_board_breaks_no_serious_rule(notebook, page):
    board = notebook.output(2)
    assert violations(page, ".bulknb-board") == []
    board.locator(".body .row").nth(10).click()
    board.get_by_role("button", name="Abort", exact=True).click()
    assert violations(page, ".bulknb-board") == []
