"""What runs are expected to take, from how long others took and how long others were let run."""

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from leadjobs.core.durations import EDGES, ENOUGH, FACTOR, MARGIN, MAX_TYPES, Durations, expected

TIMEOUT = 600.0
SECONDS = st.floats(0.001, TIMEOUT, allow_nan=False)
ENDED = st.lists(SECONDS, min_size=ENOUGH, max_size=200)
CUT = st.lists(SECONDS, max_size=60)


def durations(ended: list[float], cut: list[float] | None = None) -> Durations:
    """What was learned from runs that ended, and from runs that were cut."""
    learned = Durations()
    for seconds in ended:
        learned.ended("SEND", seconds)
    for seconds in cut or []:
        learned.cut("SEND", seconds)
    return learned


def kept(learned: Durations) -> object:
    """As the next invocation reads it."""
    return json.loads(json.dumps(learned.take()))


@given(ended=ENDED)
def test_the_estimate_is_within_a_bucket_of_the_true_p95(ended: list[float]) -> None:
    """Never less than the p95 of what was seen, with the margin; never more than a bucket's factor above it."""
    p95 = sorted(ended)[math.ceil(0.95 * len(ended)) - 1]
    estimate = expected(math.inf, durations(ended)["SEND"])
    assert p95 * MARGIN <= estimate <= max(p95 * FACTOR, EDGES[0]) * MARGIN * (1 + 1e-9)


@given(ended=ENDED, cut=CUT, one_more=SECONDS)
def test_a_cut_never_lowers_the_estimate(ended: list[float], cut: list[float], one_more: float) -> None:
    """Whatever was learned before, and wherever the run was cut."""
    before = expected(TIMEOUT, durations(ended, cut)["SEND"])
    assert before <= expected(TIMEOUT, durations(ended, [*cut, one_more])["SEND"]) <= TIMEOUT


@given(ended=ENDED, at=st.floats(0.001, 1.0))
def test_who_is_cut_again_and_again_goes_back_to_the_timeout(ended: list[float], at: float) -> None:
    """Where one run in ten does not end within any time that a run has ended in, the timeout counts again."""
    quick = [seconds / TIMEOUT for seconds in ended]  # all within a second
    assert expected(TIMEOUT, durations(quick)["SEND"]) < 2
    cut = [max(quick) + at] * (len(quick) // 9 + 1)
    assert TIMEOUT == expected(TIMEOUT, durations(quick, cut)["SEND"])


@given(ended=ENDED, timeout=st.floats(0.01, TIMEOUT))
def test_no_more_than_the_timeout_is_ever_expected(ended: list[float], timeout: float) -> None:
    """A run does not last longer."""
    assert expected(timeout, durations(ended)["SEND"]) <= timeout


@given(ended=st.lists(SECONDS, max_size=ENOUGH - 1), cut=CUT)
def test_few_runs_say_nothing(ended: list[float], cut: list[float]) -> None:
    """And runs that were cut are none of them."""
    assert TIMEOUT == expected(TIMEOUT, durations(ended, cut)["SEND"])


@given(parts=st.lists(st.tuples(st.lists(SECONDS), CUT), max_size=5), order=st.randoms())
def test_it_does_not_matter_in_which_order_invocations_are_merged(
    parts: list[tuple[list[float], list[float]]], order: object
) -> None:
    """All of it at once, part by part, and in any order: the same."""
    at_once = durations([s for ended, _ in parts for s in ended], [s for _, cut in parts for s in cut])
    told = [kept(durations(ended, cut)) for ended, cut in parts]
    shuffled = sorted(told, key=lambda _: order.random())  # type: ignore[attr-defined]
    assert Durations.merged(told)["SEND"] == Durations.merged(shuffled)["SEND"] == at_once["SEND"]


def test_what_another_release_has_kept_is_passed_by() -> None:
    """Shapes that this one does not know do not stop it."""
    strange: list[Any] = [None, 7, [], {"SEND": 7}, {"SEND": {"ended": [1], "cut": {"x": 1, "2": "y"}}}]
    assert durations([])["SEND"] == Durations.merged(strange)["SEND"]


def test_what_is_kept_is_small_however_many_types_there_are() -> None:
    """Those that were cut, and those that ran most, stay; what is told is forgotten, so that nothing is told twice."""
    learned = Durations()
    for n in range(1000):
        for seconds in EDGES:
            learned.ended(f"TYPE_{n:03}", seconds)
    learned.ended("BUSY", 1)
    for _ in range(100):
        learned.ended("BUSY", 1)
    learned.cut("CUT", 1)
    told = learned.take()
    assert MAX_TYPES == len(told)
    assert {"BUSY", "CUT"} <= set(told)
    assert len(json.dumps(told)) < 20_000
    assert {} == learned.take()
