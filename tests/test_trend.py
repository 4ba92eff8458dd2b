"""The pace of jobs, and since when it is another one."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pandas as pd
import pytest

import bulknb
from bulknb._trend import rates, steps
from bulknb.errors import InputError

FIRST = pd.Timestamp("2026-05-01T06:00Z")


def jobs(apex: np.ndarray, *, rows: int = 2_000, failed: int = 0, **fields) -> list[dict]:
    """Jobs six hours apart that took so many milliseconds of Apex per 1,000 rows."""
    return [
        {
            "id": f"750{number:015}",
            "object": "Contact",
            "operation": "upsert",
            "state": "JobComplete",
            "jobType": "V2Ingest",
            "createdDate": (FIRST + pd.Timedelta(hours=6 * number)).isoformat(),
            "numberRecordsProcessed": rows,
            "numberRecordsFailed": failed,
            "apexProcessingTime": round(value * rows / 1000),
            "apiActiveProcessingTime": round((value + 900) * rows / 1000),
            "totalProcessingTime": round((value + 1_300) * rows / 1000),
            **fields,
        }
        for number, value in enumerate(apex)
    ]


def history(apex: np.ndarray, **fields) -> pd.DataFrame:
    return bulknb.jobs_frame(jobs(apex, **fields))


def noise(seed: int, jobs: int) -> np.ndarray:
    """A level of 2,000 with 20 % noise."""
    return 2_000 * np.exp(0.2 * np.random.default_rng(seed).standard_normal(jobs))


def test_rates_are_per_1000_rows_oldest_job_first():
    known = history(np.array([2_000.0, 4_000.0]), failed=3)

    frame = rates(known.iloc[::-1])

    assert frame["id"].tolist() == known["id"].tolist()
    assert frame["apex_ms_per_1000"].tolist() == [2_000, 4_000]
    assert frame["api_ms_per_1000"].tolist() == [900, 900]
    assert frame["rest_ms_per_1000"].tolist() == [400, 400]
    assert frame["total_ms_per_1000"].tolist() == [3_300, 5_300]
    assert frame["failed_per_1000"].tolist() == [1.5, 1.5]
    assert set(frame.filter(like="_per_1000").dtypes.astype(str)) == {"Float64"}


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        ({"state": "InProgress"}, []),
        ({"numberRecordsProcessed": 0}, [False] * 5),
        ({"numberRecordsProcessed": None}, [False] * 5),
        ({"apexProcessingTime": None}, [False, False, True, True, True]),
    ],
)
def test_a_rate_that_cannot_be_known_is_missing(fields, known):
    frame = rates(history(np.array([2_000.0]), **fields)).filter(like="_per_1000")

    assert frame.notna().to_numpy().tolist() == ([known] if known else [])


def test_noise_alone_is_hardly_ever_a_step():
    kinds = [jobs(noise(seed, 20 + seed % 60), object=f"Noise{seed}__c") for seed in range(200)]

    alarms = {step.object for step in steps(chain.from_iterable(kinds))}

    assert len(alarms) < 0.05 * len(kinds)


def test_a_step_of_half_as_much_again_is_found_to_the_job():
    places = np.random.default_rng(0).integers(15, 45, 100)
    kinds = [
        jobs(np.where(np.arange(60) < at, 1, 1.5) * noise(seed, 60), object=f"Noise{seed}__c")
        for seed, at in enumerate(places)
    ]

    found = steps(chain.from_iterable(kinds))

    assert 90 <= len(found) <= 105
    off = [
        (step.at - FIRST) / pd.Timedelta(hours=6) - places[int(step.object[5:-3])] for step in found
    ]
    assert np.mean(np.abs(off) <= 1) > 0.75


def test_a_step_has_its_medians_its_jobs_and_a_sentence():
    apex = np.full(40, 2_300.0)
    apex[30:] = 9_100

    [step] = steps(history(apex))

    assert (step.object, step.operation, step.part) == ("Contact", "upsert", "apex")
    assert step.at == FIRST + pd.Timedelta(hours=180)
    assert (step.before, step.after, step.jobs_before, step.jobs_after) == (2_300, 9_100, 30, 10)
    assert step.ratio == pytest.approx(9.1 / 2.3)
    assert step.sentence == (
        "Apex of upsert Contact went from 2.3 to 9.1 ms a row on 2026-05-08 18:00 UTC "
        "(4.0 times; medians of 30 jobs before and 10 after)."
    )


def test_a_step_between_jobs_of_other_sizes_says_so():
    large = jobs(np.full(20, 2_000.0), rows=2_000)
    small = jobs(np.full(20, 3_000.0), rows=100)
    later = [
        job | {"id": f"751{n}", "createdDate": f"2026-06-{1 + n:02}T06:00:00Z"}
        for n, job in enumerate(small)
    ]

    [step] = steps([*large, *later])

    assert (step.rows_before, step.rows_after) == (2_000, 100)
    assert step.sentence.endswith(" Jobs went from 2,000 to 100 rows, too.")


def test_apex_where_there_was_none_is_a_step_without_a_ratio_in_words():
    apex = np.zeros(40)
    apex[20:] = 1_500

    [step] = steps(history(apex))

    assert (step.before, step.after, step.ratio) == (0, 1_500, float("inf"))
    assert "from 0 to 1.5 ms a row on 2026-05-06 06:00 UTC (medians" in step.sentence


@pytest.mark.parametrize("lengths", [(40, 30, 20), (40, 25, 40)])
def test_what_comes_and_goes_again_is_two_steps(lengths):
    apex = noise(1, sum(lengths)) + np.repeat([0.0, 6_000.0, 0.0], lengths)

    found = [step for step in steps(history(apex)) if step.part == "apex"]

    assert [step.after > step.before for step in found] == [True, False]
    assert [step.jobs_after for step in found] == list(lengths[1:])


def test_a_change_too_small_to_tell_is_not_told():
    apex = np.repeat([2_000.0, 2_300.0], 20)

    assert steps(history(apex)) == []
    assert len(steps(history(apex), least=1.1)) == 1


def test_few_jobs_are_no_level():
    assert steps(history(np.repeat([2_000.0, 8_000.0], 4))) == []


def test_more_failures_are_a_step_too():
    more = history(noise(2, 40))
    more.loc[25:, "number_records_failed"] = 40

    [step] = steps(more)

    assert (step.part, step.before, step.after) == ("failed", 0, 20)
    assert step.sentence.startswith("Failures of upsert Contact went from 0 to 20 of 1,000 rows")


def test_a_trend_is_of_one_kind_of_job():
    apex = np.repeat([2_000.0, 8_000.0], 20)
    other = history(noise(3, 30)).assign(object="Lead")

    found = bulknb.trend(pd.concat([history(apex), other]), object="contact", operation="upsert")

    assert len(found.frame) == 40
    assert [step.part for step in found.steps] == ["apex"]
    assert str(found) == found.steps[0].sentence
    assert found.steps[0].sentence in found._repr_html_()
    calm = bulknb.trend(other, object="Lead", operation="upsert")
    assert "No step" in str(calm)


def test_a_trend_of_jobs_that_are_not_there_says_which_are():
    with pytest.raises(InputError, match="known: upsert Contact"):
        bulknb.trend(history(noise(1, 3)), object="Account", operation="upsert")
