"""What a run spends: amounts reserved before a call, and what the call really took."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from leadjobs.errors import StoreError

MAX_AMOUNT = 10**15
MAX_UNIT = 100  # characters


class Spend:
    """Amounts that are reserved, in an ``async with job.spend(…) as spend`` block.

    >>> spend = Spend({"tokens": 6000})
    >>> spend.settle(tokens=4812)
    >>> spend.reserved, spend.actual
    ({'tokens': 6000}, {'tokens': 4812})
    """

    def __init__(self, reserved: Mapping[str, int]) -> None:
        self.reserved, self.actual = dict(reserved), dict[str, int]()

    def settle(self, **actual: int) -> None:
        """Say what the call really took; it is written when the block ends, however it ends.

        0 says that it certainly cost nothing.  More than was reserved is taken as it is: it was billed.  A unit that is
        not named stays at its reserved amount, as *unknown*.  The last call for a unit counts.

        Raises:
            StoreError: a unit was not reserved, or an amount is no whole number from 0 up.
        """
        checked(actual)
        if strange := sorted(actual.keys() - self.reserved.keys()):
            raise StoreError(f"{', '.join(strange)} was not reserved: name it in job.spend(…)")
        self.actual |= actual


class BudgetsOfRun(Protocol):
    """What keeps the budgets of one run; the engine's is `leadjobs.budgets.Budgets`."""

    def spend(self, amounts: Mapping[str, int], what: str) -> AbstractAsyncContextManager[Spend]:
        """Amounts that are reserved within the block."""


def checked(amounts: Mapping[str, int]) -> Mapping[str, int]:
    """The amounts, if they are whole numbers from 0 up.

    Raises:
        StoreError: one is not, or a unit has no usable name.
    """
    for unit, amount in amounts.items():
        if not 0 < len(unit) <= MAX_UNIT or "\0" in unit:
            raise StoreError(f"a unit's name has 1 to {MAX_UNIT} characters without NUL")
        if type(amount) is not int or not 0 <= amount <= MAX_AMOUNT:
            raise StoreError(f"an amount of {unit} is a whole number from 0 to {MAX_AMOUNT}, not {amount!r}")
    return amounts
