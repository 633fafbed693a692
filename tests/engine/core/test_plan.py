"""Whose turn it is: the rota deals slots fairly (G9), and only to what may run."""

from collections import Counter
from collections.abc import Iterable

from hypothesis import example, given
from hypothesis import strategies as st

from leadjobs import Lane
from leadjobs.core.plan import TURNS, Rota, Share, Stream

TENANTS = st.sampled_from([f"t{n}" for n in range(6)])
TYPES = st.sampled_from(["A", "B", "C", "D"])
STREAMS = st.sets(st.builds(Stream, st.sampled_from(Lane), TYPES, TENANTS), max_size=40)
DEALS = st.lists(st.integers(0, 12), max_size=12)


def live(tenant: str, type_: str = "A") -> Stream:
    """A stream in the live lane."""
    return Stream(Lane.LIVE, type_, tenant)


def rota(streams: Iterable[Stream]) -> Rota:
    """A rota that has just discovered these streams."""
    made = Rota(newcomers=sorted)
    made.refill(streams)
    return made


def anything(_: Stream) -> bool:
    return True


def by_tenant(shares: Iterable[Share]) -> Counter[str]:
    """How many slots each tenant got."""
    return Counter(
        {
            tenant: sum(s.slots for s in shares if s.stream.tenant == tenant)
            for tenant in {s.stream.tenant for s in shares}
        }
    )


@given(streams=STREAMS, slots=st.integers(-1, 100), fitting=st.sets(TYPES))
def test_a_deal_gives_all_slots_to_what_fits_and_never_more(
    streams: set[Stream], slots: int, fitting: set[str]
) -> None:
    """Exactly the free slots, to known streams of fitting types outside the lane of those that run alone."""
    shares = rota(streams).deal(slots, may=lambda stream: stream.type in fitting)
    able = {stream for stream in streams if stream.type in fitting and stream.lane is not Lane.ALONE}
    assert (max(slots, 0) if able else 0) == sum(share.slots for share in shares)
    assert {share.stream for share in shares} <= able
    assert len(shares) == len({share.stream for share in shares})
    assert all(share.slots > 0 for share in shares)


@given(tenants=st.sets(TENANTS, min_size=1), types=st.dictionaries(TENANTS, st.sets(TYPES, min_size=1)), deals=DEALS)
def test_backlogged_tenants_get_the_same_however_many_types_they_have(
    tenants: set[str], types: dict[str, set[str]], deals: list[int]
) -> None:
    """Over any number of deals of any size the tenants' shares of a lane differ by one at most."""
    turns = rota(live(tenant, type_) for tenant in tenants for type_ in types.get(tenant, {"A"}))
    got = Counter(dict.fromkeys(tenants, 0))
    for slots in deals:
        got.update(by_tenant(turns.deal(slots, may=anything)))
    assert max(got.values()) - min(got.values()) <= 1


@given(types=st.sets(TYPES, min_size=1), deals=DEALS)
def test_a_tenant_s_types_take_turns(types: set[str], deals: list[int]) -> None:
    """No type of a tenant waits behind another."""
    turns = rota(live("t", type_) for type_ in types)
    got = Counter(dict.fromkeys(types, 0))
    for slots in deals:
        got.update({share.stream.type: share.slots for share in turns.deal(slots, may=anything)})
    assert max(got.values()) - min(got.values()) <= 1


@given(deals=st.lists(st.integers(0, 12), min_size=1, max_size=40))
def test_live_work_gets_most_and_backfill_is_never_starved(deals: list[int]) -> None:
    """While both wait, every five slots in a row hold one of backfill, however the deals cut them up."""
    turns = rota([live("t"), Stream(Lane.BACKFILL, "A", "t")])
    total = backfill = 0
    for slots in deals:
        shares = {share.stream.lane: share.slots for share in turns.deal(slots, may=anything)}
        total, backfill = total + slots, backfill + shares.get(Lane.BACKFILL, 0)
        assert total // 5 <= backfill <= (total + 4) // 5


def test_a_lane_that_has_nothing_leaves_its_turns_to_the_other() -> None:
    """No slot stays empty for work that does not wait, or does not fit."""
    backfill = Stream(Lane.BACKFILL, "B", "t")
    assert [Share(backfill, 10)] == rota([backfill]).deal(10, may=anything)
    assert [Share(backfill, 10)] == rota([backfill, live("t")]).deal(10, may=lambda stream: stream.type == "B")


def test_the_turn_carries_over_from_deal_to_deal() -> None:
    """With one slot at a time each tenant is served in turn."""
    turns = rota(live(tenant) for tenant in "abc")
    served = [turns.deal(1, may=anything)[0].stream.tenant for _ in range(7)]
    assert list("abcabca") == served


def test_a_newcomer_waits_one_round_at_most() -> None:
    """A tenant that arrives late is served before anybody is served twice more."""
    turns = rota(live(tenant) for tenant in "bcd")
    turns.deal(2, may=anything)
    turns.refill([live(tenant) for tenant in "abcd"])
    served = [turns.deal(1, may=anything)[0].stream.tenant for _ in range(4)]
    assert list("dbca") == served


def test_a_refill_keeps_places_and_forgets_who_is_gone() -> None:
    """Whoever waited goes on waiting in the same place, and what was not discovered again gets nothing."""
    turns = rota(live(tenant) for tenant in "abcd")
    turns.deal(1, may=anything)
    turns.refill([live(tenant) for tenant in "acd"])
    assert list("cda") == [turns.deal(1, may=anything)[0].stream.tenant for _ in range(3)]


@given(streams=STREAMS, gone=STREAMS)
def test_a_dry_stream_gets_nothing_until_it_is_discovered_again(streams: set[Stream], gone: set[Stream]) -> None:
    """What ran dry, known or not, is out of the rota; the rest stays."""
    turns = rota(streams)
    for stream in gone:
        turns.dry(stream)
    left = streams - gone
    assert left == set(turns)
    assert ({stream.lane for stream in left}, bool(left)) == (turns.lanes, bool(turns))
    turns.refill(streams)
    assert streams == set(turns)


def test_one_slot_for_one_job_that_runs_alone() -> None:
    """The lane of those that run alone is dealt only where asked for, one slot in all, and in turn."""
    turns = rota([Stream(Lane.ALONE, "A", tenant) for tenant in "ab"])
    assert [] == turns.deal(10, may=anything)
    assert [] == turns.deal_alone(may=lambda _: False)
    dealt = [turns.deal_alone(may=anything) for _ in range(3)]
    assert [[Share(Stream(Lane.ALONE, "A", tenant), 1)] for tenant in "aba"] == dealt


def test_an_empty_rota_deals_nothing() -> None:
    """Nothing waits, nothing is dealt."""
    assert ([], []) == (Rota().deal(5, may=anything), Rota().deal_alone(may=anything))


@given(
    tenants=st.integers(1, 30),
    lanes=st.sets(st.sampled_from([Lane.LIVE, Lane.RETRY, Lane.BACKFILL]), min_size=1),
    deals=DEALS,
)
def test_the_wait_of_a_tenant_is_bounded(tenants: int, lanes: set[Lane], deals: list[int]) -> None:
    """Whatever else waits, and however the deals cut it up: six slots for each tenant with due work, and one round of
    lanes, and everybody in every lane has had one."""
    turns = rota(Stream(lane, "A", f"t{n}") for lane in lanes for n in range(tenants))
    served: list[Stream] = []
    for slots in [*deals, 6 * tenants + len(TURNS)]:
        served = [share.stream for share in turns.deal(slots, may=anything)]
    assert {Stream(lane, "A", f"t{n}") for lane in lanes for n in range(tenants)} == set(served)


@given(refusals=st.lists(st.sets(st.sampled_from("abcde")), max_size=20))
def test_a_stream_that_is_refused_loses_no_turn(refusals: list[set[str]]) -> None:
    """Of those who may at last, whoever was refused longest comes first: nobody who was served before."""
    turns = rota(live(tenant) for tenant in "abcde")
    waiting = list("abcde")
    for refused in refusals:
        got = [share.stream.tenant for share in turns.deal(1, may=lambda s, no=refused: s.tenant not in no)]  # type: ignore[misc]
        expected = next((tenant for tenant in waiting if tenant not in refused), None)
        assert got == ([] if expected is None else [expected])
        if expected is not None:
            waiting.remove(expected)
            waiting.append(expected)


def test_a_refused_stream_is_asked_about_once_a_deal() -> None:
    """Thousands that may not run cost a deal one look each, however many slots it has."""
    asked: list[str] = []

    def may(stream: Stream) -> bool:
        asked.append(stream.tenant)
        return stream.tenant == "z"

    assert [Share(live("z"), 50)] == rota(live(tenant) for tenant in [*map(str, range(100)), "z"]).deal(50, may=may)
    assert 100 == sum(tenant != "z" for tenant in asked)


@given(
    streams=st.sets(st.builds(live, TENANTS, TYPES), max_size=24),
    before=DEALS,
    slots=st.integers(0, 12),
    fitting=st.sets(TYPES, min_size=1),
)
@example(  # the third of them is the first tenant's again
    streams={live(tenant, type_) for tenant in ("t0", "t1") for type_ in "AB"}, before=[], slots=3, fitting={"A", "B"}
)
def test_a_deal_comes_to_nothing_that_was_not_in_turn(
    streams: set[Stream], before: list[int], slots: int, fitting: set[str]
) -> None:
    """Who locks the limits of the next streams in each lane, as many as there are slots, has locked all it needs."""
    some = rota(streams)
    for deal in before:
        some.deal(deal, may=anything)
    next_up = {stream for lane in some.in_turn(may=lambda each: each.type in fitting) for stream in list(lane)[:slots]}

    assert {share.stream for share in some.deal(slots, may=lambda each: each.type in fitting)} <= next_up
