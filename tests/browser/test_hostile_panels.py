"""Whatever a server, a user or a frame is called: in a panel it is text."""

from pathlib import Path

import pytest
from hostile import hostile_texts
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SETUP = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from dataclasses import replace
from IPython.display import HTML
from hostile import hostile_texts
import bulknb, pandas as pd, pyarrow as pa
from bulknb import _load_card, _query_card
from bulknb.widgets import JobPanel, LoadPanel, QueryPanel
bulknb._load_card._REASONS = bulknb._query_card._COLUMNS = 200
bulknb._load_card._LONGEST_MESSAGE = 10_000
texts = hostile_texts()
everything = " ".join(texts)
sandbox = bulknb.sandbox.start()
org = sandbox.connect()
"""
JOB = """
def hostile_panel(text, **more):
    job = org.create_job("insert", "Account")
    panel = JobPanel(job, user=text)
    panel._follow = lambda: None
    panel._of = text
    panel._refusal = text
    names = ("operation", "object", "created_by_id", "error_message")
    job.info = replace(job.info, **dict.fromkeys(names, text), **more)
    panel._repaint()
    return panel

panel = hostile_panel(everything)
panel.show()
"""
# The state and the id, which decide what buttons there are, in cards of their own.
CARDS = """
job = org.create_job("insert", "Account")
panel = JobPanel(job)
cards = []
for text in texts:
    job.info = replace(job.info, id=text, state=text, operation=text, error_message=text)
    cards.append(panel._repr_html_())
HTML("".join(cards))
"""
LOAD = """
frame = pd.DataFrame({"LastName": [None] * len(texts)}, index=texts)
load = org.load(frame, "Contact", "insert").wait()
told = {name: pd.array(texts, dtype="string") for name in ("error_code", "error_fields")}
told["error_message"] = told["error_code"] + "UNABLE_TO_LOCK_ROW"
load._frame = load.frame.assign(**told)
load.object = load.operation = everything
LoadPanel(load)
"""
QUERY = """
query = org.query("SELECT Id FROM Account").wait()
schema = pa.schema([(text, pa.string()) for text in texts])
query._pages[:] = [replace(page, schema=schema) for page in query._pages]
query.object = query.soql = everything
QueryPanel(query)
"""
TAGS = """(output) => [...new Set(
    [...output.querySelectorAll(".jp-OutputArea-output *")].map((it) => it.localName))]"""
OURS = {
    *("div", "span", "ol", "li", "dl", "dt", "dd", "style"),
    *("table", "caption", "tbody", "tr", "th", "td", "button", "label"),
}


@pytest.fixture(scope="module")
def notebook(open_notebook):
    notebook = open_notebook(SETUP, JOB, CARDS, LOAD, QUERY)
    notebook.run(0)
    return notebook


@pytest.mark.parametrize("cell", [1, 2, 3, 4], ids=["job", "cards", "load", "query"])
def test_hostile_text_stays_text(notebook, page, cell):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    notebook.run(cell)
    output = notebook.output(cell)
    expect(output.locator(".bulknb-card").first).to_be_visible()
    expect(output).to_contain_text("[h199]")

    if cell == 1:
        output.locator(".bulknb-abort").click()
        expect(output.locator(".bulknb-keep")).to_be_focused()
    text = output.evaluate("(it) => it.textContent")
    assert [mark for mark in marks() if mark not in text] == []
    assert set(output.evaluate(TAGS)) <= OURS
    assert page.evaluate("window.hostile") is None
    assert [url for url in asked if "hostile" in url] == []


def marks() -> list[str]:
    return [text[-6:] for text in hostile_texts()]


def test_there_are_two_hundred_of_them_and_none_is_there_twice():
    assert len({text[:-6] for text in hostile_texts()}) == 200
