"""One physical call of a model as the ledger knows it: what is about to be asked, and how it ended."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from leadjobs.core.spend import Spend
from leadjobs.leads.ai.models import Usage, find_model, most_usd_micros

UNITS = ("tokens", "usd_micros")
"""What budgets count of calls: tokens in and out, and millionths of a dollar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AICall:
    """One physical call that is about to be made.

    ``most_input_tokens`` and ``max_output_tokens`` say what the call can cost at most.
    ``attempt_in_job`` counts the physical calls of one `AI.ask` from 1.
    """

    model: str
    feature: str
    prompt_version: str
    api: str = "responses"
    most_input_tokens: int
    max_output_tokens: int
    attempt_in_job: int

    @property
    def most(self) -> Mapping[str, int]:
        """The most that it can take of a budget, by unit: no answer takes more, so no cap is ever passed."""
        sizes = {"input_tokens": self.most_input_tokens, "output_tokens": self.max_output_tokens}
        return {"tokens": sum(sizes.values()), "usd_micros": most_usd_micros(find_model(self.model), **sizes)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AIAnswer:
    """How one physical call ended.

    ``usage`` is there whenever the provider sent a bill, for a failed call too; one that timed out or was cancelled may
    have been billed without.  ``model`` and ``service_tier`` are as answered.  ``error`` is a class and a short cause.
    """

    status: Literal["succeeded", "failed"]
    usage: Usage | None
    cost_usd_micros: int | None
    latency_ms: int
    response_id: str | None
    request_id: str | None
    model: str | None
    service_tier: str | None
    error: str | None

    @property
    def took(self) -> Mapping[str, int]:
        """What it took of a budget, by unit, as far as that is known.

        A failure that the provider itself answered, without a bill, took nothing.  What may have been billed without a
        count is not here, nor is money where prices are not known.
        """
        if self.usage is None:
            is_free = self.status == "failed" and self.request_id is not None
            return dict.fromkeys(UNITS, 0) if is_free else {}
        tokens = {"tokens": self.usage.input_tokens + self.usage.output_tokens}
        return tokens if self.cost_usd_micros is None else tokens | {"usd_micros": self.cost_usd_micros}


class Ledger(Protocol):
    """Where every physical call is written down: before it is made, and when it has ended."""

    def spend(self, call: AICall) -> AbstractAsyncContextManager[Spend]:
        """Reserve what this call can cost; it is made, and its cost settled, within the block.

        Raises:
            OverBudgetError: the day's budget has no room for it; the call is not made.
        """

    async def asked(self, call: AICall) -> int:
        """Keep that this call is about to be made, and return its id; to raise stops the call."""

    async def answered(self, interaction_id: int, answer: AIAnswer) -> None:
        """Keep how the call ended."""

    async def retired(self, model: str, successor: str) -> None:
        """Tell that the provider no longer has ``model`` and that we go on with ``successor``.

        Every process tells, and a process may tell more than once where several calls were under way.
        """
