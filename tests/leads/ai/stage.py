"""What the tests of asking share: a question, a ledger in memory, and a server that each test plugs its app into."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import Receive, Scope, Send

from leadjobs.core.spend import Spend
from leadjobs.leads.ai.calls import AIAnswer, AICall
from leadjobs.leads.scoring.prompt import ScoringInput, scoring_question
from leadjobs.testing.openai import OpenAIStandIn, Refuse

KEY = "sk-proj-very-secret-9876"

LEAD = ScoringInput(
    ideal_customer_profile="Dentists in Ohio",
    service_description=None,
    qualification_questions=(),
    company=None,
    job_title=None,
    transcript="[2026-11-22T09:00:00Z] SMS IN Lead: My number is 555-0100, call me.",
)

QUESTION = scoring_question(LEAD)

SCORE: dict[str, Any] = {"fitScore": 3, "intentScore": 4, "overallScore": 4, "reasoning": "Asks to be called."}

RATE_LIMIT = Refuse(
    status=429, code="rate_limit_exceeded", type="requests", headers={"retry-after": "2", "retry-after-ms": "1850"}
)


class Book:
    """A ledger in memory; ``events`` tells the order, ``spends`` what was reserved and what it came to."""

    def __init__(self) -> None:
        self.calls: list[AICall] = []
        self.answers: dict[int, AIAnswer] = {}
        self.moves: list[tuple[str, str]] = []
        self.events: list[str] = []
        self.spends: list[Spend] = []

    @asynccontextmanager
    async def spend(self, call: AICall) -> AsyncIterator[Spend]:
        self.spends.append(Spend(call.most))
        yield self.spends[-1]

    async def asked(self, call: AICall) -> int:
        self.calls.append(call)
        self.events.append(f"asked {len(self.calls)}")
        return len(self.calls)

    async def answered(self, interaction_id: int, answer: AIAnswer) -> None:
        assert interaction_id not in self.answers
        self.answers[interaction_id] = answer
        self.events.append(f"answered {interaction_id}")

    async def retired(self, model: str, successor: str) -> None:
        self.moves.append((model, successor))
        self.events.append("retired")

    @property
    def only_answer(self) -> AIAnswer:
        (answer,) = self.answers.values()
        return answer


class Switchboard:
    """One server for all tests of a file; each test plugs its own app in."""

    def __init__(self) -> None:
        self.app: Callable[[Scope, Receive, Send], Any] = OpenAIStandIn(answer=lambda _: SCORE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
