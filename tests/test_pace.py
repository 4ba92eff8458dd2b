"""How fast a count grows, and how long the rest will take."""

import numpy as np
import pytest

from bulknb._pace import Meter, Pace, pace


def steady(seconds, rate, *, every=5):
    return [(float(at), int(rate * at)) for at in range(0, seconds + 1, every)]


@pytest.mark.parametrize("samples", [[], [(0.0, 0)], [(0.0, 0), (0.5, 900)]])
def test_too_few_looks_tell_no_pace(samples):
    assert pace(samples, 1_000) is None


def test_the_rate_is_that_of_the_last_minute():
    fast_then_slow = [(0.0, 0), (100.0, 10_000), (160.0, 10_600)]
    assert pace(fast_then_slow).rate == pytest.approx(10)


def test_a_rate_falls_to_nothing_when_nothing_comes():
    assert pace([*steady(100, 50), (160.0, 5_000)]).rate == 0


def test_a_steady_pace_leaves_a_narrow_spread_around_the_truth():
    found = pace(steady(120, 100), 24_000 + 12_000)
    assert found.left_low < 240 < found.left_high
    assert found.left_high - found.left_low < 60
    assert found.left == "3 to 5 min"


@pytest.mark.parametrize(
    ("samples", "total"),
    [
        (steady(120, 100), None),
        (steady(120, 100), 12_000),
        (steady(5, 100, every=1), 12_000),
        ([(0.0, 0), (60.0, 10_000), (120.0, 10_000)], 12_000),
    ],
    ids=["no total", "all done", "too short", "one leap"],
)
def test_what_tells_no_time_left_is_not_guessed_at(samples, total):
    found = pace(samples, total)
    assert found.left == ""
    assert found.left_low is found.left_high is None


def test_an_uneven_pace_leaves_a_wider_spread():
    even = pace(steady(120, 100), 100_000)
    leaps = [(0.0, 0), (20.0, 4_000), (60.0, 4_500), (80.0, 9_000), (120.0, 12_000)]
    uneven = pace(leaps, 100_000)
    assert uneven.left_high - uneven.left_low > 2 * (even.left_high - even.left_low)


def test_four_of_five_rests_end_within_the_spread():
    random = np.random.default_rng(7)
    inside = 0
    for _ in range(400):
        rows = np.cumsum(random.gamma(0.5, 200, size=3_000)).astype(int)
        seen = [(float(at), int(rows[at])) for at in range(0, 301, 5)]
        total = int(rows[300] + 40_000)
        truth = int(np.searchsorted(rows, total)) - 300
        found = pace(seen, total)
        inside += found.left_low <= truth <= found.left_high
    assert 0.75 <= inside / 400 <= 0.97


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (1, 4, "less than 5 s"),
        (21, 33, "20 to 35 s"),
        (70, 130, "1 to 3 min"),
        (241, 359, "4 to 6 min"),
        (3_700, 5_000, "61 to 84 min"),
        (5_000, 9_000, "1 to 2.5 h"),
        (200_000, 400_000, "2 to 5 d"),
    ],
)
def test_the_time_left_is_said_in_whole_steps_that_hold_the_spread(low, high, words):
    assert Pace(1.0, low, high).left == words


def test_waiting_in_the_queue_does_not_slow_the_pace():
    meter = Meter()
    for at in range(0, 600, 5):
        meter.add(float(at), 0)
    for at in range(600, 661, 5):
        meter.add(float(at), 100 * (at - 595))
    assert meter.pace().rate == pytest.approx(100, rel=0.01)
