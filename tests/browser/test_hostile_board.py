"""Whatever a job, its user or an error is called: on the board it is text."""

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
import bulknb
from bulknb._jobs import job_from_info
texts = hostile_texts()
bulknb._listing._MOST_SHOWN = 1_000
org = bulknb.sandbox.start().connect()
made = org.create_job("insert", "Account")
"""
NAMES = '("id", "state", "operation", "object", "job_type", "created_by_id", "error_message")'
BOARD = f"""
board = org.board()
for text in texts:
    info = replace(made.info, **dict.fromkeys({NAMES}, text))
    board.jobs.jobs[text] = job_from_info(org._wire, info)
board._told = lambda *_: None  # what is put here stays
board.jobs.names = {{text: f"{{text}} by name" for text in texts}}
board.grid.patch(map(board._row, board.jobs.jobs))
board.grid.org = board.grid.said = board.grid.trouble = " ".join(texts)
board
"""
MARKS = [text[-6:] for text in hostile_texts()]
OURS = {"button", "div", "input", "option", "select", "span"}
TABLE = {"caption", "style", "table", "tbody", "td", "th", "tr"}
# Line by line, since only the rows in sight are in the page.
READ = """async (board) => {
    const grid = board.querySelector(".grid");
    const texts = [], tags = new Set();
    for (grid.scrollTop = 0; ; grid.scrollTop += 200) {
        await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn, 20)));
        texts.push(grid.textContent);
        for (const it of board.querySelectorAll("*")) tags.add(it.localName);
        if (grid.scrollTop + grid.clientHeight >= grid.scrollHeight - 1) break;
    }
    return [texts.join(), [...tags]];
}"""
TAGS = "(output) => [...new Set([...output.querySelectorAll('*')].map((it) => it.localName))]"


def missing(text):
    return [mark for mark in MARKS if mark not in text]


def test_hostile_text_stays_text_in_every_place_of_the_board(open_notebook, page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    notebook = open_notebook(SETUP, BOARD, "HTML(board._repr_html_())")
    for cell in range(3):
        notebook.run(cell)
    board = notebook.output(1).locator(".bulknb-board")
    expect(board.get_by_role("button", name="Open", exact=True)).to_be_enabled()
    expect(board.locator(".trouble")).to_contain_text(MARKS[-1])

    for sink in (".said", ".trouble", "select"):
        assert missing(board.locator(sink).first.evaluate("(it) => it.textContent")) == []
    text, tags = board.evaluate(READ)
    assert missing(text) == []
    assert set(tags) <= OURS

    board.get_by_label("Filter jobs").fill("Account")
    board.locator(".body .row:visible").first.click()
    board.get_by_role("button", name="Abort", exact=True).click()
    assert missing(board.get_by_role("group", name="Confirm").text_content()) == []
    board.get_by_role("button", name="Keep as it is").click()
    for word in ("<img", "[h017]", "onerror"):
        board.get_by_label("Filter jobs").fill(word)
        expect(board.locator(".tally")).to_contain_text("of 201 jobs")
    board.get_by_label("State").select_option(hostile_texts()[3])
    assert set(board.evaluate(TAGS)) <= OURS

    table = notebook.output(2).locator(".jp-OutputArea-output")
    assert missing(table.evaluate("(it) => it.textContent")) == []
    assert set(table.evaluate(TAGS)) <= OURS | TABLE

    assert page.evaluate("window.hostile") is None
    assert [url for url in asked if "hostile" in url] == []
