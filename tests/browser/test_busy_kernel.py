"""Abort while a cell sleeps: answered at once, on the oldest ipykernel promised and the newest."""

import re
import time
from importlib import metadata

import pytest
from playwright.sync_api import expect

import bulknb

pytestmark = pytest.mark.browser

SECONDS = 0.3
TRIES = 5
SETUP = """
import bulknb, ipykernel, time
org = bulknb.connect(instance_url={url!r}, access_token={token!r})
jobs = [org.create_job("insert", "Account") for _ in range({jobs})]
"""
VERSION = "ipykernel.__version__"


@pytest.fixture
def sandbox():
    with bulknb.sandbox.start() as sandbox:
        yield sandbox


@pytest.fixture(params=["oldest", "newest"])
def notebook(request, open_notebook, jupyter, sandbox):
    """A notebook with a board and panels of jobs, all of which the kernel has answered."""
    kernel = "python3" if request.param == "newest" else request.getfixturevalue("oldest_kernel")
    setup = SETUP.format(url=sandbox.url, token=sandbox.token, jobs=2 * TRIES)
    panels = f"for job in jobs[:{TRIES}]:\n    display(job)"
    notebook = open_notebook(setup, "org.board()", panels, "time.sleep(30)", kernel=kernel)
    for cell in range(3):
        notebook.run(cell)
    installed = metadata.version("ipykernel")
    version = notebook.evaluate(VERSION).strip("'")
    assert version == installed if request.param == "newest" else version.startswith("7.1.")
    expect(notebook.output(1).get_by_role("button", name="Open", exact=True)).to_be_enabled()
    expect(notebook.output(2).get_by_text("as of").locator("visible=true")).to_have_count(TRIES)
    yield notebook
    jupyter.interrupt()
    notebook.close()


def seconds_to_patch(sandbox, button):
    """The time from a click to the request that it makes the kernel send."""

    def patches():
        return sum(method == "PATCH" for method, *_ in sandbox.requests)

    expect(button).to_be_enabled()
    before, clicked = patches(), time.perf_counter()
    button.evaluate("(button) => button.click()")
    while patches() == before:
        assert time.perf_counter() - clicked < 30, "it was not answered at all"
        time.sleep(0.005)
    return time.perf_counter() - clicked


def test_abort_is_answered_within_0_3_s_while_a_cell_sleeps(notebook, sandbox):
    notebook.start(3)
    expect(notebook.running(3)).to_be_visible()
    board, panels = notebook.output(1), notebook.output(2)

    def by_panel():
        panels.locator("button:visible:enabled", has_text=re.compile("^Abort$")).first.click()
        confirm = panels.locator("button:visible", has_text="Abort job")
        taken = seconds_to_patch(sandbox, confirm)
        expect(confirm).to_have_count(0)
        return taken

    def by_board():
        board.locator(".body .row:visible").filter(has_text="Open").first.click()
        board.get_by_role("button", name="Abort", exact=True).click()
        taken = seconds_to_patch(sandbox, board.get_by_role("button", name="Abort 1 job"))
        expect(board.get_by_text("1 of 1 aborted")).to_be_visible()
        return taken

    # A machine that is busy with other things may be late, but not each time.
    for way in (by_board, by_panel):
        taken = [way()]
        while taken[-1] > SECONDS and len(taken) < TRIES:
            taken.append(way())
        assert taken[-1] <= SECONDS, taken
    assert notebook.running(3).is_visible(), "the cell had ended: this shows nothing"
