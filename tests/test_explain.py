"""Where the time went, was it always so, and what cannot be known."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from months import TRIGGER_DAY, month

import bulknb
from bulknb.sandbox import ManualClock, ObjectType, Sandbox

SAMPLES = Path(__file__).parent / "data" / "samples"

#: Finished body -> (total, active, apex) as recorded, (apex, api, rest) by hand.
RECORDED = {
    "v1/job-closed-documented.xml": ((3647, 2136, 0), (0, 2136, 1511)),
    "v1/job-closed-documented.json": ((5759, 5059, 0), (0, 5059, 700)),
    "v1/job-closed-batch-completed.xml": ((273, 128, 0), (0, 128, 145)),
    "v1/job-closed-completed-before-close.xml": ((529, 378, 0), (0, 378, 151)),
    "v1/job-closed.json": ((403, 225, 64), (64, 161, 178)),
    "v1/job-closed-all-failed-65.xml": ((741, 497, 0), (0, 497, 244)),
    "v2/ingest-jobcomplete.json": ((4103, 3101, 0), (0, 3101, 1002)),
    "v2/ingest-jobcomplete-partial-failure.json": ((478, 191, 0), (0, 191, 287)),
    "v2/ingest-jobcomplete-all-failed.json": ((100, 43, 0), (0, 43, 57)),
    "v2/ingest-jobcomplete-all-failed-47.json": ((51, 0, 0), (0, 0, 51)),
}
#: Of these five finished 1.0 jobs only the times are recorded.
TIMES_ALONE = [
    ((494, 288, 0), (0, 288, 206)),
    ((343, 183, 0), (0, 183, 160)),
    ((623, 453, 0), (0, 453, 170)),
    ((356, 206, 0), (0, 206, 150)),
    ((242, 130, 0), (0, 130, 112)),
]
TIMES = ["total_processing_time_ms", "api_active_processing_time_ms", "apex_processing_time_ms"]
PARTS = ["apex_ms", "api_ms", "rest_ms"]


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def job(number: int = 0, **fields) -> dict:
    """A finished upsert of Contact: 2,000 rows in 10 s on the clock, 9.1 ms of Apex each."""
    return {
        "id": f"750{number:015}",
        "object": "Contact",
        "operation": "upsert",
        "state": "JobComplete",
        "jobType": "V2Ingest",
        "createdDate": f"2026-05-{1 + number:02}T06:00:00.000+0000",
        "systemModstamp": f"2026-05-{1 + number:02}T06:00:10.000+0000",
        "numberRecordsProcessed": 2_000,
        "numberRecordsFailed": 0,
        "retries": 0,
        "apexProcessingTime": 18_200,
        "apiActiveProcessingTime": 22_000,
        "totalProcessingTime": 24_000,
        **fields,
    }


def kinds(explanation: bulknb.Explanation) -> list[str]:
    return [finding.kind for finding in explanation]


def only(explanation: bulknb.Explanation, kind: str) -> bulknb.Finding:
    [finding] = [finding for finding in explanation if finding.kind == kind]
    return finding


@pytest.mark.parametrize("name", RECORDED)
def test_the_parts_of_a_recorded_job_are_those_computed_by_hand(name):
    times, parts = RECORDED[name]
    row = bulknb.jobs_frame(sample(name)).iloc[0]

    assert (tuple(row[TIMES]), tuple(row[PARTS])) == (times, parts)
    numbers = only(bulknb.explain(sample(name)), "shares").numbers
    shares = [numbers[f"{part}_share"] for part in ("apex", "api", "rest")]
    assert shares == pytest.approx([part / times[0] for part in parts])


@pytest.mark.parametrize(("times", "parts"), TIMES_ALONE)
def test_the_parts_of_recorded_times_are_those_computed_by_hand(times, parts):
    raw = json.loads(sample("v1/job-closed.json"))
    names = ("totalProcessingTime", "apiActiveProcessingTime", "apexProcessingTime")

    row = bulknb.jobs_frame(raw | dict(zip(names, times, strict=True))).iloc[0]

    assert tuple(row[PARTS]) == parts


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (sample("v2/ingest-inprogress.json"), "not done yet"),
        (sample("v2/ingest-inprogress-active-above-total.json"), "not done yet"),
        (sample("v1/job-closed-batch-inprogress.xml"), "not done yet"),
        (sample("v2/query-created.json"), "not done yet"),
        (sample("v2/query-aborted-documented.json"), "no Apex and no API time"),
        (job(jobType="V2Query", operation="query", apexProcessingTime=None), "no Apex and no API"),
        (job(totalProcessingTime=None, apexProcessingTime=None), "a list holds none"),
        (sample("v2/list-ingest-with-classic.json"), "not done yet"),
    ],
)
def test_where_the_parts_are_missing_the_reason_is_said(body, reason):
    assert bulknb.jobs_frame(body)[PARTS].isna().any(axis=None)
    explanation = bulknb.explain(body)
    assert "shares" not in kinds(explanation)
    assert reason in str(explanation)


@pytest.mark.parametrize("name", ["v2/ingest-failed.json", "v1/job-closed-no-batches.xml"])
def test_a_job_that_processed_no_row_has_no_time_for_each(name):
    explanation = bulknb.explain(sample(name))

    assert "shares" not in kinds(explanation)
    assert "1 job without a processed row: there is no time for each row." in str(explanation)


def test_the_sentence_names_the_biggest_part_its_object_and_its_pace():
    finding = bulknb.explain(job())[0]

    assert finding.kind == "shares"
    assert finding.sentence == (
        "76% of 24 s processing time on Contact is Apex (9.1 ms a row), 16% the API writing "
        "rows (1.9 ms a row), 8% waiting of batches and reading (1.0 ms a row)."
    )
    assert finding.numbers["apex_ms_per_1000"] == 9_100
    assert finding.numbers["rows"] == 2_000


def test_batches_side_by_side_are_time_over_the_clock():
    numbers = only(bulknb.explain(job()), "parallelism").numbers

    assert numbers == {"parallelism": 2.4, "total_ms": 24_000, "wall_ms": 10_000}


def test_the_clock_runs_once_for_jobs_that_overlap_and_stands_between_others():
    overlapping = job(1, createdDate="2026-05-01T06:00:05Z", systemModstamp="2026-05-01T06:00:15Z")

    assert only(bulknb.explain([job(), overlapping]), "parallelism").numbers["wall_ms"] == 15_000
    assert only(bulknb.explain([job(0), job(9)]), "parallelism").numbers["wall_ms"] == 20_000


def test_a_job_that_mostly_stood_around_is_not_called_parallel():
    finding = only(bulknb.explain(sample("v2/ingest-jobcomplete.json")), "parallelism")

    assert finding.sentence == (
        "4.1 s processing time took 16 s on the clock: batches were at work for 26% of it, the "
        "rest was upload and queue."
    )


def test_a_1_0_job_has_nothing_on_the_clock():
    explanation = bulknb.explain(sample("v1/job-closed.json"))

    assert "parallelism" not in kinds(explanation)
    assert "when the last batch ended is not said" in str(explanation)


def states(*waits: tuple[int, float]) -> pd.DataFrame:
    """What was seen of jobs: how many seconds they stood in UploadComplete."""
    began = pd.Timestamp("2026-05-01T06:00Z")
    rows = [
        (job(number)["id"], state, start, start + pd.Timedelta(seconds=seconds))
        for number, seconds in waits
        for state, start in (("UploadComplete", began), ("InProgress", began))
    ]
    return pd.DataFrame(rows, columns=["id", "state", "began", "ended"])


def test_the_wait_in_the_queue_is_what_was_seen():
    one = only(bulknb.explain(job(), states=states((0, 240))), "queue")
    several = only(
        bulknb.explain([job(n) for n in range(4)], states=states((0, 10), (1, 20), (2, 600))),
        "queue",
    )

    assert one.sentence == "Waited 4 min 00 s in the queue."
    assert several.numbers == {"median_ms": 20_000, "longest_ms": 600_000, "jobs": 3}
    assert several.sentence == (
        "Waited in the queue: half of 3 jobs up to 20 s, the longest 10 min 00 s; 1 job was not "
        "watched."
    )


def test_a_wait_that_was_not_seen_to_the_second_is_about_so_long():
    finding = only(bulknb.explain(job(), states=states((0, 240)).assign(exact=False)), "queue")

    assert finding.sentence == "Waited about 4 min 00 s in the queue."


def test_a_queue_that_nobody_watched_is_unknown():
    for watched in (None, states((7, 240))):
        finding = only(bulknb.explain(job(), states=watched), "queue")
        assert finding.sentence == "The wait in the queue is unknown: that was not watched."
        assert finding.numbers == {}


def test_a_job_that_still_waits_in_the_queue_is_not_called_unwatched():
    waiting = states((0, 240))
    waiting["ended"] = waiting["ended"].where(waiting["state"] == "Nothing")

    text = str(bulknb.explain(job(state="UploadComplete"), states=waiting))

    assert "The wait in the queue is unknown: nothing has left it yet." in text


def test_retries_are_told():
    finding = only(bulknb.explain([job(0), job(1, retries=12)]), "retries")

    assert finding.sentence.startswith("Salesforce tried 12 times again to save, in 1 of 2 jobs")
    assert finding.numbers == {"retries": 12, "jobs": 1}


def test_a_set_of_several_kinds_says_which_took_longest():
    other = job(1, object="Lead", operation="insert", totalProcessingTime=72_000)

    finding = only(bulknb.explain([job(), other]), "kinds")

    assert finding.sentence == (
        "Of the processing time went 75% to insert Lead, 25% to upsert Contact."
    )


def test_a_slow_job_is_held_against_its_own_past():
    past = [
        job(number, apexProcessingTime=4_600, apiActiveProcessingTime=8_400, totalProcessingTime=t)
        for number, t in enumerate((9_800, 10_000, 10_200, 10_400, 10_600))
    ]
    other = job(6, object="Lead")

    finding = only(bulknb.explain(job(9), past=[*past, other]), "past")

    assert finding.sentence == (
        "upsert Contact took 12 ms a row; the median of 5 earlier jobs is 5.1 ms a row, the middle "
        "half 5.0 to 5.2 ms a row. Most of the difference is Apex: 9.1 ms a row, before 2.3 ms a "
        "row."
    )
    assert finding.numbers["past_apex_ms_per_1000"] == 2_300
    assert finding.numbers["jobs"] == 5


def test_a_job_as_its_past_is_as_usual():
    past = [job(number) for number in range(5)]

    assert ": as usual." in only(bulknb.explain(job(9), past=past), "past").sentence
    # Later jobs are no past of it, nor is the job itself.
    later = bulknb.explain(job(0), past=past)
    assert "the times of no earlier jobs are known" in str(later)


def test_a_partial_job_is_called_partial():
    explanation = bulknb.explain(job(state="Aborted"))

    assert "1 job Aborted or Failed on the way: times and rates are of the part that was done." in (
        str(explanation)
    )
    assert "shares" in kinds(explanation)


def test_there_may_be_no_jobs_at_all():
    assert str(bulknb.explain([])) == "There are no jobs to explain."


def test_names_from_the_server_are_escaped():
    html = bulknb.explain(job(object="<b>Contact"))._repr_html_()

    assert "&lt;b&gt;Contact" in html
    assert "<b>" not in html


def test_a_part_of_an_explanation_is_one_too():
    explanation = bulknb.explain(job())

    assert str(explanation[:1]) == explanation[0].sentence
    assert repr(explanation) == str(explanation)


def test_a_trigger_deployed_on_day_20_is_named_by_explain_and_by_trend():
    truth = month()
    of_month = bulknb.explain(truth.history)
    last = bulknb.explain(truth.history.tail(2), past=truth.history)
    trend = bulknb.trend(truth.history, object=truth.object, operation=truth.operation)

    [step] = trend.steps
    assert (step.part, step.object) == (truth.part, truth.object)
    assert abs(step.at - truth.trigger_at) <= pd.Timedelta(days=1)
    assert step.at.day in range(TRIGGER_DAY - 1, TRIGGER_DAY + 2)
    assert step.after - step.before == pytest.approx(truth.after - truth.before, rel=0.1)
    assert (step.before, step.after) == pytest.approx((truth.before, truth.after), rel=0.1)
    for explanation in (of_month, last):
        assert only(explanation, "step").sentence == step.sentence
    assert f"Apex of upsert {truth.object} went from 1.1 to 3.7 ms a row" in step.sentence
    past = only(last, "past").numbers
    assert past["total_ms_per_1000"] > past["past_high_ms_per_1000"]


def test_a_load_a_job_and_jobs_explain_themselves():
    slow = ObjectType("Slow__c", (bulknb.sandbox.Field("Name"),), apex_ms_per_row=5.0)
    with Sandbox(clock=ManualClock(), objects=[slow]) as sandbox:
        org = sandbox.connect(in_process=True)
        load = org.load(pd.DataFrame({"Name": ["x"] * 500}), "Slow__c", "insert").wait()
        explained = [load.explain(), load.jobs[0].explain(), org.jobs().explain()]

    for explanation in explained:
        assert only(explanation, "shares").numbers["apex_ms_per_1000"] == pytest.approx(5_000, 0.1)
        assert "on Slow__c is Apex" in str(explanation)
