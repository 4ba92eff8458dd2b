"""The board as its surroundings change: cells re-run and moved, hidden tabs, kernels that go."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SETUP = """
import bulknb, comm, threading
sandbox = bulknb.sandbox.start()
org = sandbox.connect()
jobs = [org.create_job("insert", name) for name in ["Account", "Contact", "Lead"] * 2]
"""
RERUNS = 50
ALIVE = "(threading.active_count(), len(comm.get_comm_manager().comms))"
WATCHED = "bulknb.widgets.panel.shared_watch()._watched"
VISIBILITY = """(state) => {
    Object.defineProperty(document, "visibilityState", {value: state, configurable: true});
    Object.defineProperty(document, "hidden", {value: state === "hidden", configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""
NO_ANSWER = "The kernel does not answer"


@pytest.fixture(scope="module")
def opened(open_notebook):
    return open_notebook(SETUP, "print('above')", "org.board()", "display(org.board())\njobs[3]")


@pytest.fixture
def notebook(opened):
    """The notebook with a new org of six jobs, nothing of the last one in sight."""
    opened.clear_outputs()
    opened.run(0)
    return opened


def shown(notebook, index):
    """Run the cell and wait until its view has been answered by the kernel."""
    notebook.run(index)
    answered(notebook, index)


def answered(notebook, index):
    expect(notebook.output(index).get_by_role("button", name="Open", exact=True)).to_be_enabled()


def test_fifty_runs_of_a_board_and_of_a_panel_leave_threads_and_comms_where_they_were(notebook):
    def alive():
        """How many there are after some slow runs; what was left is closed at the next one."""
        found = []
        for _ in range(4):
            shown(notebook, 3)
            closes = notebook.output(3).locator("button:visible", has_text="Close")
            expect(closes).to_have_count(2)
            found.append(eval(notebook.evaluate(ALIVE)))
        return [min(counts) for counts in zip(*found, strict=True)]

    threads, comms = alive()
    for _ in range(RERUNS):
        notebook.run(3)
    threads_then, comms_then = alive()

    assert threads_then <= threads
    assert comms_then <= comms


def test_a_hidden_tab_asks_nothing_and_one_that_comes_back_goes_on(notebook, page):
    shown(notebook, 2)
    notebook.wait_for(WATCHED)
    page.evaluate(VISIBILITY, "hidden")
    notebook.wait_for(f"not {WATCHED}")
    notebook.evaluate("jobs[0].abort().state")
    page.evaluate(VISIBILITY, "visible")
    expect(notebook.output(2).get_by_role("row").filter(has_text="Aborted")).to_have_count(1)
    notebook.wait_for(WATCHED)


def test_a_board_whose_cell_is_moved_stays_alive(notebook):
    shown(notebook, 2)
    notebook.move_up(2)
    board = notebook.output(1)
    answered(notebook, 1)
    notebook.run(3)  # another live view sweeps up those that nobody sees
    board.get_by_label("Object").select_option("Lead")
    notebook.evaluate("jobs[2].abort().state")
    expect(board.get_by_role("row").filter(has_text="Aborted")).to_have_count(1)
    notebook.move_up(2)  # back


def test_news_leave_the_focus_the_place_and_the_selection_alone(notebook, page):
    shown(notebook, 2)
    board = notebook.output(2)
    board.get_by_label("Filter jobs").fill("Account")
    board.get_by_role("grid").press("End")
    board.get_by_role("grid").press(" ")
    board.get_by_label("Filter jobs").focus()
    notebook.evaluate("jobs[0].abort().state")
    expect(board.get_by_role("row").filter(has_text="Aborted")).to_have_count(1)
    expect(board.get_by_label("Filter jobs")).to_be_focused()
    expect(board.locator('.row[aria-selected="true"]')).to_have_count(1)
    expect(board.locator(".row.current")).to_have_attribute("aria-rowindex", "3")


def test_a_board_reopened_without_its_kernel_is_a_table_that_says_how_old_it_is(notebook):
    shown(notebook, 2)
    expect(notebook.output(2).get_by_role("table")).to_be_hidden()
    notebook.reopen_without_kernel()
    output = notebook.output(2)
    expect(output.get_by_role("table")).to_be_visible()
    expect(output.get_by_role("row")).to_have_count(7)
    expect(output.get_by_text("as of 20")).to_be_visible()
    expect(output.get_by_text("Error displaying widget")).to_be_hidden()
    expect(output.get_by_role("button")).to_have_count(0)


def test_after_a_restart_the_board_says_that_it_is_of_the_past_and_offers_nothing(notebook):
    shown(notebook, 2)
    board = notebook.output(2)
    board.locator(".body .row").first.click()
    notebook.restart_kernel()
    expect(board.get_by_text(NO_ANSWER)).to_be_visible()
    expect(board.locator(".body .row:visible")).to_have_count(6)
    for verb in board.locator(".verbs button").all():
        expect(verb).to_be_disabled()
