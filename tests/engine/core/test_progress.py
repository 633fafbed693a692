"""What may be said of how far a run is, and of what came of it."""

import json
from typing import Any

import pytest

from leadjobs import Done, GiveUp, JobId, RetryPolicy
from leadjobs.core.ending import Run, results_json
from leadjobs.core.job import Lease
from leadjobs.core.progress import MAX_NOTE, MAX_RESULT, Progress
from leadjobs.errors import StoreError

RUN = Run(Lease(JobId(7), 3), 0, RetryPolicy())


@pytest.mark.parametrize(
    ("progress", "shown", "kept"),
    [
        (Progress(40), "40", {"done": 40}),
        (Progress(40, 160, "page 4"), "40 of 160 (25 %): page 4", {"done": 40, "total": 160, "note": "page 4"}),
        (Progress(0.5, 1.0), "0.5 of 1 (50 %)", {"done": 0.5, "total": 1.0}),
        (Progress(0, 0), "0", {"done": 0, "total": 0}),
        (Progress(1, note="a\0b\ud800"), "1: a\0b\ud800", {"done": 1, "note": "ab?"}),
        (Progress(1, note="é" * 1000), "1: " + "é" * 1000, {"done": 1, "note": "é" * MAX_NOTE}),
    ],
)
def test_what_is_told_is_shown_and_kept(progress: Progress, shown: str, kept: Any) -> None:
    """Nothing to do is no error; a note that PostgreSQL cannot keep is kept without that; a long one is cut."""
    assert (shown, kept) == (str(progress), json.loads(progress.as_json()))


@pytest.mark.parametrize("told", [(-1,), (1, -1), (float("nan"),), (1, float("inf")), ("7",), (1, "7"), (1, 2, 3)])
def test_what_is_no_amount_is_refused_where_it_is_told(told: Any) -> None:
    """In the handler's own line, and not where it is kept."""
    with pytest.raises(StoreError, match=r"job\.progress\("):
        Progress(*told)


def test_an_ending_without_either_tells_nothing_more() -> None:
    """So it needs no other statement."""
    assert results_json([RUN.said(Done("well")), RUN.said(GiveUp("no"))]) is None
    assert "result" not in RUN.said(Done(result=1)).record()


@pytest.mark.parametrize("result", [0, False, "", [], {}, {"a": [1, None, "é"]}, "x" * (MAX_RESULT - 2)])
def test_a_result_is_any_json(result: Any) -> None:
    """Also what Python calls false."""
    told = results_json([RUN.said(Done(result=result))])
    assert [{"id": 7, "lease_no": 3, "progress": None, "result": result}] == json.loads(told or "")


@pytest.mark.parametrize(
    ("result", "fix"),
    [
        ("x" * (MAX_RESULT - 1), "has 16385 bytes of JSON, and 16384 are kept: write it into a table of yours"),
        ({"at": object()}, "is not JSON"),
        (float("nan"), "is not JSON"),
        ({"a": "\0"}, "holds NUL or half a surrogate pair, which PostgreSQL cannot keep: take it out"),
        (["\ud800"], "holds NUL or half a surrogate pair"),
    ],
)
def test_what_cannot_be_kept_is_an_error_that_says_what_to_do(result: Any, fix: str) -> None:
    """And it is the run's error, as any other."""
    with pytest.raises(StoreError, match=rf"the result in Done\(result=…\) {fix}"):
        RUN.said(Done(result=result))
