"""One physical call of a model as the ledger knows it: what is about to be asked, and how it ended."""

from dataclasses import dataclass
from typing import Literal, Protocol

from leadjobs.leads.ai.models import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class AICall:
    """One physical call that is about to be made.

    ``estimated_input_tokens`` (characters by four) and ``max_output_tokens`` say what the call may cost.
    ``attempt_in_job`` counts the physical calls of one `AI.ask` from 1.
    """

    model: str
    feature: str
    prompt_version: str
    api: str = "responses"
    estimated_input_tokens: int
    max_output_tokens: int
    attempt_in_job: int


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


class Ledger(Protocol):
    """Where every physical call is written down: before it is made, and when it has ended."""

    async def asked(self, call: AICall) -> int:
        """Keep that this call is about to be made, and return its id; to raise (the budget is spent) stops the call."""

    async def answered(self, interaction_id: int, answer: AIAnswer) -> None:
        """Keep how the call ended."""

    async def retired(self, model: str, successor: str) -> None:
        """Tell that the provider no longer has ``model`` and that we go on with ``successor``.

        Every process tells, and a process may tell more than once where several calls were under way.
        """
