from __future__ import annotations

import json
import random
import re
from collections import Counter

import matplotlib.figure
import pandas as pd
import pytest

import bulknb
from bulknb.errors import ConfirmationNeededError, InputError, UnexpectedAnswerError
from bulknb.sandbox import ManualClock, Sandbox

CSV = b"Name\nAcme\n"
KINDS = {
    "V2Ingest": ("insert", "JobComplete"),
    "V2Query": ("query", "JobComplete"),
    "Classic": ("update", "Closed"),
}
LISTS = re.compile(r"/jobs/(ingest|query)$")


def make_jobs(sandbox: Sandbox, jobs: int, unfinished: int) -> dict[str, str]:
    """Put jobs of three kinds into the org; return id -> state."""
    org = sandbox._org
    kinds = random.Random(4).choices(list(KINDS), k=jobs - unfinished) + ["V2Ingest"] * unfinished
    made = {}
    with org.lock, org.store.transaction():
        for number, kind in enumerate(kinds):
            operation, state = KINDS[kind]
            state = "Open" if number >= jobs - unfinished else state
            job = org.new_job(kind, "62.0", operation=operation, object="Account", state=state)
            made[job["id"]] = state
    return made


def requests_since(sandbox: Sandbox, before: int) -> tuple[int, Counter[str]]:
    """How many requests for lists were made, and how many for each job."""
    paths = [path for _, path, _ in sandbox.requests[before:]]
    lists = sum(bool(LISTS.search(path)) for path in paths)
    return lists, Counter(
        path.rpartition("/")[2] for path in paths if path.rpartition("/")[2].startswith("750")
    )


def test_2500_jobs_are_found_once_each_and_finished_ones_asked_once(sandbox, org):
    made = make_jobs(sandbox, 2_500, unfinished=7)
    before = len(sandbox.requests)

    first = org.jobs().frame

    assert dict(zip(first["id"], first["state"], strict=True)) == made
    assert len(first) == 2_500
    lists, asked = requests_since(sandbox, before)
    assert lists == 4  # two pages each: 1.0 jobs stand in both lists
    assert asked == Counter(list(made))  # one GET each
    before = len(sandbox.requests)

    second = org.jobs().frame

    assert second["id"].tolist() == first["id"].tolist()
    lists, asked = requests_since(sandbox, before)
    assert lists == 4
    assert asked == Counter(id for id, state in made.items() if state == "Open")


def test_jobs_are_not_asked_for_before_it_matters(sandbox, org):
    make_jobs(sandbox, 10, unfinished=2)
    before = len(sandbox.requests)

    jobs = org.jobs()

    assert len({job.id for job in jobs}) == len(jobs[:]) == 10
    assert requests_since(sandbox, before) == (2, Counter())
    assert jobs[:3].frame["total_processing_time_ms"].notna().all()
    assert requests_since(sandbox, before)[1].total() == 3


def test_refresh_asks_for_the_unfinished_alone(sandbox, org):
    make_jobs(sandbox, 10, unfinished=2)
    jobs = org.jobs()
    assert len(jobs.frame) == 10
    before = len(sandbox.requests)

    assert jobs.refresh() is jobs

    assert requests_since(sandbox, before)[1].total() == 2


def test_filters_the_api_has_are_left_to_it(sandbox, org):
    made = make_jobs(sandbox, 50, unfinished=3)
    before = len(sandbox.requests)

    assert {job.info.job_type for job in org.jobs("V2Query")} == {"V2Query"}
    assert requests_since(sandbox, before)[0] == 1
    assert {job.info.job_type for job in org.jobs("Classic")} == {"Classic"}
    assert len(org.jobs(state="Open")) == 3
    assert len(org.jobs(operation="insert", object="account")) == sum(
        org.job(id).operation == "insert" for id in made
    )
    assert len(org.jobs(object="Contact")) == 0
    assert len(org.jobs(pk_chunking=True)) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"state": "open"}, "did you mean 'Open'"),
        ({"state": "Done"}, "one of Aborted, Closed"),
        ({"job_type": "V2ingest"}, "did you mean 'V2Ingest'"),
        ({"operation": "upsrt"}, "did you mean 'upsert'"),
        ({"last": "-3d"}, "30min"),
        ({"last": "7 moons"}, "30min"),
    ],
)
def test_a_filter_that_cannot_hold_is_refused_before_anything_is_asked(
    sandbox, org, arguments, said
):
    before = len(sandbox.requests)
    with pytest.raises(InputError, match=said):
        org.jobs(**arguments)
    assert len(sandbox.requests) == before


def test_users_are_named_by_one_query(sandbox, org):
    sandbox.add_user("dana.reyes@example.com")
    other = sandbox.connect(in_process=True, username="dana.reyes@example.com")
    theirs = other.create_job("insert", "Account")
    ours = org.create_job("insert", "Account")
    before = len(sandbox.requests)

    users = org.jobs().frame.set_index("id")["user"]
    again = org.jobs().frame.set_index("id")["user"]

    assert users.to_dict() == {theirs.id: "Dana Reyes", ours.id: "Integration User"}
    assert again.equals(users)
    queries = [path for _, path, _ in sandbox.requests[before:] if path.endswith("/query")]
    assert len([path for path in queries if "jobs" not in path]) == 1
    assert [job.id for job in org.jobs(user="dana reyes")] == [theirs.id]
    assert [job.id for job in org.jobs(user=theirs.info.created_by_id[:15])] == [theirs.id]
    assert [job.id for job in org.jobs(mine=True)] == [ours.id]
    assert [job.id for job in other.jobs(mine=True)] == [theirs.id]


def served(sandbox: Sandbox, answers: dict[str, tuple[int, object]]) -> bulknb.Org:
    """An org of which some paths, with their query, give other answers."""

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        given = answers.get(f"{path}?{environ['QUERY_STRING']}", answers.get(path))
        if given is None:
            return sandbox.app(environ, start_response)
        status, content = given
        body = json.dumps(content).encode()
        start_response(f"{status} Planned", [("Content-Type", "application/json")])
        return [body]

    return bulknb.connect(
        instance_url="http://127.0.0.1",
        access_token=sandbox.token,
        api_version="62.0",
        clock=sandbox.clock,
        transport=application,
    )


QUERY, INGEST = (f"/services/data/v62.0/jobs/{kind}" for kind in ("query", "ingest"))


def page(following: str | None, *ids: str) -> tuple[int, object]:
    records = [{"id": id, "state": "Open", "jobType": "V2Ingest"} for id in ids]
    return 200, {"done": following is None, "nextRecordsUrl": following, "records": records}


def test_users_that_cannot_be_read_are_missing(sandbox, org):
    org.create_job("insert", "Account")
    denied = [{"errorCode": "INSUFFICIENT_ACCESS", "message": "no"}]
    limited = served(sandbox, {"/services/data/v62.0/query": (403, denied)})

    assert limited.jobs().frame["user"].isna().all()


def test_pages_that_run_in_a_circle_are_told(sandbox):
    org = served(
        sandbox,
        {
            INGEST: page(f"{INGEST}?queryLocator=a", "750000000000001"),
            f"{INGEST}?queryLocator=a": page(f"{INGEST}?queryLocator=b", "750000000000002"),
            f"{INGEST}?queryLocator=b": page(f"{INGEST}?queryLocator=a", "750000000000003"),
        },
    )
    with pytest.raises(UnexpectedAnswerError, match="circle"):
        org.jobs()


def test_jobs_that_come_and_go_while_the_pages_are_read_stand_once(sandbox):
    org = served(
        sandbox,
        {
            INGEST: page(f"{INGEST}?queryLocator=a", "750000000000001", "750000000000002"),
            f"{INGEST}?queryLocator=a": page(None, "750000000000002", "750000000000003"),
        },
    )
    jobs = org.jobs()

    assert sorted(job.id[-1] for job in jobs) == ["1", "2", "3"]
    assert len(jobs.frame) == 3  # they are gone by now


def test_what_is_no_list_of_jobs_is_told(sandbox):
    org = served(sandbox, {INGEST: (200, {"jobs": []})})
    with pytest.raises(UnexpectedAnswerError, match="not a list of jobs"):
        org.jobs()


def test_a_mask_or_a_slice_picks_jobs(sandbox, org):
    make_jobs(sandbox, 20, unfinished=4)
    jobs = org.jobs()

    picked = jobs[jobs.frame["state"] == "Open"]

    assert [job.state for job in picked] == ["Open"] * 4
    assert len(jobs[jobs.frame["number_records_processed"] > 99]) == 0
    assert len(jobs[2:5]) == 3
    assert jobs[-1].id == list(jobs)[-1].id
    for wrong in ([True], [1] * 20):
        with pytest.raises(InputError, match="20 times"):
            jobs[wrong]


def test_a_selection_is_aborted_and_each_job_says_what_became_of_it(sandbox, org):
    fresh = [org.create_job("insert", "Account") for _ in range(2)]
    done = org.create_job("insert", "Account").upload(CSV).close()
    sandbox.clock.advance(600)
    jobs = org.jobs()
    assert len(jobs.frame) == 3
    fresh[0].abort()  # somebody else is faster

    told = jobs.abort().set_index("id")

    assert told["aborted"].to_dict() == {fresh[0].id: False, fresh[1].id: True, done.id: False}
    assert told["state"].to_dict() == {
        fresh[0].id: "Aborted",
        fresh[1].id: "Aborted",
        done.id: "JobComplete",
    }
    assert "Refused" in told.loc[fresh[0].id, "remark"]
    assert "JobComplete" in told.loc[done.id, "remark"]


def test_in_production_a_selection_is_aborted_by_one_confirmation(sandbox, org):
    said = {"records": [{"IsSandbox": False, "OrganizationType": "Enterprise", "Name": "Acme"}]}
    production = served(sandbox, {"/services/data/v62.0/query": (200, said)})
    made = [org.create_job("insert", "Account") for _ in range(2)]
    jobs = production.jobs(state="Open", times=False)

    for wrong in (None, "Acme: abort 3 jobs"):
        with pytest.raises(ConfirmationNeededError, match="Acme: abort 2 jobs"):
            jobs.abort(confirm=wrong)
    assert [job.refresh().state for job in made] == ["Open"] * 2

    assert jobs.abort(confirm="Acme: abort 2 jobs")["aborted"].tolist() == [True] * 2


def test_an_aborted_job_is_asked_for_until_its_numbers_have_settled(sandbox, org):
    org.create_job("insert", "Account").abort()
    asked = []
    for _ in range(4):
        before = len(sandbox.requests)
        assert org.jobs().frame["state"].tolist() == ["Aborted"]
        asked.append(requests_since(sandbox, before)[1].total())
        sandbox.clock.advance(40)

    assert asked == [1, 1, 1, 0]


def test_the_frame_has_pace_duration_and_age(sandbox, org):
    org.create_job("insert", "Account").upload(CSV).close()
    sandbox.clock.advance(3600)

    row = org.jobs().frame.iloc[0]

    assert row["age"] == pd.Timedelta("1h")
    assert 1_000 <= row["duration_ms"] < 60_000
    assert row["rows_per_second"] == pytest.approx(1000 / row["duration_ms"])
    assert str(org.jobs(state="Open").frame["age"].dtype) == "timedelta64[us]"


def test_a_list_of_jobs_reads_well_and_is_escaped():
    with Sandbox(clock=ManualClock(), demo=True) as sandbox:
        jobs = sandbox.connect(in_process=True).jobs()
        html, text = jobs._repr_html_(), repr(jobs)

    assert text.startswith("<22 jobs>")
    assert "Dana Reyes" in text
    assert "d " in text
    assert html.count("<tr") == 23
    assert "text-align: right" in html
    assert "--jp-error-color1" in html  # a failed job
    assert re.search(r'title="20\d\d-', html)


def test_at_most_sixty_jobs_are_shown(sandbox, org):
    make_jobs(sandbox, 100, unfinished=0)
    before = len(sandbox.requests)

    html = org.jobs()._repr_html_()

    assert html.count("<tr") == 61
    assert "100 jobs (the first 60 are shown)" in html
    assert requests_since(sandbox, before)[1].total() == 60


def test_foreign_text_in_a_list_is_escaped(sandbox):
    record = {"id": "750000000000001", "state": "<b>", "object": "<script>", "jobType": "Next"}
    listed = {"done": True, "nextRecordsUrl": None, "records": [record]}
    html = served(sandbox, {INGEST: (200, listed)}).jobs()._repr_html_()

    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_jobs_are_plotted(sandbox, org):
    org.create_job("insert", "Account").upload(CSV).close()
    sandbox.clock.advance(600)
    ax = matplotlib.figure.Figure().add_subplot()

    assert org.jobs().plot(by="object", ax=ax) is ax
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Account (1 job)"]
