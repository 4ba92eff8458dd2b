"""The panel in JupyterLab: a click reaches the server, and what the server said the page."""

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
SENT = "[method for method, path, _ in sandbox.requests if job.id in path and method != 'GET']"


@pytest.fixture(scope="module")
def opened(open_notebook):
    notebook = open_notebook(SETUP, JOB, BUSY)
    notebook.run(0)
    return notebook


@pytest.fixture
def notebook(opened):
    """The notebook with the panel of a new job, which has been looked at once."""
    opened.run(1)
    expect(opened.output(1).get_by_text("as of")).to_be_visible()
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


def test_close_clicked_closes_the_job_and_the_finished_panel_is_saved_as_a_table(notebook):
    panel = notebook.output(1)
    expect(panel.get_by_role("cell", name="Open")).to_be_visible()

    panel.get_by_role("button", name="Close").click()

    expect(panel.get_by_role("cell", name="JobComplete")).to_be_visible()
    expect(panel.get_by_role("button")).to_have_count(0)
    assert notebook.evaluate(SENT) == "['PUT', 'PATCH']"
    assert notebook.evaluate("job.info.number_records_processed") == "1"
    (output,) = notebook.saved_outputs(1)
    assert set(output["data"]) == {"text/html", "text/plain"}
    assert "JobComplete" in output["data"]["text/plain"]


def test_abort_clicked_and_confirmed_aborts_the_job_while_another_cell_runs(notebook, busy_cell):
    panel = notebook.output(1)
    panel.get_by_role("button", name="Abort", exact=True).click()
    expect(panel.get_by_text("Abort: rows already written stay written.")).to_be_visible()
    expect(panel.get_by_role("button", name="Keep running")).to_be_focused()
    panel.get_by_role("button", name="Abort job").click()

    expect(panel.get_by_role("cell", name="Aborted")).to_be_visible()
    assert notebook.running(2).is_visible(), "the other cell had ended: this shows nothing"
    busy_cell()
    assert notebook.evaluate(SENT) == "['PUT', 'PATCH']"
    assert notebook.evaluate("org.job(job.id).state") == "'Aborted'"


def test_keep_running_by_keyboard_changes_nothing(notebook):
    panel = notebook.output(1)
    abort = panel.get_by_role("button", name="Abort", exact=True)
    abort.press("Enter")
    panel.get_by_role("button", name="Keep running").press("Enter")
    expect(abort).to_be_focused()
    assert notebook.evaluate(SENT) == "['PUT']"
    assert notebook.evaluate("job.state") == "'Open'"


def test_clearing_an_output_or_running_its_cell_anew_ends_the_asking(notebook):
    notebook.clear_outputs()
    expect(notebook.output(1).get_by_text("as of")).to_have_count(0)
    notebook.wait_for("not bulknb.widgets.panel.shared_watch()._watched")
