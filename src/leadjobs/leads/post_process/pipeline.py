"""What happens to every stored reply, on every channel: named steps, each kept when it is finished.

    consent      a request to stop, a bounce, a welcome back
    transcript   what we wrote before, from the provider, where it was not told to us
    facts        numbers, addresses and pages that they mention
    enrichment   what Clay knows of them
    sentiment    how they sound
    draft        a reply for a person to send
    roll-ups     how the newest words sounded                } in one transaction
    scoring      a job of its own                            } with the end of this one

A retry goes on after the last finished step.  Consent is first, so that it is heard whatever is down (a request to stop
by the inbox already, for these jobs are held with the model);
and nothing that can fail outside (a provider, Clay, the model) keeps a lead from being scored: it is tried as long as
the job has attempts, then noted and passed by.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from leadjobs.core.job import Job
from leadjobs.core.outcome import GiveUp, Outcome, Skip
from leadjobs.errors import OutOfTimeError, ProviderError, ProviderUnavailableError
from leadjobs.leads.ai.errors import ModelBusyError
from leadjobs.leads.inbound import Channel
from leadjobs.leads.jobs import LeadMessage, post_process_type
from leadjobs.leads.post_process import steps
from leadjobs.leads.post_process.visit import GoneError, Tools, Visit

TRIES = 2  # of a step that asks somebody who is not the model


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the work: ``run`` keeps its own result under ``name`` when it is finished.

    ``asks_model`` says whom it asks: scoring needs the model too, so the job's attempts are all given to it.
    """

    name: str
    run: Callable[[Visit], Awaitable[None]]
    asks_model: bool = False


STEPS = (
    Step("consent", steps.consent),
    Step("transcript", steps.transcript),
    Step("facts", steps.facts),
    Step("enrichment", steps.enrichment),
    Step("sentiment", steps.sentiment, asks_model=True),
    Step("draft", steps.draft, asks_model=True),
)


@dataclass(frozen=True, slots=True)
class PostProcess:
    """The handler of every inbound type, with the tools that are configured."""

    tools: Tools

    @property
    def uses(self) -> tuple[str, ...]:
        """What a hold may be on that holds these jobs back: the model's resources, where there is a model."""
        return () if self.tools.ai is None else self.tools.ai.uses

    async def __call__(self, job: Job[LeadMessage]) -> Outcome:
        """Do what is not done yet of one message's steps, and end with its scoring enqueued."""
        visit = Visit(job, self.tools)
        try:
            if (ending := await self._why_not(visit)) is not None:
                return ending
            for step in STEPS:
                if step.name not in await job.finished():
                    await _take(step, visit)
            return await steps.finish(visit)
        except GoneError:
            return GiveUp("the lead or the message was deleted")
        except ModelBusyError as busy:
            return busy.hold

    async def _why_not(self, visit: Visit) -> Outcome | None:
        job = visit.job
        async with self.tools.sessions() as session:
            lead, message = await visit.load(session)
        if message.lead_id != lead.id or str(lead.workspace_id) != job.tenant:
            return GiveUp("the message, the lead and the workspace do not belong together")
        kind = post_process_type(message.source, Channel(message.channel))
        if message.direction != "inbound" or kind.name != job.type:
            return Skip(f"not an inbound message for {job.type}")
        return None


async def _take(step: Step, visit: Visit) -> None:
    """One step; where somebody outside refuses it or stays away, that is its result."""
    try:
        await step.run(visit)
    except ModelBusyError:
        raise  # it said when to come back: all that asks it waits
    except ProviderUnavailableError as busy:
        if step.asks_model and not visit.is_last_attempt:
            raise
        if not step.asks_model and visit.job.attempt < TRIES:
            raise ProviderUnavailableError(str(busy)) from busy  # soon again: how long they want us to wait is too long
        await visit.keep(step.name, f"passed by: {busy}")
    except OutOfTimeError as late:
        if not visit.is_last_attempt:
            raise
        await visit.keep(step.name, f"passed by: {late}")
    except ProviderError as refused:
        await visit.keep(step.name, f"passed by: {refused}")
