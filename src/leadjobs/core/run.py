"""What a job asks of the run it is in."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from leadjobs.core.effect import EffectsOfRun
from leadjobs.core.outcome import Outcome
from leadjobs.core.progress import Progress
from leadjobs.core.spend import BudgetsOfRun


class StepsOfRun(Protocol):
    """What keeps the steps of one run; the engine's is `leadjobs.steps.Steps`."""

    async def run(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """The step's kept result, or the work's, kept."""

    async def keep(self, connection: Any, name: str, result: Any) -> None:
        """Keep a step with its rows."""

    async def finished(self) -> Mapping[str, Any]:
        """The results of finished steps."""


class RunOfJob(Protocol):
    """What a job asks of the run it is in; the engine's is `leadjobs.flight.Flight`."""

    @property
    def steps(self) -> StepsOfRun:
        """The steps of the run."""

    @property
    def effects(self) -> EffectsOfRun:
        """The effects of the run."""

    @property
    def budgets(self) -> BudgetsOfRun:
        """The budgets that the run spends of."""

    def time_left(self) -> float:
        """How many seconds the run still has."""

    def progress(self, progress: Progress) -> None:
        """Take note of how far the run is."""

    async def commit(self, connection: Any, outcome: Outcome) -> None:
        """Commit the caller's rows and the end of the job."""
