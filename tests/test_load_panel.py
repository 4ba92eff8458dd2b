from __future__ import annotations

import re
import threading
from html import unescape

import pandas as pd
import pytest

from bulknb import Load
from bulknb._jobs.confirm import production_name
from bulknb._watch import Watch
from bulknb.errors import StillRunningError
from bulknb.sandbox import Fault, ManualClock, Sandbox
from bulknb.widgets import LoadPanel

ROWS = 600


def cells(row: str) -> list[str]:
    return [unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]


@pytest.fixture
def load(org) -> Load:
    names = [f"Acme {n}" for n in range(ROWS - 1)] + [None]
    frame = pd.DataFrame({"LastName": names})
    return Load(org._wire, frame, "Contact", "insert", chunk_bytes=5_000)


def processed(html: str) -> int:
    """The rows that the bar of a card says are processed."""
    (count,) = re.findall(r'role="img" aria-label="(\d+) of 600 rows', html)
    return int(count)


@pytest.fixture
def panel(load) -> LoadPanel:
    return LoadPanel(load, watch=Watch(threaded=False))


def test_the_panel_follows_the_load_to_its_end_without_a_request_of_its_own(load, panel, sandbox):
    seen = []
    panel.card.observe(lambda change: seen.append(processed(change["new"])), "value")
    panel._follow()
    load.start().wait()

    assert seen[0] == 0
    assert sorted(seen) == seen
    assert processed(panel.card.value) == ROWS
    assert panel.abort_button.disabled
    assert panel._frozen
    requests = len(sandbox.requests)
    repr(panel)
    panel._repr_html_()
    assert len(sandbox.requests) == requests


def test_abort_asks_once_and_says_what_stays(load, panel, sandbox):
    started, go_on = threading.Event(), threading.Event()
    follow = load._work.follow
    load._work.follow = lambda: (started.set(), go_on.wait(30), follow())
    panel._follow()
    load.start()
    assert started.wait(30)

    panel.abort_button.click()
    assert panel.confirmation.layout.display is None
    assert panel.question.value == "Abort this load? Rows already written stay written."
    panel.confirm_button.click()
    assert panel.message.value.startswith("Abort: asking")
    panel._watch.run_due()
    go_on.set()
    load.wait()

    assert {job.state for job in load.jobs} == {"Aborted"}
    assert load.counts["sent"] == ROWS
    assert load.counts["success"] == len(sandbox.records("Contact"))


@pytest.fixture
def held(org) -> Load:
    """A load whose rows are uploaded, and wait for its close."""
    frame = pd.DataFrame({"LastName": ["Ann", "Bob"]})
    load = org.load(frame, "Contact", "insert", close=False)
    with pytest.raises(StillRunningError):
        load.wait()
    return load


def test_close_is_offered_while_the_load_is_held_and_then_it_goes_on(held, sandbox):
    panel = LoadPanel(held, watch=Watch(threaded=False))
    panel._follow()
    assert panel.close_button.layout.display is None
    assert not panel.close_button.disabled
    assert "uploaded, waits for close()" in panel.aid.status
    assert "2 rows uploaded to 1 job: nothing is processed before close()" in panel.card.value

    panel.close_button.click()
    assert panel.message.value.startswith("Close: asking")
    assert sandbox.records("Contact") == []
    panel._watch.run_due()
    held.wait()

    assert len(sandbox.records("Contact")) == held.counts["success"] == 2
    assert panel.close_button.layout.display == "none"
    assert panel._frozen


def test_a_load_that_closes_by_itself_has_no_button_for_it(load, panel):
    shown = []
    panel._follow()
    load.listen(lambda _: shown.append(panel.close_button.layout.display))

    load.start().wait()

    assert set(shown) == {"none"}


def test_abort_of_a_held_load_says_that_nothing_was_written(held, sandbox):
    panel = LoadPanel(held, watch=Watch(threaded=False))
    panel._follow()
    panel.abort_button.click()
    assert panel.question.value == "Abort this load? Nothing was written yet."
    panel.confirm_button.click()
    panel._watch.run_due()
    held.wait()

    assert held.counts["not_sent"] == 2
    assert sandbox.records("Contact") == []
    assert panel.close_button.layout.display == "none"


def test_a_close_that_is_refused_says_why_in_the_panel(held):
    panel = LoadPanel(held, watch=Watch(threaded=False))
    panel._follow()
    panel.close_button.click()
    held.abort().wait()  # by somebody else
    panel._watch.run_due()

    assert "was given up" in panel.message.value


def test_keep_running_changes_nothing(load, panel, sandbox):
    before = len(sandbox.requests)
    panel.abort_button.click()
    panel.keep_button.click()
    panel._watch.run_due()

    assert len(sandbox.requests) == before
    assert panel.verbs.layout.display is None


def test_a_load_that_has_ended_shows_what_became_of_its_rows(load):
    load.start().wait()

    panel = LoadPanel(load, watch=Watch(threaded=False))

    card = panel._repr_html_()
    assert repr(load) == "<Load insert Contact: 600 sent, 599 success, 1 failed>"
    assert [cells(row) for row in re.findall(r"<tr.*?</tr>", card, re.DOTALL)[1:]] == [
        [
            "1",
            "REQUIRED_FIELD_MISSING",
            "LastName",
            "Row 599: Required fields are missing: [LastName]",
            "Needs a change. Fill in the fields that are named",
        ]
    ]
    assert "REQUIRED_FIELD_MISSING · LastName · Row 599" in repr(panel)
    assert panel._ended
    assert not panel._offers


def test_foreign_text_in_a_reason_is_escaped(org, sandbox):
    frame = pd.DataFrame({"LastName": ["Doe"], "Birthdate": ["<img src=x onerror=alert(1)>"]})
    load = org.load(frame, "Contact", "insert").wait()

    card = load._repr_html_()

    assert "&lt;img src=x" in card
    assert "<img" not in card


def test_a_listener_that_breaks_does_not_end_the_load(load, caplog):
    def broken(_: Load) -> None:
        raise RuntimeError("boom")

    load.listen(broken)

    assert load.start().wait().counts["sent"] == ROWS
    assert "A listener of the load of Contact broke" in caplog.text


def test_a_cleared_output_ends_the_listening(load, panel):
    panel._follow()
    panel.box._view_count = 1
    panel.box._view_count = 0

    assert load._background._listeners == []


@pytest.fixture
def locked(sandbox, org) -> Load:
    """A load that has ended with two rows failed for a lock, and one for good."""
    sandbox.faults.add(Fault("lock_rows", rows=2))
    names = ["Ann", "Bob", "Cy", None]
    return org.load(pd.DataFrame({"LastName": names}), "Contact", "insert").wait()


@pytest.fixture
def ended(locked) -> LoadPanel:
    return LoadPanel(locked, watch=Watch(threaded=False))


def sent(sandbox) -> list[str]:
    return [method for method, _, _ in sandbox.requests if method != "GET"]


def test_retry_sends_what_may_pass_as_it_is_once_it_is_confirmed(locked, ended, sandbox):
    before = sent(sandbox)
    ended.retry_button.click()
    ended._watch.run_due()
    assert ended.question.value == "Send 2 rows again?"
    assert ended.confirm_button.description == "Retry 2 rows"
    assert ended.keep_button.description == "Not now"
    assert sent(sandbox) == before
    ended.confirm_button.click()
    ended.confirm_button.click()
    ended._watch.run_due()
    locked._again.wait()

    assert locked.counts[["sent", "success", "failed"]].tolist() == [4, 3, 1]
    assert sent(sandbox).count("PUT") == before.count("PUT") + 1
    assert len(sandbox.records("Contact")) == 3
    assert "4 of 4 rows, 100%" in ended.card.value
    assert ended.again_card.value == ""
    assert ended._frozen
    assert not ended._offers


def test_the_rows_that_are_sent_again_are_followed_in_the_same_panel(locked, ended):
    seen = []
    ended.again_card.observe(lambda change: seen.append(change["new"]), "value")
    ended.retry_button.click()
    ended._watch.run_due()
    ended.confirm_button.click()
    ended._watch.run_due()
    locked._again.wait()

    assert any("2 of 2 rows, 100%" in html for html in seen)
    assert all("insert Contact" in html for html in seen[:-1])


def test_without_a_confirmation_nothing_is_sent_again(ended, sandbox):
    before = sent(sandbox)
    ended.retry_button.click()
    ended._watch.run_due()
    ended.keep_button.click()
    ended.confirm_button.click()
    ended._watch.run_due()
    assert sent(sandbox) == before
    assert ended._offers


def test_only_a_load_with_rows_that_may_pass_offers_to_retry(load, ended):
    assert ended.retry_button.description == "Retry 2 rows"
    assert ended.retry_button.layout.display is None
    assert ended.abort_button.layout.display == "none"
    panel = LoadPanel(load.start().wait(), watch=Watch(threaded=False))
    assert panel.retry_button.disabled
    assert panel.retry_button.layout.display == "none"


def test_a_retry_that_is_refused_says_why_in_the_panel(locked, ended):
    ended.retry_button.click()
    ended._watch.run_due()
    locked.retry().wait()  # by somebody else
    ended.confirm_button.click()
    ended._watch.run_due()
    assert "nothing to retry" in ended.message.value
    assert "nothing to retry" in repr(ended)


def test_in_production_the_question_names_the_org():
    with Sandbox(clock=ManualClock(), production=True) as sandbox:
        org = sandbox.connect(in_process=True)
        sandbox.faults.add(Fault("lock_rows", rows=1))
        load = org.load(pd.DataFrame({"LastName": ["Ann"]}), "Contact", "insert").wait()
        panel = LoadPanel(load, watch=Watch(threaded=False))
        panel.retry_button.click()
        panel._watch.run_due()
        name = production_name(org._wire)
    assert name
    assert panel.question.value == f"Send 1 row again, to the production org {name}?"
