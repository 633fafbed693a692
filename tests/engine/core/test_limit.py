"""What a limit leaves: the arithmetic of places and rates."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from leadjobs import Limit
from leadjobs.core.limit import NamedLimit, Room, Rooms


@given(rate=st.integers(1, 200), asks=st.lists(st.tuples(st.floats(0, 0.4), st.integers(1, 300)), max_size=80))
def test_no_span_ever_sees_more_starts_than_the_rate(rate: int, asks: list[tuple[float, int]]) -> None:
    """Whoever asks for how many, and when: in every second as many as the rate, at most."""
    limit, now, full_at = Limit(rate=rate, per=timedelta(seconds=1)), 0.0, float("-inf")
    starts: list[float] = []
    for pause, wanted in asks:
        now += pause
        begun = min(wanted, Room.under(limit, running=0, free_in=full_at - now).left)
        full_at = max(full_at, now) + max(0, begun) * limit.interval
        starts += [now] * begun
    assert all(sum(start <= other < start + 1 - 1e-9 for other in starts) <= rate for start in starts)


@given(rate=st.integers(1, 1000))
def test_what_has_to_wait_knows_for_how_long(rate: int) -> None:
    """Where no start is left now, one is after the wait, and none a little sooner."""
    limit = Limit(rate=rate)
    spent = Room.under(limit, running=0, free_in=limit.burst * limit.interval)
    assert (0, True) == (spent.left, spent.opens_in is not None)
    after = limit.burst * limit.interval - (spent.opens_in or 0)
    assert 1 == Room.under(limit, running=0, free_in=after).left
    assert 0 == Room.under(limit, running=0, free_in=after + limit.interval / 100).left


def test_places_are_what_does_not_run_yet() -> None:
    """Of three, one runs: two are left; and where four run (a limit was lowered) none is, and none is owed."""
    assert 2 == Room.under(Limit(running=3), running=1, free_in=0).left
    assert 0 >= Room.under(Limit(running=3), running=4, free_in=0).left


def test_a_place_is_taken_under_all_limits_or_none() -> None:
    """One that is full refuses, takes nothing from the others, and says which it was."""
    wide, full = Limit(running=9), Limit(running=1)
    limits = [NamedLimit("wide", wide, ("A",), None), NamedLimit("full", full, ("A",), None)]
    rooms = Rooms({"wide": Room(wide, 9, None), "full": Room(full, 1, None)})
    assert [True, False, False] == [rooms.take(limits) for _ in range(3)]
    assert (8, {"full": None}) == (rooms.rooms["wide"].left, rooms.closed)
    assert not rooms.take([NamedLimit("not locked", wide, ("A",), None)])
    assert rooms.take([])
