"""The panel in JupyterLab: a click reaches the server, and what the server said the page."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SETUP = """
import bulknb, pathlib, time
sandbox = bulknb.sandbox.start()
org = sandbox.connect()
"""
JOB = """
job = org.create_job("insert", "Account").upload(b"Name\\nAcme\\n")
job
"""
# Runs until the test lets it go: no time to be guessed.
BUSY = """
while not pathlib.Path("go-on").exists():
    time.sleep(0.05)
"""
TWICE = """
panel = bulknb.widgets.JobPanel(job)
panel.show()
panel.show()
"""
SENT = "[method for method, path, _ in sandbox.requests if job.id in path and method != 'GET']"


@pytest.fixture(scope="module")
def opened(open_notebook):
    notebook = open_notebook(SETUP, JOB, BUSY, TWICE)
    notebook.run(0)
    return notebook


@pytest.fixture
def notebook(opened):
    """The notebook with the panel of a new job, which has been looked at once."""
    opened.run(1)
    expect(opened.output(1).get_by_text("as of").first).to_be_visible()
    return opened


@pytest.fixture
def busy_cell(notebook):
    """A running cell; calling the value ends it."""

    def end():
        (notebook.folder / "go-on").touch()
        expect(notebook.running(2)).to_be_hidden()

    notebook.start(2)
    expect(notebook.running(2)).to_be_visible()
    yield end
    end()


def step(panel):
    """The step that is marked as the present one; a spare of the card follows it, unseen."""
    return panel.locator("li[aria-current=step] >> visible=true")


def test_a_job_closed_by_a_click_goes_through_its_states_and_is_saved_as_a_card(notebook):
    panel = notebook.output(1)
    expect(step(panel)).to_contain_text("Open")

    panel.get_by_role("button", name="Close job 750").click()

    expect(step(panel)).to_contain_text("JobComplete")
    expect(panel.get_by_role("listitem")).to_contain_text(
        ["Open", "UploadComplete", "InProgress", "JobComplete"]
    )
    expect(panel.get_by_role("button")).to_have_count(0)
    assert notebook.evaluate(SENT) == "['PUT', 'PATCH']"
    assert notebook.evaluate("job.info.number_records_processed") == "1"
    output, nothing = notebook.saved_outputs(1)
    assert set(output["data"]) == {"text/html", "text/plain"}
    assert re.search("State +JobComplete", output["data"]["text/plain"])
    assert nothing["data"] == {}


def test_abort_clicked_and_confirmed_aborts_the_job_while_another_cell_runs(notebook, busy_cell):
    panel = notebook.output(1)
    panel.get_by_role("button", name="Abort job 750").click()
    expect(
        panel.get_by_text("Abort this job? Rows already written stay written.").first
    ).to_be_visible()
    expect(panel.get_by_role("button", name="Keep running")).to_be_focused()
    panel.get_by_role("button", name="Abort job: job 750").click()

    expect(step(panel)).to_contain_text("Aborted")
    assert notebook.running(2).is_visible(), "the other cell had ended: this shows nothing"
    busy_cell()
    assert notebook.evaluate(SENT) == "['PUT', 'PATCH']"
    assert notebook.evaluate("org.job(job.id).state") == "'Aborted'"


@pytest.mark.parametrize("take_back", ["Enter", "Escape"])
def test_by_keyboard_an_abort_is_taken_back_and_no_key_reaches_the_notebook(
    notebook, page, take_back
):
    panel = notebook.output(1)
    abort = panel.get_by_role("button", name="Abort job 750")
    abort.press("Enter")
    keep = panel.get_by_role("button", name="Keep running")
    expect(keep).to_be_focused()
    keep.press(take_back)
    expect(abort).to_be_focused()
    for key in ("x", "d", "d", "Escape"):
        page.keyboard.press(key)
    expect(abort).to_be_focused()
    assert page.locator(".jp-CodeCell").count() == 4
    assert notebook.evaluate(SENT) == "['PUT']"
    assert notebook.evaluate("job.state") == "'Open'"


def test_the_focus_stays_while_the_panel_is_painted_anew(notebook, page):
    panel = notebook.output(1)
    live = panel.locator(".bulknb-live")
    before = live.get_by_text("as of").inner_text()
    abort = panel.get_by_role("button", name="Abort job 750")
    abort.focus()
    expect(live.get_by_text(before, exact=True)).to_have_count(0)
    expect(abort).to_be_focused()


def test_a_refusal_is_shown_in_the_words_of_the_server(notebook):
    panel = notebook.output(1)
    unseen = "bulknb.widgets.panel.shared_watch()._watched.clear()"
    notebook.evaluate(f"({unseen}, org.job(job.id).abort())")
    panel.get_by_role("button", name="Close job 750").click()
    expect(panel.get_by_text("only Open jobs can be closed").first).to_be_visible()
    expect(step(panel)).to_contain_text("Aborted")


def test_two_views_of_a_panel_show_the_same(notebook):
    notebook.run(3)
    first, second = notebook.output(3).locator(".bulknb-live").all()
    second.get_by_role("button", name="Abort job 750").click()
    expect(first.get_by_role("button", name="Keep running")).to_be_visible()
    first.get_by_role("button", name="Abort job: job 750").click()
    expect(step(notebook.output(3))).to_contain_text(["Aborted", "Aborted"])
    assert notebook.evaluate(SENT) == "['PUT', 'PATCH']"


def test_clearing_an_output_or_running_its_cell_anew_ends_the_asking(notebook):
    notebook.clear_outputs()
    expect(notebook.output(1).get_by_text("as of")).to_have_count(0)
    notebook.wait_for("not bulknb.widgets.panel.shared_watch()._watched")


def test_without_its_kernel_a_panel_is_a_readable_card_with_no_button(notebook):
    panel = notebook.output(1)
    job = notebook.evaluate("job.id").strip("'")
    notebook.restart_kernel()
    expect(panel.get_by_text("The kernel has gone")).to_be_visible()
    expect(panel.get_by_text(f"{job} · as of").first).to_be_visible()
    for it in panel.get_by_role("button").all():
        expect(it).to_be_hidden()

    notebook.reopen_without_kernel()
    expect(panel.get_by_text(f"{job} · as of")).to_be_visible()
    expect(panel.get_by_text("Error displaying widget")).to_be_hidden()
    expect(panel.get_by_role("button")).to_have_count(0)
