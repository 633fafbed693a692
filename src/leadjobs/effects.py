"""The effects of one run of one job: an intent before each call to the outside, its answer after it.

Both are committed at once.  A run that finds an intent without an answer does not know whether the call was made: it
asks the provider, or a person; it never makes the call again by itself.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from leadjobs.core.argument import awaited, must_be_callable
from leadjobs.core.effect import NAME, Errors, LookUp, NotSent, Send, Unknown, tag_of
from leadjobs.core.storable import storable_json
from leadjobs.errors import EffectUnknownError, LeaseLostError, NotSentError, StoreError
from leadjobs.store.connection import Transactions, fetch_async, finished
from leadjobs.store.jobs import Claimed
from leadjobs.store.statements import statement


@dataclass(frozen=True, slots=True)
class _Effect:
    """One effect, and how a handler makes it and looks it up."""

    name: str
    tag: str
    send: Send
    look_up: LookUp | None
    not_sent: Errors


class Effects:
    """A job's effects in one generation of it, as the owner of a lease makes them."""

    def __init__(self, transactions: Transactions, claimed: Claimed, time_left: Callable[[], float]) -> None:
        self._transactions, self._claimed, self._time_left = transactions, claimed, time_left
        self._turns = defaultdict[str, asyncio.Lock](asyncio.Lock)  # a handler may ask twice at once
        self._unanswered: dict[str, str] = {}

    @property
    def unknown(self) -> Collection[str]:
        """What a person must know of the effects that this run made or met, and that have no answer yet."""
        return self._unanswered.values()

    async def run(self, name: str, send: Send, look_up: LookUp | None, not_sent: Errors) -> Any:
        """The effect's receipt: the one that is kept, or that of the call that is made now."""
        if not NAME.match(name):
            raise StoreError("an effect's name has 1 to 20 letters, digits, _ or -")
        must_be_callable(f"send of effect {name}", send)  # before there is an intent, which nobody would answer
        job = self._claimed
        effect = _Effect(name, tag_of(job.id, job.generation, job.created_at, name), send, look_up, not_sent)
        async with self._turns[name]:
            return await self._made(effect)

    async def _made(self, effect: _Effect) -> Any:
        not_sent_under: int | None = None  # the lease whose intent was looked up, and not found
        while (standing := await self._intend(effect, not_sent_under)) is not None:
            if standing["state"] == "accepted":
                self._unanswered.pop(effect.name, None)
                return standing["receipt"]
            self._note_unknown(effect)
            match await self._look_up(effect):
                case NotSent():
                    not_sent_under = standing["lease_no"]
                case None:  # it may have forgotten to say so: what was not sent must not count as sent
                    raise EffectUnknownError(self._note_unknown(effect, "the look-up returned nothing"))
                case Unknown(why):
                    raise EffectUnknownError(self._note_unknown(effect, why))
                case receipt:
                    await self._fetch("accept_looked_up", effect, receipt=_as_json(effect.name, receipt))
        return await self._send(effect)

    async def _intend(self, effect: _Effect, not_sent_under: int | None) -> Mapping[str, Any] | None:
        """Commit an intent; where the effect was accepted or is unanswered, the row that says so, and no intent.

        Raises:
            LeaseLostError: somebody else owns the job by now: the effect is not ours to make.
        """
        async with self._transactions.begin() as connection:
            binds = self._binds(effect) | {"tag": effect.tag, "not_sent_under": not_sent_under}
            if await fetch_async(connection, statement("intend_effect"), binds):
                self._note_unknown(effect)
                return None
            found = await fetch_async(connection, statement("find_effect"), self._binds(effect))
        if not found:
            raise LeaseLostError(
                f"job {self._claimed.id} has another owner by now: {effect.name} was not sent by this run"
            )
        return found[0]

    async def _look_up(self, effect: _Effect) -> Any:
        if effect.look_up is None:
            return Unknown()
        return await awaited(f"look_up of effect {effect.name}", effect.look_up, effect.tag)

    async def _send(self, effect: _Effect) -> Any:
        """Make the call between its intent and its answer.  What raises anything but *not sent* leaves no answer."""
        not_sent: Errors = (NotSentError, *effect.not_sent)
        try:
            self._must_have_time(effect)
            receipt = await awaited(f"send of effect {effect.name}", effect.send, effect.tag)
        except not_sent:
            await self._answer(effect, "refused", None)
            raise
        try:
            as_json = _as_json(effect.name, receipt)
        except StoreError:
            await self._answer(effect, "accepted", "null")
            raise
        await self._answer(effect, "accepted", as_json)
        return json.loads(as_json)  # as a later run will find it

    def _must_have_time(self, effect: _Effect) -> None:
        """Raise NotSentError where the time is over: a process that was frozen after its intent wakes up here."""
        if self._time_left() <= 0:
            raise NotSentError(f"the time of this run was over before {effect.name} was sent")

    async def _answer(self, effect: _Effect, state: str, receipt: str | None) -> None:
        """Attach the answer to this run's own intent, also while the run is being cancelled, or has lost its lease."""

        async def told() -> Any:
            rows = await self._fetch("answer_effect", effect, state=state, receipt=receipt)
            self._unanswered.pop(effect.name, None)
            return rows

        answered = await finished(told())
        if not answered or not answered[0]["is_owner"]:
            what = (
                f"the answer to {effect.name} was {'kept' if answered else 'dropped, for another run has sent it too'}"
            )
            raise LeaseLostError(f"job {self._claimed.id} has another owner by now: {what}")

    async def _fetch(self, name: str, effect: _Effect, /, **more: Any) -> Any:
        async with self._transactions.begin() as connection:
            return await fetch_async(connection, statement(name), self._binds(effect) | more)

    def _binds(self, effect: _Effect) -> dict[str, Any]:
        job = self._claimed
        return {"id": job.id, "lease_no": job.lease.lease_no, "generation": job.generation, "name": effect.name}

    def _note_unknown(self, effect: _Effect, why: str = "") -> str:
        job = f"{self._claimed.id} {effect.name}"
        self._unanswered[effect.name] = told = (
            f"nobody knows whether {effect.name} was sent{why and f' ({why})'}: look for {effect.tag} at the provider, "
            f"then say `leadjobs effects mark-sent {job}` or `leadjobs effects send-again {job}`"
        )
        return told


def _as_json(name: str, receipt: Any) -> str:
    try:
        return storable_json(receipt)
    except ValueError as error:
        raise StoreError(f"the receipt of {name} {error}") from None
