from __future__ import annotations

import re

import pytest
from altered import accounts, connect

import bulknb
from bulknb._query_plan import plan
from bulknb._watch import Watch
from bulknb.widgets import QueryPanel

ROWS = 25


def planned(org: bulknb.Org) -> bulknb.Query:
    """Return a query that has yet to be started, in pages of 10 rows."""
    what = {"api": "2.0", "all_rows": False, "types": True, "page_rows": 10}
    soql = "SELECT Id, Name, NumberOfEmployees FROM Account"
    return bulknb.Query(org._wire, plan(org._wire, soql, **what))


@pytest.fixture
def query(sandbox, org) -> bulknb.Query:
    accounts(sandbox, ROWS)
    return planned(org)


@pytest.fixture
def panel(query) -> QueryPanel:
    return QueryPanel(query, watch=Watch(threaded=False))


def test_the_panel_follows_the_query_to_its_end_without_a_request_of_its_own(query, panel, sandbox):
    bars, stages = [], []
    panel.card.observe(
        lambda change: bars.extend(re.findall(r'label="(\d+) of 25 rows', change["new"])), "value"
    )
    panel.aid.observe(lambda change: stages.append(change["new"]), "status")
    panel._follow()
    query.start().wait()

    assert list(map(int, bars)) == [10, 20, 25]
    assert stages == [f"query of Account: {stage}" for stage in ("processing", "fetching", "ended")]
    assert panel.abort_button.disabled
    assert panel._frozen
    asked = len(sandbox.requests)
    repr(panel)
    panel._repr_html_()
    assert len(sandbox.requests) == asked


def test_at_the_end_it_tells_types_and_where_the_pages_are_and_no_data(query, panel):
    panel._follow()
    query.start().wait()
    text, html = repr(panel), panel._repr_html_()
    for said in (text, html):
        assert "Columns: Id string, Name string, NumberOfEmployees int64" in said
        assert "3 pages kept while this query is in memory; with folder= for good" in said
        assert query.frame()["Name"].iloc[0] not in said
    assert re.search(r"^  Rows +25$", text, re.MULTILINE)


def test_abort_is_asked_once_and_the_query_ends_as_aborted(sandbox):
    accounts(sandbox, ROWS)
    query = panel = None

    def application(environ, start_response):
        if "/results" in environ["PATH_INFO"] and panel and not query._aborted.is_set():
            panel.abort_button.click()
            assert panel.question.value.startswith("Abort this query?")
            panel.confirm_button.click()
            panel.confirm_button.click()
            panel._watch.run_due()
        return sandbox.app(environ, start_response)

    query = planned(connect(sandbox, application))
    panel = QueryPanel(query, watch=Watch(threaded=False))
    panel._follow()
    with pytest.raises(bulknb.errors.JobFailedError, match="aborted"):
        query.start().wait()

    assert panel.aid.status == "query of Account: ended"
    assert "✕" in panel.card.value
    assert "was aborted before all of its rows were here" in panel.card.value


def test_a_panel_of_a_query_that_has_ended_takes_no_listeners(query):
    query.start().wait()
    panel = QueryPanel(query, watch=Watch(threaded=False))
    panel.show()
    assert panel._frozen
    assert query._work._listeners == []
