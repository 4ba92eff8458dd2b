"""The panel by its traits and its two twins; `tests/browser` clicks it in JupyterLab."""

import json
import re
from html import unescape

import ipywidgets
import nbformat
import pytest
from nbclient import NotebookClient

from bulknb import JobInfo
from bulknb._watch import Watch
from bulknb.sandbox import ManualClock
from bulknb.widgets import JobPanel

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def watch():
    return Watch(clock=ManualClock(), threaded=False)


@pytest.fixture
def job(org):
    return org.create_job("insert", "Account")


@pytest.fixture
def panel(job, watch):
    return JobPanel(job, watch=watch)


def shown(widget):
    """Whether a widget's layout lets it be seen."""
    return widget.layout.display != "none"


def enabled(panel):
    return {
        button.description
        for button in (panel.close_button, panel.abort_button)
        if not button.disabled
    }


def state(html):
    """The step that a card marks as the present one."""
    (item,) = re.findall(r'<li [^>]*aria-current="step">(.*?)</li>', html, re.DOTALL)
    words = unescape(re.sub(r"<[^>]*>", " ", item)).split()
    return next(word for word in words if word.isalpha())


def facts(html):
    """The values of a card by name."""
    return {
        unescape(name): unescape(value)
        for name, value in re.findall(r"<dt[^>]*>(.*?)</dt><dd[^>]*>(.*?)</dd>", html, re.DOTALL)
    }


def writes(sandbox):
    return [method for method, _, _ in sandbox.requests if method != "GET"]


def info(**fields):
    known = {"id": "750xx0000000001AAA", "operation": "upsert", "object": "Contact"}
    return JobInfo(**known | fields)


@pytest.mark.parametrize(
    ("job_type", "state", "batches", "expected"),
    [
        ("V2Ingest", "Open", None, {"Close", "Abort"}),
        ("V2Ingest", "UploadComplete", None, {"Abort"}),
        ("V2Ingest", "InProgress", None, {"Abort"}),
        ("V2Ingest", "JobComplete", None, set()),
        ("V2Ingest", "Failed", None, set()),
        ("V2Ingest", "Aborted", None, set()),
        ("V2Query", "UploadComplete", None, {"Abort"}),
        ("V2Query", "InProgress", None, {"Abort"}),
        ("V2Query", "JobComplete", None, set()),
        ("Classic", "Open", 0, {"Close", "Abort"}),
        ("Classic", "Closed", 2, {"Abort"}),
        ("Classic", "Closed", 0, set()),
        ("Classic", "Aborted", 0, set()),
        ("AKindOfTomorrow", "Open", None, set()),
    ],
)
def test_a_button_is_enabled_where_the_server_allows_its_verb(
    panel, job_type, state, batches, expected
):
    panel.paint(
        info(
            job_type=job_type,
            state=state,
            number_batches_total=batches,
            number_batches_queued=batches,
            number_batches_in_progress=0,
        )
    )
    assert enabled(panel) == expected


def test_a_click_on_close_closes_the_job_and_shows_what_the_server_said(panel, job, watch):
    job.upload(b"Name\nAcme\n")
    panel.close_button.click()
    watch.run_due()
    assert job.state == "UploadComplete"
    assert state(panel.card.value) == "UploadComplete"
    assert enabled(panel) == {"Abort"}


def test_a_click_only_asks_the_watch_and_says_so(panel, job, sandbox):
    before = len(sandbox.requests)
    panel.close_button.click()
    assert len(sandbox.requests) == before
    assert "asking the server" in panel.message.value
    assert state(panel.card.value) == "Open"
    assert enabled(panel) == set()


def test_abort_asks_once_and_says_that_rows_written_stay_written(panel, sandbox):
    before = writes(sandbox)
    panel.paint(
        info(
            job_type="V2Ingest",
            state="InProgress",
            number_records_processed=1_250,
            number_records_failed=50,
        )
    )
    panel.abort_button.click()
    assert not shown(panel.verbs)
    assert shown(panel.confirmation)
    assert panel.question.value == "Abort this job? Rows already written stay written."
    assert writes(sandbox) == before


@pytest.mark.parametrize(
    ("fields", "question"),
    [
        (
            {"number_records_processed": 1_250, "number_records_failed": 50},
            "Abort this job? 1,200 rows already written stay written.",
        ),
        ({"number_records_processed": 1}, "Abort this job? 1 row already written stays written."),
        (
            {"number_records_processed": 7, "number_records_failed": 7},
            "Abort this job? Rows already",
        ),
        ({}, "Abort this job? Rows already written stay written."),
        ({"operation": "query", "number_records_processed": 9}, "Abort this query?"),
    ],
)
def test_the_question_tells_how_many_rows_stay_written(panel, fields, question):
    panel.abort_button.click()
    panel.paint(info(**{"job_type": "V2Ingest", "state": "InProgress"} | fields))
    assert panel.question.value.startswith(question)


def test_a_confirmed_abort_aborts_the_job(panel, job, watch):
    panel.abort_button.click()
    panel.confirm_button.click()
    watch.run_due()
    assert job.state == "Aborted"
    assert state(panel.card.value) == "Aborted"
    assert enabled(panel) == set()


def test_keep_running_leaves_the_job_as_it_is(panel, job, watch, sandbox):
    before = writes(sandbox)
    panel.abort_button.click()
    panel.keep_button.click()
    watch.run_due()
    assert shown(panel.verbs)
    assert not shown(panel.confirmation)
    assert enabled(panel) == {"Close", "Abort"}
    assert writes(sandbox) == before


def test_the_question_goes_away_when_the_job_ends_meanwhile(panel):
    panel.abort_button.click()
    panel.paint(info(job_type="V2Ingest", state="JobComplete"))
    assert shown(panel.verbs)
    assert not shown(panel.confirmation)


@pytest.mark.parametrize("button", ["close_button", "confirm_button"])
def test_a_double_click_does_one_thing(panel, job, watch, sandbox, button):
    job.upload(b"Name\nAcme\n")
    before = len(writes(sandbox))
    panel.abort_button.click()
    getattr(panel, button).click()
    getattr(panel, button).click()
    watch.run_due()
    getattr(panel, button).click()
    watch.run_due()
    assert len(writes(sandbox)) - before == 1


def test_a_refusal_of_the_server_is_shown_in_full_and_the_panel_goes_on(org, panel, job, watch):
    org.job(job.id).abort()  # by somebody else, unseen
    panel.close_button.click()
    watch.run_due()
    assert "INVALIDJOBSTATE" in panel.message.value
    assert "is Aborted; only Open jobs can be closed" in panel.message.value
    assert panel.message.value in repr(panel)
    assert state(panel.card.value) == "Aborted"


def test_a_refusal_stays_until_the_next_click(org, panel, job, watch):
    org.job(job.id).upload(b"Name\nAcme\n").close()
    panel.close_button.click()
    watch.run_due()
    watch.add(job, panel._told)
    watch.run_due()
    assert "only Open jobs can be closed" in panel.message.value
    panel.abort_button.click()
    panel.confirm_button.click()
    watch.run_due()
    assert panel.message.value == ""


def test_a_failing_look_is_shown_until_one_succeeds(org, panel, job, watch):
    org.job(job.id).abort().delete()
    panel.box._view_count = 1
    watch.run_due()
    assert "The server could not be asked: " in panel.message.value
    assert state(panel.card.value) == "Open"
    assert enabled(panel) == {"Close", "Abort"}


def test_a_look_that_fails_after_the_end_is_no_news(org, panel, job, watch):
    panel.abort_button.click()
    panel.confirm_button.click()
    watch.run_due()
    org.job(job.id).delete()
    watch.clock.advance(60)
    assert watch.run_due() is None
    assert panel.message.value == ""


def test_a_click_in_one_panel_shows_in_the_others_of_the_job(panel, job, watch):
    other = JobPanel(job, watch=watch)
    other.box._view_count = 1
    panel.abort_button.click()
    panel.confirm_button.click()
    watch.run_due()
    assert state(other.card.value) == "Aborted"


def test_a_panel_out_of_sight_does_not_ask(panel, watch, sandbox):
    before = len(sandbox.requests)
    panel.box._view_count = 1
    panel.box._view_count = 0
    assert watch.run_due() is None
    assert len(sandbox.requests) == before


def test_a_panel_that_comes_back_into_sight_asks_again(panel, watch):
    for count in (1, 0, 1):
        panel.box._view_count = count
    assert watch.run_due() is not None


TIMES = {
    "apex_processing_time_ms": 700,
    "api_active_processing_time_ms": 1_400,
    "total_processing_time_ms": 2_000,
}


def test_times_are_pending_until_the_job_is_done(panel):
    panel.paint(info(job_type="V2Ingest", state="InProgress", **TIMES))
    shown = facts(panel.card.value)
    assert [shown[name] for name in ("Apex", "API active", "Total")] == ["pending"] * 3
    assert "Times are pending" in panel.card.value
    assert "700" not in panel.card.value
    panel.paint(info(job_type="V2Ingest", state="JobComplete", **TIMES))
    assert facts(panel.card.value)["Apex"] == "700 ms"


def test_the_parts_of_the_time_are_drawn_with_their_exact_values_on_hover(panel):
    panel.paint(info(job_type="V2Ingest", state="JobComplete", **TIMES))
    html = panel.card.value
    assert re.findall(r"width: ([0-9.]+)%", html) == ["35.00", "35.00", "30.00"]
    assert 'title="Apex (triggers, flows): 700 ms (700 ms)"' in html
    assert "Apex 35% · API without Apex 35% · waiting and reading 30%" in html


@pytest.mark.parametrize("name", TIMES)
def test_a_time_that_is_not_reported_is_no_part_of_a_bar(panel, name):
    panel.paint(info(job_type="V2Ingest", state="JobComplete", **TIMES | {name: None}))
    assert "width: " not in panel.card.value.replace("min-width: ", "")
    assert list(facts(panel.card.value).values()).count("not reported") == 3  # two counts


def test_rows_given_make_a_progress_bar(job, watch):
    panel = JobPanel(job, rows=400, watch=watch)
    counts = {"number_records_processed": 100, "number_records_failed": 20}
    panel.paint(info(job_type="V2Ingest", state="InProgress", **counts))
    assert re.findall(r"width: ([0-9.]+)%", panel.card.value) == ["20.00", "5.00"]
    assert "100 of 400 rows, 25%" in panel.card.value
    assert facts(panel.card.value)["Unprocessed"] == "300"


def test_no_rows_given_make_no_progress_bar(panel):
    assert "rows, " not in panel.card.value
    assert "Unprocessed" not in facts(panel.card.value)


def test_all_rows_but_one_are_not_all(job, watch):
    panel = JobPanel(job, rows=100_000, watch=watch)
    panel.paint(info(job_type="V2Ingest", state="InProgress", number_records_processed=99_999))
    assert "99,999 of 100,000 rows, 99%" in panel.card.value


def test_a_panel_says_who_made_the_job_and_when(job, watch):
    panel = JobPanel(job, user="Ann Lee", watch=watch)
    assert facts(panel.card.value)["Created by"] == "Ann Lee"
    assert f'title="{job.info.created_by_id}"' in panel.card.value
    assert 'title="2026-01-05 09:00:00 UTC">2026-01-05 09:00<' in panel.card.value


def test_who_made_the_jobs_is_asked_once_for_all_panels_of_an_org(org, watch, sandbox):
    panels = [JobPanel(org.create_job("insert", "Account"), watch=watch) for _ in range(3)]
    for panel in panels:
        panel.box._view_count = 1
    for _ in range(2):
        watch.clock.advance(5)
        watch.run_due()
    names = {facts(panel.card.value)["Created by"] for panel in panels}
    assert names == {"Integration User"}
    assert [path.endswith("/query") for _, path, _ in sandbox.requests].count(True) == 1


def test_a_twin_that_nobody_watches_asks_for_no_name(job, watch, sandbox):
    before = len(sandbox.requests)
    panel = JobPanel(job, watch=watch)
    assert facts(panel._repr_html_())["Created by"] == job.info.created_by_id
    assert job.info.created_by_id in repr(panel)
    assert len(sandbox.requests) == before


def test_news_are_said_to_screen_readers_only_when_the_state_or_an_answer_changes(
    panel, job, watch, sandbox
):
    said = []
    panel.aid.observe(lambda change: said.append(change["new"]), "status")
    panel.box._view_count = 1
    for _ in range(5):
        sandbox.clock.advance(5)
        watch.clock.advance(5)
        watch.run_due()
    assert said == []
    panel.abort_button.click()
    panel.confirm_button.click()
    watch.run_due()
    assert [line.partition(". ")[2] for line in said] == [
        "Abort this job? Rows already written stay written.",
        "Abort: asking the server …",
        "",
    ]
    assert said[-1] == f"job {job.id}: Aborted"


def test_a_button_is_named_after_what_it_acts_on(panel, job):
    panel.abort_button.click()
    assert panel.aid.names == {
        "bulknb-close": f"Close job {job.id}",
        "bulknb-abort": f"Abort job {job.id}",
        "bulknb-confirm": f"Abort job: job {job.id}",
        "bulknb-keep": f"Keep running: job {job.id}",
    }


def test_a_handler_that_breaks_says_so_in_the_panel(panel, caplog, monkeypatch):
    def broken(_):
        raise RuntimeError("boom")

    monkeypatch.setattr(panel, "paint", broken)
    panel.abort_button.click()
    assert panel.message.value == "bulknb itself broke (RuntimeError); its log says where"
    assert "boom" in caplog.text


def test_a_job_without_progress_is_warned_of_in_words(panel, job, watch, sandbox):
    running = info(
        job_type="V2Ingest",
        state="InProgress",
        number_records_processed=40_000,
        retries=3,
        created_date=job.info.created_date,
    )
    job.info = running
    panel._seen.add(running)
    sandbox.clock.advance(720)
    panel.paint(running)
    assert "No number moved for 12 min 00 s: 40,000 rows processed" in panel.card.value
    assert facts(panel.card.value)["Retries"] == "3"
    assert "No number moved" in repr(panel)


def test_foreign_text_is_a_label_or_escaped(org, watch):
    job = org.create_job("insert", "Account")
    panel = JobPanel(job, watch=watch)
    panel.paint(
        JobInfo(id=HOSTILE, object=HOSTILE, operation=HOSTILE, state=HOSTILE, error_message=HOSTILE)
    )
    job.info = JobInfo(id=HOSTILE, object=HOSTILE, state="Failed", error_message=HOSTILE)
    html = [
        widget.value for widget in panel.box.children if isinstance(widget, ipywidgets.HTML)
    ] + [panel._repr_html_(), job._repr_html_()]
    assert len(html) == 3
    for text in html:
        assert "<img" not in text
        assert "&lt;img" in text


def test_the_text_twin_has_the_same_facts_as_the_html_twin(panel, job, sandbox):
    sandbox.clock.advance(90)
    panel.box._view_count = 1
    panel._watch.run_due()
    text, html = repr(panel), panel._repr_html_()
    assert text.startswith(f"insert Account · {job.id} · as of 2026-01-05 09:01:30 UTC\n")
    assert "as of 2026-01-05 09:01:30 UTC" in html
    assert state(html) == "Open"
    assert re.search(r"^  State +Open \(1 min 30 s\)$", text, re.MULTILINE)
    assert facts(html)["Age"] == "1 min 30 s"
    for name, value in facts(html).items():
        assert re.search(rf"^  {name} +{re.escape(value)}$", text, re.MULTILINE)
    assert " at 0x" not in text


def test_the_twins_say_why_a_job_failed(panel, job):
    job.info = info(job_type="V2Ingest", state="Failed", error_message="InvalidBatch : Field X")
    assert "InvalidBatch : Field X" in repr(panel)
    assert "InvalidBatch : Field X" in panel._repr_html_()


def test_the_token_is_in_no_state_of_a_widget(panel, job, watch, sandbox):
    panel.close_button.click()
    watch.run_due()
    panel.close_button.click()
    watch.run_due()
    rows = (panel.verbs, panel.confirmation)
    widgets = [panel.box, *panel.box.children, *(child for row in rows for child in row.children)]
    states = json.dumps([widget.get_state() for widget in widgets], default=str)
    said = states + repr(panel) + panel._repr_html_() + repr(job)
    assert sandbox.token not in said
    assert "Account" in said


def test_a_panel_of_a_job_that_is_done_keeps_no_widgets(job, watch):
    job.abort()
    before = set(ipywidgets.widgets.widget._instances)
    JobPanel(job, watch=watch)._ipython_display_()
    assert set(ipywidgets.widgets.widget._instances) == before


NO_FRONT_END = [
    """
import threading
import bulknb
from bulknb.widgets import panel
panel._UNSEEN_SECONDS = 0
sandbox = bulknb.sandbox.start()
org = sandbox.connect()
job = org.create_job("insert", "Account")
""",
    "job",
    """
from bulknb._watch import shared_watch
while shared_watch()._watched:
    threading.Event().wait(0.01)
""",
    "org.job(job.id).abort()",
    "sandbox.close()",
]


def test_with_no_front_end_a_panel_ends_asking_and_a_finished_one_is_static(tmp_path):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in NO_FRONT_END]
    )
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute(cwd=str(tmp_path))
    live, finished = (notebook.cells[index].outputs[0] for index in (1, 3))
    assert "application/vnd.jupyter.widget-view+json" in live["data"]
    assert {"text/html", "text/plain"} < set(live["data"])
    assert set(finished["data"]) == {"text/html", "text/plain"}
