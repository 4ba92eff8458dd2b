"""The board in Jupyter Notebook 7: drawn, filtered, aborting while a cell runs, its keys kept."""

import pytest
from lab import LabNotebook
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SETUP = """
import bulknb, pathlib, time
sandbox = bulknb.sandbox.start()
org = sandbox.connect()
for name in ["Account", "Contact", "Lead"] * 2:
    org.create_job("insert", name)
"""
BUSY = """
while not pathlib.Path("go-on").exists():
    time.sleep(0.05)
"""
ACTS = "[m for m, path, _ in sandbox.requests if m == 'PATCH']"


def test_the_board_works_in_notebook_7_also_while_a_cell_runs(jupyter, new_page):
    notebook = LabNotebook(jupyter, new_page, [SETUP, "org.board()", BUSY], notebook7=True)
    notebook.run(0)
    notebook.run(1)
    board = notebook.output(1)
    expect(board.get_by_role("button", name="Open", exact=True)).to_be_enabled()
    board.get_by_label("Object").select_option("Contact")
    notebook.start(2)
    expect(notebook.running(2)).to_be_visible()
    board.locator(".body .row:visible").first.click()
    for key in ("x", "d", "d", "Shift+ArrowDown"):  # the first three would delete the cell
        board.get_by_role("grid").press(key)
    board.get_by_role("button", name="Abort", exact=True).click()
    board.get_by_role("button", name="Abort 2 jobs").click()

    expect(board.get_by_text("2 of 2 aborted")).to_be_visible()
    assert notebook.running(2).is_visible(), "the other cell had ended: this shows nothing"
    (notebook.folder / "go-on").touch()
    expect(notebook.running(2)).to_be_hidden()
    assert notebook.evaluate(ACTS) == "['PATCH', 'PATCH']"
    jupyter.stop_kernels()
