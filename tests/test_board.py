"""The board of jobs: what it asks the server, what it sends to the page, what its clicks do."""

import json
import threading

import pytest

from bulknb._live_jobs import LiveJobs
from bulknb._watch import Watch
from bulknb.errors import InputError
from bulknb.sandbox import ManualClock
from bulknb.widgets import JobBoard
from bulknb.widgets._live import close_tree, open_tree, view_bundle

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def clock():
    """The clock of the person who looks on; the org has its own."""
    return ManualClock()


@pytest.fixture
def watch(clock):
    return Watch(clock=clock, threaded=False)


@pytest.fixture
def jobs(org):
    return [org.create_job("insert", "Account") for _ in range(3)]


@pytest.fixture
def board(org, jobs, watch):
    return JobBoard(org, watch=watch)


@pytest.fixture
def sent(board, monkeypatch):
    """The rows that went to the page since the board was made."""
    rows = []
    send = board.grid.send
    monkeypatch.setattr(
        board.grid, "send", lambda message: (rows.extend(message.get("rows", [])), send(message))
    )
    return rows


def say(board, what, jobs=(), view="a"):
    """Say what a page says."""
    message = {"type": what, "ids": [job.id for job in jobs], "view": view}
    board.grid._handle_custom_msg(message, [])


def requests(sandbox, job=None):
    return [
        f"{method} {path.rpartition('/')[2]}"
        for method, path, _ in sandbox.requests
        if job is None or job.id in path
    ]


def test_a_board_shows_every_job_of_the_org(board, jobs):
    assert {row[0] for row in board.grid.get_state("rows")["rows"]} == {job.id for job in jobs}


def test_the_org_gives_its_board(org, jobs):
    assert set(org.board().jobs.jobs) == {job.id for job in jobs}


def test_a_look_at_a_thousand_jobs_is_one_call_to_a_list(org, sandbox):
    for _ in range(1_000):
        org.create_job("insert", "Account")

    def asked(which):
        live = LiveJobs(which)
        live.refresh()
        before = len(sandbox.requests)
        live.refresh()
        assert len(live.jobs) == 1_000
        return requests(sandbox)[before:]

    assert asked(org.jobs(times=False)) == ["GET ingest"]
    assert asked(org) == ["GET ingest", "GET query"]  # where jobs of both kinds may come


def test_jobs_in_sight_are_asked_for_their_numbers_and_finished_ones_only_once(org, sandbox, jobs):
    jobs[0].upload(b"Name\nAcme\n").close().wait()
    live = LiveJobs(org)
    live.in_sight = {jobs[0].id}
    before = len(requests(sandbox, jobs[0]))
    for _ in range(3):
        live.refresh()
    assert len(requests(sandbox, jobs[0])) == before + 1
    assert live.jobs[jobs[0].id].info.number_records_processed == 1


def test_only_changed_rows_are_sent_to_the_page(board, jobs, sent, watch):
    say(board, "sight", jobs)
    watch.run_due()
    sent.clear()

    jobs[1].abort()
    board.jobs.refresh()
    board._told(board.jobs, None)

    assert [(row[0], row[4]) for row in sent] == [(jobs[1].id, "Aborted")]


def test_fifty_changed_rows_are_less_than_15_kb(org, board, sent):
    some = [org.create_job("insert", "Contact") for _ in range(50)]
    board.jobs.refresh()
    board._told(board.jobs, None)
    sent.clear()
    for job in some:
        job.abort()
    board.jobs.refresh()
    board._told(board.jobs, None)
    assert len(sent) == 50
    assert len(json.dumps(sent)) < 15_000


def test_nothing_is_asked_while_nobody_can_see_the_board(board, jobs, sandbox, watch, clock):
    before = len(sandbox.requests)
    assert watch.run_due() is None
    say(board, "sight", jobs, view="a")
    say(board, "sight", jobs, view="b")
    watch.run_due()
    assert len(sandbox.requests) > before
    say(board, "sight", [], view="a")
    assert watch.run_due() is not None, "the other view still shows it"
    say(board, "sight", [], view="b")
    assert watch.run_due() is None


def test_watching_sends_nothing_but_get(board, jobs, sandbox, watch, clock):
    before = len(sandbox.requests)
    say(board, "sight", jobs)
    for _ in range(20):
        clock.advance(watch.run_due())
    assert {method for method, *_ in sandbox.requests[before:]} == {"GET"}


def test_a_selection_is_aborted_and_one_that_is_refused_does_not_keep_the_others(
    board, jobs, watch
):
    jobs[1].upload(b"Name\nAcme\n").close().wait()

    say(board, "abort", jobs)
    watch.run_due()

    assert [job.refresh().state for job in jobs] == ["Aborted", "JobComplete", "Aborted"]
    assert board.grid.said.startswith("2 of 3 aborted")
    assert "JobComplete" in board.grid.said


def test_close_closes_the_selection(board, jobs, watch):
    for job in jobs:
        job.upload(b"Name\nAcme\n")
    say(board, "close", jobs[:2])
    watch.run_due()
    assert [job.refresh().state != "Open" for job in jobs] == [True, True, False]


def test_a_job_opened_from_the_board_is_shown_by_a_panel_and_only_one_at_a_time(board, jobs):
    say(board, "open", jobs[:1])
    say(board, "open", jobs[1:2])
    assert board.box.children == (board.grid, board._panel.box)
    assert board._panel.job.id == jobs[1].id


@pytest.mark.parametrize("what", ["delete", "hardDelete", "", None, 7])
def test_a_page_can_ask_for_nothing_else(board, jobs, sandbox, watch, what):
    before = len(sandbox.requests)
    say(board, what, jobs)
    watch.run_due()
    assert len(sandbox.requests) == before


def test_ids_that_the_board_does_not_show_are_not_acted_on(board, sandbox, watch):
    before = len(sandbox.requests)
    board.grid._handle_custom_msg({"type": "abort", "ids": ["750xx000000000zAAA", "../x", 5]}, [])
    watch.run_due()
    assert len(sandbox.requests) == before


def test_what_keeps_the_server_from_being_asked_is_said(board, jobs, sandbox, watch):
    say(board, "sight", jobs)
    sandbox.expire_sessions()
    watch.run_due()
    assert "INVALID_SESSION_ID" in board.grid.trouble


def test_a_board_reads_well_without_a_front_end_and_without_asking(board, jobs, sandbox):
    before = len(sandbox.requests)
    assert "Jobs of" in repr(board)
    assert jobs[0].id in board._repr_html_()
    assert len(sandbox.requests) == before


def test_what_a_panel_learns_of_a_job_in_sight_is_on_the_board_too(board, jobs, sent, watch):
    jobs[0].upload(b"Name\nAcme\n").close().wait()
    board.jobs.jobs[jobs[0].id].refresh()
    say(board, "sight", jobs)
    watch.run_due()
    assert [row[4] for row in sent if row[0] == jobs[0].id] == ["JobComplete"]


def test_fifty_boards_leave_no_thread_behind(org, jobs):
    before = threading.active_count()
    for _ in range(50):
        JobBoard(org)
    assert threading.active_count() <= before


def test_a_board_of_some_jobs_shows_these_and_no_others(org, jobs, sandbox):
    some = org.jobs()[:2]
    board = some.board()
    jobs[0].abort()
    org.create_job("insert", "Account")
    board.jobs.refresh()
    board._told(board.jobs, None)
    assert set(board.grid.by_id) == {job.id for job in some}


def test_a_board_of_no_jobs_says_what_to_do(org):
    with pytest.raises(InputError, match=r"org\.board\(\)"):
        org.jobs(state="Open").board()


def test_a_board_that_was_closed_is_there_again_when_it_is_drawn(board):
    close_tree(board.box)
    open_tree(board.box)
    assert board.grid.comm is not None
    assert view_bundle(board.box)[VIEW]["model_id"] == board.box.model_id


def test_a_board_that_nobody_sees_any_more_is_closed_when_another_is_made(org, board):
    board.box._view_count = 1
    board.box._view_count = 0
    assert board.box.comm is not None, "a cell that is moved gets its view back"
    JobBoard(org)
    assert board.box.comm is None
    assert board.grid.comm is None


def test_a_board_that_is_seen_again_is_not_closed(org, board):
    for views in (1, 0, 1):
        board.box._view_count = views
    JobBoard(org)
    assert board.box.comm is not None


def test_jobs_that_go_on_keep_the_looks_close_together(board, jobs, watch, clock):
    def pause_after(seconds, act):
        say(board, "sight", jobs)
        watch.run_due()
        clock.advance(seconds)
        act()
        return watch.run_due()

    idle = pause_after(3_600, lambda: None)
    busy = pause_after(3_600, jobs[0].abort)
    assert busy < 5 < idle
