"""What tests of effects share: a provider, a handler that sends by it, and what stands of all effects."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from leadjobs import Done, Job, NewJob, Outcome, RetryPolicy, handler

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]
AT_ONCE = RetryPolicy(base=timedelta(), max_attempts=5)
SENDING = NewJob(type="SENDING")


class Provider:
    """Takes messages and remembers their tags; ``loses`` is what goes wrong after it has taken one, first to last."""

    def __init__(self, *loses: BaseException | type[BaseException]) -> None:
        self.sent: list[str] = []
        self._loses = list(loses)

    async def send(self, tag: str) -> dict[str, Any]:
        self.sent.append(tag)
        if self._loses:
            raise self._loses.pop(0)
        return {"number": len(self.sent)}


def sending(provider: Provider, look_up: Any = None, **options: Any) -> Any:
    """A handler that sends one SMS and ends with its receipt."""

    @handler("SENDING", payload=dict, retry=AT_ONCE)
    async def run(job: AnyJob) -> Outcome:
        return Done(str(await job.effect("sms", provider.send, look_up, **options)))

    return run


async def effects(stage: "Stage") -> list[tuple[Any, ...]]:
    """What stands of all effects."""
    rows = await stage.rows(
        "SELECT generation, state, receipt, told_by FROM job_effect ORDER BY job_id, generation, name"
    )
    return [tuple(row.values()) for row in rows]


class Slow(Provider):
    """A provider whose answer takes until ``go``."""

    def __init__(self) -> None:
        super().__init__()
        self.called, self.go = asyncio.Event(), asyncio.Event()

    async def send(self, tag: str) -> dict[str, Any]:
        self.called.set()
        while not self.go.is_set():  # nothing moves a frozen process, not even its cancellation
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                continue
        return await super().send(tag) | {"by": "the former owner"}
