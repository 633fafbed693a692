"""People at their desks: they look at jobs and effects, take their time, and act on what they saw.

What they saw is in the table ``seen`` before they act on it; what came of it is kept by triggers: see checks.py.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg
from tests.chaos.database import Database
from tests.chaos.jobs import GRACE, TIMEOUT
from tests.chaos.load import KINDS
from tests.chaos.outside import Provider

from leadjobs.core.job import State
from leadjobs.errors import StoreError
from leadjobs.store.dead_letters import Action, BulkDesk, JobFilter
from leadjobs.store.effect_desk import EffectDesk, EffectLine

NAME = "clerk"
SEEN = "CREATE TABLE seen (what text, job_id bigint, lease_no integer, generation integer);"
MOST = 12  # jobs of a list
LONGEST_LOOK = 2.5  # seconds between a look and what is done: as long as a lease
TYPES = [name for name, kind in KINDS.items() if not kind.is_keyed]  # the newest payload of a key must be run
# What is on a list (of one of these types; None: of all), and what is done to it, in any order: the second act finds
# what the first has left.
LISTS: tuple[tuple[tuple[State, ...], Sequence[str | None], tuple[Action, ...]], ...] = (
    ((State.PENDING, State.RUNNING), TYPES, (Action.CANCEL,)),
    ((State.PENDING,), TYPES, (Action.RETRY, Action.CANCEL)),
    ((State.SUCCEEDED, State.CANCELLED), TYPES, (Action.RETRY, Action.DELETE)),
    ((State.FAILED,), [None], (Action.RETRY, Action.DELETE)),
    ((State.FAILED,), ["EFFECT"], (Action.RETRY,)),  # nobody knows the end of its effect: nothing is done
)
# Whoever might still make an effect after so long is dead: a run's whole time, and a freeze in the middle of it.
SETTLED_FOR = timedelta(seconds=TIMEOUT + 3 * (TIMEOUT + GRACE))
LIES = 0.3  # of the effects that were not made are called sent: somebody telephoned instead


@dataclass
class Person:
    """Retries, cancels and deletes by lists that are stale by then, and answers for effects; ``did`` counts."""

    database: Database
    provider: Provider
    dice: random.Random
    did: Counter[str] = field(default_factory=Counter)

    async def act_on_lists(self) -> None:
        """Go on until cancelled."""
        while True:
            await asyncio.sleep(self.dice.uniform(0, 1))
            with suppress(psycopg.Error):  # the connection was cut, or the server is away
                await self._act_on_a_list(*self.dice.choice(LISTS))

    async def _act_on_a_list(
        self, states: tuple[State, ...], types: Sequence[str | None], actions: tuple[Action, ...]
    ) -> None:
        async with await self.database.connect("chaos person") as connection:
            desk = BulkDesk(connection)
            wanted = JobFilter(states=states, type_name=self.dice.choice(types))
            look = await desk.look(wanted, most=self.dice.randint(1, MOST))
            for action in self.dice.sample(actions, k=len(actions)):
                rows = [(action, job.id, job.lease_no, job.generation) for job in look.jobs]
                await connection.cursor().executemany("INSERT INTO seen VALUES (%s, %s, %s, %s)", rows)
                await asyncio.sleep(self.dice.uniform(0, LONGEST_LOOK))
                async for acted in desk.act(action, look, by=NAME):
                    self.did[f"{action}: done"] += acted.done
                    self.did[f"{action}: stale"] += acted.skipped

    async def answer_for_effects(self) -> None:
        """Go on until cancelled."""
        while True:
            await asyncio.sleep(self.dice.uniform(0.2, 1))
            with suppress(psycopg.Error):
                await self.answer_for_unknown_effects(after=SETTLED_FOR)

    async def answer_for_unknown_effects(self, *, after: timedelta) -> None:
        """Say of each effect that nobody knows the end of for so long whether it was made."""
        async with await self.database.connect("chaos person") as connection:
            desk, now = EffectDesk(connection), await self.database.value("SELECT now()")
            for effect in await desk.list_effects(only_unknown=True, most=1000):
                if now - effect.intended_at >= after:
                    with suppress(StoreError):  # its job runs: the run may find out by itself
                        await self._answer_for(desk, effect)

    async def _answer_for(self, desk: EffectDesk, effect: EffectLine) -> None:
        sent = self.provider.accepted[effect.tag]
        if sent or self.dice.random() < LIES:
            receipt = {"sent": sent}  # and not once more
            await desk.mark_sent(effect.job_id, effect.name, by=NAME, generation=effect.generation, receipt=receipt)
            self.did["mark-sent"] += 1
        else:
            await desk.send_again(effect.job_id, effect.name, by=NAME, generation=effect.generation)
            self.did["send-again"] += 1
