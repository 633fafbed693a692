"""The model table: what it says of each model, and what a call costs."""

from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest

from leadjobs.leads.ai.models import DEFAULT_MODEL, MODELS, PRICE_VERSION, Model, Usage, cost_usd_micros, find_model


def usage(**counts: int) -> Usage:
    none = {"input_tokens": 0, "cached_tokens": 0, "cache_write_tokens": 0, "output_tokens": 0, "reasoning_tokens": 0}
    return Usage(**(none | counts))


def test_the_default_is_the_missions_model_and_knows_its_end() -> None:
    """The mission's model is the default; its entry carries effort, last day and successor."""
    model = find_model(DEFAULT_MODEL)

    assert model.name == "gpt-5-nano"
    assert model.effort == "low"
    assert model.ends_on == date(2026, 12, 11)
    assert model.successor == "gpt-6-luna"


def test_luna_is_told_not_to_reason() -> None:
    """The successor reasons by default, so its entry says none; `minimal` does not exist there."""
    assert find_model("gpt-6-luna").effort == "none"


def test_the_price_version_is_the_day_the_prices_were_read() -> None:
    """A stored cost names the day of its prices."""
    assert date.fromisoformat(PRICE_VERSION) == date(2026, 11, 22)


def test_an_unknown_model_can_be_asked_at_an_unknown_cost() -> None:
    """A name that is not in the table gives an entry that asserts nothing."""
    model = find_model("house-model")

    assert model == Model(name="house-model")
    assert cost_usd_micros(model, usage(input_tokens=1_000)) is None


def test_a_snapshot_has_its_models_entry_under_its_own_name() -> None:
    """A dated snapshot is asked for by its full name, at its model's price and effort."""
    model = find_model("gpt-5-nano-2025-08-07")

    assert model.name == "gpt-5-nano-2025-08-07"
    assert model.effort == "low"
    assert model.input_usd == Decimal("0.05")


def test_every_successor_is_in_the_table_and_no_chain_is_a_ring() -> None:
    """Moving on to successors ends at a model that has none."""
    names = {model.name for model in MODELS}
    for model in MODELS:
        passed = [model.name]
        while successor := find_model(passed[-1]).successor:
            assert successor in names
            assert successor not in passed
            passed.append(successor)


def test_every_entry_has_all_of_its_prices() -> None:
    """An entry with half of its prices would make every cost unknown without a word."""
    for model in MODELS:
        assert cost_usd_micros(model, usage(input_tokens=1, output_tokens=1)) is not None


@pytest.mark.parametrize(
    ("name", "used", "expected"),
    [
        # (1,180 - 1,024) x 0.05 + 1,024 x 0.005 + 46 x 0.40 = 7.8 + 5.12 + 18.4
        ("gpt-5-nano", usage(input_tokens=1_180, cached_tokens=1_024, output_tokens=46), 32),
        # (1,200 - 1,100) x 0.10 + 1,100 x 0.125 + 60 x 0.50 = 10 + 137.5 + 30
        ("gpt-6-luna", usage(input_tokens=1_200, cache_write_tokens=1_100, output_tokens=60), 178),
        # 500 x 0.10 + 300 x 0.01 + 200 x 0.125 + 80 x 0.50 = 50 + 3 + 25 + 40: exact, so nothing is rounded up
        (
            "gpt-6-luna",
            usage(input_tokens=1_000, cached_tokens=300, cache_write_tokens=200, output_tokens=80, reasoning_tokens=70),
            118,
        ),
        ("gpt-6-luna", usage(input_tokens=1), 1),
        ("gpt-6-luna", usage(), 0),
        # more cached than sent: the bill is odd, but never negative
        ("gpt-6-luna", usage(input_tokens=10, cached_tokens=100), 1),
    ],
)
def test_the_cost_is_exact_and_rounded_up(name: str, used: Usage, expected: int) -> None:
    """Cached and written tokens are parts of the input, reasoning is a part of the output, and fractions round up."""
    assert cost_usd_micros(find_model(name), used) == expected


def test_a_call_without_a_bill_has_no_cost() -> None:
    """No usage is not a usage of nothing."""
    assert cost_usd_micros(find_model("gpt-6-luna"), None) is None


def test_a_bill_without_details_is_still_a_bill() -> None:
    """A gateway that leaves the details out, or sends nonsense in them, does not lose us the totals."""
    bare = SimpleNamespace(input_tokens=7, output_tokens=3, output_tokens_details=SimpleNamespace(reasoning_tokens="2"))

    assert Usage.reported(bare) == usage(input_tokens=7, output_tokens=3)


@pytest.mark.parametrize("odd", [None, {}, SimpleNamespace(input_tokens=1), SimpleNamespace(output_tokens=1)])
def test_what_is_no_bill_is_none(odd: object) -> None:
    """Half a bill is not guessed at."""
    assert Usage.reported(odd) is None
