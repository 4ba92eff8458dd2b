"""The board of jobs in JupyterLab: what a person sees and does, with mouse and keyboard."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SETUP = """
import bulknb, pathlib, time
from bulknb.widgets import JobBoard
sandbox = bulknb.sandbox.start()
org = sandbox.connect()
jobs = [org.create_job("insert", name) for name in ["Account", "Contact", "Lead"] * 5]
jobs[0].upload(b"Name\\nAcme\\n").close().wait()
"""
BOARD = """
board = JobBoard(org)
board
"""
# Runs until the test lets it go: no time to be guessed.
BUSY = """
while not pathlib.Path("go-on").exists():
    time.sleep(0.05)
"""
ACTS = "[m for m, path, _ in sandbox.requests if m == 'PATCH'][1:]"  # the first is the set-up's
NO_ANSWER = "The kernel does not answer"


@pytest.fixture(scope="module")
def opened(open_notebook):
    notebook = open_notebook(SETUP, BOARD, BUSY)
    notebook.run(0)
    return notebook


@pytest.fixture
def notebook(opened):
    """The notebook with a new board, which the kernel has answered."""
    opened.run(1)
    expect(opened.output(1).get_by_role("button", name="Open", exact=True)).to_be_enabled()
    return opened


@pytest.fixture
def board(notebook):
    return notebook.output(1)


def rows(board, text=""):
    return board.locator(".body .row:visible").filter(has_text=text)


def test_jobs_are_filtered_by_state_object_and_words(board):
    expect(board.get_by_role("status").get_by_text("15 jobs")).to_be_visible()
    board.get_by_label("State").select_option("Open")
    expect(board.get_by_text("14 of 15 jobs")).to_be_visible()
    board.get_by_label("Object").select_option("Lead")
    expect(rows(board)).to_have_count(5)
    board.get_by_label("Filter jobs").fill("nothing like it")
    expect(board.get_by_text("No job matches the filter")).to_be_visible()


def test_a_click_on_a_title_sorts_and_says_so(board):
    title = board.get_by_role("columnheader", name="Object")
    title.get_by_role("button").click()
    expect(title).to_have_attribute("aria-sort", "ascending")
    expect(rows(board).first).to_contain_text("Account")
    title.get_by_role("button").click()
    expect(title).to_have_attribute("aria-sort", "descending")
    expect(rows(board).first).to_contain_text("Lead")


def test_a_selection_is_aborted_after_one_confirmation_while_a_cell_runs(notebook, board):
    notebook.start(2)
    expect(notebook.running(2)).to_be_visible()
    board.get_by_label("Object").select_option("Contact")
    rows(board).nth(0).click()
    rows(board).nth(2).click(modifiers=["Shift"])
    board.get_by_role("button", name="Abort", exact=True).click()
    expect(board.get_by_text("Abort 3 jobs of 127.0.0.1")).to_be_visible()
    expect(board.get_by_role("button", name="Keep as it is")).to_be_focused()
    board.get_by_role("button", name="Abort 3 jobs").click()

    expect(board.get_by_text("3 of 3 aborted")).to_be_visible()
    expect(rows(board, "Aborted")).to_have_count(3)
    assert notebook.running(2).is_visible(), "the other cell had ended: this shows nothing"
    (notebook.folder / "go-on").touch()
    expect(notebook.running(2)).to_be_hidden()
    assert notebook.evaluate(ACTS) == "['PATCH', 'PATCH', 'PATCH']"


def test_the_keyboard_is_enough_and_its_keys_do_not_reach_the_notebook(notebook, board):
    grid = board.get_by_role("grid")
    before = notebook.evaluate(ACTS)
    grid.focus()
    for key in ("x", "d", "d", "Home", "ArrowDown", " ", "Shift+ArrowDown"):
        grid.press(key)
    expect(board.locator('.row[aria-selected="true"]')).to_have_count(2)
    expect(board.get_by_text("2 selected")).to_be_visible()
    grid.press("Escape")
    expect(board.locator('.row[aria-selected="true"]')).to_have_count(0)
    grid.press("Enter")
    expect(board.get_by_text("API active").last).to_be_visible()
    expect(board.locator(".bulknb-card")).to_have_count(1)
    assert notebook.evaluate(ACTS) == before


def test_by_keyboard_jobs_are_sorted_by_any_column(board, page):
    board.get_by_role("grid").focus()
    page.keyboard.press("Tab")
    created = board.get_by_role("columnheader", name="Created", exact=True)
    expect(created.get_by_role("button")).to_be_focused()
    for key in ("ArrowLeft", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    sorts = board.get_by_role("columnheader", name="Object")
    expect(sorts).to_have_attribute("aria-sort", "ascending")
    expect(sorts.get_by_role("button")).to_be_focused()
    expect(rows(board).first).to_contain_text("Account")


def test_a_job_that_changes_elsewhere_changes_on_the_board(notebook, board):
    board.get_by_label("Object").select_option("Lead")
    expect(rows(board, "Aborted")).to_have_count(0)
    notebook.evaluate("jobs[2].abort().state")
    expect(rows(board, "Aborted")).to_have_count(1)


def test_text_from_the_server_is_text(notebook, board):
    hostile = "<img src=x onerror=window.bad=1>"
    row = ["x", 0, 0, "", *[hostile] * 4, *[None] * 6, hostile, hostile]
    notebook.evaluate(f"board.grid.patch([{row!r}])")
    expect(rows(board, hostile)).to_have_count(1)
    expect(board.locator("img")).to_have_count(0)


def test_a_board_whose_kernel_has_gone_says_so_and_offers_nothing(notebook, board, jupyter):
    rows(board).nth(0).click()
    (session,) = jupyter.api("sessions").json()
    jupyter.api(f"kernels/{session['kernel']['id']}", "DELETE")
    board.get_by_role("button", name="Open", exact=True).click()
    expect(board.get_by_text(NO_ANSWER)).to_be_visible()
